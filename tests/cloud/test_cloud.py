"""The adapters against real Keystone, Glance and Nova."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from openstack.connection import Connection

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import (
    CloudError,
    CloudUnreachableError,
    ForbiddenError,
    InvalidCredentialsError,
    InvalidImageError,
)
from support.fault_proxy import Fault, FaultProxy
from testbed.openstack import OpenStack
from testbed.process import free_ports

pytestmark = pytest.mark.cloud


@contextmanager
def image(connection: Connection, **attributes: Any) -> Iterator[str]:
    """Make a small active image and delete it afterwards."""
    created = connection.image.post(
        "/images", json={"disk_format": "raw", "container_format": "bare", **attributes}
    ).json()
    upload = connection.image.put(
        f"/images/{created['id']}/file",
        data=b"\0" * 4096,
        headers={"Content-Type": "application/octet-stream"},
    )
    assert upload.status_code == 204, upload.text
    try:
        yield created["id"]
    finally:
        connection.image.patch(
            f"/images/{created['id']}",
            json=[{"op": "replace", "path": "/protected", "value": False}],
            headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
        )
        connection.image.delete(f"/images/{created['id']}")


@pytest.fixture
def cloud(openstack: OpenStack) -> Iterator[Cloud]:
    with open_cloud(CloudConfig(openstack.cloud("images"))) as opened:
        yield opened


def test_own_images_are_found_by_property_whatever_their_visibility(
    openstack: OpenStack, cloud: Cloud, unique: str
) -> None:
    images, consumer = openstack.connect("images"), openstack.connect("consumer")
    mark = {"cloudimage_test": unique}
    with (
        image(images, name="shown", **mark) as shown,
        image(images, name="hidden", os_hidden=True, **mark) as hidden,
        image(images, name="community", visibility="community", **mark) as community,
        image(images, name="other", cloudimage_test="other"),
        image(consumer, name="forged", visibility="community", **mark),
    ):
        found = cloud.glance.find("cloudimage_test", unique)
    assert {each.id for each in found} == {shown, hidden, community}
    assert {each.id: each.hidden for each in found}[hidden]


@pytest.mark.slow
def test_more_images_than_a_page_are_all_found(
    openstack: OpenStack, cloud: Cloud, unique: str
) -> None:
    connection = openstack.connect("images")
    made = [
        connection.image.post("/images", json={"name": "n", "cloudimage_test": unique}).json()["id"]
        for _ in range(27)  # Glance's default page holds 25
    ]
    found = {each.id for each in cloud.glance.find("cloudimage_test", unique)}
    for each in made:
        cloud.glance.delete(each)
    assert found == set(made)


def test_an_image_reads_as_glance_has_it(openstack: OpenStack, cloud: Cloud, unique: str) -> None:
    with image(
        openstack.connect("images"), name=unique, tags=["b", "a"], min_disk=2, os_distro="debian"
    ) as image_id:
        read = cloud.glance.get(image_id)
    assert read is not None
    assert (read.name, read.status, read.size, read.min_disk) == (unique, "active", 4096, 2)
    assert read.tags == {"a", "b"}
    assert read.properties == {"os_distro": "debian"}
    assert read.hash_algo == "sha512"
    assert read.owner == openstack.project_id("images")
    assert abs(read.created_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert cloud.glance.get(image_id) is None


def test_a_patch_changes_and_a_second_delete_is_fine(
    openstack: OpenStack, cloud: Cloud, unique: str
) -> None:
    with image(openstack.connect("images"), name=unique, protected=True) as image_id:
        patched = cloud.glance.patch(
            image_id, ({"op": "replace", "path": "/name", "value": "renamed"},)
        )
        assert patched.name == "renamed"
        with pytest.raises(ForbiddenError, match="protected"):
            cloud.glance.delete(image_id)
        cloud.glance.patch(image_id, ({"op": "replace", "path": "/protected", "value": False},))
        cloud.glance.delete(image_id)
        cloud.glance.delete(image_id)


@pytest.mark.parametrize(
    ("operation", "error"),
    [
        ({"op": "replace", "path": "/visibility", "value": "public"}, ForbiddenError),
        ({"op": "replace", "path": "/min_disk", "value": -1}, InvalidImageError),
    ],
)
def test_what_glance_refuses_is_told_in_its_words(
    openstack: OpenStack, cloud: Cloud, operation: dict[str, object], error: type[CloudError]
) -> None:
    with (
        image(openstack.connect("images"), name="n") as image_id,
        pytest.raises(error) as caught,
    ):
        cloud.glance.patch(image_id, (operation,))
    assert "<" not in str(caught.value)


def test_an_administrator_sees_the_servers_of_all_projects(
    openstack: OpenStack, cloud: Cloud, unique: str
) -> None:
    consumer = openstack.connect("consumer")
    flavor = consumer.compute.find_flavor("m1.tiny", ignore_missing=False)
    with image(openstack.connect("images"), name=unique, visibility="community") as image_id:
        server = consumer.compute.create_server(
            name=unique, image_id=image_id, flavor_id=flavor.id, networks="none"
        )
        consumer.compute.wait_for_server(server, interval=0.3, wait=60)
        try:
            with open_cloud(CloudConfig(openstack.cloud("admin"))) as admin:
                seen = admin.usage(image_id)
                other = admin.usage("00000000-0000-4000-8000-000000000000")
            own = cloud.usage(image_id)
        finally:
            consumer.compute.delete_server(server)
            consumer.compute.wait_for_delete(server, interval=0.3, wait=60)
    assert seen.scope == "AllProjects"
    assert [(each.name, each.project_id) for each in seen.servers] == [
        (unique, openstack.project_id("consumer"))
    ]
    assert other.servers == ()
    assert (own.scope, own.servers) == ("OwnProject", ())


def _changed(entry: dict[str, Any], **auth: str) -> CloudConfig:
    return CloudConfig({**entry, "auth": {**entry["auth"], **auth}})


def test_the_sight_of_all_projects_is_refused_once_to_a_connection(openstack: OpenStack) -> None:
    nobodys = "00000000-0000-4000-8000-000000000000"
    every, own = (
        Fault("GET", end, "reset", times=0) for end in ("all_tenants=True", f"image={nobodys}")
    )
    entry = openstack.cloud("images")
    nova: Any = openstack.connect("images").compute.get_endpoint()
    with FaultProxy(nova, every, own) as proxy:
        # Nova's own links lead past the proxy: its version is not asked for.
        path = urlsplit(nova).path
        config = CloudConfig(entry | {"compute_endpoint_override": f"{proxy.url}{path}"})
        with open_cloud(config) as cloud:
            scopes = {cloud.nova.usage(nobodys).scope for _ in range(3)}
    assert scopes == {"OwnProject"}
    assert (every.seen, own.seen) == (1, 3)


def test_a_wrong_password_is_told_from_a_cloud_that_is_away(openstack: OpenStack) -> None:
    entry = openstack.cloud("images-password")
    away = f"http://127.0.0.1:{free_ports(1)[0]}/v3"
    with (
        pytest.raises(InvalidCredentialsError),
        open_cloud(_changed(entry, password="wrong")),
    ):
        pytest.fail("logged in with a wrong password")
    with pytest.raises(CloudUnreachableError), open_cloud(_changed(entry, auth_url=away)):
        pytest.fail("logged in where nobody listens")


def test_a_glance_that_is_away_is_told_from_one_without_images(openstack: OpenStack) -> None:
    away = {"image_endpoint_override": "http://127.0.0.1:9"}
    with (
        pytest.raises(CloudUnreachableError),
        open_cloud(CloudConfig(openstack.cloud("images") | away)) as cloud,
    ):
        cloud.glance.find("name", "value")


def test_missing_credentials_are_invalid_ones(openstack: OpenStack) -> None:
    auth_url = openstack.cloud("images-password")["auth"]["auth_url"]
    config = CloudConfig({"auth": {"auth_url": auth_url, "password": "p"}})
    with pytest.raises(InvalidCredentialsError), open_cloud(config):
        pytest.fail("logged in without a user")


def test_an_image_is_shared_with_projects_and_no_longer(
    openstack: OpenStack, cloud: Cloud, unique: str
) -> None:
    consumer = openstack.project_id("consumer")
    with image(openstack.connect("images"), name=unique, visibility="shared") as image_id:
        for _ in range(2):
            cloud.glance.add_member(image_id, consumer)
            assert [each.project_id for each in cloud.glance.members(image_id)] == [consumer]
        for _ in range(2):
            cloud.glance.remove_member(image_id, consumer)
            assert cloud.glance.members(image_id) == ()
    with image(openstack.connect("images"), name=unique, visibility="private") as image_id:
        with pytest.raises(ForbiddenError):
            cloud.glance.members(image_id)
        with pytest.raises(ForbiddenError):
            cloud.glance.add_member(image_id, consumer)


def test_a_search_sees_other_projects_but_not_what_they_only_offer(
    openstack: OpenStack, cloud: Cloud, unique: str
) -> None:
    consumer, project = openstack.connect("consumer"), openstack.project_id("images")
    owner = openstack.project_id("consumer")

    def found(**query: str | list[str]) -> set[str]:
        return {each.id for each in cloud.glance.search({"name": unique, **query}, 20)}

    with (
        image(openstack.connect("images"), name=unique, tags=["a", "b"]) as own,
        image(openstack.connect("admin"), name=unique, visibility="public", tags=["a"]) as public,
        image(openstack.connect("images"), name=unique, os_hidden=True),
        image(consumer, name=unique, visibility="community") as community,
        image(consumer, name=unique, visibility="shared") as shared,
    ):
        consumer.image.post(f"/images/{shared}/members", json={"member": project})
        assert found() == {own, public}
        assert found(visibility="community") == {community}
        assert found(visibility="all", owner=owner) == {community}
        assert found(tag=["a"]) == {own, public}
        assert found(tag=["a", "b"]) == {own}
        openstack.connect("images").image.put(
            f"/images/{shared}/members/{project}", json={"status": "accepted"}
        )
        assert found() == {own, public, shared}
        assert len(cloud.glance.search({"name": unique}, 1)) == 1
