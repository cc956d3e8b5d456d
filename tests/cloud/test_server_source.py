"""A server as a source: real Nova makes the snapshot, and nothing of it stays."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudimage.failpoints import Point
from cloudimage.transfer.contract import Reason
from cloudimage.transfer.source.snapshot.labels import STOPPED
from cloudimage.vocabulary.marks import Marks
from support.fault_proxy import Fault, FaultProxy
from support.openstack_actions import boot, make_image, wait_until
from support.snapshots import elsewhere, snapshot_request, temporaries
from support.transfer_runs import Bench, Transfer, checksum, fail, succeed

pytestmark = pytest.mark.cloud

Row = dict[str, Any]
Booted = Callable[..., Any]

INHERITED = {
    "base_image_ref",
    "boot_roles",
    "image_type",
    "instance_uuid",
    "owner_project_name",
    "user_id",
}
"""Some of what Nova puts into a snapshot."""


@pytest.fixture
def booted(bench: Bench) -> Iterator[Booted]:
    """Boot a server of a project from an image of these bytes, and return it."""
    made: list[tuple[Any, str, str]] = []

    def server(path: Path, shape: str = "raw", project: str = "images", **properties: str) -> Any:
        cloud = bench.openstack.connect(project)
        image = make_image(
            cloud, path.read_bytes(), disk_format=shape, visibility="private", **properties
        )
        found = boot(cloud, image.id)
        cloud.compute.update_server(found, name=bench.unique)
        made.append((cloud, found.id, image.id))
        return found

    yield server
    for cloud, server_id, image_id in made:
        cloud.compute.delete_server(server_id)
        cloud.image.delete_image(image_id)


def asked(bench: Bench, source: Row, **image: Any) -> Row:
    """Return a request for a server's snapshot."""
    return snapshot_request(bench, "server", source, **image)


def test_the_snapshot_itself_becomes_the_image_and_no_byte_is_moved(
    bench: Bench, booted: Booted, disk: Path
) -> None:
    server = booted(disk, hw_disk_bus="scsi")
    request = asked(bench, {"id": server.id}, properties={"os_distro": "debian"}, tags=["x"])
    sent = Fault("PUT", "/file", "answer", times=9, status=500)
    catalog: Any = bench.connection().session.get_endpoint(service_type="image")
    with FaultProxy(catalog, sent) as proxy:
        request["cloud"]["config"]["image_endpoint_override"] = proxy.url
        result = succeed(request)
    assert (result.method, result.size) == ("Snapshot", disk.stat().st_size)
    assert result.hash_value == checksum(disk, "sha512")["value"]
    assert result.source.version == server.id
    [image] = bench.images()
    raw: Row = bench.connection().image.get(f"/images/{image.id}").json()
    assert not INHERITED & raw.keys()
    assert "hw_disk_bus" not in raw
    assert (raw["os_distro"], raw["os_hidden"], raw["visibility"]) == ("debian", True, "private")
    assert (raw[Marks.IMAGE_ID], raw["tags"]) == (image.id, ["x"])
    assert raw[Marks.VERIFIED] == f"sha512:{result.hash_value}"
    assert temporaries(bench) == []


def test_a_snapshot_in_another_format_is_converted_and_deleted(
    bench: Bench, booted: Booted, qcow2: Path, disk: Path, tmp_path: Path
) -> None:
    server = booted(qcow2, "qcow2")
    result = succeed(asked(bench, {"name": bench.unique}, disk_format="raw"))
    assert result.method == "Upload"
    assert (result.source.format, result.source.version) == ("qcow2", server.id)
    assert bench.download(result.image_id, tmp_path / "x").read_bytes() == disk.read_bytes()
    assert temporaries(bench) == []


@pytest.mark.slow
def test_a_snapshot_of_another_cloud_is_copied_and_deleted_there(
    bench: Bench, booted: Booted, disk: Path
) -> None:
    server = booted(disk, project="consumer")
    result = succeed(asked(bench, {"id": server.id, **elsewhere(bench)}))
    assert (result.method, result.source.verified_by) == ("Upload", "sha512")
    assert result.hash_value == checksum(disk, "sha512")["value"]
    assert temporaries(bench, "consumer") == []


