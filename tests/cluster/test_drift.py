"""When others change an image in Glance, it is restored, made again, reported or left alone."""

from pathlib import Path
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.vocabulary.marks import Marks
from support.namespaces import (
    Namespace,
    change_image,
    condition_of,
    image_of,
    images_of,
    wait_until,
)
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

OF_THE_CURRENT = frozenset(Marks) - {Marks.REPLACED, Marks.BOOTED}
pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

IMAGE: dict[str, Any] = {
    "minDiskGiB": 1,
    "tags": ["right"],
    "properties": {"changed": "right", "taken_away": "right"},
}
BY_HAND: dict[str, Any] = {
    "name": "wrong",
    "min_disk": 7,
    "tags": ["wrong"],
    "changed": "wrong",
    "taken_away": None,
}


@pytest.fixture
def ready(watchful_namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str) -> Any:
    """Creates a CloudImage of the test's name and waits until it is Ready."""

    def create(**spec: Any) -> CloudImage:
        url = sources.put(f"{unique}.qcow2", qcow2_disk)
        watchful_namespace.create(unique, url, sha256_of(qcow2_disk), image=IMAGE, **spec)
        return watchful_namespace.wait_condition(unique, "Synced")

    return create


def as_wanted(image: dict[str, Any], name: str) -> bool:
    found = (image["name"], image["min_disk"], image["tags"], image.get("changed"))
    return found == (name, 1, ["right"], "right") and image.get("taken_away") == "right"


def messages(namespace: Namespace, name: str, reason: str) -> list[str]:
    """Return the messages of the Events of a reason about a CloudImage."""
    listed = namespace.core.list_namespaced_event(
        namespace.name, field_selector=f"involvedObject.name={name},reason={reason}"
    )
    return [str(each.message) for each in listed.items]


def test_what_is_changed_by_hand_is_put_back_and_said(
    watchful_namespace: Namespace, openstack: OpenStack, ready: Any, unique: str
) -> None:
    images = openstack.connect("images")
    resource = ready()
    change_image(images, resource, **BY_HAND, by_others="stays")
    assert wait_until(lambda: as_wanted(image_of(images, resource), unique), 30)
    assert image_of(images, resource)["by_others"] == "stays"
    assert wait_until(lambda: messages(watchful_namespace, unique, "DriftCorrected") != [], 10)
    [message] = messages(watchful_namespace, unique, "DriftCorrected")
    for words in (
        f'name is "wrong" instead of "{unique}"',
        "min_disk is 7 instead of 1",
        'tags is ["wrong"] instead of ["right"]',
        'changed is "wrong" instead of "right"',
        'taken_away is missing instead of "right"',
    ):
        assert words in message
    assert "by_others" not in message


def test_with_report_it_is_only_said_until_the_spec_changes(
    watchful_namespace: Namespace, openstack: OpenStack, ready: Any, unique: str
) -> None:
    images = openstack.connect("images")
    resource = ready(driftPolicy="Report")
    change_image(images, resource, **BY_HAND)
    drifted = watchful_namespace.wait_condition(unique, "Synced", "False", "Drifted")
    message = (condition_of(drifted, "Synced") or ("", "", ""))[2]
    assert 'changed is "wrong" instead of "right"' in message
    assert (condition_of(drifted, "Ready") or ("",))[0] == "True"
    assert watchful_namespace.told_once(unique, "Warning", "Drifted")
    # It is checked again, and still nothing is changed.
    seen = drifted.status.last_sync_time
    assert seen is not None
    watchful_namespace.wait(unique, lambda each: (each.status.last_sync_time or seen) > seen, 30)
    found = image_of(images, resource)
    assert (found["name"], found["changed"], "taken_away" in found) == ("wrong", "wrong", False)
    watchful_namespace.patch(unique, {"spec": {"image": {"minRamMiB": 64}}})
    watchful_namespace.wait_condition(unique, "Synced")
    assert as_wanted(image_of(images, resource), unique)
    assert messages(watchful_namespace, unique, "DriftCorrected") == []


def test_drift_that_its_maker_takes_back_is_over(
    watchful_namespace: Namespace, openstack: OpenStack, ready: Any, unique: str
) -> None:
    images = openstack.connect("images")
    resource = ready(driftPolicy="Report")
    change_image(images, resource, min_disk=7)
    watchful_namespace.wait_condition(unique, "Synced", "False", "Drifted")
    change_image(images, resource, min_disk=1)
    watchful_namespace.wait_condition(unique, "Synced", "True", "InSync")


def test_an_image_that_lost_all_its_properties_is_still_ours(
    watchful_namespace: Namespace, openstack: OpenStack, ready: Any, unique: str
) -> None:
    images = openstack.connect("images")
    resource = ready()
    change_image(images, resource, changed=None, taken_away=None, **dict.fromkeys(OF_THE_CURRENT))
    assert wait_until(lambda: as_wanted(image_of(images, resource), unique), 30)
    assert set(image_of(images, resource)) >= OF_THE_CURRENT
    after = watchful_namespace.wait_condition(unique, "Ready")
    assert after.status.image_id == resource.status.image_id
    assert len(images_of(images, after.metadata.uid)) == 1


def test_a_deleted_image_is_made_again_and_said_once(
    watchful_namespace: Namespace, openstack: OpenStack, ready: Any, unique: str
) -> None:
    images = openstack.connect("images")
    before = ready()
    assert images.image.delete(f"/images/{before.status.image_id}").status_code == 204
    after = watchful_namespace.wait(
        unique, lambda each: each.status.image_id not in {None, before.status.image_id}
    )
    watchful_namespace.wait_condition(unique, "Ready")
    assert as_wanted(image_of(images, after), unique)
    assert len(images_of(images, after.metadata.uid)) == 1
    assert watchful_namespace.told_once(unique, "Warning", "ImageDeleted")
    assert messages(watchful_namespace, unique, "ImageDeleted") == [
        f"Image {before.status.image_id} was deleted in Glance; it is being made again."
    ]


@pytest.mark.slow
def test_a_deactivated_image_is_not_ready_and_kept_in_line_and_not_reactivated(
    watchful_namespace: Namespace, openstack: OpenStack, ready: Any, unique: str
) -> None:
    admin, images = openstack.connect("admin"), openstack.connect("images")
    resource = ready()
    actions = f"/images/{resource.status.image_id}/actions"
    assert admin.image.post(f"{actions}/deactivate").status_code == 204
    watchful_namespace.wait_condition(unique, "Ready", "False", "Deactivated")
    change_image(images, resource, **BY_HAND)
    assert wait_until(lambda: as_wanted(image_of(images, resource), unique), 30)
    watchful_namespace.patch(unique, {"spec": {"image": {"minRamMiB": 64}}})
    after = watchful_namespace.wait_condition(unique, "Synced")
    found = image_of(images, resource)
    assert (found["min_ram"], found["status"]) == (64, "deactivated")
    assert after.status.image_id == resource.status.image_id
    assert watchful_namespace.told_once(unique, "Warning", "Deactivated")
    assert admin.image.post(f"{actions}/reactivate").status_code == 204
    watchful_namespace.wait_condition(unique, "Ready", "True", "Available")
