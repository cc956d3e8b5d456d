"""Objects restored into another cluster have new UIDs: what becomes of their images.

docs/operations.md tells it, and its own commands are run here.
"""

import json
import os
import re
import subprocess
import textwrap
from pathlib import Path

import pytest
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from cloudimage.vocabulary.marks import Marks
from support.namespaces import Namespace, change_image, images_of, said
from support.shares import ACCEPT_WITH, CONSUMER, Shares, members
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.paths import REPOSITORY
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud, pytest.mark.slow]

GIVEN_BY_THE_CLUSTER = ("uid", "resourceVersion", "creationTimestamp", "generation")


@pytest.fixture
def images(openstack: OpenStack) -> Connection:
    """The project that the CloudImages are made in."""
    return openstack.connect("images")


def lose_and_restore(namespace: Namespace, name: str) -> CloudImage:
    """Lose the objects of a name, not the image, and restore them; then no operator runs."""
    namespace.operator.kill()
    both = (
        "cloudimages,imageshares",
        "-n",
        namespace.name,
        f"--field-selector=metadata.name={name}",
    )
    kubectl = namespace.cluster.run_kubectl
    backup = json.loads(kubectl("get", *both, "-o", "json"))
    for each in backup["items"]:
        kind = (each["kind"], name, "-n", namespace.name)
        kubectl("delete", *kind, "--wait=false")
        kubectl("patch", *kind, "--type=merge", "-p", '{"metadata": {"finalizers": null}}')
        del each["status"]
        for field in GIVEN_BY_THE_CLUSTER:
            del each["metadata"][field]
    kubectl("apply", "-f", "-", stdin=json.dumps(backup))
    restored = namespace.get(name)
    assert restored is not None
    return restored


def move_marks(openstack: OpenStack, old: str, new: str) -> None:
    """Run the commands of docs/operations.md."""
    page = (REPOSITORY / "docs" / "operations.md").read_text()
    [block] = re.findall(r"```\n( +for id in .*?)```", page, re.DOTALL)
    subprocess.run(
        ["/bin/bash", "-euc", textwrap.dedent(block)],
        env={
            "PATH": f"{openstack.program('openstack').parent}:{os.environ['PATH']}",
            "OS_CLIENT_CONFIG_FILE": str(openstack.clouds_yaml),
            "OS_CLOUD": "images",
            "old": old,
            "new": new,
        },
        capture_output=True,
        check=True,
    )


def test_restored_objects_take_their_images_over_once_these_have_the_new_uids(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    images: Connection,
    qcow2_disk: Path,
    unique: str,
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    own_namespace.create(unique, url, sha256_of(qcow2_disk))
    own_namespace.wait_condition(unique, "Ready", reason="Available")
    own_namespace.patch(unique, {"spec": {"image": {"diskFormat": "raw"}}})
    before = own_namespace.wait_condition(unique, "Ready", reason="Available")
    shares = Shares(own_namespace)
    shares.create(unique, {**CONSUMER, **ACCEPT_WITH})
    shares.wait_condition(unique, "Accepted", "AllAccepted")
    shared_with = members(images, before.status.image_id)
    fetched = len(sources.requests(f"{unique}.qcow2"))

    old = before.metadata.uid
    restored = lose_and_restore(own_namespace, unique)
    assert restored.metadata.uid != old
    move_marks(openstack, old, restored.metadata.uid)
    own_namespace.operator.start()

    after = own_namespace.wait_condition(unique, "Ready", reason="Available")
    assert after.status.image_id == before.status.image_id
    assert {each.image_id for each in after.status.revisions} == {
        each.image_id for each in before.status.revisions
    }
    assert len(after.status.revisions) == 2
    assert said(after, "Verified")[:2] == ("True", "ChecksumMatched")
    assert len(sources.requests(f"{unique}.qcow2")) == fetched
    shares.wait_condition(unique, "Ready", "Shared")
    assert members(images, before.status.image_id) == shared_with
    shares.delete(unique)
    shares.wait_gone(unique)
    assert members(images, before.status.image_id) == {}
    own_namespace.delete(unique)
    own_namespace.wait_gone(unique)
    assert images_of(images, restored.metadata.uid) == images_of(images, old) == []


def test_restored_objects_whose_images_have_old_uids_get_other_images(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    images: Connection,
    qcow2_disk: Path,
    unique: str,
) -> None:
    own_namespace.create(unique, sources.put(f"{unique}.qcow2", qcow2_disk), sha256_of(qcow2_disk))
    before = own_namespace.wait_condition(unique, "Ready", reason="Available")
    lose_and_restore(own_namespace, unique)
    own_namespace.operator.start()
    after = own_namespace.wait_condition(unique, "Ready", reason="Available")
    assert after.status.image_id != before.status.image_id
    [left] = images_of(images, before.metadata.uid)
    assert (left["id"], left["name"]) == (before.status.image_id, unique)
    own_namespace.delete(unique)
    own_namespace.wait_gone(unique)
    assert images_of(images, before.metadata.uid) == [left]
    # The image that is left can be adopted on its own, once it no longer has an owner.
    change_image(images, before, **{Marks.UID: None})
    own_namespace.create(f"{unique}-2", "", source=None, adopt={"id": left["id"]})
    adopted = own_namespace.wait_condition(f"{unique}-2", "Ready", reason="Available")
    assert adopted.status.image_id == left["id"]
    own_namespace.delete(f"{unique}-2")
    own_namespace.wait_gone(f"{unique}-2")
