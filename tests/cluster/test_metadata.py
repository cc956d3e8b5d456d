"""Metadata in place: each change of the spec is in Glance soon, and no byte moves."""

import time
from pathlib import Path
from typing import Any

import pytest

from cloudimage.vocabulary.marks import Marks
from support.namespaces import Namespace, change_image, condition_of, image_of, images_of
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

IN_TIME_SECONDS = 10.0
"""Within which a change of the spec is in Glance."""


@pytest.fixture
def created(namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str) -> Any:
    """Creates a CloudImage of the test's name, or another, and waits until it is Ready."""

    def create(name: str = unique, *, wait: bool = True, **spec: Any) -> Any:
        url = sources.put(f"{name}.qcow2", qcow2_disk)
        namespace.create(name, url, sha256_of(qcow2_disk), **spec)
        return namespace.wait_condition(name, "Ready") if wait else None

    return create


def change(namespace: Namespace, name: str, **spec: Any) -> Any:
    """Patch the spec, and return the object once that is in Glance."""
    namespace.patch(name, {"spec": spec})
    begun = time.monotonic()
    after = namespace.wait_condition(name, "Synced")
    assert time.monotonic() - begun < IN_TIME_SECONDS
    return after


def test_every_attribute_follows_the_spec_in_time_and_the_source_is_not_asked(
    namespace: Namespace, openstack: OpenStack, sources: Sources, created: Any, unique: str
) -> None:
    before = created(image={"properties": {"a": "1"}})
    asked = len(sources.requests(f"{unique}.qcow2"))
    image = {
        "name": "renamed",
        "visibility": "community",
        "protected": True,
        "hidden": True,
        "minDiskGiB": 2,
        "minRamMiB": 256,
        "tags": ["x", "y"],
        "properties": {"a": "2", "b": "3"},
    }
    after = change(namespace, unique, image=image)
    assert after.status.image_id == before.status.image_id
    found = image_of(openstack.connect("images"), after)
    wanted = {
        "name": "renamed",
        "visibility": "community",
        "protected": True,
        "os_hidden": True,
        "min_disk": 2,
        "min_ram": 256,
        "a": "2",
        "b": "3",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert sorted(found["tags"]) == ["x", "y"]
    assert len(sources.requests(f"{unique}.qcow2")) == asked


def test_a_property_taken_out_is_removed_and_one_of_others_stays_until_purge(
    namespace: Namespace, openstack: OpenStack, created: Any, unique: str
) -> None:
    images = openstack.connect("images")
    resource = created(image={"properties": {"a": "1", "b": "2"}})
    assert image_of(images, resource)[Marks.PROPERTIES] == '["a","b"]'
    change_image(images, resource, by_hand="3")
    resource = change(namespace, unique, image={"properties": {"b": None}})
    merged = image_of(images, resource)
    assert (merged["a"], merged["by_hand"]) == ("1", "3")
    assert "b" not in merged
    assert merged[Marks.PROPERTIES] == '["a"]'
    resource = change(namespace, unique, propertyPolicy="Purge")
    purged = image_of(images, resource)
    assert set(merged) - set(purged) == {"by_hand"}
    assert set(Marks) - {Marks.REPLACED, Marks.BOOTED} <= set(purged)


def test_what_was_set_is_known_although_the_status_was_lost(
    namespace: Namespace, openstack: OpenStack, created: Any, unique: str
) -> None:
    resource = created(image={"properties": {"a": "1"}})
    namespace.cluster.run_kubectl(
        *("patch", "cloudimage", unique, "-n", namespace.name, "--subresource=status"),
        *("--type=json", "-p", '[{"op": "replace", "path": "/status", "value": {}}]'),
    )
    after = change(namespace, unique, image={"properties": {"a": None}})
    assert after.status.image_id == resource.status.image_id
    assert "a" not in image_of(openstack.connect("images"), after)


def test_an_image_is_given_to_another_project_and_stays_ours_to_keep_and_to_delete(
    namespace: Namespace, openstack: OpenStack, created: Any, unique: str
) -> None:
    admin = openstack.connect("admin")
    as_admin = {"secretName": "openstack", "cloudName": "admin"}
    first, second = openstack.project_id("consumer"), openstack.project_id("images")
    resource = created(cloudCredentialsRef=as_admin, image={"owner": first})
    assert image_of(admin, resource)["owner"] == first
    after = change(namespace, unique, image={"owner": second, "tags": ["moved"]})
    assert after.status.image_id == resource.status.image_id
    found = image_of(admin, after)
    assert (found["owner"], found["tags"]) == (second, ["moved"])
    assert len(images_of(admin, after.metadata.uid)) == 1
    after = change(namespace, unique, image={"owner": None, "tags": ["left"]})
    assert image_of(admin, after)["owner"] == second
    namespace.delete(unique)
    namespace.wait_gone(unique)
    assert images_of(admin, after.metadata.uid) == []


def test_who_may_not_give_images_away_is_told_so(
    namespace: Namespace, openstack: OpenStack, created: Any, unique: str
) -> None:
    created(image={"owner": openstack.project_id("consumer")}, wait=False)
    resource = namespace.wait_condition(unique, "Stalled", reason="Forbidden")
    message = (condition_of(resource, "Ready") or ("", "", ""))[2]
    assert f"owner {openstack.project_id('consumer')}" in message
    assert "Nothing was downloaded" in message
    namespace.patch(unique, {"spec": {"image": {"owner": None}}})
    namespace.wait_condition(unique, "Ready")


def test_kernel_and_ramdisk_are_waited_for_and_followed(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    created: Any,
    unique: str,
) -> None:
    images = openstack.connect("images")
    kernel, ramdisk = f"{unique}-kernel", f"{unique}-ramdisk"
    references = {"kernelRef": {"name": kernel}, "ramdiskRef": {"name": ramdisk}}
    created(image=references, wait=False)
    waiting = namespace.wait_condition(unique, "Synced", "False", "ReferenceNotReady")
    status, reason, message = condition_of(waiting, "Ready") or ("", "", "")
    assert (status, reason) == ("False", "ReferenceNotReady")
    assert f"CloudImage {kernel} does not exist" in message
    # Its bytes did not wait.
    assert image_of(images, waiting)["status"] == "active"

    first, second = created(kernel), created(ramdisk)
    ready = namespace.wait_condition(unique, "Ready")
    found = image_of(images, ready)
    assert found["kernel_id"] == first.status.image_id
    assert found["ramdisk_id"] == second.status.image_id

    other = {
        "url": sources.put(f"{kernel}.raw", raw_disk),
        "checksum": {"sha256": sha256_of(raw_disk)},
    }
    namespace.patch(kernel, {"spec": {"source": {"http": other}}})
    newer = namespace.wait(
        kernel, lambda each: each.status.image_id not in {None, first.status.image_id}
    )
    namespace.wait(
        unique, lambda each: image_of(images, each)["kernel_id"] == newer.status.image_id, 10
    )
    namespace.patch(unique, {"spec": {"image": {"ramdiskRef": None}}})
    after = namespace.wait_condition(unique, "Synced")
    assert "ramdisk_id" not in image_of(images, after)


def test_a_property_that_cannot_work_is_a_warning_only(
    namespace: Namespace, created: Any, unique: str
) -> None:
    properties = {"hw_vif_model": "virtio", "hypervisor_type": "vmware", "of_tomorrow": "1"}
    resource = created(image={"properties": properties})
    status, reason, message = condition_of(resource, "PropertiesValid") or ("", "", "")
    assert (status, reason) == ("False", "InvalidProperties")
    assert 'hw_vif_model is "virtio": with the hypervisor vmware it must be one of' in message
    assert namespace.told_once(unique, "Warning", "InvalidProperties")
    change(namespace, unique, image={"properties": {"hw_vif_model": "e1000e"}})
    namespace.wait_condition(unique, "PropertiesValid")
