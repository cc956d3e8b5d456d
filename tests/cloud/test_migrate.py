"""What ``cloudimage migrate`` makes of images as Nova writes them, and the list for many."""

import os
import re
import subprocess

import pytest

from cloudimage.cli import migrate
from cloudimage.cli.migrate_source import look_up
from support.openstack_actions import MIB, boot, make_image, wait_until
from testbed.openstack import OpenStack
from testbed.paths import REPOSITORY

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
        found, _ = look_up("images", snapshot.id)
        assert found.properties["instance_uuid"] == server.id  # as Nova writes it
        wanted = migrate.Wanted("debian", None, "openstack", "new", "debian-source")
        made = migrate.cloud_image(found, wanted, "http://old", has_ca=False)
        assert made["spec"]["image"]["properties"] == OF_THE_IMAGE
    finally:
        cloud.compute.delete_server(server, force=True)
        cloud.compute.wait_for_delete(server, interval=0.1, wait=60)
        for each in (snapshot.id, image.id):
            cloud.image.delete_image(each, ignore_missing=True)


def test_the_list_of_the_docs_has_images_of_every_visibility(openstack: OpenStack) -> None:
    page = (REPOSITORY / "docs" / "migration.md").read_text()
    found = re.search(r"^(for visibility in .*?^done) \| sort", page, re.DOTALL | re.MULTILINE)
    assert found is not None
    listing = found[1].replace("--os-cloud old", "--os-cloud images")
    images, admin = openstack.connect("images"), openstack.connect("admin")
    made = set()
    for visibility in ("private", "shared", "community", "public"):
        owner = admin if visibility == "public" else images
        shown, hidden = (make_image(owner, bytes(8), visibility=visibility) for _ in range(2))
        owner.image.update_image(hidden, is_hidden=True)
        made |= {shown.id, hidden.id}
    offered = make_image(openstack.connect("consumer"), bytes(8), visibility="shared")
    images_project = images.session.get_project_id()
    openstack.connect("consumer").image.add_member(offered.id, member_id=images_project)

    def listed() -> set[str]:
        done = subprocess.run(
            ["/bin/bash", "-euc", listing],
            env={
                **os.environ,
                "PATH": f"{openstack.program('openstack').parent}:{os.environ['PATH']}",
                "OS_CLIENT_CONFIG_FILE": str(openstack.clouds_yaml),
            },
            capture_output=True,
            text=True,
            check=True,
        )
        return set(done.stdout.split())

    try:
        # A page may miss one while other tests delete the image that it begins behind.
        wait_until(lambda: made | {offered.id} <= listed(), 60)
    finally:
        for each in made | {offered.id}:
            admin.image.delete_image(each, ignore_missing=True)
