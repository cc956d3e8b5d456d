"""The test bed's OpenStack keeps the promises the other tests build on."""

import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from keystoneauth1.exceptions import ConnectFailure
from openstack.connection import Connection

from testbed.openstack import OpenStack
from testbed.paths import REPOSITORY

pytestmark = pytest.mark.cloud

MIB = 1 << 20
OCTETS = {"Content-Type": "application/octet-stream", "Accept": ""}


@pytest.fixture(scope="module")
def second_bed() -> Iterator[OpenStack]:
    """A bed of its own for what would disturb the users of the shared one: crashes, a reset."""
    parent = Path(tempfile.mkdtemp(prefix="testbed-"))
    # PostgreSQL's user must be able to enter it.
    parent.chmod(0o755)
    bed = OpenStack(parent / "openstack")
    yield bed
    bed.down()
    shutil.rmtree(parent)


@pytest.fixture
def images(openstack: OpenStack) -> Iterator[Connection]:
    """The publisher; its images are deleted at the end."""
    publisher = openstack.connect("images")
    before = {image.id for image in publisher.image.images()}
    yield publisher
    for image in publisher.image.images():
        if image.id not in before and image.owner == publisher.current_project_id:
            publisher.image.delete_image(image)


def make_image(cloud: Connection, data: bytes | None = None, **attributes: Any) -> Any:
    wanted = {"disk_format": "raw", "container_format": "bare", "visibility": "shared"}
    image = cloud.image.create_image(name="testbed", allow_duplicates=True, **wanted | attributes)
    if data is not None:
        put(cloud, image.id, data).raise_for_status()
    return cloud.image.get_image(image.id)


def put(cloud: Connection, image_id: str, data: bytes) -> requests.Response:
    return cloud.image.put(f"/images/{image_id}/file", data=data, headers=OCTETS)


def boot(cloud: Connection, image_id: str) -> Any:
    flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = cloud.compute.create_server(
        name="testbed", image_id=image_id, flavor_id=flavor.id, networks="none"
    )
    return cloud.compute.wait_for_server(server, interval=0.1, wait=60)


