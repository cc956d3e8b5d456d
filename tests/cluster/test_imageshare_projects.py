"""Whom an ImageShare means: projects, domains; what is not there, not allowed, or too many."""

from typing import Any

import pytest

from support.namespaces import Namespace
from support.shares import ACCEPT_WITH, CONSUMER, Make, Shares, domain, members
from testbed.openstack import OpenStack
from testbed.openstack.config import MEMBER_QUOTA

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def test_what_the_spec_means_and_is_not_there_is_told_and_the_others_get_the_image(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    credentials = {"secretName": "openstack", "cloudName": "admin"}
    image_id = make(unique, image={"visibility": "shared"})
    project = openstack.project_id("consumer")
    image = {"cloudCredentialsRef": credentials, "id": image_id}
    shares.create(unique, {"id": project}, {"id": "nobody"}, image=image)
    message = shares.wait_condition(unique, "Stalled", "ProjectNotFound")
    assert "Keystone has no project nobody" in message
    assert members(openstack.connect("images"), image_id) == {project: "pending"}
    shares.patch(unique, {"spec": {"projects": [{"domain": "nowhere"}]}})
    message = shares.wait_condition(unique, "Stalled", "ProjectNotFound")
    assert "Keystone has no domain nowhere" in message
    # Nobody loses it while the spec may mean a project that was renamed.
    assert members(openstack.connect("images"), image_id) == {project: "pending"}
    shares.patch(unique, {"spec": {"projects": [CONSUMER]}})
    shares.wait_condition(unique, "Ready", "Shared")
    shares.delete(unique)
    shares.wait_gone(unique)
    shares.namespace.delete(unique)


def test_who_may_not_share_and_credentials_of_others_are_told(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    image_id = make(unique, image={"visibility": "shared"})
    project, tiny = openstack.project_id("consumer"), openstack.project_id("tiny")
    shares.create(unique, {"id": project} | ACCEPT_WITH, {"id": tiny} | ACCEPT_WITH)
    message = shares.wait_condition(unique, "Accepted", "WrongProject", "False")
    assert f"belongs to project {project}; acceptWith of project {tiny}" in message
    shares.wait_condition(unique, "Ready", "Shared")
    credentials = {"secretName": "openstack", "cloudName": "consumer"}
    image = {"cloudCredentialsRef": credentials, "id": image_id}
    shares.create(f"{unique}-2", {"id": "a" * 32}, image=image)
    message = shares.wait_condition(f"{unique}-2", "Stalled", "NotOwner")
    assert f"belongs to project {openstack.project_id('images')}" in message
    for each in (unique, f"{unique}-2"):
        shares.delete(each)
        shares.wait_gone(each)
    shares.namespace.delete(unique)


def test_an_image_of_nobody_is_shared_by_its_name_and_stays_with_orphan(
    shares: Shares, openstack: OpenStack, unique: str
) -> None:
    images, project = openstack.connect("images"), openstack.project_id("consumer")
    credentials = {"secretName": "openstack", "cloudName": "images"}
    image = {"cloudCredentialsRef": credentials, "name": unique}
    shares.create(unique, {"id": project}, image=image, deletionPolicy="Orphan")
    shares.wait_condition(unique, "Stalled", "ImageNotFound")
    made = images.image.post("/images", json={"name": unique, "visibility": "private"}).json()
    annotation = {"cloudimage.dev/retry": "now"}
    shares.patch(unique, {"metadata": {"annotations": annotation}})
    shares.wait_condition(unique, "Stalled", "VisibilityConflict")
    patch = [{"op": "replace", "path": "/visibility", "value": "shared"}]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    images.image.patch(f"/images/{made['id']}", json=patch, headers=kind)
    annotation["cloudimage.dev/retry"] = "again"
    shares.patch(unique, {"metadata": {"annotations": annotation}})
    shares.wait_condition(unique, "Ready", "Shared")
    shares.delete(unique)
    shares.wait_gone(unique)
    assert members(images, made["id"]) == {project: "pending"}
    images.image.delete(f"/images/{made['id']}")


def test_a_domain_is_followed_by_who_may_list_it(
    watchful_namespace: Namespace, openstack: OpenStack, unique: str
) -> None:
    shares, admin = Shares(watchful_namespace), openstack.connect("admin")
    identity: Any = admin.identity
    made = admin.image.post("/images", json={"name": unique, "visibility": "shared"}).json()
    credentials = {"secretName": "openstack", "cloudName": "admin"}
    image = {"cloudCredentialsRef": credentials, "id": made["id"]}
    with domain(admin, unique, 5) as projects:
        shares.create(unique, {"domain": unique}, image=image, memberPolicy="Exact")
        shares.wait(unique, lambda each: len(each.status.members) == 5)
        assert members(admin, made["id"]).keys() == set(projects)
        where = identity.find_domain(unique, ignore_missing=False)
        newcomer = identity.create_project(name=f"{unique}-new", domain_id=where.id).id
        shares.wait(unique, lambda each: newcomer in each.status.projects)
        identity.delete_project(projects[0])
        shares.wait(unique, lambda each: projects[0] not in each.status.projects)
        stranger = openstack.project_id("tiny")
        admin.image.post(f"/images/{made['id']}/members", json={"member": stranger})
        wanted = {newcomer, *projects[1:]}
        shares.wait(unique, lambda _: members(admin, made["id"]).keys() == wanted)
        shares.patch(unique, {"spec": {"memberPolicy": "Merge"}})
        admin.image.post(f"/images/{made['id']}/members", json={"member": stranger})
        admin.image.delete(f"/images/{made['id']}/members/{newcomer}")
        shares.wait(unique, lambda _: members(admin, made["id"]).keys() == {*wanted, stranger})
        shares.delete(unique)
        shares.wait_gone(unique)
        assert members(admin, made["id"]).keys() == {stranger}
    admin.image.delete(f"/images/{made['id']}")


def test_what_nobody_checked_and_whose_image_it_is_are_said(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    image_id = make(unique, image={"visibility": "shared"})
    project = openstack.project_id("consumer")
    wrong = f"{project[:8]}-{project[8:]}".upper()
    credentials = {"secretName": "openstack", "cloudName": "images"}
    image = {"cloudCredentialsRef": credentials, "name": unique}
    shares.create(unique, {"id": project}, {"id": wrong}, image=image)
    message = shares.wait_condition(unique, "Ready", "Shared")
    assert "Not checked, because the credentials may not look projects up" in message
    assert f"whether there is a project {wrong}, {project}." in message
    assert f"{wrong} does not look like a project's id" in message
    assert f"CloudImage {unique} keeps this image" in message
    assert f"imageRef.name {unique}" in message
    shares.delete(unique)
    shares.wait_gone(unique)
    image["cloudCredentialsRef"] = credentials | {"cloudName": "admin"}
    image["id"] = image_id
    del image["name"]
    shares.create(f"{unique}-2", {"id": project}, {"id": wrong}, image=image)
    message = shares.wait_condition(f"{unique}-2", "Stalled", "ProjectNotFound")
    assert f"Keystone has no project {wrong}" in message
    shares.delete(f"{unique}-2")
    shares.wait_gone(f"{unique}-2")
    shares.namespace.delete(unique)


def test_a_domain_is_shared_with_but_for_the_images_own_project(
    shares: Shares, openstack: OpenStack, unique: str
) -> None:
    admin = openstack.connect("admin")
    identity: Any = admin.identity
    made = admin.image.post("/images", json={"name": unique, "visibility": "shared"}).json()
    credentials = {"secretName": "openstack", "cloudName": "admin"}
    image = {"cloudCredentialsRef": credentials, "id": made["id"]}
    shares.create(unique, {"domain": "Default"}, image=image)
    shares.wait_condition(unique, "Ready", "Shared")
    others = {each.id for each in identity.projects(domain_id="default")} - {made["owner"]}
    assert members(admin, made["id"]).keys() == others
    shares.delete(unique)
    shares.wait_gone(unique)
    admin.image.delete(f"/images/{made['id']}")


@pytest.mark.slow
def test_glance_takes_only_so_many_members(
    shares: Shares, openstack: OpenStack, unique: str
) -> None:
    images = openstack.connect("images")
    made = images.image.post("/images", json={"name": unique, "visibility": "shared"}).json()
    quota = MEMBER_QUOTA
    credentials = {"secretName": "openstack", "cloudName": "images"}
    image = {"cloudCredentialsRef": credentials, "id": made["id"]}
    projects = [{"id": f"{number:032x}"} for number in range(quota + 3)]
    shares.create(unique, *projects, image=image)
    message = shares.wait_condition(unique, "Stalled", "MemberQuotaExceeded")
    assert str(quota) in message
    share = shares.wait(unique, lambda each: each.status.summary is not None)
    assert len(share.status.members) == len(members(images, made["id"])) == quota
    shares.delete(unique)
    shares.wait_gone(unique)
    assert members(images, made["id"]) == {}
    images.image.delete(f"/images/{made['id']}")


@pytest.mark.slow
def test_two_hundred_projects_settle_within_a_minute(
    shares: Shares, openstack: OpenStack, unique: str
) -> None:
    admin = openstack.connect("admin")
    made = admin.image.post("/images", json={"name": unique, "visibility": "shared"}).json()
    credentials = {"secretName": "openstack", "cloudName": "admin"}
    image = {"cloudCredentialsRef": credentials, "id": made["id"]}
    with domain(admin, unique, 200) as projects:
        shares.create(unique, {"domain": unique}, image=image)
        shares.wait_condition(unique, "Ready", "Shared", seconds=60)
        assert members(admin, made["id"]).keys() == set(projects)
        shares.delete(unique)
        shares.wait_gone(unique, seconds=60)
        assert members(admin, made["id"]) == {}
    admin.image.delete(f"/images/{made['id']}")
