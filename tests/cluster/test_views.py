"""What others do to images is seen within a minute, although nothing is compared meanwhile."""

import time
from pathlib import Path

import pytest

from support.namespaces import Namespace, change_image, image_of, wait_until
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud, pytest.mark.slow]

WITHIN = 60.0
FIRST_LISTING = 45.0
"""Seconds after which a place is listed again, so that changes are seen."""


def test_a_change_by_hand_is_put_back_and_a_deletion_is_noticed_within_a_minute(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    images = openstack.connect("images")
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    own_namespace.create(unique, url, sha256_of(qcow2_disk), image={"minDiskGiB": 1})
    resource = own_namespace.wait_condition(unique, "Ready")
    time.sleep(FIRST_LISTING)
    change_image(images, resource, min_disk=7)
    assert wait_until(lambda: image_of(images, resource)["min_disk"] == 1, WITHIN)
    time.sleep(FIRST_LISTING)
    lost = resource.status.image_id or ""
    images.image.delete_image(lost)
    again = own_namespace.wait(
        unique, lambda each: each.status.image_id not in {None, lost}, seconds=WITHIN
    )
    assert again.status.image_id