def wait_until(ready: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def imported(cloud: Connection, image_id: str) -> bool:
    """Tell whether Glance lets go of the image; until then a deletion may end in a 500."""
    image = cloud.image.get(f"/images/{image_id}").json()
    return image["status"] == "active" and not image.get("os_glance_import_task")


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


def test_a_shared_image_is_listed_by_its_member_after_acceptance(
    openstack: OpenStack, images: Connection
) -> None:
    data = os.urandom(MIB)
    image = make_image(images, data)
    consumer = openstack.connect("consumer")
    consumer_id = openstack.project_id("consumer")
    images.image.add_member(image, member_id=consumer_id)

    def listed() -> bool:
        return image.id in {each.id for each in consumer.image.images()}

    assert not listed()
    consumer.image.update_member(consumer_id, image, status="accepted")
    assert listed()
    assert consumer.image.download_image(image).content == data
    assert image.hash_value == hashlib.sha512(data).hexdigest()


def test_passwords_reach_the_same_projects_as_application_credentials(
    openstack: OpenStack,
) -> None:
    for project in ("images", "consumer"):
        by_password = openstack.connect(f"{project}-password")
        assert by_password.current_project_id == openstack.project_id(project)
        assert openstack.connect(project).current_project_id == openstack.project_id(project)
    assert openstack.clouds_yaml.stat().st_mode & 0o777 == 0o600


def test_a_server_boots_with_the_bytes_and_only_the_admin_sees_it_from_outside(
    openstack: OpenStack, images: Connection
) -> None:
    data = os.urandom(MIB)
    image = make_image(images, data, visibility="community")
    consumer, admin = openstack.connect("consumer"), openstack.connect("admin")
    server = boot(consumer, image.id)
    try:
        assert server.status == "ACTIVE"
        assert openstack.server_disk(server.id).read_bytes() == data
        query = f"/servers/detail?all_tenants=1&image={image.id}"
        seen = admin.compute.get(query).json()["servers"]
        assert [each["id"] for each in seen] == [server.id]
        assert images.compute.get(query).status_code == 403
        assert list(images.compute.servers(image=image.id)) == []
    finally:
        consumer.compute.delete_server(server)
        consumer.compute.wait_for_delete(server, interval=0.1)
    assert not openstack.server_disk(server.id).exists()


def test_a_snapshot_has_the_bytes_of_the_disk(images: Connection) -> None:
    data = os.urandom(MIB)
    server = boot(images, make_image(images, data).id)
    try:
        snapshot = images.compute.create_server_image(server, "snapshot", wait=True, timeout=60)
        assert images.image.download_image(snapshot.id).content == data
    finally:
        images.compute.delete_server(server)
        images.compute.wait_for_delete(server, interval=0.1)


def test_two_stores_and_three_import_methods_are_offered(images: Connection) -> None:
    stores = images.image.get("/info/stores").json()["stores"]
    assert [store["id"] for store in stores] == ["fast", "slow"]
    methods = images.image.get("/info/import").json()["import-methods"]["value"]
    assert set(methods) == {"glance-direct", "web-download", "copy-image"}


def test_glance_downloads_from_loopback_and_admin_copies_to_the_other_store(
    openstack: OpenStack, images: Connection, tmp_path: Path
) -> None:
    data = os.urandom(MIB)
    (tmp_path / "image.raw").write_bytes(data)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as source:
        threading.Thread(target=source.serve_forever, daemon=True).start()
        image = make_image(images)
        uri = f"http://127.0.0.1:{source.server_port}/image.raw"
        images.image.import_image(image, method="web-download", uri=uri)
        wait_until(lambda: imported(images, image.id))
        source.shutdown()
    assert images.image.download_image(image).content == data
    admin = openstack.connect("admin").image
    body = {"method": {"name": "copy-image"}, "stores": ["slow"]}
    admin.post(f"/images/{image.id}/import", json=body).raise_for_status()
    wait_until(lambda: imported(images, image.id))
    assert admin.get(f"/images/{image.id}").json()["stores"] == "fast,slow"


def test_an_unknown_service_is_refused(openstack: OpenStack) -> None:
    with pytest.raises(ValueError, match="no service 'cinder'"):
        openstack.stop_service("cinder")


def test_the_openstack_command_works(openstack: OpenStack) -> None:
    command = [openstack.program("openstack"), "--os-cloud", "consumer", "image", "list"]
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(openstack.clouds_yaml)}
    subprocess.run(command, env=env, check=True)


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
    publisher.image.stage_image(image, data=qcow2.read_bytes())
    publisher.image.import_image(image, method="glance-direct")
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


def test_down_finds_what_runs_when_someone_deleted_the_folder(second_bed: OpenStack) -> None:
    second_bed.up()
    shutil.rmtree(second_bed.folder)
    second_bed.down()
    assert processes_of(second_bed) == []


@pytest.mark.parametrize("torn", ["", "{}", None], ids=["torn", "empty", "missing"])
def test_a_half_started_bed_is_removed(tmp_path: Path, torn: str | None) -> None:
    bed = OpenStack(tmp_path / "openstack")
    (bed.folder / "run").mkdir(parents=True)
    (bed.folder / "run/glance.json").write_text('{"pid": 1, "born": 0}')
    if torn is not None:
        (bed.folder / "site.json").write_text(torn)
    bed.down()
    assert not bed.folder.exists()


def kill(bed: OpenStack) -> None:
    """Kill every server at once, as a crash would; their children are left to themselves."""
    servers = [psutil.Process(each.pid) for each in bed.status() if each.pid]
    for server in servers:
        server.kill()
    psutil.wait_procs(servers)
