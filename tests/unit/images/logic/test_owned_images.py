"""Which images are ours, what they are good for, and when a transfer starts."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.api.follow import FollowStatus
from cloudimage.api.reasons import TERMINAL_REASONS, ConditionType, Reason
from cloudimage.controller.logic.conditions import Draft
from cloudimage.images.logic import available_status, owned_images, schedule, transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Reason as TransferReason
from cloudimage.transfer.contract import Stage
from cloudimage.vocabulary.marks import Marks
from support.resources import NOW, UID, cloud_image, glance_image


def test_a_complete_image_of_the_wanted_content_is_current() -> None:
    resource = cloud_image()
    image = glance_image(resource)
    assert owned_images.classify(
        resource, Desired.of(resource.spec), [image]
    ) == owned_images.OwnedImages(image, (), ())


def test_a_snapshot_that_inherited_our_marks_is_not_ours() -> None:
    resource = cloud_image()
    ours = glance_image(resource)
    snapshot = glance_image(resource, id="22222222-2222-4222-8222-222222222222")
    snapshot = glance_image(
        resource, id=snapshot.id, properties={Marks.IMAGE_ID: ours.id, "image_type": "snapshot"}
    )
    assert owned_images.classify(resource, Desired.of(resource.spec), [ours, snapshot]).all == (
        ours,
    )


@pytest.mark.parametrize(
    "unfinished",
    [{"status": "queued"}, {"status": "saving"}, {"properties": {Marks.VERIFIED: None}}],
)
def test_an_unfinished_image_is_a_leftover(unfinished: dict[str, object]) -> None:
    resource = cloud_image()
    image = glance_image(resource, **unfinished)
    assert owned_images.classify(
        resource, Desired.of(resource.spec), [image]
    ) == owned_images.OwnedImages(None, (), (image,))


def test_an_image_of_an_earlier_spec_is_previous() -> None:
    old = glance_image(cloud_image(http={"checksum": {"sha256": "00" * 32}}))
    assert owned_images.classify(
        cloud_image(), Desired.of(cloud_image().spec), [old]
    ) == owned_images.OwnedImages(None, (old,), ())


def test_of_two_equal_images_the_one_that_users_know_stays() -> None:
    known = "99999999-9999-4999-8999-999999999999"
    resource = cloud_image(status={"imageID": known})
    images = [glance_image(resource), glance_image(resource, id=known)]
    owned = owned_images.classify(resource, Desired.of(resource.spec), images)
    assert owned.current == images[1]
    assert owned.previous == (images[0],)


def test_a_deactivated_image_is_complete() -> None:
    resource = cloud_image()
    image = glance_image(resource, status="deactivated")
    assert owned_images.classify(resource, Desired.of(resource.spec), [image]).current == image


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"http": {"url": "https://mirror.example.net/debian-12.qcow2"}}, True),
        ({"http": {"checksum": {"sha256": "00" * 32}}}, False),
        ({"http": {"checksum": {"sha256": "AB" * 32}}}, True),
        ({"image": {"diskFormat": "qcow2"}}, False),
        ({"image": {"containerFormat": "ovf"}}, False),
        ({"image": {"name": "other", "tags": ["a"], "minDiskGiB": 7}}, True),
    ],
)
def test_the_digest_changes_with_the_bytes_and_only_with_them(
    change: dict[str, dict[str, object]], *, same: bool
) -> None:
    changed = cloud_image(**change)  # type: ignore[arg-type]  # the keywords differ by row
    assert (
        Desired.of(cloud_image().spec).content_key == Desired.of(changed.spec).content_key
    ) is same


def test_other_stores_are_another_image_and_their_order_is_not() -> None:
    def digest(*stores: str, method: str = "Auto") -> str:
        wanted = {"method": method, **({"stores": stores} if stores else {})}
        return Desired.of(cloud_image(**{"import": wanted}).spec).content_key

    assert digest("a", "b") == digest("b", "a")
    assert len({digest(), digest("a"), digest("a", "b")}) == 3
    # What was made before stores counted stays, and by which way the bytes went changes none.
    assert digest() == digest(method="Upload") == Desired.of(cloud_image().spec).content_key


def test_without_a_checksum_the_url_is_the_content() -> None:
    def digest(url: str) -> str:
        return Desired.of(cloud_image(http={"url": url, "checksum": None}).spec).content_key

    assert digest("https://example.org/a") != digest("https://example.org/b")


def test_the_new_image_carries_marks_that_no_property_of_the_spec_can_take() -> None:
    forged = cloud_image(image={"properties": {Marks.UID: "forged", "a": "b"}})
    image = transfer_request.new_image(forged, Desired.of(forged.spec), "debian-12")
    assert image.properties[Marks.UID] == UID
    assert image.properties["a"] == "b"
    assert image.id_seed.startswith(UID)


@pytest.mark.parametrize(
    ("reason", "generation", "expected"),
    [
        (Reason.UNSAFE_IMAGE, 3, True),
        (Reason.UNSAFE_IMAGE, 2, False),
        (Reason.CHECKSUM_MISMATCH, 3, False),
        (Reason.SOURCE_UNREACHABLE, 3, False),
        (Reason.SECRET_NOT_FOUND, 3, False),
    ],
)
def test_only_a_terminal_reason_of_this_very_spec_is_given_up(
    reason: Reason, generation: int, *, expected: bool
) -> None:
    condition = {
        "type": "Stalled",
        "status": "True",
        "reason": reason,
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": generation,
    }
    status = {"conditions": [condition], "progress": {"stage": "Inspecting"}}
    resource = cloud_image(status=status)
    assert schedule.has_failed_for_good(resource, Desired.of(resource.spec)) is expected


LISTED = {"checksum": {"from": {"url": "https://example.org/SHA256SUMS"}}}


@pytest.mark.parametrize(
    ("reason", "stage", "http", "expected"),
    [
        # A page, an empty body or a limit that a server's header is over: no byte is proven.
        (Reason.SOURCE_NOT_AN_IMAGE, Stage.FETCHING, {}, False),
        (Reason.IMAGE_TOO_LARGE, Stage.FETCHING, {}, False),
        # A mirror in the middle of an update, whoever wrote the checksum.
        (Reason.CHECKSUM_MISMATCH, Stage.FETCHING, {}, False),
        (Reason.CHECKSUM_MISMATCH, Stage.UPLOADING, LISTED, False),
        # The right bytes are bad.
        (Reason.SOURCE_NOT_AN_IMAGE, Stage.EXPANDING, {}, True),
        (Reason.UNSAFE_IMAGE, Stage.INSPECTING, {}, True),
        (Reason.UNSAFE_IMAGE, Stage.INSPECTING, LISTED, True),
        (Reason.IMAGE_TOO_LARGE, Stage.INSPECTING, {}, True),
        (Reason.UNSUPPORTED_FORMAT, Stage.CONVERTING, {}, True),
        # Nothing proves them.
        (Reason.UNSAFE_IMAGE, Stage.INSPECTING, {"checksum": None}, False),
        (Reason.SOURCE_NOT_AN_IMAGE, Stage.INSPECTING, {"checksum": None}, False),
        # Glance says so, after an upload.
        (Reason.IMAGE_TOO_LARGE, Stage.UPLOADING, {"checksum": None}, True),
    ],
)
def test_only_what_proven_bytes_show_is_given_up(
    reason: Reason, stage: Stage, http: dict[str, Any], *, expected: bool
) -> None:
    desired = Desired.of(cloud_image(http=http).spec)
    assert schedule.is_terminal(desired, reason, stage) is expected


def test_a_settled_object_is_due_by_its_own_share_of_the_period() -> None:
    resource = cloud_image()
    assert schedule.next_resync(resource, 600) is None
    new = available_status.available(
        resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
    )
    settled = resource.model_copy(update={"status": new})
    due = schedule.next_resync(settled, 600)
    assert due is not None
    assert 480 <= (due - NOW).total_seconds() <= 720
    assert schedule.next_resync(settled, 600) == due
    other = settled.metadata.model_copy(update={"uid": UID[:-1] + "9"})
    assert schedule.next_resync(settled.model_copy(update={"metadata": other}), 600) != due
    edited = settled.metadata.model_copy(update={"generation": 4})
    assert schedule.next_resync(settled.model_copy(update={"metadata": edited}), 600) is None


@pytest.mark.parametrize(
    ("state", "drafts", "settled"),
    [
        ("active", (), True),
        ("deactivated", (), True),
        ("active", (Draft(ConditionType.SYNCED, "False", Reason.DRIFTED, "m"),), True),
        ("active", (Draft(ConditionType.SYNCED, "False", Reason.REFERENCE_NOT_READY, "m"),), True),
        ("active", (Draft(ConditionType.SYNCED, "Unknown", Reason.CLOUD_ERROR, "m"),), False),
        ("active", (Draft(ConditionType.READY, "False", Reason.PROGRESSING, "m"),), False),
    ],
)
def test_what_waits_for_others_is_looked_at_when_it_is_due_like_the_rest(
    state: str, drafts: tuple[Draft, ...], *, settled: bool
) -> None:
    resource = cloud_image()
    image = glance_image(resource, status=state)
    new = available_status.available(
        resource, Desired.of(resource.spec), image, None, None, NOW, *drafts
    )
    due = schedule.next_resync(resource.model_copy(update={"status": new}), 600)
    assert (due is not None) is settled


@pytest.mark.parametrize(("late", "seconds"), [(-90.0, 90.0), (0.0, 1.0), (30.0, 1.0)])
def test_what_came_due_during_a_look_is_looked_at_next(late: float, seconds: float) -> None:
    resource = cloud_image(follow={"every": "1m"})
    new = available_status.available(
        resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
    )
    check = FollowStatus(next_check_time=NOW)
    settled = resource.model_copy(update={"status": new.model_copy(update={"follow": check})})
    moment = NOW + timedelta(seconds=late)
    assert schedule.until_next_look(settled, 1800, moment) == seconds
    assert schedule.until_next_look(resource, 1800, moment) == 1800


def test_every_reason_of_a_transfer_is_a_documented_reason_of_conditions() -> None:
    assert {each.value for each in TransferReason} <= {each.value for each in Reason}


def test_what_passes_by_itself_is_not_terminal() -> None:
    passing = {
        Reason.CHECKSUM_MISMATCH,
        Reason.SOURCE_UNREACHABLE,
        Reason.SOURCE_TRUNCATED,
        Reason.CLOUD_UNREACHABLE,
        Reason.INSUFFICIENT_SCRATCH,
        Reason.INTERRUPTED,
        Reason.SECRET_NOT_FOUND,
        # Fixed elsewhere than in the spec: in a Secret, a ConfigMap, or the cloud.
        Reason.SOURCE_REFUSED,
        Reason.SIGNATURE_INVALID,
        Reason.SUMS_FILE_INVALID,
        Reason.QUOTA_EXCEEDED,
    }
    assert not passing & TERMINAL_REASONS


def test_other_images_of_the_same_name_are_named() -> None:
    image = glance_image(cloud_image())
    alone = owned_images.name_draft(image, [image])
    assert (alone.status, alone.reason) == ("True", "Unique")
    other = glance_image(cloud_image(), id="another", owner="stranger")
    draft = owned_images.name_draft(image, [other, image])
    assert (draft.status, draft.reason) == ("False", "NameNotUnique")
    assert "another (project stranger)" in draft.message
    assert image.id not in draft.message
