"""A lost image is made again from the same file only, unless its spec says otherwise."""

import hashlib
from pathlib import Path

import pytest

from cloudimage.api.cloudimage import CloudImage
from support.namespaces import Namespace, content_of, images_of, said, wait_until
from testbed.images import disk, sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


@pytest.fixture(scope="session")
def next_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another build of the disk, of the same size."""
    path = tmp_path_factory.mktemp("images") / "next.raw"
    return disk(path, "raw", virtual_size=64 << 20, data_bytes=23 << 20)


def publish(sources: Sources, unique: str, build: Path) -> dict[str, object]:
    """Put a build where the newest one is, with its list; return the spec's source."""
    url = sources.put(f"{unique}/latest/disk.raw", build)
    listed = f"{sha256_of(build)}  disk.raw\n".encode()
    sums = sources.put(f"{unique}/latest/SHA256SUMS", listed)
    return {"http": {"url": url, "checksum": {"from": {"url": sums}}}}


def lose(openstack: OpenStack, resource: CloudImage) -> None:
    """Delete the image in Glance, as a person may."""
    response = openstack.connect("images").image.delete(f"/images/{resource.status.image_id}")
    assert response.status_code == 204


@pytest.mark.parametrize("listed", [True, False], ids=["a list", "no checksum at all"])
def test_a_lost_image_is_not_made_again_from_another_build(
    watchful_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    next_build: Path,
    unique: str,
    *,
    listed: bool,
) -> None:
    namespace, source = watchful_namespace, publish(sources, unique, raw_disk)
    if not listed:
        source = {"http": {"url": sources.url(f"{unique}/latest/disk.raw"), "format": "raw"}}
    namespace.create(unique, "", source=source)
    first = namespace.wait_condition(unique, "Ready")
    [revision] = first.status.revisions
    assert revision.source_checksum == f"sha256:{sha256_of(raw_disk)}"
    assert revision.source == sources.url(f"{unique}/latest/disk.raw")

    publish(sources, unique, next_build)
    lose(openstack, first)
    refused = namespace.wait_condition(unique, "Stalled", reason="SourceChanged")
    status, _, message = said(refused, "Ready")
    assert status == "False"
    assert sha256_of(raw_disk) in message
    assert sha256_of(next_build) in message
    assert "spec.sourceChangePolicy" in message
    assert images_of(openstack.connect("images"), refused.metadata.uid) == []

    namespace.patch(unique, {"spec": {"sourceChangePolicy": "Accept"}})
    second = namespace.wait_condition(unique, "Ready")
    assert second.status.image_id != first.status.image_id
    assert content_of(openstack.connect("images"), second.status.image_id or "") == (
        hashlib.sha256(next_build.read_bytes()).hexdigest()
    )
    # Once when it was refused, and once when it was made after all.
    assert wait_until(lambda: namespace.events(unique).count(("Warning", "SourceChanged")) == 2, 10)
    [revision] = second.status.revisions
    assert revision.source_checksum == f"sha256:{sha256_of(next_build)}"
    namespace.delete(unique)


def test_a_lost_image_is_made_again_from_the_same_build(
    watchful_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    namespace = watchful_namespace
    namespace.create(unique, "", source=publish(sources, unique, raw_disk))
    first = namespace.wait_condition(unique, "Ready")
    lose(openstack, first)
    second = namespace.wait(
        unique, lambda each: each.status.image_id not in {None, first.status.image_id}
    )
    second = namespace.wait_condition(unique, "Ready")
    assert second.status.revisions[0].source_checksum == first.status.revisions[0].source_checksum
    namespace.delete(unique)


def test_a_new_url_or_checksum_is_not_held_to_the_old_file(
    watchful_namespace: Namespace,
    sources: Sources,
    raw_disk: Path,
    next_build: Path,
    unique: str,
) -> None:
    namespace = watchful_namespace
    namespace.create(unique, "", source=publish(sources, unique, raw_disk))
    first = namespace.wait_condition(unique, "Ready")
    publish(sources, unique, next_build)
    http = {"checksum": {"from": None, "sha256": sha256_of(next_build)}}
    namespace.patch(unique, {"spec": {"source": {"http": http}}})
    second = namespace.wait(
        unique, lambda each: each.status.image_id not in {None, first.status.image_id}
    )
    checksums = {each.image_id: each.source_checksum for each in second.status.revisions}
    assert checksums == {
        first.status.image_id: f"sha256:{sha256_of(raw_disk)}",
        second.status.image_id: f"sha256:{sha256_of(next_build)}",
    }
    namespace.delete(unique)
