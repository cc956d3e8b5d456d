"""Servers of the bed that boots: guests speak, and snapshots have what was on their disks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from openstack.connection import Connection

from support.networks import network_of_both
from support.openstack_actions import boot, make_image, wait_until
from support.volumes import SECONDS, on_volume, uploaded, wait_available
from testbed.commands import run
from testbed.images.bootable import BOOT_MESSAGE, bootable_qcow2
from testbed.openstack import OpenStack

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.slow,
    pytest.mark.timeout(900),  # the first one starts the bed
    pytest.mark.xdist_group("testbed-boot"),
]
BOOT_SECONDS = 120.0


@pytest.fixture
def images(boot_bed: OpenStack) -> Connection:
    return boot_bed.connect("images")


@pytest.fixture
def image_id(images: Connection) -> Iterator[str]:
    """The image that boots."""
    image = make_image(images, bootable_qcow2().read_bytes(), disk_format="qcow2")
    yield image.id
    images.image.delete_image(image)


def wait_for_boot(cloud: Connection, server: Any) -> None:
    """Wait until the guest says so on its console."""

    def said() -> bool:
        console = cloud.compute.get_server_console_output(server) or {}
        return BOOT_MESSAGE in (console.get("output") or "")

    wait_until(said, BOOT_SECONDS)


def guests(server: Any) -> list[psutil.Process]:
    """Return the processes that are the server."""
    found = [each for each in psutil.process_iter() if each.name().startswith("qemu-system")]
    return [each for each in found if any(server.id in word for word in each.cmdline())]


def delete(cloud: Connection, server: Any) -> None:
    cloud.compute.delete_server(server)
    cloud.compute.wait_for_delete(server, interval=0.2, wait=SECONDS)


def test_a_server_boots_and_its_snapshot_boots_and_nothing_of_them_stays(
    boot_bed: OpenStack, images: Connection, image_id: str, unique: str, tmp_path: Path
) -> None:
    server = boot(images, image_id)
    assert len(guests(server)) == 1
    wait_for_boot(images, server)
    snapshot = images.compute.create_server_image(server, unique, wait=True, timeout=BOOT_SECONDS)
    qcow2 = tmp_path / "snapshot.qcow2"
    glance: Any = images.image
    glance.download_image(snapshot, output=qcow2)
    run("qemu-img", "compare", qcow2, bootable_qcow2())
    again = boot(images, snapshot.id)
    wait_for_boot(images, again)
    for each in (server, again):
        delete(images, each)
        assert guests(each) == []
        assert not boot_bed.server_disk(each.id).parent.exists()
    glance.delete_image(snapshot)


def test_a_server_on_a_volume_boots_and_its_volume_is_snapshot_while_it_runs(
    boot_bed: OpenStack, images: Connection, image_id: str, unique: str, tmp_path: Path
) -> None:
    cinder: Any = images.block_storage
    server = on_volume(images, unique, image_id)
    wait_for_boot(images, server)
    [attached] = images.compute.volume_attachments(server)
    image = images.compute.create_server_image(server, unique, wait=True, timeout=BOOT_SECONDS)
    [mapped] = json.loads(image.properties["block_device_mapping"])
    snapshot = cinder.get_snapshot(mapped["snapshot_id"])
    wait_available(images, snapshot)
    copy = cinder.create_volume(name=unique, snapshot_id=snapshot.id)
    wait_available(images, copy)
    uploaded(images, copy.id, tmp_path / "volume")
    run("qemu-img", "compare", tmp_path / "volume", bootable_qcow2())
    images.image.delete_image(image.id)
    cinder.delete_volume(copy)
    cinder.delete_snapshot(snapshot)
    cinder.wait_for_delete(snapshot, interval=0.2, wait=SECONDS)
    delete(images, server)
    assert guests(server) == []
    files = f"cinder/mnt/*/*{attached.volume_id}*"
    wait_until(lambda: not [*boot_bed.folder.glob(files)])


@pytest.fixture
def network(images: Connection, unique: str) -> Iterator[str]:
    """A network with an IPv4 and an IPv6 subnet."""
    with network_of_both(images, unique) as network:
        yield network


def plugged_in(bed: OpenStack) -> set[str]:
    """Return the names of the devices on the bridge of the bed."""
    database = f"--db=unix:{bed.folder / 'ovs/db.sock'}"
    return set(run("ovs-vsctl", database, "list-ports", "br-int").split())


def test_a_server_on_a_network_is_plugged_in_with_an_address_of_each_family(
    boot_bed: OpenStack, images: Connection, image_id: str, network: str, unique: str
) -> None:
    before = plugged_in(boot_bed)
    flavor = images.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = images.compute.create_server(
        name=unique, image_id=image_id, flavor_id=flavor.id, networks=[{"uuid": network}]
    )
    server = images.compute.wait_for_server(server, interval=0.2, wait=BOOT_SECONDS)
    [port] = images.network.ports(device_id=server.id)
    addresses = {each["ip_address"] for each in port.fixed_ips}
    assert port.status == "ACTIVE"
    assert len(addresses) == 2
    assert addresses == {each["addr"] for each in server.addresses[unique]}
    assert plugged_in(boot_bed) - before == {f"tap{port.id[:11]}"}
    wait_for_boot(images, server)
    delete(images, server)
    wait_until(lambda: plugged_in(boot_bed) == before)
