"""The test bed's OpenStack keeps the promises the other tests build on."""

import functools
import hashlib
import http.server
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from support.openstack_actions import MIB, boot, imported, make_image, wait_until
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud


@pytest.fixture
def images(openstack: OpenStack, unique: str) -> Iterator[Connection]:
    """The publisher; what has the test's name is deleted at the end."""
    publisher = openstack.connect("images")
    yield publisher
    for image in publisher.image.images(name=unique):
        publisher.image.delete_image(image.id)


def test_a_shared_image_is_listed_by_its_member_after_acceptance(
    openstack: OpenStack, images: Connection, unique: str
) -> None:
    data = os.urandom(MIB)
    image = make_image(images, data, name=unique)
    consumer = openstack.connect("consumer")
    consumer_id = openstack.project_id("consumer")
    glance: Any = images.image
    glance.add_member(image, member_id=consumer_id)

    def listed() -> bool:
        return image.id in {each.id for each in consumer.image.images()}

    assert not listed()
    theirs: Any = consumer.image
    theirs.update_member(consumer_id, image, status="accepted")
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
    openstack: OpenStack, images: Connection, unique: str
) -> None:
    data = os.urandom(MIB)
    image = make_image(images, data, name=unique, visibility="community")
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


def test_a_snapshot_has_the_bytes_of_the_disk(images: Connection, unique: str) -> None:
    data = os.urandom(MIB)
    server = boot(images, make_image(images, data, name=unique).id)
    try:
        snapshot = images.compute.create_server_image(server, unique, wait=True, timeout=60)
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
    openstack: OpenStack, images: Connection, unique: str, tmp_path: Path
) -> None:
    data = os.urandom(MIB)
    (tmp_path / "image.raw").write_bytes(data)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as source:
        threading.Thread(target=source.serve_forever, daemon=True).start()
        image = make_image(images, name=unique)
        uri = f"http://127.0.0.1:{source.server_port}/image.raw"
        glance: Any = images.image
        glance.import_image(image, method="web-download", uri=uri)
        wait_until(lambda: imported(images, image.id))
        source.shutdown()
    assert images.image.download_image(image).content == data
    admin = openstack.connect("admin").image
    body = {"method": {"name": "copy-image"}, "stores": ["slow"]}
    admin.post(f"/images/{image.id}/import", json=body).raise_for_status()
    wait_until(lambda: imported(images, image.id))
    stores = admin.get(f"/images/{image.id}").json()["stores"]
    assert set(stores.split(",")) == {"fast", "slow"}


def test_an_unknown_service_is_refused(openstack: OpenStack) -> None:
    with pytest.raises(ValueError, match="no service 'swift'"):
        openstack.stop_service("swift")


def test_the_openstack_command_works(openstack: OpenStack) -> None:
    command = [str(openstack.program("openstack")), "--os-cloud", "consumer", "image", "list"]
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(openstack.clouds_yaml)}
    subprocess.run(command, env=env, check=True)
