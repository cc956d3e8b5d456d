"""The servers of boot tests in the real Nova: made, told from others, and taken away."""

import base64
import json
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openstack.connection import Connection

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import NoConsoleError
from cloudimage.vocabulary.boot_test import server_marks, server_name
from support.boot_servers import (
    PUBLIC_KEY,
    SECONDS,
    built,
    cleared,
    flavor,
    keys_of,
    servers_of,
    until,
    wanted,
)
from support.fault_proxy import Fault, FaultProxy
from support.openstack_actions import make_image, wait_until
from testbed.commands import run
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="module")
def images(openstack: OpenStack) -> Connection:
    return openstack.connect("images")


@pytest.fixture(scope="module")
def cloud(openstack: OpenStack) -> Iterator[Cloud]:
    with open_cloud(CloudConfig(openstack.cloud("images"))) as opened:
        yield opened


@pytest.fixture
def uid(cloud: Cloud, images: Connection) -> Iterator[str]:
    """Of a CloudImage whose tests are all gone in the end."""
    made = str(uuid.uuid4())
    with cleared(cloud.boot_servers, images, made):
        yield made


@pytest.fixture(scope="module")
def image_id(images: Connection) -> Iterator[str]:
    image = make_image(images, b"\0" * 4096, visibility="community")
    yield image.id
    images.image.delete_image(image)


def test_a_server_is_made_read_and_deleted_with_its_key(
    openstack: OpenStack, images: Connection, cloud: Cloud, uid: str, image_id: str
) -> None:
    servers, wish = cloud.boot_servers, wanted(uid, image_id)
    server_id = servers.create(wish, PUBLIC_KEY)
    server = until(servers, server_id, built)
    assert (server.status, server.fault, server.task_state) == ("ACTIVE", None, None)
    assert (server.name, server.image_id, server.addresses) == (wish.name, image_id, ())
    assert server.metadata == wish.metadata
    assert server.token == wish.metadata["cloudimage_dev_boot_token"]
    assert server.launched_at is not None
    assert 0 <= (server.launched_at - server.created_at).total_seconds() < SECONDS
    assert servers.find(uid) == (server,)
    assert servers.console(server_id, 2) == "ANOTHER\nLAST LINE"
    # As Nova has it: only an administrator is shown what the guest gets.
    admin = openstack.connect("admin").compute
    body = admin.get(f"/servers/{server_id}", microversion="2.3").json()["server"]
    assert base64.b64decode(body["OS-EXT-SRV-ATTR:user_data"]) == wish.user_data
    assert (body["config_drive"], body["key_name"]) == ("True", wish.key_name)
    key = images.compute.get(f"/os-keypairs/{wish.key_name}").json()["keypair"]
    assert key["public_key"] == PUBLIC_KEY
    servers.delete(server_id)
    wait_until(lambda: servers.read(server_id) is None)
    servers.delete(server_id)
    with pytest.raises(NoConsoleError, match="could not be found"):
        servers.console(server_id, 2)
    assert keys_of(images, uid) == [wish.key_name]
    servers.delete_keys(uid)
    servers.delete_keys(uid)
    assert keys_of(images, uid) == []


def test_only_our_own_servers_are_found_deleted_and_not_counted_as_users(
    openstack: OpenStack, images: Connection, cloud: Cloud, uid: str, image_id: str
) -> None:
    """The bed's Nova shows two at a time."""
    servers, consumer = cloud.boot_servers, openstack.connect("consumer")
    ours = [servers.create(wanted(uid, image_id), PUBLIC_KEY) for _ in range(3)]
    token, other = uuid.uuid4().hex, str(uuid.uuid4())
    name, marks = server_name(uid, token), server_marks(uid, image_id, token)
    tenants = {
        name: {},  # the name alone
        f"web-{token}": marks,  # the marks alone
        server_name(other, token): marks,  # not those of each other
    }
    with ExitStack() as stack:
        theirs = stack.enter_context(servers_of(consumer, image_id, {name: marks}))
        near = stack.enter_context(servers_of(images, image_id, tenants))
        for each in ours:
            until(servers, each, built)
        assert {each.id for each in servers.find(uid)} == set(ours)
        assert servers.find(other) == ()
        used = {each.id for each in cloud.usage(image_id).servers}
        assert used == set(near.values())
        with open_cloud(CloudConfig(openstack.cloud("admin"))) as admin:
            seen = {each.id for each in admin.usage(image_id).servers}
            assert seen == {*ours, *theirs.values(), *near.values()}
            assert admin.boot_servers.find(uid) == ()
            for each in (*ours, *theirs.values()):
                admin.boot_servers.delete(each)
        with open_cloud(CloudConfig(openstack.cloud("consumer"))) as of_consumer:
            assert of_consumer.usage(image_id).servers == ()
        for each in near.values():
            assert servers.read(each) is None
            servers.delete(each)
        for each in (*ours, *theirs.values(), *near.values()):
            status = openstack.connect("admin").compute.get(f"/servers/{each}").json()
            assert status["server"]["OS-EXT-STS:task_state"] != "deleting"


