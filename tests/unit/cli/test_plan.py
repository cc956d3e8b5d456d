"""What ``cloudimage plan`` reads, and what it makes of its findings."""

import json
from pathlib import Path
from typing import Any

import pytest

from cloudimage.cli import manifests
from cloudimage.cli.errors import CommandError
from cloudimage.cli.plan_applied import by_models, changes
from cloudimage.cli.plan_report import Finding, Plan, exit_status, json_of, text_of

IMAGE = """
apiVersion: cloudimage.dev/v1alpha1
kind: CloudImage
metadata:
  name: debian-12
spec:
  cloudCredentialsRef: {secretName: openstack, cloudName: images}
  source: {http: {url: "https://images.example.org/debian.qcow2"}}
"""


def read(folder: Path, text: str | bytes) -> list[Any]:
    path = folder / "manifests.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return list(manifests.read(str(path)))


def test_documents_of_several_kinds(tmp_path: Path) -> None:
    text = f"---\n{IMAGE}---\n---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: x}}}}\n"
    image, other = read(tmp_path, text)
    assert manifests.is_cloud_image(image)
    assert not manifests.is_cloud_image(other)
    assert manifests.label(other) == "ConfigMap x"
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": [image, other]})
    assert read(tmp_path, listed) == [image, other]
    # As PowerShell's Out-File -Encoding utf8 writes it.
    assert read(tmp_path, b"\xef\xbb\xbf" + IMAGE.encode()) == [image]
    assert read(tmp_path, "") == []


BOMB = "kind: List\nitems:\n- &a {kind: x, b: [1, 1, 1, 1, 1, 1, 1, 1, 1]}\n" + "".join(
    f"- &{name} {{kind: x, b: [{', '.join([f'*{before}'] * 9)}]}}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind: [", "is not valid YAML near line"),
        ("a: 1", "has a document that is no Kubernetes object"),
        ("- 1", "has a document that is no Kubernetes object"),
        ("kind: 3", "has a document that is no Kubernetes object"),
        ("kind: !!python/object:os.system x", "is not valid YAML near line 1"),
        (b"\xff\xfe\x00", "is not valid YAML"),
        (b"a" * (manifests.MAX_BYTES + 1), "is larger than 8 MiB"),
        (BOMB, "has more than 200000 values"),
        ("&a {kind: List, items: [*a]}", "has more than 200000 values"),
        ("[" * 5000, "is not valid YAML"),
    ],
    ids=lambda each: str(each)[:20],
)
def test_files_that_are_none(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(CommandError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be read: No such file"):
        manifests.read(str(tmp_path / "none"))
    with pytest.raises(CommandError, match="cannot be read: Is a directory"):
        manifests.read(str(tmp_path))


def image_of(tmp_path: Path, text: str = IMAGE) -> Any:
    [image] = read(tmp_path, text)
    return image


def test_the_namespace_is_kubectls(tmp_path: Path) -> None:
    image = image_of(tmp_path)
    assert manifests.manifest(image, None, "standing").namespace == "standing"
    assert manifests.manifest(image, "given", "standing").namespace == "given"
    own = {**image, "metadata": {"name": "debian-12", "namespace": "own"}}
    assert manifests.manifest(own, None, "standing").namespace == "own"
    with pytest.raises(CommandError, match="is of namespace own, but --namespace is given"):
        manifests.manifest(own, "given", "standing")
    with pytest.raises(CommandError, match=r"no metadata\.name"):
        manifests.manifest({**image, "metadata": {}}, None, "standing")


def test_without_a_cluster_the_models_speak(tmp_path: Path) -> None:
    image = manifests.manifest(image_of(tmp_path), None, "images")
    applied = by_models(image, None, "There is no cluster.")
    assert applied.after.spec.source is not None
    assert (applied.before, applied.unchecked) == (None, "There is no cluster.")
    for old, new, said in (
        ("secretName", "secretname", "spec.cloudCredentialsRef.secretname: Extra inputs"),
        ("secretName: openstack", "secretName: 3", "spec.cloudCredentialsRef.secretName:"),
        ("https://", "ftp://", "spec.source.http.url: "),
        ("source:", "image: {diskFormat: floppy}\n  source:", "spec.image.diskFormat: "),
        ("source:", "image: {properties: {a: 3}}\n  source:", "spec.image.properties.a: "),
        ("source:", "image: {disk_format: raw}\n  source:", "spec.image.disk_format: "),
    ):
        text = IMAGE.replace(old, new)
        assert text != IMAGE
        wrong = manifests.manifest(image_of(tmp_path, text), None, "images")
        with pytest.raises(CommandError) as caught:
            by_models(wrong, None, "")
        assert said in str(caught.value)
    empty = manifests.manifest({**image.body, "spec": None}, None, "images")
    with pytest.raises(CommandError, match="is invalid: spec: "):
        by_models(empty, None, "")


def test_a_user_who_may_only_look(tmp_path: Path) -> None:
    image = manifests.manifest(image_of(tmp_path), None, "images")
    there = by_models(image, None, "").after
    before = {
        "metadata": {**there.metadata.to_json(), "generation": 4, "labels": {"a": "b"}},
        "spec": there.spec.to_json(),
    }
    same = by_models(image, before, "you may not")
    assert same.changes == ()
    assert same.after.metadata.generation == 4
    text = IMAGE.replace("debian.qcow2", "other.qcow2")
    other = manifests.manifest(image_of(tmp_path, text), None, "images")
    applied = by_models(other, before, "you may not")
    assert applied.changes == ("spec.source.http.url",)
    assert applied.after.metadata.generation == 5


def test_labels_and_annotations_count_as_changes() -> None:
    before = {"metadata": {"labels": {"a": "1"}}, "spec": {}}
    after = {"metadata": {"labels": {"a": "2"}, "annotations": {"b": "x"}}, "spec": {}}
    assert changes(before, after) == ("metadata.labels.a", "metadata.annotations.b")


def plan(*states: Any) -> Plan:
    return Plan("images", "x", tuple(Finding("a", each, f"is {each}") for each in states))


@pytest.mark.parametrize(
    ("plans", "status", "summary"),
    [
        ([], 0, "CloudImages: none."),
        ([plan("ok", "unknown")], 0, "CloudImages: 1 unchanged."),
        ([plan("ok"), plan("ok", "change")], 2, "CloudImages: 1 unchanged, 1 would change."),
        ([plan("change", "error"), plan("change")], 1, "1 would change, 1 would fail."),
    ],
)
def test_exit_status(plans: list[Plan], status: int, summary: str) -> None:
    assert exit_status(plans) == status
    assert text_of(plans).endswith(summary)


def test_words_from_outside_are_harmless() -> None:
    strange = Plan("images", "x", (Finding("a", "ok", "red \x1b[31m", {"url": "\u202ex"}),))
    assert "\x1b" not in text_of([strange])
    [told] = json.loads(json_of([strange]))
    assert told["findings"] == [{"what": "a", "state": "ok", "text": "red �[31m", "url": "�x"}]
