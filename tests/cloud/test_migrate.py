"""What ``cloudimage migrate`` makes of images as Nova writes them, and which ones it finds."""

from typing import Any

import pytest

from cloudimage.cli import migrate
from cloudimage.cli.migrate_source import all_images, find_image, members_of, opened
from support.openstack_actions import MIB, boot, make_image, wait_until
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud

OF_THE_IMAGE = {"os_distro": "debian", "hw_disk_bus": "scsi", "our_own": "1"}


def test_a_snapshot_is_copied_without_its_server(
    openstack: OpenStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(openstack.clouds_yaml))
    cloud = openstack.connect("images")
    image = make_image(cloud, bytes(MIB), visibility="private", **OF_THE_IMAGE)
    server = boot(cloud, image.id)
    snapshot = cloud.compute.create_server_image(server, "snapshot", wait=False)
    try:
        with opened("images") as glance:
            found = find_image(glance, snapshot.id)
        assert found.properties["instance_uuid"] == server.id  # as Nova writes it
        wanted = migrate.Wanted("openstack", "new", "old-cloud", "old")
        made = migrate.cloud_image(found, "debian", wanted)
        assert made["spec"]["image"]["properties"] == OF_THE_IMAGE
    finally:
        cloud.compute.delete_server(server, force=True)
        cloud.compute.wait_for_delete(server, interval=0.1, wait=60)
        for each in (snapshot.id, image.id):
            cloud.image.delete_image(each, ignore_missing=True)


def test_every_image_that_can_be_seen_is_listed(
    openstack: OpenStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(openstack.clouds_yaml))
    images, admin = openstack.connect("images"), openstack.connect("admin")
    made = set()
    for visibility in ("private", "shared", "community", "public"):
        owner = admin if visibility == "public" else images
        shown, hidden = (make_image(owner, bytes(8), visibility=visibility) for _ in range(2))
        owner.image.update_image(hidden, is_hidden=True)
        made |= {shown.id, hidden.id}
    made.add(make_image(images).id)  # queued
    offered = make_image(openstack.connect("consumer"), bytes(8), visibility="shared")
    made.add(offered.id)
    images_project = images.session.get_project_id()
    glance: Any = openstack.connect("consumer").image
    glance.add_member(offered.id, member_id=images_project)

    def listed() -> set[str]:
        with opened("images") as glance:
            found = {each.id: each for each in all_images(glance)}
            # It is no business of ours who else has it.
            assert members_of(glance, found.get(offered.id, offered)) == ()
            return set(found)

    try:
        # A page may miss one while other tests delete the image that it begins behind.
        wait_until(lambda: made <= listed(), 60)
    finally:
        for each in made:
            admin.image.delete_image(each, ignore_missing=True)
