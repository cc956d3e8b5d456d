"""spec.customize as a transfer takes it: what it refers to is known by name and nothing more."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.sources.customize import references_of, requested
from cloudimage.transfer.contract import TransferError
from cloudimage.transfer.customize import model

SPEC: dict[str, Any] = {
    "cloudCredentialsRef": {"secretName": "s", "cloudName": "c"},
    "source": {"http": {"url": "https://example.org/a", "auth": {"secretName": "a"}}},
    "customize": {
        "steps": [
            {"update": True},
            {"run": {"configMapKeyRef": {"name": "scripts", "key": "setup.sh"}}},
            {"writeFile": {"path": "/etc/key", "secretKeyRef": {"name": "k", "key": "id"}}},
            {"copyIn": {"directory": "/etc/x", "configMapRef": {"name": "files"}}},
            {"writeFile": {"path": "/etc/motd", "content": "hi"}},
            {"sysprep": {"operations": ["ssh-hostkeys"]}},
        ],
        "network": True,
        "sparsify": True,
    },
}


def test_what_steps_refer_to_comes_after_what_the_source_does() -> None:
    found = references_of(CloudImageSpec.model_validate(SPEC))
    assert [(each.name, each.kind, each.target, each.key) for each in found] == [
        ("auth", "Secret", "a", None),
        ("customize-1", "ConfigMap", "scripts", "setup.sh"),
        ("customize-2", "Secret", "k", "id"),
        ("customize-3", "ConfigMap", "files", None),
    ]


def test_texts_are_put_in_and_taken_out_again() -> None:
    bare = requested(CloudImageSpec.model_validate(SPEC).customize)
    assert bare is not None
    texts = {
        "customize-1": {"text": "#!/bin/sh"},
        "customize-2": {"text": "hunter22"},
        "customize-3": {"a": "A"},
    }
    whole = bare.with_texts(texts)
    assert [whole.has_secret(count) for count in range(5)] == [False, False, False, True, True]
    assert "hunter22" not in repr(whole)
    assert whole.without_texts() == bare
    assert "hunter22" not in whole.without_texts().model_dump_json()
    # What stands in the spec stays: it is no secret.
    assert whole.without_texts().steps[4] == model.WriteFile(
        path="/etc/motd", files={"text": "hi"}, mode="0644"
    )
    assert isinstance(whole.steps[2], model.WriteFile)
    assert whole.steps[2].mode == "0600"


def test_a_text_that_is_missing_is_told_by_its_step() -> None:
    bare = requested(CloudImageSpec.model_validate(SPEC).customize)
    assert bare is not None
    texts = {"customize-1": {"text": ""}, "customize-2": {"text": ""}}
    with pytest.raises(TransferError, match=r"of spec.customize.steps\[3\] cannot be read"):
        bare.with_texts(texts)


def test_without_it_nothing_is_asked() -> None:
    assert requested(None) is None
