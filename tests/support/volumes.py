"""Volumes of the test bed's Cinder, servers on them, images of them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from openstack.connection import Connection
from openstack.exceptions import ResourceFailure

from support.openstack_actions import wait_active
from testbed.commands import run

SECONDS = 60


def wait_available(cloud: Connection, made: Any) -> None:
    """Wait until a volume or a snapshot is there.

    Raises:
        AssertionError: It failed; Cinder's messages say why.
    """
    cinder = cloud.block_storage
    try:
        cinder.wait_for_status(made, "available", ["error"], interval=0.1, wait=SECONDS)
    except ResourceFailure as error:
        messages = cinder.get("/messages", microversion="3.3").json()["messages"]
        why = [each["user_message"] for each in messages if each["resource_uuid"] == made.id]
        raise AssertionError(why) from error


@contextmanager
def volume(connection: Connection, name: str, image_id: str | None = None) -> Iterator[str]:
    """Make a volume, from an image if one is given, and delete it at the end."""
    with volumes(connection, name, image_id, count=1) as [volume_id]:
        yield volume_id


@contextmanager
def volumes(
    connection: Connection, name: str, image_id: str | None, *, count: int
) -> Iterator[list[str]]:
    """Make volumes side by side, and delete them at the end."""
    cinder: Any = connection.block_storage
    made = [cinder.create_volume(name=name, size=1, image_id=image_id) for _ in range(count)]
    try:
        for each in made:
            wait_available(connection, each)
        yield [each.id for each in made]
    finally:
        for each in made:
            cinder.delete_volume(each)
        for each in made:
            cinder.wait_for_delete(each, interval=0.1, wait=SECONDS)


def on_volume(cloud: Connection, name: str, image_id: str) -> Any:
    """Return a server, active, that boots from a volume made from the image; they go together."""
    flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    boot_from = {
        "source_type": "image",
        "uuid": image_id,
        "destination_type": "volume",
        "volume_size": 1,
        "boot_index": 0,
        "delete_on_termination": True,
    }
    server = cloud.compute.create_server(
        name=name, flavor_id=flavor.id, networks="none", block_device_mapping=[boot_from]
    )
    return wait_active(cloud, server)


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
    glance: Any = cloud.image
    image = glance.get_image(answer.json()["os-volume_upload_image"]["image_id"])
    try:
        image = glance.wait_for_status(image, "active", interval=0.1, wait=SECONDS)
        qcow2 = file.with_suffix(".qcow2")
        glance.download_image(image, output=qcow2)
        with qcow2.open("rb") as content:
            assert hashlib.file_digest(content, "sha512").hexdigest() == image.hash_value
        run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", qcow2, file)
    finally:
        glance.delete_image(image)
