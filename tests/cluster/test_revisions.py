"""New bytes take the place of the old ones, which stay while they are of use."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.api.names import GROUP, VERSION
from cloudimage.vocabulary.marks import Marks
from support.namespaces import (
    Namespace,
    change_image,
    condition_of,
    images_of,
    server,
    wait_until,
)
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


@pytest.fixture
def images(openstack: OpenStack) -> Connection:
    """The project that the CloudImages are made in."""
    return openstack.connect("images")


@pytest.fixture
def first(namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str) -> CloudImage:
    """A CloudImage that is Ready."""
    return make(namespace, sources, qcow2_disk, unique)


def make(namespace: Namespace, sources: Sources, disk: Path, name: str, **spec: Any) -> CloudImage:
    namespace.create(name, sources.put(f"{name}.qcow2", disk), sha256_of(disk), **spec)
    return namespace.wait_condition(name, "Ready", reason="Available")


def revise(
    namespace: Namespace, name: str, disk_format: str | None = "raw", **spec: Any
) -> CloudImage:
    """Ask for other bytes, and wait for them; None: for those that were first."""
    namespace.patch(name, {"spec": {"image": {"diskFormat": disk_format}, **spec}})
    return namespace.wait_condition(name, "Ready", reason="Available")


def by_id(images: Connection, resource: CloudImage) -> dict[str, dict[str, Any]]:
    return {each["id"]: each for each in images_of(images, resource.metadata.uid)}


def shown(image: dict[str, Any]) -> tuple[str, bool]:
    return image["name"], image["os_hidden"]


def aside(name: str) -> tuple[str, bool]:
    return f"{name} ({datetime.now(UTC):%Y-%m-%d})", True


def test_a_replacement_is_not_found_by_its_name_until_it_takes_the_place(
    namespace: Namespace,
    images: Connection,
    sources: Sources,
    first: CloudImage,
    raw_disk: Path,
    unique: str,
) -> None:
    sources.put(f"{unique}.raw", raw_disk)
    # Bytes that are raw already go into Glance while they come: the image is there meanwhile.
    http = {"url": sources.url(f"{unique}.raw", rate=8 << 20), "checksum": None}
    namespace.patch(unique, {"spec": {"source": {"http": http}, "image": {"diskFormat": "raw"}}})
    assert wait_until(lambda: len(by_id(images, first)) == 2, 60)
    both = by_id(images, first)
    old = both.pop(first.status.image_id or "")
    [new] = both.values()
    assert shown(old) == (unique, False)
    assert shown(new) == (f"{unique} (in the making)", True)
    second = namespace.wait_condition(unique, "Ready", reason="Available")
    assert second.status.image_id == new["id"]
    both = by_id(images, first)
    assert shown(both[new["id"]]) == (unique, False)
    assert shown(both[old["id"]]) == aside(unique)
    assert [(each.image_id, each.current, each.users) for each in second.status.revisions] == [
        (new["id"], True, 0),
        (old["id"], False, 0),
    ]
    assert second.status.revisions[0].created is not None


def test_shares_move_over(
    namespace: Namespace,
    openstack: OpenStack,
    images: Connection,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    first = make(namespace, sources, qcow2_disk, unique, image={"visibility": "shared"})
    consumer = openstack.project_id("consumer")
    glance: Any = images.image
    glance.add_member(first.status.image_id, member_id=consumer)
    second = revise(namespace, unique)
    members = glance.members(second.status.image_id)
    assert [(each.member_id, each.status) for each in members] == [(consumer, "pending")]
    # Returning to an earlier image does not bring back what was taken away since.
    glance.remove_member(consumer, second.status.image_id)
    again = revise(namespace, unique, None)
    assert again.status.image_id == first.status.image_id
    assert list(glance.members(again.status.image_id)) == []


def test_returning_to_an_earlier_spec_takes_no_transfer(
    namespace: Namespace, images: Connection, sources: Sources, first: CloudImage, unique: str
) -> None:
    second = revise(namespace, unique)
    asked = len(sources.requests(f"{unique}.qcow2"))
    third = revise(namespace, unique, None)
    assert third.status.image_id == first.status.image_id
    assert len(sources.requests(f"{unique}.qcow2")) == asked
    assert third.status.source is None
    both = by_id(images, first)
    assert shown(both[first.status.image_id or ""]) == (unique, False)
    assert shown(both[second.status.image_id or ""]) == aside(unique)
    reasons = [reason for _, reason in namespace.events(unique)]
    assert reasons.count("HashMatched") == 2


@pytest.mark.slow
def test_only_so_many_unused_ones_are_kept(
    namespace: Namespace, images: Connection, first: CloudImage, unique: str
) -> None:
    second = revise(namespace, unique)
    third = revise(namespace, unique, "vmdk")
    kept = {third.status.image_id, second.status.image_id}
    assert wait_until(lambda: set(by_id(images, first)) == kept, 10)
    settled = namespace.wait(unique, lambda each: len(each.status.revisions) == 2)
    assert {each.image_id for each in settled.status.revisions} == kept


def test_an_old_image_stays_until_its_last_server_goes(
    own_namespace: Namespace,
    images: Connection,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    own_namespace.operator.stop()
    own_namespace.operator.start(CLOUDIMAGE_RESYNC_SECONDS="5")
    first = make(own_namespace, sources, qcow2_disk, unique, revisionHistoryLimit=0)
    old = first.status.image_id or ""
    with server(images, unique, old):
        revise(own_namespace, unique)
        seen = own_namespace.wait(unique, lambda each: len(each.status.revisions) == 2)
        assert [each.users for each in seen.status.revisions] == [0, 1]
        assert shown(by_id(images, first)[old]) == aside(unique)
    own_namespace.wait(unique, lambda each: len(each.status.revisions) == 1)
    assert old not in by_id(images, first)


def test_an_old_image_that_others_may_use_unseen_stays(
    namespace: Namespace, images: Connection, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    community = {"visibility": "community"}
    first = make(namespace, sources, qcow2_disk, unique, image=community, revisionHistoryLimit=0)
    second = revise(namespace, unique)
    assert [each.users for each in second.status.revisions] == [0, None]
    assert len(by_id(images, first)) == 2


def test_a_protected_old_image_stays_until_the_spec_lets_go(
    namespace: Namespace, images: Connection, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    protected = {"protected": True}
    first = make(namespace, sources, qcow2_disk, unique, image=protected, revisionHistoryLimit=0)
    revise(namespace, unique)
    assert len(by_id(images, first)) == 2
    namespace.patch(unique, {"spec": {"image": {"protected": False}}})
    assert wait_until(lambda: len(by_id(images, first)) == 1, 30)


def test_a_failed_revision_leaves_the_old_one_serving_and_says_so(
    namespace: Namespace, images: Connection, sources: Sources, first: CloudImage, unique: str
) -> None:
    missing = {"url": sources.url(f"{unique}-missing"), "checksum": {"sha256": "0" * 64}}
    namespace.patch(unique, {"spec": {"source": {"http": missing}}})
    failed = namespace.wait_condition(unique, "Ready", reason="RevisionFailed")
    message = (condition_of(failed, "Ready") or ("", "", ""))[2]
    assert f"The previous image {first.status.image_id} stays in use" in message
    assert "404" in message
    assert failed.status.image_id == first.status.image_id
    [image] = images_of(images, first.metadata.uid)
    assert shown(image) == (unique, False)


@pytest.mark.parametrize("put_aside", [False, True], ids=["at first", "halfway"])
def test_a_takeover_that_was_cut_off_is_ended(
    own_namespace: Namespace,
    images: Connection,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
    *,
    put_aside: bool,
) -> None:
    first = make(own_namespace, sources, qcow2_disk, unique)
    second = revise(own_namespace, unique)
    own_namespace.operator.stop()
    rename(images, second, f"{unique} (in the making)", hidden=True)
    if not put_aside:
        rename(images, first, unique, hidden=False)
        change_image(images, first, **{Marks.REPLACED: None})
    unsettled = {"imageID": first.status.image_id, "observedGeneration": 0}
    address = (GROUP, VERSION, own_namespace.name, CLOUD_IMAGE.plural, unique)
    own_namespace.objects.patch_namespaced_custom_object_status(*address, {"status": unsettled})
    own_namespace.operator.start()
    done = own_namespace.wait_condition(unique, "Ready", reason="Available")
    assert done.status.image_id == second.status.image_id
    both = by_id(images, first)
    assert shown(both[first.status.image_id or ""]) == aside(unique)
    assert shown(both[second.status.image_id or ""]) == (unique, False)


def rename(images: Connection, resource: CloudImage, name: str, *, hidden: bool) -> None:
    changes = {"name": name, "os_hidden": hidden}
    operations = [
        {"op": "replace", "path": f"/{key}", "value": value} for key, value in changes.items()
    ]
    url = f"/images/{resource.status.image_id}"
    images.image.patch(url, json=operations, headers=PATCH).raise_for_status()


def test_revisions_go_with_their_object(
    namespace: Namespace, images: Connection, first: CloudImage, unique: str
) -> None:
    revise(namespace, unique)
    namespace.delete(unique)
    namespace.wait_gone(unique)
    assert by_id(images, first) == {}


def test_an_orphans_revisions_stay_too(
    namespace: Namespace, images: Connection, first: CloudImage, unique: str
) -> None:
    second = revise(namespace, unique, deletionPolicy="Orphan")
    namespace.delete(unique)
    namespace.wait_gone(unique)
    for resource in (first, second):
        image = images.image.get(f"/images/{resource.status.image_id}").json()
        images.image.delete(f"/images/{resource.status.image_id}")
        assert image["status"] == "active"
        assert not set(Marks) & set(image)
