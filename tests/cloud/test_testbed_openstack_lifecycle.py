"""The test bed's OpenStack starts, breaks, recovers and goes as it says: on a bed of its own."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from keystoneauth1.exceptions import ConnectFailure

from support.openstack_actions import MIB, boot, imported, make_image, put, wait_until
from testbed.openstack import OpenStack
from testbed.openstack.another import another
from testbed.paths import REPOSITORY

# One worker: they share a bed of their own.
pytestmark = [
    pytest.mark.cloud,
    pytest.mark.slow,
    pytest.mark.xdist_group("openstack-lifecycle"),
]


@pytest.fixture(scope="module")
def second_bed() -> Iterator[OpenStack]:
    """A bed of its own for what would disturb the users of the shared one: crashes, a reset."""
    with another() as bed:
        yield bed


def processes_of(bed: OpenStack) -> list[psutil.Process]:
    """Find the bed's processes by what they hold, not by what the bed remembers."""
    found = []
    for process in psutil.process_iter():
        try:
            held = [process.cwd(), *process.cmdline(), *process.environ().values()]
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if any(str(bed.folder) in each for each in held):
            found.append(process)
    return found


def kill(bed: OpenStack) -> None:
    """Kill every server at once, as a crash would; their children are left to themselves."""
    servers = [psutil.Process(each.pid) for each in bed.status() if each.pid]
    for server in servers:
        server.kill()
    psutil.wait_procs(servers)


def test_two_processes_that_race_make_one_bed(second_bed: OpenStack) -> None:
    program = (
        "import sys; from pathlib import Path; from testbed.openstack import OpenStack;"
        "OpenStack(Path(sys.argv[1])).up()"
    )
    command = [sys.executable, "-c", program, str(second_bed.folder)]
    racers = [subprocess.Popen(command, cwd=REPOSITORY / "tests") for _ in range(2)]
    assert [racer.wait() for racer in racers] == [0, 0]
    assert all(each.pid for each in second_bed.status())
    masters = [each for each in processes_of(second_bed) if "nova_aio.py" in str(each.cmdline())]
    assert len(masters) == 1


def test_a_project_over_its_quota_gets_413_until_the_quota_is_raised(
    second_bed: OpenStack,
) -> None:
    second_bed.up()
    tiny = second_bed.connect("tiny")
    # The limit is 5 MiB.
    assert put(tiny, make_image(tiny).id, os.urandom(6 * MIB)).status_code == 413
    second_bed.set_quota("tiny", "image_size_total", 100)
    assert put(tiny, make_image(tiny).id, os.urandom(6 * MIB)).status_code == 204


def test_an_outage_of_glance_ends_with_the_same_data_on_the_same_port(
    second_bed: OpenStack,
) -> None:
    second_bed.up()
    publisher = second_bed.connect("images")
    data = os.urandom(MIB)
    image = make_image(publisher, data)
    second_bed.stop_service("glance")
    assert [each.name for each in second_bed.status() if each.pid is None] == ["glance"]
    with pytest.raises(ConnectFailure):
        publisher.image.get_image(image)
    second_bed.start_service("glance")
    assert publisher.image.download_image(image).content == data


def test_servers_outlive_an_outage_of_nova(second_bed: OpenStack) -> None:
    second_bed.up()
    publisher = second_bed.connect("images")
    server = boot(publisher, make_image(publisher, os.urandom(MIB)).id)
    second_bed.stop_service("nova")
    second_bed.start_service("nova")
    assert publisher.compute.get_server(server).status == "ACTIVE"
    publisher.compute.delete_server(server)
    publisher.compute.wait_for_delete(server, interval=0.1)


def test_reset_deletes_servers_and_hidden_and_protected_images(second_bed: OpenStack) -> None:
    second_bed.up()
    publisher, admin = second_bed.connect("images"), second_bed.connect("admin")
    boot(publisher, make_image(publisher, os.urandom(MIB)).id)
    publisher.image.update_image(make_image(publisher), is_hidden=True)
    publisher.image.update_image(make_image(publisher), is_protected=True)
    second_bed.reset()
    assert list(admin.compute.servers(all_projects=True)) == []
    assert list(admin.image.images()) == []
    assert list(admin.image.images(is_hidden=True)) == []
    assert not any((second_bed.folder / "nova/instances").iterdir())


def test_glance_converts_when_the_plugin_is_chosen(second_bed: OpenStack, tmp_path: Path) -> None:
    OpenStack(second_bed.folder, glance_plugins=("image_conversion",)).up()
    qcow2 = tmp_path / "image.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", str(qcow2), "1M"]
    subprocess.run(command, check=True)
    publisher = second_bed.connect("images")
    image = make_image(publisher, disk_format="qcow2")
    glance: Any = publisher.image
    glance.stage_image(image, data=qcow2.read_bytes())
    glance.import_image(image, method="glance-direct")
    wait_until(lambda: imported(publisher, image.id))
    stored = publisher.image.get_image(image)
    assert (stored.disk_format, stored.size) == ("raw", MIB)


def test_data_survive_a_crash_of_every_server(second_bed: OpenStack) -> None:
    second_bed.up()
    before = [each.url for each in second_bed.status()]
    data = os.urandom(MIB)
    image = make_image(second_bed.connect("images"), data)
    kill(second_bed)
    second_bed.up()
    assert [each.url for each in second_bed.status()] == before
    assert second_bed.connect("images").image.download_image(image).content == data


def test_down_leaves_no_trace_even_of_a_crash(second_bed: OpenStack) -> None:
    second_bed.up()
    kill(second_bed)
    second_bed.down()
    assert processes_of(second_bed) == []
    assert not second_bed.folder.exists()


def test_down_finds_servers_without_a_record(tmp_path: Path) -> None:
    bed = OpenStack(tmp_path / "openstack")
    environment = {**os.environ, "OS_NOVA_CONFIG_DIR": str(bed.folder / "etc")}
    stray = subprocess.Popen(["/bin/sleep", "60"], env=environment)
    bed.down()
    assert stray.wait() == -signal.SIGKILL


@pytest.mark.parametrize("torn", ["", "{}", None], ids=["torn", "empty", "missing"])
def test_a_half_started_bed_is_removed(tmp_path: Path, torn: str | None) -> None:
    bed = OpenStack(tmp_path / "openstack")
    (bed.folder / "run").mkdir(parents=True)
    (bed.folder / "run/glance.json").write_text('{"pid": 1, "born": 0}')
    if torn is not None:
        (bed.folder / "site.json").write_text(torn)
    bed.down()
    assert not bed.folder.exists()
