"""Each kind of source is followed in its own way, or says why it is not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import Reason
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.status import Revision, SourceStatus, TransferProgress
from cloudimage.images.logic import follow_schedule, follow_status, revisions, schedule, status
from cloudimage.images.logic.desired import Desired
from cloudimage.sources.base import SpecSource
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import Failure, Latest, Stage
from cloudimage.transfer.contract import Reason as Failed
from cloudimage.transfer.source.oci.model import OciSource
from support.image_status import after, ready, states
from support.resources import NOW, cloud_image, glance_image

ID = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"
DIGESTS = tuple(f"sha256:{each * 64}" for each in "0123")
MOVING: dict[str, dict[str, Any]] = {
    "oci": {"image": "quay.io/disks/debian:12"},
    "s3": {"bucket": "images", "key": "disk.raw"},
    "swift": {"container": "disks", "object": "disk.raw"},
}
TIMED: dict[str, dict[str, Any]] = {"server": {"id": ID}, "volume": {"name": "data"}}
FIXED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a digest": ("oci", {"image": f"quay.io/a@{DIGESTS[0]}"}, "name a tag alone"),
    "a digest beside a tag": ("oci", {"image": "a:1", "digest": DIGESTS[0]}, "name a tag alone"),
    "a version": ("s3", {**MOVING["s3"], "versionID": "1"}, "remove spec.source.s3.versionID"),
    "a bucket's checksum": (
        "s3",
        {**MOVING["s3"], "checksum": {"sha256": "ab" * 32}},
        "remove spec.source.s3.checksum",
    ),
    "a container's checksum": (
        "swift",
        {**MOVING["swift"], "checksum": {"md5": "ab" * 16}},
        "remove spec.source.swift.checksum",
    ),
    "an id": ("glance", {"id": ID}, "give a name or a filter"),
    "a URL": ("http", {"url": "https://example.org/a"}, "give checksum.from, or an index"),
    "a volume's snapshot": ("volume", {"snapshotID": ID}, "in place of snapshotID"),
    "a file of a person": ("upload", {}, "A person has the file"),
    "a file of a volume": ("persistentVolumeClaim", {"claimName": "a", "path": "b"}, "trigger"),
}


def _image(kind: str, source: dict[str, Any], **follow: Any) -> CloudImage:
    """Return a CloudImage of a source, followed if that is said."""
    plain = cloud_image()
    spec = plain.spec.to_json() | {"source": {kind: source}}
    spec |= {"follow": follow} if follow else {}
    return CloudImage.model_validate({**plain.to_json(), "spec": spec})


def _source(resource: CloudImage) -> SpecSource:
    return source_of(resource.spec)


def _known(resource: CloudImage) -> ResolvedSource | None:
    before = resource.status.resolved_source
    return before if before and before.selector == _source(resource).followed() else None


def _told(resource: CloudImage, version: str) -> CloudImage:
    """Return the object once its source has said which version it has."""
    source = _source(resource)
    found = follow_status.found_by_look(resource, source, Latest(version=version))
    new = follow_status.answered(resource, source, _known(resource), found, NOW)
    return after(resource, new)


def _due(resource: CloudImage, now: datetime) -> CloudImage:
    """Return the object of a server or a volume once the clock was looked at."""
    source, known = _source(resource), _known(resource)
    found = follow_schedule.snapshot_due(resource, source, known, now)
    return after(resource, follow_status.answered(resource, source, known, found, now))


def _served(resource: CloudImage) -> CloudImage:
    resource = ready(resource)
    return after(
        resource,
        follow_status.updated(
            resource,
            Desired.of(resource.spec, resource.status.resolved_source),
            resource.status,
            NOW,
        ),
    )


def _desired(resource: CloudImage) -> Desired:
    return Desired.of(resource.spec, resource.status.resolved_source)


@pytest.mark.parametrize("kind", MOVING)
def test_another_version_is_another_image(kind: str) -> None:
    first = _served(_told(_image(kind, MOVING[kind], every="6h"), DIGESTS[0]))
    assert _desired(first).content_key == Desired.of(first.spec).content_key
    assert _desired(_told(first, DIGESTS[0])) == _desired(first)
    second = _told(first, DIGESTS[1])
    assert _desired(second).content_key != _desired(first).content_key
    assert states(second.status)["UpdateAvailable"] == ("True", "Updating")
    assert follow_status.version_to_be_met(second, _desired(second)) == DIGESTS[1]
    assert _desired(_served(_told(second, DIGESTS[2]))) != _desired(second)


@pytest.mark.parametrize("kind", MOVING)
def test_what_is_followed_from_now_on_is_the_same_image_by_its_version(kind: str) -> None:
    plain = ready(_image(kind, MOVING[kind]))
    known = plain.status.model_copy(update={"source": SourceStatus(version=DIGESTS[0])})
    followed = after(_image(kind, MOVING[kind], every="6h"), known)
    told = _told(followed, DIGESTS[0])
    assert _desired(told).content_key == Desired.of(plain.spec).content_key
    moved = _told(followed, DIGESTS[1])
    assert _desired(moved).content_key != Desired.of(plain.spec).content_key
    reported = after(_image(kind, MOVING[kind], every="6h", policy="Report"), known)
    said = _told(reported, DIGESTS[1]).status
    assert states(said)["UpdateAvailable"] == ("True", "UpdateReported")
    assert said.resolved_source is None


@pytest.mark.parametrize("kind", MOVING)
def test_a_version_that_is_no_image_is_for_good_where_it_is_followed(kind: str) -> None:
    resource = _image(kind, MOVING[kind], every="6h")
    reason, stage = Reason.SOURCE_NOT_AN_IMAGE, Stage.INSPECTING
    assert not schedule.is_terminal(Desired.of(resource.spec), reason, stage)
    assert schedule.is_terminal(_desired(_told(resource, DIGESTS[0])), reason, stage)


def test_a_tag_is_asked_for_and_its_digest_is_fetched() -> None:
    told = _told(_image("oci", MOVING["oci"], every="6h"), DIGESTS[0])
    source = _desired(told).source
    assert source is not None
    transfer, look = source.request(), source.unresolved()
    assert isinstance(transfer, OciSource)
    assert isinstance(look, OciSource)
    assert (transfer.digest, look.digest) == (DIGESTS[0], None)
    assert source.location() == f"quay.io/disks/debian:12@{DIGESTS[0]}"
    by_hand = _image("oci", MOVING["oci"] | {"digest": DIGESTS[1]})
    moved = _told(_served(told), DIGESTS[1])
    assert _desired(moved).content_key == Desired.of(by_hand.spec).content_key


@pytest.mark.parametrize(("kind", "source", "why"), FIXED.values(), ids=FIXED)
def test_what_cannot_change_says_why(kind: str, source: dict[str, Any], why: str) -> None:
    resource = ready(_image(kind, source, every="6h"))
    assert _source(resource).followed() is None
    fixed = _source(resource).why_fixed()
    new = follow_status.prepared(resource, NOW, fixed=fixed)
    assert states(new)["Following"] == ("False", "NotFollowable")
    [message] = [each.message for each in new.conditions if each.type == "Following"]
    assert why in message
    assert message.endswith("otherwise remove spec.follow.")


@pytest.mark.parametrize("kind", [*MOVING, *TIMED])
def test_what_can_change_has_no_reason_why_not(kind: str) -> None:
    source = _source(_image(kind, (MOVING | TIMED)[kind]))
    assert source.followed() is not None
    assert source.why_fixed() == ""
    assert source.selector() is None


@pytest.mark.parametrize("kind", TIMED)
def test_a_snapshot_is_due_once_at_each_time(kind: str) -> None:
    begun = datetime(2026, 3, 4, 12, 34, 56, tzinfo=UTC)
    first = _due(_image(kind, TIMED[kind], schedule="0 3 * * *", timeZone="Asia/Tokyo"), begun)
    assert _desired(first).content_key == Desired.of(first.spec).content_key
    assert first.status.resolved_source is not None
    assert first.status.resolved_source.version == "2026-03-04T12:34:56Z"
    first = _served(first)
    due = datetime(2026, 3, 4, 18, tzinfo=UTC)
    assert first.status.follow is not None
    assert first.status.follow.next_check_time == due

    key = _desired(first).content_key
    assert _desired(_due(first, due - timedelta(seconds=1))).content_key == key
    keys = set()
    for late in (timedelta(0), timedelta(milliseconds=1), timedelta(hours=23, minutes=59)):
        # As it is after a restart that has lost what was written since.
        again = _due(first, due + late)
        assert again.status.follow is not None
        assert again.status.resolved_source.version == "2026-03-04T18:00:00Z"
        keys.add(_desired(again).content_key)
        keys.add(_desired(_due(again, due + late)).content_key)
    assert len(keys) == 1
    assert keys != {key}


def test_times_that_have_passed_make_one_snapshot() -> None:
    first = _served(_due(_image("server", TIMED["server"], every="1h"), NOW))
    late = _due(first, NOW + timedelta(days=3))
    assert late.status.resolved_source is not None
    assert late.status.resolved_source.version > "2026-01-05T02:04:05Z"
    back = _due(_served(late), NOW)
    assert back.status.resolved_source == late.status.resolved_source
    assert states(back.status)["Following"] == ("True", "Asked")


def test_another_trigger_is_one_snapshot_and_no_more() -> None:
    first = _served(_due(_image("server", TIMED["server"], every="1h"), NOW))
    later = _served(_due(first, NOW + timedelta(hours=2)))
    source = TIMED["server"] | {"trigger": "2"}
    changed = after(_image("server", source, every="1h"), later.status)
    told = _due(changed, NOW + timedelta(hours=2))
    assert _desired(told).content_key == Desired.of(changed.spec).content_key
    how = TIMED["server"] | {"stopFirst": True}
    other_way = after(_image("server", how, every="1h"), later.status)
    assert _desired(other_way).content_key == _desired(later).content_key


def test_a_lost_image_of_a_snapshot_is_not_taken_again_by_itself() -> None:
    later = _due(_served(_due(_image("server", TIMED["server"], every="1h"), NOW)), NOW)
    made = Revision(
        image_id=ID,
        digest=_desired(later).content_key,
        current=True,
        created=NOW,
        source_checksum=f"sha256:{'1' * 64}",
    )
    lost = after(later, later.status.model_copy(update={"revisions": (made,)}))
    pinned = revisions.to_be_met(lost, _desired(lost))
    assert pinned is not None
    assert pinned.value == "1" * 64


def _failed_for_good(resource: CloudImage) -> CloudImage:
    failure = Failure(reason=Failed.SOURCE_NOT_AN_IMAGE, message="no", stage=Stage.INSPECTING)
    begun = resource.status.model_copy(update={"progress": TransferProgress(stage=Stage.PENDING)})
    return after(resource, status.failed(after(resource, begun), failure, NOW, None))


@pytest.mark.parametrize("policy", ["Apply", "Report"])
def test_a_first_image_that_failed_for_good_waits_for_another_version(policy: str) -> None:
    told = _told(_image("oci", MOVING["oci"], every="6h", policy=policy), DIGESTS[0])
    failed = _failed_for_good(told)
    assert schedule.has_failed_for_good(failed, _desired(failed))
    assert follow_schedule.until_check(failed, NOW) == pytest.approx(21600, abs=21600)
    same = _told(failed, DIGESTS[0])
    assert _desired(same) == _desired(failed)
    assert schedule.has_failed_for_good(same, _desired(same))
    other = _told(same, DIGESTS[1])
    assert _desired(other).content_key != _desired(failed).content_key
    assert not schedule.has_failed_for_good(other, _desired(other))
    assert follow_status.given_up(other, "no", NOW) is None


def test_a_first_image_that_is_not_followed_waits_for_its_spec() -> None:
    failed = _failed_for_good(_image("oci", {"image": f"quay.io/a@{DIGESTS[0]}"}))
    assert schedule.has_failed_for_good(failed, _desired(failed))
    assert follow_schedule.until_check(failed, NOW) is None


def test_an_image_of_a_name_that_is_followed_fails_for_good() -> None:
    reason, stage = Reason.UNSAFE_IMAGE, Stage.INSPECTING
    desired = Desired.of(_image("glance", {"name": "debian"}).spec)
    assert not schedule.is_terminal(desired, reason, stage)
    assert schedule.is_terminal(desired, reason, stage, followed=True)


@pytest.mark.parametrize(
    ("reason", "at_once"),
    [(Reason.SOURCE_CHANGED, True), (Reason.SOURCE_NOT_FOUND, True), (Reason.UNSAFE_IMAGE, False)],
)
def test_a_source_that_has_gone_on_is_asked_at_once(reason: Reason, *, at_once: bool) -> None:
    told = _told(_image("s3", MOVING["s3"], every="6h"), "1")
    asked = follow_status.asked_after(told, reason)
    assert asked.status.follow is not None
    assert (asked.status.follow.next_check_time is None) is at_once


def test_only_what_is_followed_is_made_by_a_list_that_is_kept() -> None:
    told = _told(_image("s3", MOVING["s3"], every="6h"), "1")
    assert follow_schedule.kept_age(told) == 3 * 3600
    changed = follow_status.asked_after(told, Reason.CHECKSUM_MISMATCH)
    assert follow_schedule.kept_age(changed) == 0
    assert follow_schedule.kept_age(_image("s3", MOVING["s3"])) is None


def test_an_update_that_was_found_does_not_wait_for_a_resync() -> None:
    """Also where the operator was killed before it began."""
    first = _served(_told(_image("oci", MOVING["oci"], every="6h"), DIGESTS[0]))
    assert schedule.next_resync(first, 1e9) is not None
    updating = _told(first, DIGESTS[1])
    assert schedule.next_resync(updating, 1e9) is None
    assert schedule.next_resync(_served(updating), 1e9) is not None


def test_a_revision_has_its_version_also_where_the_result_was_lost() -> None:
    told = _told(_image("oci", MOVING["oci"], every="6h"), DIGESTS[0])
    assert told.status.source is None
    [made] = revisions.listed(told.status, _desired(told), glance_image(told), ()).revisions
    assert made.version == DIGESTS[0]
    assert made.source == f"quay.io/disks/debian:12@{DIGESTS[0]}"


def test_a_condition_that_has_failed_for_good_is_of_one_version() -> None:
    failed = _failed_for_good(_told(_image("s3", MOVING["s3"], every="6h"), "1"))
    assert "Stalled" in states(failed.status)
    assert "Stalled" in states(_told(failed, "1").status)
    assert "Stalled" not in states(_told(failed, "2").status)
