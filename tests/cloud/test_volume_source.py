"""Volumes, their snapshots, and servers that boot from one, as sources: by real Cinder."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.access import region
from cloudimage.access.session import BoundedSession
from cloudimage.transfer.contract import Reason, Stage
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.source.snapshot.labels import label
from cloudimage.transfer.source.snapshot.leftovers import clear
from cloudimage.transfer.source.snapshot.services import Services
from support.openstack_actions import MIB, boot, make_image, wait_until
from support.snapshots import snapshot_request, temporaries, volumes_left
from support.transfer_runs import Bench, Transfer, fail, succeed
from support.volumes import SECONDS, volume, wait_available
from testbed.commands import run
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud

Row = dict[str, Any]


@pytest.fixture(scope="module")
def images(openstack: OpenStack) -> Connection:
    openstack.start_cinder()
    return openstack.connect("images")


@pytest.fixture
def filled(images: Connection, disk: Path, unique: str) -> Iterator[str]:
    """A volume with the disk, which begins it."""
    image = make_image(images, disk.read_bytes(), visibility="private", hw_disk_bus="scsi")
    with volume(images, unique, image.id) as volume_id:
        yield volume_id
    images.image.delete_image(image)


@contextmanager
def quota(bench: Bench, **limits: int) -> Iterator[None]:
    """Let the project have no more than that of what Cinder has."""
    admin = bench.openstack.connect("admin").block_storage
    path = f"/os-quota-sets/{bench.openstack.project_id('images')}"
    answer = admin.put(path, json={"quota_set": limits})
    assert answer.status_code == 200, answer.text
    try:
        yield
    finally:
        admin.delete(path)


def is_volume_of(bench: Bench, image_id: str, disk: Path) -> None:
    """The image is a qcow2 of a GiB that begins with the disk."""
    path = bench.download(image_id, bench.scratch.parent / "result.qcow2")
    run("qemu-img", "compare", "-f", "qcow2", "-F", "raw", path, disk)
    assert path.stat().st_size < 512 * MIB


def test_cinder_converts_and_what_it_made_becomes_the_image(
    bench: Bench, images: Connection, filled: str, disk: Path
) -> None:
    result = succeed(snapshot_request(bench, "volume", {"id": filled}, disk_format="qcow2"))
    assert (result.method, result.disk_format) == ("Snapshot", "qcow2")
    assert (result.virtual_size, result.source.version) == (1024 * MIB, filled)
    raw = images.image.get(f"/images/{result.image_id}").json()
    assert "hw_disk_bus" not in raw, "it is that of the volume's image"
    is_volume_of(bench, result.image_id, disk)
    assert temporaries(bench) == []
    assert images.block_storage.get_volume(filled).status == "available"


@pytest.mark.slow
def test_a_snapshot_of_a_volume_leaves_no_volume(
    bench: Bench, images: Connection, filled: str, disk: Path, unique: str
) -> None:
    cinder: Any = images.block_storage
    snapshot = cinder.create_snapshot(name=unique, volume_id=filled)
    wait_available(images, snapshot)
    try:
        source = {"snapshot_id": snapshot.id}
        result = succeed(snapshot_request(bench, "volume", source, disk_format="qcow2"))
        is_volume_of(bench, result.image_id, disk)
        assert temporaries(bench) == volumes_left(bench) == []

        with quota(bench, volumes=len(list(cinder.volumes()))):
            full = snapshot_request(bench, "volume", source, disk_format="qcow2")
            full["image"]["id_seed"] += "-full"
            assert "exceeded" in fail(full, Reason.QUOTA_EXCEEDED).message

        # What is killed is cleared away by whoever comes next.
        again = {"image": {"id_seed": f"{unique}-2"}}
        request = snapshot_request(bench, "volume", source, disk_format="qcow2")
        request["image"] |= again["image"]
        transfer = Transfer(request)
        transfer.until(Stage.SNAPSHOTTING)
        name = label(f"{unique}-2")
        wait_until(lambda: bool(list(cinder.volumes(name=name))))
        os.kill(transfer.process.pid, signal.SIGKILL)
        transfer.process.wait(20)
        for folder in bench.scratch.iterdir():
            shutil.rmtree(folder)
        entry = bench.openstack.cloud("images")
        services = Services(region.connection(entry, BoundedSession), Interrupts())
        assert clear(services, name, SECONDS)
        assert list(cinder.volumes(name=name)) == []
    finally:
        cinder.delete_snapshot(snapshot)
        cinder.wait_for_delete(snapshot, interval=0.1, wait=SECONDS)


@pytest.mark.slow
def test_a_volume_in_use_says_what_to_do(bench: Bench, images: Connection, disk: Path) -> None:
    image = make_image(images, disk.read_bytes(), visibility="private")
    with volume(images, bench.unique) as volume_id:
        server = boot(images, image.id)
        images.compute.create_volume_attachment(server, volume_id=volume_id)
        wait_until(lambda: images.block_storage.get_volume(volume_id).status == "in-use")
        named = snapshot_request(bench, "volume", {"name": bench.unique})
        message = fail(named, Reason.SOURCE_BUSY).message
        assert "snapshotID" in message
        assert "force: true" in message
        # The bed's Cinder has enable_force_upload off, as is the default.
        forced = snapshot_request(bench, "volume", {"id": volume_id, "force": True})
        assert "status must be available" in fail(forced, Reason.SOURCE_REFUSED).message
        images.compute.delete_server(server)
        wait_until(lambda: images.block_storage.get_volume(volume_id).status == "available")
    images.image.delete_image(image)
    absent = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"
    for source in ({"id": absent}, {"snapshot_id": absent}, {"name": bench.unique}):
        fail(snapshot_request(bench, "volume", source), Reason.SOURCE_NOT_FOUND)


@pytest.mark.slow
def test_a_server_that_boots_from_a_volume_is_followed_to_it(
    bench: Bench, images: Connection, disk: Path
) -> None:
    image = make_image(images, disk.read_bytes(), visibility="private")
    boot_from = {
        "source_type": "image",
        "uuid": image.id,
        "destination_type": "volume",
        "volume_size": 1,
        "boot_index": 0,
        "delete_on_termination": True,
    }
    flavor = images.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = images.compute.create_server(
        name=bench.unique, flavor_id=flavor.id, networks="none", block_device_mapping=[boot_from]
    )
    images.compute.wait_for_server(server, interval=0.1, wait=SECONDS)
    try:
        source = {"id": server.id}
        result = succeed(snapshot_request(bench, "server", source, disk_format="qcow2"))
        assert (result.method, result.source.version) == ("Snapshot", server.id)
        is_volume_of(bench, result.image_id, disk)
        assert temporaries(bench) == volumes_left(bench) == []
        required = snapshot_request(bench, "server", source | {"quiesce": "Required"})
        fail(required, Reason.SOURCE_REFUSED)
    finally:
        images.compute.delete_server(server)
        images.compute.wait_for_delete(server, interval=0.1, wait=SECONDS)
        images.image.delete_image(image)
