"""Disks in a real registry's images as a source: pushed by crane and ORAS, read into Glance."""

import json
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Reason
from support import registry_tokens
from support.registry_tokens import REFRESH_TOKEN, tokens
from support.transfer_runs import Bench, checksum, fail, succeed
from testbed.oci_images import artifact, container, digest, layer
from testbed.registry import Registry

pytestmark = pytest.mark.cloud

Row = dict[str, Any]


def asked(bench: Bench, registry: Registry, image: str, **more: Any) -> Row:
    """Return a request for a disk of the registry, with its user's credentials."""
    of_image = {name: more.pop(name) for name in ("disk_format",) if name in more}
    source = {
        "type": "oci",
        "image": image,
        "docker_config": registry.docker_config(),
        "ca_certificate": registry.ca,
        **more,
    }
    return bench.request("", **of_image) | {"source": source}


def stored(bench: Bench, image_id: str) -> bytes:
    return bench.download(image_id, bench.scratch.parent / "x").read_bytes()


@pytest.mark.parametrize("how", ["gzip", "zstd", "docker"])
def test_a_container_disk_is_taken_out_of_its_layer(
    bench: Bench, registry: Registry, qcow2: Path, disk: Path, tmp_path: Path, how: str
) -> None:
    packed = layer(tmp_path, {"disk/debian.qcow2": qcow2}, "zstd" if how == "zstd" else "gzip")
    image = container(registry, f"{bench.unique}/disk:1", packed, oci=how != "docker")
    result = succeed(asked(bench, registry, image))
    assert stored(bench, result.image_id) == qcow2.read_bytes()
    manifest = registry.crane("digest", image).strip()
    assert result.source.version == manifest
    assert f"sha256:{result.source.checksums['sha256']}" == manifest
    assert (result.source.format, result.source.verified_by) == ("qcow2", "sha256")
    pinned = asked(bench, registry, image, digest=manifest, disk_format="raw")
    pinned["image"]["id_seed"] += "-raw"
    assert stored(bench, succeed(pinned).image_id) == disk.read_bytes()


@pytest.mark.parametrize("wanted", [None, "raw"])
def test_an_artifacts_file_is_read_as_one_behind_a_url(
    bench: Bench, registry: Registry, qcow2: Path, disk: Path, wanted: str | None
) -> None:
    image = artifact(
        registry, f"{bench.unique}/art:1", qcow2.parent, f"{qcow2.name}:application/x-qcow2"
    )
    result = succeed(asked(bench, registry, image, disk_format=wanted))
    assert stored(bench, result.image_id) == (disk if wanted else qcow2).read_bytes()
    assert result.source.checksums["sha256"] == checksum(qcow2, "sha256")["value"]


def test_a_raw_file_of_an_artifact_goes_into_glance_without_a_disk(
    bench: Bench, registry: Registry, disk: Path
) -> None:
    image = artifact(registry, f"{bench.unique}/raw:1", disk.parent, disk.name)
    request = asked(bench, registry, image)
    request["limits"] = {"stall_seconds": 5, "max_scratch": 1}
    assert stored(bench, succeed(request).image_id) == disk.read_bytes()