def test_a_volume_of_a_test_does_not_count_and_goes_with_its_server(
    openstack: OpenStack, images: Connection, cloud: Cloud, uid: str, image_id: str, unique: str
) -> None:
    openstack.start_cinder()
    images = openstack.connect("images")
    cinder: Any = images.block_storage
    with open_cloud(CloudConfig(openstack.cloud("images"))) as opened:
        servers = opened.boot_servers
        server_id = servers.create(wanted(uid, image_id, volume_gib=1), PUBLIC_KEY)
        server = until(servers, server_id, built)
        assert (server.status, server.image_id) == ("ACTIVE", image_id), server.fault
        [tested] = images.compute.volume_attachments(server_id)
        assert opened.cinder.volumes(image_id) != ()
        assert opened.usage(image_id).in_use is False
        mine = cinder.create_volume(name=unique, size=1, image_id=image_id)
        cinder.wait_for_status(mine, "available", interval=0.1, wait=SECONDS)
        body = {"volumeAttachment": {"volumeId": mine.id}}
        images.compute.post(f"/servers/{server_id}/os-volume_attachments", json=body)
        cinder.wait_for_status(mine, "in-use", interval=0.1, wait=SECONDS)
        volumes = opened.usage(image_id).volumes
        assert volumes is not None
        assert [each.id for each in volumes] == [mine.id]
        servers.delete(server_id)
        wait_until(lambda: servers.read(server_id) is None)
        wait_until(lambda: cinder.get(f"/volumes/{tested.volume_id}").status_code == 404)
        cinder.wait_for_status(mine, "available", interval=0.1, wait=SECONDS)
        cinder.delete_volume(mine)
        cinder.wait_for_delete(mine, interval=0.1, wait=SECONDS)


def test_a_flavor_is_found_by_its_id_or_its_name_private_ones_too(
    openstack: OpenStack, cloud: Cloud, uid: str, image_id: str, unique: str
) -> None:
    admin, project = openstack.connect("admin"), openstack.project_id("images")
    servers = cloud.boot_servers
    with ExitStack() as stack:
        for number in range(2):  # a page before it
            stack.enter_context(flavor(admin, f"{unique}-{number}", id=f"- {unique} {number}"))
        private = stack.enter_context(flavor(admin, f"{unique} small", project))
        # Its name is another one's id: the id counts, as for the openstack program.
        twin = stack.enter_context(flavor(admin, private, id=f"{unique}-twin"))
        for ref, flavor_id in {
            private: private,
            f"{unique} small": private,
            f"{unique}-twin": twin,
            f"{unique}-1": f"- {unique} 1",
            f"- {unique} 1": f"- {unique} 1",
        }.items():
            server_id = servers.create(wanted(uid, image_id, flavor=ref), PUBLIC_KEY)
            body = admin.compute.get(f"/servers/{server_id}").json()["server"]
            assert body["flavor"]["id"] == flavor_id


def test_a_server_that_failed_says_why_and_has_no_console(
    openstack: OpenStack, images: Connection, cloud: Cloud, uid: str, image_id: str, unique: str
) -> None:
    admin, servers = openstack.connect("admin"), cloud.boot_servers
    with flavor(admin, unique, ram=10**8):
        server_id = servers.create(wanted(uid, image_id, flavor=unique), PUBLIC_KEY)
        server = until(servers, server_id, built)
    assert (server.status, server.fault) == ("ERROR", "No valid host was found.")
    assert server.launched_at is None
    with pytest.raises(NoConsoleError):
        servers.console(server_id, 10)


@pytest.mark.slow
def test_a_volume_that_cannot_be_made_is_told_without_what_changes_each_time(
    openstack: OpenStack, uid: str, tmp_path: Path
) -> None:
    openstack.start_cinder()
    images, disk = openstack.connect("images"), tmp_path / "large.qcow2"
    run("qemu-img", "create", "-q", "-f", "qcow2", disk, "5G")
    image = make_image(images, disk.read_bytes(), disk_format="qcow2")
    with open_cloud(CloudConfig(openstack.cloud("images"))) as opened:
        servers, faults = opened.boot_servers, set()
        for _ in range(2):
            server_id = servers.create(wanted(uid, image.id, volume_gib=1), PUBLIC_KEY)
            faults.add(until(servers, server_id, built).fault)
    [fault] = faults
    assert fault is not None
    assert fault.startswith("Invalid input received: Image")
    assert "virtual size is 5GB" in fault
    images.image.delete_image(image)


CHILD = """
import json, sys
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from support.boot_servers import PUBLIC_KEY, wanted
entry, uid, image_id = json.loads(sys.stdin.read())
with open_cloud(CloudConfig(entry)) as cloud:
    cloud.boot_servers.create(wanted(uid, image_id), PUBLIC_KEY)
"""


def test_the_key_of_a_process_that_was_killed_is_found(
    openstack: OpenStack, images: Connection, cloud: Cloud, uid: str, image_id: str
) -> None:
    """It is killed when it asks for the server."""
    nova: Any = images.compute.get_endpoint()
    child: list[subprocess.Popen[str]] = []
    killing = Fault("POST", "/servers", "call", call=lambda _: child[0].kill())
    with FaultProxy(nova, killing, Fault("POST", "/servers", "reset", times=9)) as proxy:
        path = urlsplit(nova).path
        entry = openstack.cloud("images") | {"compute_endpoint_override": f"{proxy.url}{path}"}
        child.append(
            subprocess.Popen(
                [sys.executable, "-c", CHILD],
                stdin=subprocess.PIPE,
                text=True,
                env={"PYTHONPATH": "tests"},
            )
        )
        child[0].communicate(json.dumps([entry, uid, image_id]), timeout=60)
    assert child[0].returncode == -9
    assert len(keys_of(images, uid)) == 1
    cloud.boot_servers.delete_keys(uid)
    assert keys_of(images, uid) == []
