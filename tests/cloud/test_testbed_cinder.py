"""The test bed's Cinder really has the bytes: from image to volume, to snapshot, to image."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from support.openstack_actions import MIB, boot, make_image, wait_until
from support.volumes import SECONDS, volume
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


def upload(cloud: Connection, volume_id: str, **options: Any) -> Any:
    """Ask for an image of the volume, and return the answer."""
    options = {"image_name": "testbed", "disk_format": "qcow2", **options}
    return cloud.block_storage.post(
        f"/volumes/{volume_id}/action", json={"os-volume_upload_image": options}
    )


def uploaded(cloud: Connection, volume_id: str, file: Path) -> None:
    """Make an image of the volume, put its bytes into the file, raw, and delete the image."""
    answer = upload(cloud, volume_id)
    assert answer.status_code == 202, answer.text
    image = cloud.image.get_image(answer.json()["os-volume_upload_image"]["image_id"])
    try:
        image = cloud.image.wait_for_status(image, "active", interval=0.1, wait=SECONDS)
        qcow2 = file.with_suffix(".qcow2")
        cloud.image.download_image(image, output=qcow2)
        with qcow2.open("rb") as content:
            assert hashlib.file_digest(content, "sha512").hexdigest() == image.hash_value
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2, file)
    finally:
        cloud.image.delete_image(image)


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


def test_a_snapshot_becomes_a_volume_with_the_same_bytes(
    images: Connection, image_id: str, disk: Path, unique: str, tmp_path: Path
) -> None:
    cinder = images.block_storage
    with volume(images, unique, image_id) as volume_id:
        snapshot = cinder.create_snapshot(name=unique, volume_id=volume_id)
        cinder.wait_for_status(snapshot, "available", ["error"], interval=0.1, wait=SECONDS)
        copy = cinder.create_volume(name=unique, snapshot_id=snapshot.id)
        cinder.wait_for_status(copy, "available", ["error"], interval=0.1, wait=SECONDS)
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


def test_a_server_on_a_volume_is_snapshot_as_an_empty_image_that_names_a_volume_snapshot(
    images: Connection, image_id: str, disk: Path, unique: str, tmp_path: Path
) -> None:
    flavor = images.compute.find_flavor("m1.tiny", ignore_missing=False)
    boot_from = {
        "source_type": "image",
        "uuid": image_id,
        "destination_type": "volume",
        "volume_size": 1,
        "boot_index": 0,
        "delete_on_termination": True,
    }
    cinder = images.block_storage
    server = images.compute.create_server(
        name=unique, flavor_id=flavor.id, networks="none", block_device_mapping=[boot_from]
    )
    server = images.compute.wait_for_server(server, interval=0.1, wait=SECONDS)
    [attached] = images.compute.volume_attachments(server)
    image = images.compute.create_server_image(server, unique, wait=True, timeout=SECONDS)
    [mapped] = json.loads(image.properties["block_device_mapping"])
    snapshot = cinder.get_snapshot(mapped["snapshot_id"])
    assert image.size == 0
    assert (snapshot.volume_id, snapshot.status) == (attached.volume_id, "available")
    copy = cinder.create_volume(name=unique, snapshot_id=snapshot.id)
    cinder.wait_for_status(copy, "available", ["error"], interval=0.1, wait=SECONDS)
    uploaded(images, copy.id, tmp_path / "volume")
    images.image.delete_image(image)
    cinder.delete_volume(copy)
    cinder.delete_snapshot(snapshot)
    cinder.wait_for_delete(snapshot, interval=0.1, wait=SECONDS)
    images.compute.delete_server(server)
    wait_until(lambda: cinder.find_volume(attached.volume_id) is None)
    assert_is_volume_of(tmp_path / "volume", disk)
