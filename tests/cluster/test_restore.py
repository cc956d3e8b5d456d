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
from support import Namespace, images_of, said

from cloudimage.api.cloudimage import CloudImage
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
    """Lose the object without its image, and restore it from a backup; no operator runs then."""
    kubectl, address = namespace.cluster.run_kubectl, ("-n", namespace.name)
    backup = json.loads(kubectl("get", "cloudimage", name, *address, "-o", "json"))
    namespace.operator.kill()
    namespace.patch(name, {"metadata": {"finalizers": None}})
    namespace.delete(name)
    namespace.wait_gone(name)
    del backup["status"]
    for field in GIVEN_BY_THE_CLUSTER:
        del backup["metadata"][field]
    kubectl("apply", *address, "-f", "-", stdin=json.dumps(backup))
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
    images.image.delete(f"/images/{left['id']}").raise_for_status()
