"""Projects and members, by real Keystone and Glance, as an administrator and others see them."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import ForbiddenError, NotFoundError
from cloudimage.cloud.models import Project
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud


@pytest.fixture
def admin(openstack: OpenStack) -> Iterator[Cloud]:
    with open_cloud(CloudConfig(openstack.cloud("admin"))) as opened:
        yield opened


@pytest.fixture
def images(openstack: OpenStack) -> Iterator[Cloud]:
    with open_cloud(CloudConfig(openstack.cloud("images"))) as opened:
        yield opened


@pytest.fixture
def consumer(openstack: OpenStack) -> Iterator[Cloud]:
    with open_cloud(CloudConfig(openstack.cloud("consumer"))) as opened:
        yield opened


@pytest.mark.parametrize("domain", ["Default", "default"], ids=["name", "id"])
def test_an_administrator_finds_projects(openstack: OpenStack, admin: Cloud, domain: str) -> None:
    known = Project(openstack.project_id("consumer"), "consumer")
    assert admin.keystone.project(known.id) == known
    assert admin.keystone.find("consumer", domain) == known
    everybody = admin.keystone.of_domain(domain)
    assert everybody is not None
    assert known in everybody
    assert {"images", "tiny"} <= {each.name for each in everybody}


def test_what_is_not_there_is_told_from_what_may_not_be_seen(
    openstack: OpenStack, admin: Cloud, images: Cloud
) -> None:
    nobody = uuid.uuid4().hex
    assert admin.keystone.project(nobody) is None
    assert admin.keystone.find(nobody, "Default") is None
    assert admin.keystone.find("consumer", nobody) is None
    assert admin.keystone.of_domain(nobody) is None
    # Others are believed about an id, and told that they may not look a name up.
    other = openstack.project_id("consumer")
    assert images.keystone.project(other) == Project(other, is_checked=False)
    with pytest.raises(ForbiddenError, match="listing projects"):
        images.keystone.find("consumer", "Default")
    with pytest.raises(ForbiddenError, match="listing projects"):
        images.keystone.of_domain("Default")


def test_everybody_knows_the_own_project(openstack: OpenStack, consumer: Cloud) -> None:
    project, domain = consumer.keystone.own()
    assert project == Project(openstack.project_id("consumer"), "consumer")
    assert domain == {"Default", "default"}


def test_only_the_member_and_an_administrator_say_whether_it_accepts(
    openstack: OpenStack, admin: Cloud, images: Cloud, consumer: Cloud
) -> None:
    api: Any = openstack.connect("images").image
    image_id = api.post("/images", json={"visibility": "shared"}).json()["id"]
    project = openstack.project_id("consumer")
    with pytest.raises(NotFoundError):
        consumer.glance.set_member_status(image_id, project, "accepted")
    images.glance.add_member(image_id, project)
    [member] = images.glance.members(image_id)
    assert (member.project_id, member.status) == (project, "pending")
    with pytest.raises(ForbiddenError):
        images.glance.set_member_status(image_id, project, "accepted")
    consumer.glance.set_member_status(image_id, project, "accepted")
    [accepted] = images.glance.members(image_id)
    assert accepted.status == "accepted"
    assert accepted.updated_at >= member.updated_at
    admin.glance.set_member_status(image_id, project, "rejected")
    [rejected] = images.glance.members(image_id)
    assert rejected.status == "rejected"
    api.delete(f"/images/{image_id}")
