"""Manifests and indexes as registries have them, and which file of them is meant."""

import hashlib
import json
from typing import Any

import pytest

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.oci import manifests
from cloudimage.transfer.source.oci.manifests import Index, Manifest

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
TITLE = "org.opencontainers.image.title"
WHERE = "quay.io/a:1"


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def entry(text: str, **more: Any) -> dict[str, Any]:
    return {"mediaType": "x", "digest": digest(text), "size": 100, **more}


def of(architecture: str, variant: str = "", system: str = "linux", **more: Any) -> dict[str, Any]:
    platform = {"architecture": architecture, "os": system, "variant": variant}
    return entry(f"{architecture}{variant}{system}", platform=platform, **more)


def file(title: str, size: int = 2**30, text: str = "") -> dict[str, Any]:
    return entry(text or title, size=size, annotations={TITLE: title})


def index(*entries: dict[str, Any]) -> Index:
    found = manifests.parse(json.dumps({"schemaVersion": 2, "manifests": entries}).encode(), WHERE)
    assert isinstance(found, Index)
    return found


def manifest(*layers: dict[str, Any], config: str = EMPTY) -> Manifest:
    body = {"schemaVersion": 2, "config": entry("c", mediaType=config), "layers": layers}
    found = manifests.parse(json.dumps(body).encode(), WHERE)
    assert isinstance(found, Manifest)
    return found


@pytest.mark.parametrize(
    ("wanted", "entries", "chosen"),
    [
        ("amd64", [of("arm64"), of("amd64")], 1),
        ("arm64", [of("arm64", "v8"), of("amd64")], 0),
        ("arm/v7", [of("arm", "v6"), of("arm", "v7")], 1),
        ("amd64", [of("amd64", "v3"), of("amd64")], 1),
        ("amd64", [of("amd64", system="windows"), of("amd64")], 1),
        ("amd64", [of("amd64", system="windows")], 0),
        # buildx adds attestations of an unknown platform.
        ("amd64", [of("unknown", system="unknown"), of("amd64")], 1),
        # An index of one artifact says no platform.
        ("arm64", [entry("x")], 0),
        ("amd64", [entry("x"), of("amd64")], 1),
    ],
)
def test_of_an_index_the_architecture_is_chosen(
    wanted: str, entries: list[dict[str, Any]], chosen: int
) -> None:
    assert manifests.choose(index(*entries), wanted, WHERE).digest == entries[chosen]["digest"]


@pytest.mark.parametrize(
    ("wanted", "entries", "said"),
    [
        ("s390x", [of("amd64"), of("arm64", "v8")], "none for .* s390x, but amd64, arm64/v8"),
        ("arm", [of("arm", "v6"), of("arm", "v7")], "several for .* arm, but arm/v6, arm/v7"),
        ("arm64/v9", [of("arm64", "v8")], "none for .* arm64/v9, but arm64/v8"),
        ("amd64", [], "none for the architecture amd64"),
        ("amd64", [entry("x"), entry("y")], "none for the architecture amd64"),
    ],
)  # fmt: skip
def test_an_architecture_that_an_index_has_not(
    wanted: str, entries: list[dict[str, Any]], said: str
) -> None:
    with pytest.raises(TransferError, match=said) as caught:
        manifests.choose(index(*entries), wanted, WHERE)
    assert caught.value.reason is Reason.SOURCE_NOT_FOUND


@pytest.mark.parametrize(
    ("titles", "path", "chosen"),
    [
        (["debian.qcow2"], None, "debian.qcow2"),
        (["blob"], None, "blob"),
        (["a.qcow2", "README.md", "SHA256SUMS", "a.qcow2.sha256", "a.asc"], None, "a.qcow2"),
        (["a.img.gz", "kernel"], None, "a.img.gz"),
        (["a.qcow2", "b.qcow2"], "b.qcow2", "b.qcow2"),
        (["x/a.qcow2", "b.qcow2"], "/x/a.qcow2", "x/a.qcow2"),
        (["a.txt", "b.qcow2"], "a.txt", "a.txt"),
    ],
)
def test_of_an_artifact_one_file_is_chosen(
    titles: list[str], path: str | None, chosen: str
) -> None:
    found = manifests.choose_blob(manifest(*(file(each, 1000) for each in titles)), path, WHERE)
    assert found.title == chosen
    assert found.checksum == Checksum(algorithm="sha256", value=digest(chosen)[7:])


