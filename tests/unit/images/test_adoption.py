"""Which image is adopted or observed, and what is reported when no image qualifies."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage, Import
from cloudimage.api.reasons import Reason
from cloudimage.api.references import ImageFilter
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic import retry
from cloudimage.images import adoption, lookup
from cloudimage.images.logic import (
    available_status,
    metadata,
    owned_images,
    schedule,
    status,
)
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.vocabulary.marks import Marks
from support.resources import NOW, UID, cloud_image, glance_image

ID = "11111111-1111-4111-8111-111111111111"
OTHER = "99999999-9999-4999-8999-999999999999"
ADOPT = {"adopt": {"id": ID}}
ONLY = ADOPT | {"source": None}
NONE = OwnedImages(None, (), ())
MISMATCH = {
    "type": "Stalled",
    "status": "True",
    "reason": "ChecksumMismatch",
    "message": "m",
    "lastTransitionTime": "2026-01-01T00:00:00Z",
    "observedGeneration": 2,
}
UNMARKED: dict[str, Any] = {"properties": dict.fromkeys(Marks)}


def conditions(new: CloudImageStatus) -> dict[str, tuple[str, str]]:
    return {each.type: (each.status, each.reason) for each in new.conditions}


def previous() -> OwnedImages:
    return OwnedImages(None, (glance_image(cloud_image(), id=OTHER),), ())


@pytest.mark.parametrize(
    ("spec", "owned", "expected"),
    [
        ({}, NONE, False),
        (ADOPT, NONE, True),
        (ONLY, NONE, True),
        (ONLY, OwnedImages(glance_image(cloud_image()), (), ()), False),
        (ADOPT, previous(), False),
        (ONLY, previous(), True),
    ],
    ids=["made", "at first", "alone", "done", "another source", "another id"],
)
def test_with_a_source_adoption_counts_only_in_the_beginning(
    spec: dict[str, Any], owned: OwnedImages, *, expected: bool
) -> None:
    assert adoption.is_wanted(cloud_image(**spec), owned) is expected


@pytest.mark.parametrize(
    ("spec", "digest", "expected"),
    [(ADOPT, None, False), (ADOPT, "d", True), (ONLY, "d", False)],
)
def test_a_lost_image_is_made_from_the_source_and_a_wrong_id_is_not(
    spec: dict[str, Any], digest: str | None, *, expected: bool
) -> None:
    assert adoption.makes_up_for_it(cloud_image(status={"digest": digest}, **spec)) is expected


@pytest.mark.parametrize(
    ("image_id", "reason"), [(None, Reason.IMAGE_NOT_FOUND), (ID, Reason.IMAGE_DELETED)]
)
def test_an_image_that_was_there_is_called_deleted(image_id: str | None, reason: Reason) -> None:
    resource = cloud_image(status={"imageID": image_id}, **ONLY)
    assert adoption.gone(resource, ID)[0] is reason


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        (UNMARKED, None),
        ({}, None),
        ({"status": "deactivated"}, "deactivated"),
        ({"status": "queued"}, "no bytes"),
        ({"status": "saving"}, "saving"),
        ({"size": 0}, "it has no bytes"),
        ({"size": None}, "it has no bytes"),
        ({"owner": "other"}, "belongs to project other"),
        ({"properties": {Marks.UID: "another"}}, "CloudImage with the UID another"),
        ({"properties": {Marks.UID: None}}, None),
        ({"properties": {Marks.UID: "another", Marks.IMAGE_ID: OTHER}}, None),
        ({"disk_format": "qcow2"}, "disk format is qcow2"),
        ({"container_format": "ova"}, "container format is ova"),
    ],
    ids=[
        "unmarked",
        "ours already",
        "deactivated",
        "queued",
        "saving",
        "empty",
        "of an unknown size",
        "of another project",
        "of another CloudImage",
        "let go by hand, as the refusal advises",
        "a snapshot",
        "another disk format",
        "another container format",
    ],
)
def test_an_image_that_is_not_one_to_take_over_is_refused(
    changes: dict[str, Any], why: str | None
) -> None:
    resource = cloud_image(**ADOPT)
    refusal = adoption.refusal(resource, glance_image(resource, **changes), "project")
    assert (refusal is None) is (why is None)
    assert why is None or why in (refusal or "")


def test_a_source_that_failed_for_good_is_forgotten_with_the_source() -> None:
    resource = cloud_image(status={"conditions": [MISMATCH]}, **ONLY)
    assert not schedule.has_failed_for_good(resource, Desired.of(resource.spec))


def _marked(resource: CloudImage, image: GlanceImage) -> dict[str, str]:
    return {
        each["path"]: each["value"]
        for each in metadata.marks(resource, Desired.of(resource.spec), image)
    }


@pytest.mark.parametrize("spec", [ADOPT, ONLY], ids=["with a source", "alone"])
def test_the_marks_make_it_current(spec: dict[str, Any]) -> None:
    resource = cloud_image(**spec)
    marks = _marked(resource, glance_image(resource, **UNMARKED))
    assert marks["/cloudimage_dev_verified"] == "sha512:" + "cd" * 64
    properties = {path.removeprefix("/"): value for path, value in marks.items()}
    image = glance_image(cloud_image(), properties=properties)
    assert owned_images.classify(resource, Desired.of(resource.spec), [image]).current == image
    assert marks["/cloudimage_dev_digest"] == Desired.of(resource.spec).content_key
    assert marks["/cloudimage_dev_uid"] == UID


def test_an_image_without_glances_better_hash_is_marked_by_its_md5() -> None:
    image = glance_image(cloud_image(), hash_algo=None, hash_value=None)
    marks = _marked(cloud_image(**ADOPT), image)
    assert marks["/cloudimage_dev_verified"] == "md5:" + "ef" * 16


@pytest.mark.parametrize("spec", [ADOPT, ONLY], ids=["with a source", "alone"])
def test_nobody_claims_to_know_where_adopted_bytes_come_from(spec: dict[str, Any]) -> None:
    resource = cloud_image(**spec)
    new = available_status.available(
        resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
    )
    assert conditions(new) == {
        "Ready": ("True", "Available"),
        "Verified": ("Unknown", "NoChecksum"),
        "Uploaded": ("True", "Adopted"),
        "Synced": ("True", "InSync"),
        "Linted": ("Unknown", "NotLookedInto"),
        "PropertiesValid": ("True", "PropertiesKnown"),
    }
    made = available_status.available(
        resource, Desired.of(resource.spec), glance_image(resource, id=OTHER), None, None, NOW
    )
    assert conditions(made)["Uploaded"] == ("True", "HashMatched")


def test_the_digest_is_known_before_an_image_is_marked() -> None:
    resource = cloud_image(**ONLY)
    new = status.adopting(resource, Desired.of(resource.spec), NOW)
    assert new.digest == Desired.of(resource.spec).content_key
    assert conditions(new)["Reconciling"] == ("True", "Progressing")


@pytest.mark.parametrize(
    ("reason", "ready"),
    [
        (Reason.IMAGE_DELETED, ("False", "ImageDeleted")),
        (Reason.AMBIGUOUS, ("False", "Ambiguous")),
        (Reason.REVISION_FAILED, ("True", "RevisionFailed")),
        (Reason.CLOUD_UNREACHABLE, ("True", "Available")),
    ],
)
def test_without_an_image_nothing_stays_ready(reason: Reason, ready: tuple[str, str]) -> None:
    resource = cloud_image()
    known = available_status.available(
        resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
    )
    resource = resource.model_copy(update={"status": known})
    obstacle = status.Obstacle(reason, "why", stalled=True, pauses=retry.AWAY)
    assert conditions(status.blocked_by_cloud(resource, obstacle, NOW))["Ready"] == ready


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"name": "n"}, {"name": "n"}),
        ({"visibility": "public", "owner": "p"}, {"visibility": "public", "owner": "p"}),
        ({"owner": "p"}, {"visibility": "all", "owner": "p"}),
        ({"tags": ["b", "a"]}, {"tag": ["a", "b"]}),
    ],
)
def test_a_filter_is_a_query_of_glance(wanted: dict[str, Any], expected: dict[str, Any]) -> None:
    assert lookup.query(ImageFilter.model_validate(wanted)) == expected


def test_a_name_is_not_read_as_a_list_of_names() -> None:
    image = glance_image(cloud_image(), name="a")
    assert lookup.fits(ImageFilter(name="a"), image)
    assert not lookup.fits(ImageFilter(name="in:a,b"), image)


def test_what_is_not_found_is_named_and_so_are_a_few_of_too_many() -> None:
    assert ID in lookup.none_found(Import(id=ID))
    assert "community" in lookup.none_found(Import(filter=ImageFilter(name="n")))
    images = [glance_image(cloud_image(), id=f"id-{number}") for number in range(4)]
    assert "id-0, id-1, id-2, ..." in lookup.several_found(images)
    assert "id-1. " in lookup.several_found(images[:2])


UNMANAGED = {"managementPolicy": "Unmanaged", "source": None, "import": {"id": ID}}


@pytest.mark.parametrize(
    ("state", "ready"),
    [
        ("active", ("True", "Available")),
        ("deactivated", ("False", "Deactivated")),
        ("queued", ("False", "Pending")),
    ],
)
def test_an_observed_image_is_shown_as_it_is(state: str, ready: tuple[str, str]) -> None:
    resource = cloud_image(**UNMANAGED)
    image = glance_image(cloud_image(), status=state, owner="anybody")
    new = available_status.observed(resource, image, None, NOW)
    assert conditions(new) == {"Ready": ready, "Synced": ("True", "Observed")}
    assert (new.image_id, new.size, new.virtual_size) == (image.id, 2 * 2**30, 2 * 2**30)
    assert new.digest is None
    observed = resource.model_copy(update={"status": new})
    if state == "active":
        assert schedule.next_resync(observed, 600) is not None
