"""spec.source.swift: what its bytes depend on, and whose credentials it needs."""

from typing import Any

import pytest
from pydantic import ValidationError

from cloudimage.api.sources.swift import SwiftSource
from cloudimage.sources.swift import SwiftSpecSource

OBJECT: dict[str, Any] = {"container": "disks", "object": "a/disk.raw"}
OLD = {"secretName": "old-cloud", "cloudName": "old"}
MD5 = "ab" * 16


def source(**more: Any) -> SwiftSpecSource:
    return SwiftSpecSource(SwiftSource.model_validate({**OBJECT, **more}))


def test_the_secret_of_another_cloud_reaches_the_transfer() -> None:
    assert source().references() == ()
    wanted = source(cloudCredentialsRef=OLD)
    [reference] = wanted.references()
    assert (reference.kind, reference.target, reference.key) == ("Secret", "old-cloud", None)
    request = wanted.request().with_texts({reference.name: {"clouds.yaml": "sesame", "x": "y"}})
    assert (request.cloud_name, request.clouds_yaml) == ("old", "sesame")
    assert "sesame" not in repr(request)
    assert wanted.location() == "object disks/a/disk.raw of cloud old"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"object": "other"}, False),
        ({}, {"container": "other"}, False),
        ({}, {"cloudCredentialsRef": OLD}, False),
        ({"cloudCredentialsRef": OLD}, {"cloudCredentialsRef": OLD | {"cloudName": "x"}}, False),
        ({}, {"format": "raw"}, True),
        ({"checksum": {"md5": MD5}}, {"checksum": {"md5": MD5.upper()}, "object": "x"}, True),
        ({}, {"checksum": {"md5": MD5}}, False),
    ],
)
def test_what_its_bytes_depend_on(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (source(**one).content() == source(**other).content()) is same


def test_who_proves_the_bytes() -> None:
    assert source().proof().teller == "the source's Swift"
    assert not source().proof().lasting  # another object may take its place
    assert source(checksum={"md5": MD5}).proof().lasting
    assert source(checksum={"md5": MD5}).proof().checksum is not None


@pytest.mark.parametrize(
    "more",
    [{"container": name} for name in ("", ".", "..", "a/b", "a\nb", "x" * 257)]
    + [{"object": name} for name in ("", "..", "a/../b", "./a", "a\x00")],
)
def test_what_swift_does_not_have(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(**more)