def test_one_of_several_files_by_its_title(
    bench: Bench, registry: Registry, qcow2: Path, disk: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.raw").write_bytes(disk.read_bytes())
    (tmp_path / "README.md").write_text("Read me.")
    image = artifact(
        registry, f"{bench.unique}/two:1", tmp_path, qcow2.name, "other.raw", "README.md"
    )
    told = fail(asked(bench, registry, image), Reason.SOURCE_NOT_AN_IMAGE)
    assert "several disks (disk.qcow2, other.raw)" in told.message
    result = succeed(asked(bench, registry, image, path="other.raw"))
    assert result.source.format == "raw"
    absent = fail(asked(bench, registry, image, path="third.raw"), Reason.SOURCE_NOT_FOUND)
    assert "other.raw" in absent.message


def test_an_index_has_an_image_for_each_architecture(
    bench: Bench, registry: Registry, qcow2: Path, disk: Path, tmp_path: Path
) -> None:
    images = []
    for name, path in (("amd64", qcow2), ("arm64", disk)):
        image = registry.name(f"{bench.unique}/multi:{name}")
        packed = layer(tmp_path, {f"disk/{path.name}": path})
        registry.crane("append", "--oci-empty-base", "-f", packed, "-t", image)
        registry.crane("mutate", image, "--set-platform", f"linux/{name}", "-t", image)
        images += ["-m", image]
    index = registry.name(f"{bench.unique}/multi:1")
    registry.crane("index", "append", *images, "-t", index)
    for name, path in (("amd64", qcow2), ("arm64", disk)):
        request = asked(bench, registry, index, architecture=name)
        request["image"]["id_seed"] += name
        result = succeed(request)
        assert stored(bench, result.image_id) == path.read_bytes()
        assert result.source.version == registry.crane("digest", index).strip()
    other = fail(asked(bench, registry, index, architecture="s390x"), Reason.SOURCE_NOT_FOUND)
    assert "amd64, arm64" in other.message


def test_credentials_that_are_missing_or_wrong(
    bench: Bench, registry: Registry, qcow2: Path
) -> None:
    image = artifact(registry, f"{bench.unique}/locked:1", qcow2.parent, qcow2.name)
    none = fail(asked(bench, registry, image, docker_config=None), Reason.SOURCE_REFUSED)
    assert "give spec.source.oci.pullSecret" in none.message
    other = json.dumps({"auths": {"quay.io": {"auth": "YTpi"}}})
    elsewhere = fail(asked(bench, registry, image, docker_config=other), Reason.SOURCE_REFUSED)
    assert "no entry for this registry" in elsewhere.message
    wrong = registry.docker_config(username="puller", password="sesame-shut")
    refused = fail(asked(bench, registry, image, docker_config=wrong), Reason.SOURCE_REFUSED)
    assert "may not pull" in refused.message
    assert "sesame" not in refused.message
    unread = asked(bench, registry, image, docker_config="sesame")
    assert "sesame" not in fail(unread, Reason.INVALID_CREDENTIALS).message


def test_what_is_not_there_says_so(bench: Bench, registry: Registry) -> None:
    for absent in (f"{bench.unique}/none:1", f"{bench.unique}/none@sha256:{'0' * 64}"):
        request = asked(bench, registry, registry.name(absent))
        message = fail(request, Reason.SOURCE_NOT_FOUND).message
        assert absent in message
        assert "UNKNOWN" in message


@pytest.mark.parametrize("by", ["password", "refresh token"])
def test_tokens_are_made_elsewhere_and_renewed(
    bench: Bench, registry: Registry, qcow2: Path, tmp_path: Path, by: str
) -> None:
    with (
        tokens(tmp_path / "tokens", registry.authority) as server,
        Registry(tmp_path / "registry", server.auth(), authority=registry.authority) as private,
    ):
        image = artifact(private, f"{bench.unique}/art:1", qcow2.parent, qcow2.name)
        server.asked.clear()
        server.shown.clear()
        login = {"identitytoken": REFRESH_TOKEN} if by != "password" else {}
        config = private.docker_config(**login)
        # Each token has ended before it is used a second time.
        server.seconds = 1
        request = asked(bench, private, image, docker_config=config)
        assert stored(bench, succeed(request).image_id) == qcow2.read_bytes()
        methods = [method for method, _ in server.asked]
        assert set(methods) == {"GET" if by == "password" else "POST"}
        scope = f"repository:{bench.unique}/art:pull"
        assert {wanted["scope"] for _, wanted in server.asked} == {scope}
        assert {wanted["service"] for _, wanted in server.asked} == {registry_tokens.SERVICE}
        shut = json.dumps({"auths": {private.host: {"username": "puller", "password": "no"}}})
        told = fail(asked(bench, private, image, docker_config=shut), Reason.SOURCE_REFUSED)
        assert "access denied" in told.message


def test_what_came_is_not_asked_for_again(
    bench: Bench, registry: Registry, qcow2: Path, tmp_path: Path
) -> None:
    packed = layer(tmp_path, {"disk/debian.qcow2": qcow2})
    image = container(registry, f"{bench.unique}/kept:1", packed)
    request = asked(bench, registry, image) | {"cache": str(tmp_path / "cache")}
    succeed(request)
    blob = f'"GET /v2/{bench.unique}/kept/blobs/{digest(packed)}'
    before = registry.log().count(blob)
    assert before
    request["image"]["id_seed"] += "-2"
    succeed(request)
    assert registry.log().count(blob) == before
