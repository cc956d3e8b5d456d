"""Each member of spec.source has its kind, and each kind is read by a transfer."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.source import Source
from cloudimage.sources import registry
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import Checksum
from cloudimage.transfer.source import registry as readers
from support.resources import SHA256, cloud_image

ID = "0B1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"
SOURCES: dict[str, dict[str, Any]] = {
    "http": {"url": "https://example.org/disk.img", "checksum": {"sha256": SHA256}},
    "oci": {"image": "quay.io/disks/debian:12", "pullSecret": "quay"},
    "glance": {"id": ID, "cloudCredentialsRef": {"secretName": "old", "cloudName": "east"}},
    "swift": {"container": "disks", "object": "disk.raw"},
    "s3": {"bucket": "images", "key": "disk.raw", "credentialsRef": {"secretName": "bucket"}},
    "upload": {"sha256": SHA256},
    "persistent_volume_claim": {"claimName": "build", "path": "a/b.raw", "sha256": SHA256},
    "server": {"id": ID, "trigger": "1", "stopFirst": True},
    "volume": {"snapshotID": ID, "cloudCredentialsRef": {"secretName": "old", "cloudName": "east"}},
}
"""An example of each; a new kind needs one."""


def spec(**source: object) -> CloudImageSpec:
    whole = cloud_image().spec.to_json() | {"source": source}
    return CloudImageSpec.model_validate(whole)


def test_every_member_has_its_kind() -> None:
    assert set(Source.model_fields) == set(registry._KINDS) == set(SOURCES)


@pytest.mark.parametrize("name", SOURCES)
def test_what_it_asks_for_can_be_read(name: str) -> None:
    source = source_of(spec(**{name: SOURCES[name]}))
    request = source.request()
    assert type(request) in readers._OPENERS
    assert source.proof().checksum == request.checksum
    assert source.proof().is_given
    assert request.with_texts({}).without_texts() == request


def test_the_checksum_of_a_file_goes_along() -> None:
    request = source_of(spec(http=SOURCES["http"])).request()
    assert request.checksum == Checksum(algorithm="sha256", value=SHA256)


def test_the_secret_of_another_cloud_reaches_the_transfer_and_leaves_it() -> None:
    source = source_of(spec(glance=SOURCES["glance"]))
    [reference] = source.references()
    assert (reference.kind, reference.target, reference.key) == ("Secret", "old", None)
    texts = {reference.name: {"clouds.yaml": "clouds: sesame", "cacert": "PEM", "more": "x"}}
    request = source.request().with_texts(texts)
    assert "sesame" in request.model_dump_json()
    assert "sesame" not in repr(request)
    assert request.without_texts() == source.request()


def test_an_image_of_the_objects_own_cloud_needs_no_secret() -> None:
    assert source_of(spec(glance={"id": ID})).references() == ()


def test_only_the_id_decides_whether_the_bytes_are_others() -> None:
    """The credentials may change, and how the id is written."""
    with_them, without = (
        source_of(spec(glance=each)).content() for each in (SOURCES["glance"], {"id": ID.lower()})
    )
    assert with_them == without
    assert without != source_of(spec(glance={"id": ID.replace("0B", "1B")})).content()


def content(**source: object) -> object:
    return source_of(spec(**source)).content()


@pytest.mark.parametrize("kind", ["server", "volume"])
def test_a_snapshot_is_taken_again_for_another_trigger_alone(kind: str) -> None:
    before = content(**{kind: {"id": ID}})
    again = {"id": ID.lower(), "cloudCredentialsRef": {"secretName": "s", "cloudName": "c"}}
    assert content(**{kind: again}) == before
    assert content(server={"id": ID, "stopFirst": True, "quiesce": "Never"}) == content(
        server={"id": ID}
    )
    assert content(**{kind: {"id": ID, "trigger": "2"}}) != before
    assert content(**{kind: {"name": "a"}}) != content(**{kind: {"name": "b"}})
    assert content(volume={"id": ID}) != content(volume={"snapshotID": ID})


def test_a_name_means_something_in_its_own_cloud() -> None:
    there = {"name": "a", "cloudCredentialsRef": {"secretName": "old", "cloudName": "east"}}
    assert content(server=there) != content(server={"name": "a"})


def test_without_a_member_that_is_known() -> None:
    bare = spec(http=SOURCES["http"]).model_copy(update={"source": None})
    with pytest.raises(ValueError, match="upgrade the operator"):
        source_of(bare)
