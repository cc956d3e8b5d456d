"""Metadata that differs from the spec: applied, restored, or reported."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import available_status, metadata, owned_images, status
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.metadata import Links
from cloudimage.vocabulary.marks import Marks
from support.image_status import RESULT, after
from support.resources import NOW, cloud_image, glance_image

ID = "11111111-1111-4111-8111-111111111111"
NOTHING = Links({}, {})
APPLIED = {"imageID": ID, "syncedGeneration": 3}


def plan_metadata(
    resource: CloudImage, links: Links = NOTHING, image: GlanceImage | None = None
) -> metadata.MetadataPlan:
    return metadata.plan_metadata(resource, image or glance_image(resource, min_disk=9), links)


def wanting(status: dict[str, Any], policy: str, **image: Any) -> CloudImage:
    return cloud_image(image={"minDiskGiB": 1, **image}, status=status, driftPolicy=policy)


REPLACED = {"op": "replace", "path": "/min_disk", "value": 1}


@pytest.mark.parametrize("policy", ["Correct", "Report"])
@pytest.mark.parametrize(
    "status",
    [{}, {**APPLIED, "syncedGeneration": 2}, {**APPLIED, "imageID": "another"}],
    ids=["never applied", "another spec", "another image"],
)
def test_a_spec_that_was_not_applied_yet_is_applied_under_each_policy(
    policy: str, status: dict[str, Any]
) -> None:
    assert plan_metadata(wanting(status, policy)) == metadata.MetadataPlan((REPLACED,))


def test_drift_is_put_back_and_an_event_names_the_fields() -> None:
    found = plan_metadata(wanting(APPLIED, "Correct"))
    assert found.patch == (REPLACED,)
    assert found.drafts == ()
    assert found.event is not None
    assert (found.event.type, found.event.reason) == ("Normal", "DriftCorrected")
    assert found.event.message == "In Glance min_disk is 9 instead of 1. The operator restored it."


def test_drift_is_only_reported_where_the_spec_says_so() -> None:
    resource = wanting(APPLIED, "Report", properties={"a": "1"}, tags=["x"])
    image = glance_image(
        resource,
        min_disk=9,
        properties={"b": "2", "cloudimage_dev_properties": '["a","b"]'},
        tags=frozenset({"y"}),
    )
    found = plan_metadata(resource, image=image)
    assert found.patch == ()
    assert found.event is None
    [draft] = found.drafts
    assert (draft.type, draft.status, draft.reason) == ("Synced", "False", "Drifted")
    assert draft.message.startswith(
        'In Glance min_disk is 9 instead of 1; tags is ["y"] instead of ["x"]; '
        'a is missing instead of "1"; b is "2" but should not be set. Nothing was changed'
    )


@pytest.mark.parametrize("policy", ["Correct", "Report"])
def test_our_own_mark_is_no_drift(policy: str) -> None:
    resource = cloud_image(image={"properties": {"a": "1"}}, status=APPLIED, driftPolicy=policy)
    found = plan_metadata(resource, image=glance_image(resource, properties={"a": "1"}))
    [operation] = found.patch
    assert operation["path"] == "/cloudimage_dev_properties"
    assert (found.drafts, found.event) == ((), None)


def test_what_a_reference_leads_to_is_put_in_place_beside_drift_that_is_reported() -> None:
    resource = wanting(APPLIED, "Report", kernelRef={"name": "kernel"})
    found = plan_metadata(resource, Links({"kernel_id": "id"}, {}))
    assert found.patch == ({"op": "add", "path": "/kernel_id", "value": "id"},)
    assert [each.reason for each in found.drafts] == ["Drifted"]


@pytest.mark.parametrize(
    ("observed", "types"),
    [
        ({}, ["Ready", "Synced"]),
        ({"properties": {"kernel_id": "old"}}, ["Synced"]),
        ({"status": "deactivated"}, ["Synced"]),
    ],
    ids=["not usable without", "usable as it was", "deactivated"],
)
def test_without_its_kernel_an_image_is_not_ready_unless_it_has_an_earlier_one(
    observed: dict[str, Any], types: list[str]
) -> None:
    resource = cloud_image(image={"kernelRef": {"name": "kernel"}})
    links = Links({}, {"kernel_id": "CloudImage kernel does not exist."})
    found = plan_metadata(resource, links, glance_image(resource, **observed))
    assert [each.type for each in found.drafts] == types
    assert {(each.status, each.reason) for each in found.drafts} == {("False", "ReferenceNotReady")}


OURS = {
    **APPLIED,
    "digest": Desired.of(cloud_image().spec).content_key,
    "checksums": {"sha512": "cd" * 64},
}


@pytest.mark.parametrize("mark", [Marks.UID, Marks.DIGEST, Marks.IMAGE_ID, Marks.VERIFIED])
def test_a_mark_that_somebody_took_is_put_back_as_it_was(mark: Marks) -> None:
    resource = cloud_image(status=OURS)
    whole = glance_image(resource)
    assert metadata.lost_marks(resource, Desired.of(resource.spec), whole) == ()
    [operation] = metadata.lost_marks(
        resource, Desired.of(resource.spec), glance_image(resource, properties={mark: None})
    )
    assert operation == {"op": "add", "path": f"/{mark}", "value": whole.properties[mark]}


@pytest.mark.parametrize(
    ("status", "spec"),
    [
        ({**OURS, "imageID": "another"}, {}),
        ({**OURS, "syncedGeneration": 2}, {}),
        ({**OURS, "checksums": {"sha512": "00"}}, {}),
        # The same spec, whose source has come to mean other bytes.
        ({**OURS, "digest": "another"}, {}),
        (APPLIED, {}),
        (OURS, {"managementPolicy": "Unmanaged"}),
    ],
    ids=[
        "another image",
        "another spec",
        "other bytes",
        "new content",
        "no hash",
        "not ours to change",
    ],
)
def test_only_what_the_status_knows_for_ours_is_marked(
    status: dict[str, Any], spec: dict[str, Any]
) -> None:
    resource = cloud_image(status=status, **spec)
    bare = glance_image(resource, properties=dict.fromkeys(Marks))
    assert metadata.lost_marks(resource, Desired.of(resource.spec), bare) == ()


@pytest.mark.parametrize(
    ("status", "image_id", "deleted"),
    [
        (APPLIED, "another", True),
        (APPLIED, ID, False),
        ({**APPLIED, "syncedGeneration": 2}, "another", False),
        ({"syncedGeneration": 3}, "another", False),
    ],
    ids=["gone", "there", "the spec changed too", "none was made"],
)
def test_an_image_of_this_spec_that_is_gone_was_deleted_by_somebody(
    status: dict[str, Any], image_id: str, *, deleted: bool
) -> None:
    resource = cloud_image(status=status)
    event = owned_images.deletion_event(
        resource, owned_images.OwnedImages(glance_image(resource, id=image_id), (), ())
    )
    assert (event is not None) is deleted
    if event:
        assert (event.type, event.reason) == ("Warning", "ImageDeleted")
        assert ID in event.message


@pytest.mark.parametrize("policy", ["Correct", "Report"])
def test_an_image_that_is_made_again_is_not_as_it_is_made_by_somebodys_hand(policy: str) -> None:
    """It is made private and hidden, of the spec that was applied to the one before."""
    resource = cloud_image({"visibility": "public"}, status=APPLIED, driftPolicy=policy)
    desired = Desired.of(resource.spec)
    assert resource.status.synced_generation == resource.metadata.generation
    made = glance_image(resource, hidden=True, visibility="private")
    resource = after(resource, status.starting(resource, desired, None, NOW))
    told = available_status.delivered(resource, desired, made, RESULT, NOW)
    resource = after(resource, told)
    assert resource.status.image_id == made.id
    found = plan_metadata(resource, image=made)
    assert {"/os_hidden", "/visibility"} <= {each["path"] for each in found.patch}
    assert (found.drafts, found.event) == ((), None)
