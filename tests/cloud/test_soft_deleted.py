"""A server that was deleted and can still be restored needs its image."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from support.boot_servers import PUBLIC_KEY, built, cleared, until, wanted
from support.openstack_actions import boot, make_image, wait_until
from testbed.openstack import OpenStack

# A bed of its own: a deletion that can be undone would confuse other tests.
pytestmark = [pytest.mark.cloud, pytest.mark.slow, pytest.mark.xdist_group("outages")]


@pytest.fixture(scope="module")
def reclaiming() -> Iterator[OpenStack]:
    """An OpenStack whose Nova keeps deleted servers for an hour."""
    parent = Path(tempfile.mkdtemp(prefix="testbed-"))
    # PostgreSQL's user must be able to enter it.
    parent.chmod(0o755)
    bed = OpenStack(parent / "openstack")
    bed.up()
    bed.stop_service("nova")
    conf = bed.folder / "etc" / "nova.conf"
    text = conf.read_text()
    conf.write_text(text.replace("[DEFAULT]", "[DEFAULT]\nreclaim_instance_interval = 3600", 1))
    bed.start_service("nova")
    yield bed
    bed.down()
    shutil.rmtree(parent)


def test_soft_deleted_servers_are_seen_until_nova_reclaims_them(reclaiming: OpenStack) -> None:
    connection = reclaiming.connect("consumer")
    compute: Any = connection.compute
    image = make_image(connection, b"\0" * 4096)
    server, other = boot(connection, image.id), boot(connection, image.id)

    def seen(name: str) -> dict[str, bool]:
        with open_cloud(CloudConfig(reclaiming.cloud(name))) as cloud:
            servers = cloud.nova.usage(image.id).servers
        return {each.id: each.is_soft_deleted for each in servers}

    def is_soft_deleted() -> bool:
        body = compute.get(f"/servers/{server.id}").json()
        return bool(body["server"]["status"] == "SOFT_DELETED")

    for name in ("consumer", "admin"):
        assert seen(name) == {server.id: False, other.id: False}
    compute.delete_server(server)
    wait_until(is_soft_deleted)
    for name in ("consumer", "admin"):
        assert seen(name) == {server.id: True, other.id: False}
    compute.delete_server(server, force=True)
    compute.wait_for_delete(server, interval=0.3, wait=60)
    for name in ("consumer", "admin"):
        assert seen(name) == {other.id: False}


def test_the_server_of_a_boot_test_is_not_kept(reclaiming: OpenStack) -> None:
    connection, uid = reclaiming.connect("images"), str(uuid.uuid4())
    image = make_image(connection, b"\0" * 4096)
    with open_cloud(CloudConfig(reclaiming.cloud("images"))) as cloud:
        servers = cloud.boot_servers
        with cleared(servers, connection, uid):
            kept, deleted = (servers.create(wanted(uid, image.id), PUBLIC_KEY) for _ in range(2))
            for each in (kept, deleted):
                until(servers, each, built)
            servers.delete(deleted)
            wait_until(lambda: servers.read(deleted) is None)
            # Also one that somebody else deleted, so that Nova keeps it.
            connection.compute.delete_server(kept)
            until(servers, kept, lambda server: server.status == "SOFT_DELETED")
            assert cloud.usage(image.id).in_use is False
            servers.delete(kept)
            wait_until(lambda: servers.read(kept) is None)
