"""An ImageShare shares an image with projects, accepts where it may, and revokes members."""

import json
import subprocess
from pathlib import Path

import pytest

from support.namespaces import image_of, server
from support.shares import ACCEPT_WITH, CONSUMER, Make, Shares, listed, members, say
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def test_an_image_is_given_accepted_used_and_taken_back(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    images, consumer = openstack.connect("images"), openstack.connect("consumer")
    project = openstack.project_id("consumer")
    image_id = make(unique)
    # Publisher's credentials may look nobody up: the name is that of acceptWith's project.
    shares.create(unique, CONSUMER | ACCEPT_WITH)
    shares.wait_condition(unique, "Accepted", "AllAccepted")
    share = shares.wait(unique, lambda each: each.status.summary is not None)
    [member] = share.status.members
    assert (member.project_id, member.project_name) == (project, "consumer")
    assert (member.status, member.accept_command) == ("accepted", None)
    assert members(images, image_id) == {project: "accepted"}
    assert listed(consumer, image_id)
    kubectl, where = shares.namespace.cluster.run_kubectl, ("-n", shares.namespace.name)
    header, row = kubectl("get", "cimgshare", unique, *where).splitlines()
    assert header.split() == ["NAME", "IMAGE", "READY", "ACCEPTED", "AGE"]
    assert row.split()[:4] == [unique, unique, "True", "1/1"]
    shares.namespace.wait(unique, lambda each: each.status.visibility == "shared")

    with server(consumer, unique, image_id) as server_id:
        shares.delete(unique)
        message = shares.wait_condition(unique, "DeletionBlocked", "InUse")
        assert f"project consumer: {unique} ({server_id})" in message
        assert listed(consumer, image_id)
        shares.namespace.delete(unique)
        blocked = shares.namespace.wait_condition(unique, "DeletionBlocked", reason="Shared")
        assert f"{shares.namespace.name}/{unique}" in str(blocked.status.conditions)
    shares.wait_gone(unique)
    shares.namespace.wait_gone(unique)
    assert not listed(consumer, image_id)


def test_an_administrators_credentials_see_who_still_uses_it(
    shares: Shares, openstack: OpenStack, sources: Sources, raw_disk: Path, unique: str
) -> None:
    admin, consumer = openstack.connect("admin"), openstack.connect("consumer")
    credentials = {"secretName": "openstack", "cloudName": "admin"}
    url = sources.put(f"{unique}.raw", raw_disk)
    shares.namespace.create(unique, url, cloudCredentialsRef=credentials)
    image_id = shares.namespace.wait_condition(unique, "Ready").status.image_id or ""
    shares.create(unique, CONSUMER)
    shares.wait_condition(unique, "Ready", "Shared")
    project, tiny = openstack.project_id("consumer"), openstack.project_id("tiny")
    with server(consumer, unique, image_id) as server_id:
        shares.patch(unique, {"spec": {"projects": [{"id": tiny}]}})
        message = shares.wait_condition(unique, "Reconciling", "InUse")
        assert f"project consumer: {unique} ({server_id})" in message
        assert members(admin, image_id).keys() == {project, tiny}
    # It would be retried within a minute; the annotation asks for that now.
    annotation = {"cloudimage.dev/retry": "now"}
    shares.patch(unique, {"metadata": {"annotations": annotation}})
    shares.wait(unique, lambda each: each.status.projects == (tiny,))
    assert members(admin, image_id).keys() == {tiny}
    shares.delete(unique)
    shares.wait_gone(unique)
    shares.namespace.delete(unique)


def test_servers_that_nobody_sees_hold_nothing_up(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    image_id, project = make(unique), openstack.project_id("consumer")
    shares.create(unique, {"id": project})
    shares.wait_condition(unique, "Ready", "Shared")
    with server(openstack.connect("consumer"), unique, image_id):
        shares.delete(unique)
        shares.wait_gone(unique)
        assert members(openstack.connect("images"), image_id) == {}
    shares.namespace.delete(unique)


def test_who_has_to_accept_is_told_the_command_that_works(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    project = openstack.project_id("consumer")
    image_id = make(unique)
    shares.create(unique, {"id": project})
    message = shares.wait_condition(unique, "Accepted", "AwaitingAcceptance", "False")
    shares.wait_condition(unique, "Ready", "Shared")
    share = shares.wait(unique, lambda each: bool(each.status.members))
    [member] = share.status.members
    assert member.status == "pending"
    command = member.accept_command or ""
    assert command == f"openstack image set --accept {image_id}"
    assert command in message
    program, *words = command.split()
    subprocess.run(
        [openstack.program(program), "--os-cloud", "consumer", *words],
        env={"OS_CLIENT_CONFIG_FILE": str(openstack.clouds_yaml)},
        check=True,
    )
    # The operator gets no notice of this: it looks often while an answer is fresh.
    shares.wait_condition(unique, "Accepted", "AllAccepted", seconds=40)
    shares.delete(unique)
    shares.wait_gone(unique)
    assert members(openstack.connect("images"), image_id) == {}
    shares.namespace.delete(unique)


def test_a_rejection_is_told_and_not_fought_over(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    project = openstack.project_id("consumer")
    image_id = make(unique)
    shares.create(unique, {"id": project})
    shares.wait_condition(unique, "Ready", "Shared")
    say(openstack.connect("consumer"), image_id, project, "rejected")
    shares.patch(unique, {"spec": {"projects": [{"id": project} | ACCEPT_WITH]}})
    message = shares.wait_condition(unique, "Accepted", "Rejected", "False")
    assert project in message
    assert members(openstack.connect("images"), image_id) == {project: "rejected"}
    shares.delete(unique)
    shares.wait_gone(unique)
    shares.namespace.delete(unique)


def test_it_waits_for_its_image_and_goes_on_at_once(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    project = openstack.project_id("consumer")
    shares.create(unique, {"id": project})
    message = shares.wait_condition(unique, "Ready", "ImageNotReady", "False")
    assert f"no CloudImage {unique}" in message
    image_id = make(unique)
    shares.wait_condition(unique, "Ready", "Shared", seconds=5)
    assert members(openstack.connect("images"), image_id) == {project: "pending"}
    shares.delete(unique)
    shares.wait_gone(unique)
    shares.namespace.delete(unique)


@pytest.mark.parametrize("visibility", ["private", "community"])
def test_a_declared_visibility_is_not_overruled(
    shares: Shares, make: Make, openstack: OpenStack, unique: str, visibility: str
) -> None:
    image_id = make(unique, image={"visibility": visibility})
    shares.create(unique, {"id": openstack.project_id("consumer")})
    message = shares.wait_condition(unique, "Stalled", "VisibilityConflict")
    assert f"spec.image.visibility is {visibility}" in message
    images = openstack.connect("images")
    assert images.image.get(f"/images/{image_id}").json()["visibility"] == visibility
    shares.namespace.patch(unique, {"spec": {"image": {"visibility": None}}})
    if visibility == "private":
        shares.wait_condition(unique, "Ready", "Shared", seconds=10)
    else:
        advice = f"openstack image set --shared {image_id}"
        shares.wait(unique, lambda each: advice in str(each.status.conditions))
    shares.delete(unique)
    shares.wait_gone(unique)
    shares.namespace.delete(unique)


def test_a_project_taken_out_loses_the_image_and_one_of_two_shares_keeps_it(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    consumer, tiny = openstack.project_id("consumer"), openstack.project_id("tiny")
    image_id, images = make(unique), openstack.connect("images")
    other = f"{unique}-2"
    shares.create(unique, {"id": consumer}, {"id": tiny})
    shares.create(other, {"id": consumer}, imageRef={"name": unique})
    for each in (unique, other):
        shares.wait_condition(each, "Ready", "Shared")
    assert members(images, image_id).keys() == {consumer, tiny}
    shares.patch(unique, {"spec": {"projects": [{"id": consumer}]}})
    shares.wait(unique, lambda each: each.status.projects == (consumer,))
    assert members(images, image_id).keys() == {consumer}
    shares.delete(unique)
    shares.wait_gone(unique)
    assert members(images, image_id).keys() == {consumer}
    shares.delete(other)
    shares.wait_gone(other)
    assert members(images, image_id) == {}
    shares.namespace.delete(unique)


def test_a_new_revision_has_the_members_and_what_they_said_before_it_is_current(
    shares: Shares,
    make: Make,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    images, consumer = openstack.connect("images"), openstack.connect("consumer")
    project, tiny = openstack.project_id("consumer"), openstack.project_id("tiny")
    old = make(unique)
    shares.create(unique, CONSUMER | ACCEPT_WITH, {"id": tiny})
    shares.wait(unique, lambda each: len(each.status.members) == 2)
    shares.wait(unique, lambda _: members(images, old).get(project) == "accepted")
    with server(consumer, unique, old):
        url = sources.put(f"{unique}.qcow2", qcow2_disk)
        shares.namespace.patch(unique, {"spec": {"source": {"http": {"url": url}}}})
        new = shares.namespace.wait(
            unique, lambda each: each.status.image_id not in {None, old}
        ).status.image_id
        # Seen at the first moment at which the new one is the current one.
        assert members(images, new) == {project: "accepted", tiny: "pending"}
        shares.wait(unique, lambda each: each.status.image_id == new)
        # The consumer's server keeps the old one; the other project loses both.
        shares.delete(unique)
        shares.wait_condition(unique, "DeletionBlocked", "InUse")
        assert members(images, old) == {project: "accepted"}
        assert members(images, new) == {}
    shares.wait_gone(unique)
    assert members(images, old) == {}
    shares.namespace.delete(unique)
    shares.namespace.wait_gone(unique)


def test_force_lets_the_object_go_and_leaves_the_members(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    image_id, project = make(unique), openstack.project_id("consumer")
    shares.create(unique, {"id": project})
    shares.wait_condition(unique, "Ready", "Shared")
    annotation = {"cloudimage.dev/force-delete": "true"}
    shares.patch(unique, {"metadata": {"annotations": annotation}})
    shares.delete(unique)
    shares.wait_gone(unique)
    assert members(openstack.connect("images"), image_id) == {project: "pending"}
    shares.namespace.delete(unique)


def test_the_image_of_a_cloudimage_is_what_the_share_says(
    shares: Shares, make: Make, openstack: OpenStack, unique: str
) -> None:
    """What is shared stays what it is: another image is another ImageShare."""
    make(unique)
    shares.create(unique, {"id": openstack.project_id("consumer")})
    shares.wait_condition(unique, "Ready", "Shared")
    with pytest.raises(Exception, match="create another ImageShare") as refusal:
        shares.patch(unique, {"spec": {"imageRef": {"name": "other"}}})
    assert json.loads(getattr(refusal.value, "body", "{}"))["reason"] == "Invalid"
    resource = shares.namespace.get(unique)
    assert resource is not None
    assert image_of(openstack.connect("images"), resource)["visibility"] == "shared"
    shares.delete(unique)
    shares.wait_gone(unique)
    shares.namespace.delete(unique)