def test_a_blob_needs_no_title_if_it_is_the_only_one() -> None:
    assert manifests.choose_blob(manifest(entry("x")), None, WHERE).digest == digest("x")


def test_the_same_bytes_twice_are_one_disk() -> None:
    both = manifest(file("a.qcow2", text="x"), file("b.qcow2", text="x"))
    assert manifests.choose_blob(both, None, WHERE).digest == digest("x")


@pytest.mark.parametrize(
    ("layers", "path", "reason", "said"),
    [
        ([], None, Reason.SOURCE_NOT_AN_IMAGE, "no file with a byte"),
        ([entry("e", mediaType=EMPTY, size=2)], None, Reason.SOURCE_NOT_AN_IMAGE, "no file with a"),
        ([file("a.qcow2", 0)], None, Reason.SOURCE_NOT_AN_IMAGE, "no file with a byte"),
        ([file("README.md", 9)], None, Reason.SOURCE_NOT_AN_IMAGE, "no disk, but README.md"),
        ([file("a.img"), file("b.img")], None, Reason.SOURCE_NOT_AN_IMAGE, "several disks"),
        ([entry("x"), entry("y")], None, Reason.SOURCE_NOT_AN_IMAGE, "several disks"),
        ([file("a.img")], "c.img", Reason.SOURCE_NOT_FOUND, "no file c.img, but a.img"),
    ],
)  # fmt: skip
def test_an_artifact_without_one_disk(
    layers: list[dict[str, Any]], path: str | None, reason: Reason, said: str
) -> None:
    with pytest.raises(TransferError, match=said) as caught:
        manifests.choose_blob(manifest(*layers), path, WHERE)
    assert caught.value.reason is reason


def test_layers_of_a_container_are_no_files() -> None:
    assert manifest(entry("l"), config=OCI_CONFIG).is_container
    assert not manifest(entry("l"), config="application/vnd.acme.disk").is_container
    assert not manifest(file("a.img"), config=OCI_CONFIG).is_container


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "can be read"),
        (b"<html>", "can be read"),
        (b"[]", "can be read"),
        (b"{}", "no manifest of an image"),
        (b'{"schemaVersion": 1, "fsLayers": []}', "schema 1"),
        (b'{"manifests": [], "layers": []}', "no manifest of an image"),
        (b'{"layers": [{"digest": "sha256:../../x", "size": 1}]}', "can be read"),
        (b'{"layers": [{"digest": "md5:00", "size": 1}]}', "can be read"),
        (json.dumps({"layers": [entry("x", size=-1)]}).encode(), "can be read"),
        (json.dumps({"layers": [entry("x")] * 129}).encode(), "can be read"),
        (json.dumps({"manifests": [entry("x")] * 4097}).encode(), "can be read"),
        (b'{"layers":' + b"[" * 100_000, "can be read"),
        (b"\xff\xfe", "can be read"),
    ],
)
def test_what_is_no_manifest(content: bytes, said: str) -> None:
    with pytest.raises(TransferError, match=said) as caught:
        manifests.parse(content, WHERE)
    assert caught.value.reason is Reason.SOURCE_NOT_AN_IMAGE


def test_nothing_that_is_null_is_a_fault() -> None:
    body = {"config": entry("c"), "layers": [entry("x", annotations=None)], "annotations": None}
    assert isinstance(manifests.parse(json.dumps(body).encode(), WHERE), Manifest)


def test_bytes_are_compared_by_either_algorithm() -> None:
    for name in ("sha256", "sha512"):
        value = hashlib.new(name, b"{}").hexdigest()
        manifests.check(b"{}", f"{name}:{value}", WHERE)
        with pytest.raises(TransferError) as caught:
            manifests.check(b"[]", f"{name}:{value}", WHERE)
        assert caught.value.reason is Reason.CHECKSUM_MISMATCH