@pytest.mark.slow
def test_it_is_deleted_after_a_failure(bench: Bench, booted: Booted, qcow2: Path) -> None:
    server = booted(qcow2, "qcow2")
    request = asked(bench, {"id": server.id}, disk_format="raw")
    request["limits"] |= {"max_virtual_size": 1}
    fail(request, Reason.IMAGE_TOO_LARGE)
    assert temporaries(bench) == []
    assert bench.images() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_transfer_leaves_that_is_killed_while_it_reads(
    bench: Bench, booted: Booted, qcow2: Path, number: signal.Signals
) -> None:
    server = booted(qcow2, "qcow2")
    catalog: Any = bench.connection().session.get_endpoint(service_type="image")
    reading, killed = threading.Event(), threading.Event()

    def hold(_: str) -> None:
        reading.set()
        killed.wait(30)

    half = Fault("GET", "/file", "cut answer", at=qcow2.stat().st_size // 2, call=hold)
    with FaultProxy(catalog, half) as proxy:
        options = {"image_endpoint_override": proxy.url}
        source = {"id": server.id, **elsewhere(bench, "images", **options)}
        transfer = Transfer(asked(bench, source))
        assert reading.wait(60)
        left = temporaries(bench)
        os.kill(transfer.process.pid, number)
        transfer.process.wait(20)
        killed.set()
    assert left != []
    if number == signal.SIGTERM:
        assert temporaries(bench) == []
        return
    assert temporaries(bench) == left
    for folder in bench.scratch.iterdir():  # nobody was left to remove it
        shutil.rmtree(folder)
    result = succeed(asked(bench, source | elsewhere(bench, "images")))
    assert result.hash_value == checksum(qcow2, "sha512")["value"]
    assert temporaries(bench) == []
    actions = bench.connection().compute.server_actions(server.id)
    assert [each.action for each in actions].count("createImage") == 1, "it went on with that one"


def test_a_lost_image_is_not_made_again_of_another_snapshot(
    bench: Bench, booted: Booted, disk: Path
) -> None:
    server = booted(disk)
    request = asked(bench, {"id": server.id}) | {"pinned": checksum(disk, "sha256")}
    message = fail(request, Reason.SOURCE_CHANGED).message
    assert "trigger" in message
    actions = bench.connection().compute.server_actions(server.id)
    assert "createImage" not in [each.action for each in actions]


def test_it_is_stopped_first_and_started_again(bench: Bench, booted: Booted, disk: Path) -> None:
    server = booted(disk)
    succeed(asked(bench, {"id": server.id, "stop_first": True}))
    compute: Any = bench.connection().compute
    wait_until(lambda: compute.get_server(server.id).status == "ACTIVE")
    actions = [each.action for each in compute.server_actions(server.id)]
    assert sorted(actions) == ["create", "createImage", "start", "stop"]
    assert STOPPED not in compute.get_server(server.id).metadata


@pytest.mark.slow
def test_one_that_a_killed_transfer_has_stopped_is_started_again(
    bench: Bench, booted: Booted, disk: Path
) -> None:
    server, compute = booted(disk), bench.connection().compute
    request = asked(bench, {"id": server.id, "stop_first": True})
    halts = {**os.environ, "CLOUDIMAGE_HALT_AT": f"{Point.STOPPED}:{bench.unique}"}
    command = [sys.executable, "-m", "cloudimage.transfer"]

    def spawn() -> Any:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=halts)

    transfer = Transfer(request, spawn)
    halted = psutil.Process(transfer.process.pid)
    wait_until(lambda: halted.status() == psutil.STATUS_STOPPED, 90)
    halted.kill()
    transfer.process.wait(20)
    for folder in bench.scratch.iterdir():
        shutil.rmtree(folder)
    assert compute.get_server(server.id).status == "SHUTOFF"
    succeed(request)
    wait_until(lambda: compute.get_server(server.id).status == "ACTIVE")
    assert STOPPED not in compute.get_server(server.id).metadata


@pytest.mark.slow
def test_one_that_was_off_stays_off(bench: Bench, booted: Booted, disk: Path) -> None:
    server, compute = booted(disk), bench.connection().compute
    required = {"id": server.id, "quiesce": "Required"}
    message = fail(asked(bench, required), Reason.SOURCE_REFUSED).message
    assert "os_require_quiesce=yes" in message
    compute.stop_server(server.id)
    wait_until(lambda: compute.get_server(server.id).status == "SHUTOFF")
    succeed(asked(bench, required | {"stop_first": True}))
    assert compute.get_server(server.id).status == "SHUTOFF"


@pytest.mark.slow
def test_what_nova_does_about_quiescing_is_known_by_the_servers_image(
    bench: Bench, booted: Booted, disk: Path
) -> None:
    agent = booted(disk, hw_qemu_guest_agent="yes", os_require_quiesce="yes")
    never = {"id": agent.id, "quiesce": "Never"}
    assert "stopFirst" in fail(asked(bench, never), Reason.SOURCE_REFUSED).message
    assert succeed(asked(bench, never | {"quiesce": "Required"})).method == "Snapshot"


@pytest.mark.slow
def test_what_cannot_be_taken_says_why(bench: Bench, booted: Booted, disk: Path) -> None:
    absent = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"
    assert absent in fail(asked(bench, {"id": absent}), Reason.SOURCE_NOT_FOUND).message
    unknown = asked(bench, {"name": f"{bench.unique}.*"})
    assert "is called" in fail(unknown, Reason.SOURCE_NOT_FOUND).message
    first, second = booted(disk), booted(disk)
    message = fail(asked(bench, {"name": bench.unique}), Reason.SOURCE_AMBIGUOUS).message
    assert first.id in message
    assert second.id in message
