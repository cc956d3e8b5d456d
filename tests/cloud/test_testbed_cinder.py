"""The test bed's Cinder really has the bytes: from image to volume, to snapshot, to image."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from support.openstack_actions import MIB, boot, make_image, wait_until
from support.volumes import SECONDS, on_volume, upload, uploaded, volume, wait_available
from testbed.commands import run
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def images(openstack: OpenStack) -> Connection:
    openstack.start_cinder()
    return openstack.connect("images")


@pytest.fixture
def image_id(images: Connection, disk: Path) -> Iterator[str]:
    """The disk as an image."""
    image = make_image(images, disk.read_bytes())
    yield image.id
    images.image.delete_image(image)


def assert_is_volume_of(file: Path, disk: Path) -> None:
    """The disk's bytes come first, and nothing but zeros fills the rest of a GiB."""
    assert file.stat().st_size == 1024 * MIB
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", file, disk)


def test_a_volume_is_uploaded_with_the_bytes_of_its_image(
    images: Connection, image_id: str, disk: Path, unique: str, tmp_path: Path
) -> None:
    with volume(images, unique, image_id) as volume_id:
        uploaded(images, volume_id, tmp_path / "volume")
        wait_until(lambda: images.block_storage.get_volume(volume_id).status == "available")
    assert_is_volume_of(tmp_path / "volume", disk)


@pytest.mark.slow
def test_a_snapshot_becomes_a_volume_with_the_same_bytes(
    images: Connection, image_id: str, disk: Path, unique: str, tmp_path: Path
) -> None:
    cinder: Any = images.block_storage
    with volume(images, unique, image_id) as volume_id:
        snapshot = cinder.create_snapshot(name=unique, volume_id=volume_id)
        wait_available(images, snapshot)
        copy = cinder.create_volume(name=unique, snapshot_id=snapshot.id)
        wait_available(images, copy)
        uploaded(images, copy.id, tmp_path / "volume")
        for made, delete in ((copy, cinder.delete_volume), (snapshot, cinder.delete_snapshot)):
            delete(made)
            cinder.wait_for_delete(made, interval=0.1, wait=SECONDS)
    assert_is_volume_of(tmp_path / "volume", disk)


def test_a_volume_in_use_is_not_uploaded_without_force(
    images: Connection, image_id: str, unique: str
) -> None:
    with volume(images, unique) as volume_id:
        server = boot(images, image_id)
        images.compute.create_volume_attachment(server, volume_id=volume_id)
        wait_until(lambda: images.block_storage.get_volume(volume_id).status == "in-use")
        answer = upload(images, volume_id)
        images.compute.delete_server(server)
        wait_until(lambda: images.block_storage.get_volume(volume_id).status == "available")
    assert answer.status_code == 400
    assert "status must be available" in answer.json()["badRequest"]["message"]


@pytest.mark.slow
def test_a_server_on_a_volume_is_snapshot_as_an_empty_image_that_names_a_volume_snapshot(
    images: Connection, image_id: str, disk: Path, unique: str, tmp_path: Path
) -> None:
    cinder: Any = images.block_storage
    server = on_volume(images, unique, image_id)
    [attached] = images.compute.volume_attachments(server)
    image = images.compute.create_server_image(server, unique, wait=True, timeout=SECONDS)
    [mapped] = json.loads(image.properties["block_device_mapping"])
    snapshot = cinder.get_snapshot(mapped["snapshot_id"])
    assert image.size == 0
    assert (snapshot.volume_id, snapshot.status) == (attached.volume_id, "available")
    copy = cinder.create_volume(name=unique, snapshot_id=snapshot.id)
    wait_available(images, copy)
    uploaded(images, copy.id, tmp_path / "volume")
    images.image.delete_image(image.id)
    cinder.delete_volume(copy)
    cinder.delete_snapshot(snapshot)
    cinder.wait_for_delete(snapshot, interval=0.1, wait=SECONDS)
    images.compute.delete_server(server)
    wait_until(lambda: cinder.find_volume(attached.volume_id) is None)
    assert_is_volume_of(tmp_path / "volume", disk)
