"""The status of each situation, and the Events that follow from its transitions."""

from datetime import timedelta

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import CloudImageStatus, TransferProgress
from cloudimage.cloud.models import Server, Usage
from cloudimage.controller.logic import conditions, retry
from cloudimage.controller.logic.conditions import Draft
from cloudimage.controller.logic.events import of_transitions
from cloudimage.credentials.logic import guard
from cloudimage.images.logic import available_status, deletion, status
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Failure, Progress, Stage
from cloudimage.transfer.contract import Reason as TransferReason
from support.image_status import LATER, after, ready, states
from support.resources import NOW, cloud_image, glance_image


def test_starting_says_in_progress_by_kstatus_and_records_the_digest_first() -> None:
    new = status.starting(cloud_image(), Desired.of(cloud_image().spec), None, NOW)
    assert states(new) == {
        "Ready": ("False", "Progressing"),
        "Verified": ("Unknown", "Pending"),
        "Uploaded": ("False", "Progressing"),
        "Synced": ("False", "Pending"),
        "Linted": ("Unknown", "Pending"),
        "PropertiesValid": ("True", "PropertiesKnown"),
        "Reconciling": ("True", "Progressing"),
    }
    assert new.digest
    assert new.observed_generation == 3
    assert new.image_id is None


def test_while_a_replacement_is_made_the_old_image_serves() -> None:
    resource = ready(cloud_image())
    old = glance_image(cloud_image())
    new = status.starting(resource, Desired.of(resource.spec), old, LATER)
    assert states(new)["Ready"] == ("True", "ReplacementPending")
    assert states(new)["Reconciling"] == ("True", "Progressing")
    assert new.image_id == old.id


def test_progress_is_a_share_of_the_stage() -> None:
    resource = after(
        cloud_image(), status.starting(cloud_image(), Desired.of(cloud_image().spec), None, NOW)
    )
    progress = Progress(stage=Stage.UPLOADING, transferred=63, total=100, rate=7.5)
    new = status.transferring(resource, progress)
    assert new.progress is not None
    assert new.progress.to_json() == {
        "stage": "Uploading",
        "percent": 63,
        "transferredBytes": 63,
        "totalBytes": 100,
        "bytesPerSecond": 7,
    }
    assert new.summary is not None
    assert new.summary.progress == "63%"
    assert new.conditions == resource.status.conditions


def test_every_stage_is_in_the_description_of_the_field() -> None:
    description = TransferProgress.model_fields["stage"].description or ""
    assert all(stage in description for stage in Stage)


def test_a_failure_stalls_and_says_when_it_is_tried_again() -> None:
    failure = Failure(
        reason=TransferReason.CHECKSUM_MISMATCH, message="it differs", stage=Stage.VERIFYING
    )
    new = status.failed(cloud_image(), failure, NOW, None)
    assert states(new)["Stalled"] == ("True", "ChecksumMismatch")
    assert states(new)["Verified"] == ("False", "ChecksumMismatch")
    assert states(new)["Ready"] == ("False", "ChecksumMismatch")
    assert new.conditions[0].message.startswith("it differs. Not retried until the spec")
    again = status.failed(cloud_image(), failure, NOW, LATER)
    assert again.conditions[0].message == (
        "it differs. Retried at 03:09:05 UTC, or when the annotation cloudimage.dev/retry gets "
        "a new value."
    )


def test_a_failed_replacement_leaves_the_old_one_ready() -> None:
    resource = ready(cloud_image())
    failure = Failure(reason=TransferReason.SOURCE_NOT_FOUND, message="404", stage=Stage.FETCHING)
    new = status.failed(resource, failure, LATER, LATER)
    assert states(new)["Ready"] == ("True", "RevisionFailed")
    assert states(new)["Stalled"] == ("True", "SourceNotFound")


AWAY = status.Obstacle(Reason.CLOUD_UNREACHABLE, "no answer", stalled=False, pauses=retry.AWAY)


def test_a_cloud_that_is_away_takes_no_readiness() -> None:
    resource = ready(cloud_image())
    new = status.blocked_by_cloud(resource, AWAY, LATER)
    assert states(new)["Ready"] == ("True", "Available")
    assert states(new)["Synced"] == ("Unknown", "CloudUnreachable")
    assert states(new)["Reconciling"] == ("True", "CloudUnreachable")


def test_a_cloud_that_is_away_is_told_once_with_the_time_it_began() -> None:
    resource = cloud_image()
    first = status.blocked_by_cloud(resource, AWAY, NOW)
    for word in ("since 2026-01-02 03:04 UTC", "up to 5 minutes", 'force-delete="true"'):
        assert word in first.conditions[0].message
    assert status.blocked_by_cloud(after(resource, first), AWAY, LATER) == first
    deleted = status.deletion_blocked(
        after(resource, first), Reason.CLOUD_UNREACHABLE, "m", None, LATER
    )
    assert deleted.cloud_unreachable_since == NOW
    again = available_status.available(
        after(resource, first),
        Desired.of(after(resource, first).spec),
        glance_image(resource),
        None,
        None,
        LATER,
    )
    assert again.cloud_unreachable_since is None


def test_a_deletion_that_a_cloud_holds_up_says_since_when_each_time_alike() -> None:
    resource = cloud_image(status={"cloudUnreachableSince": "2026-01-01T10:11:12Z"})
    since = conditions.unreachable_since(resource, Reason.CLOUD_UNREACHABLE, NOW)
    assert conditions.sentences("no answer", since) == (
        "no answer. The cloud has been unreachable since 2026-01-01 10:11 UTC."
    )
    assert conditions.unreachable_since(resource, Reason.FORBIDDEN, NOW) is None
    assert conditions.sentences("no answer!", None) == "no answer!"


def test_each_try_at_a_cloud_that_is_away_is_told_in_the_words_of_the_first() -> None:
    def away_at(resource: CloudImage, message: str, reason: Reason) -> CloudImage:
        obstacle = status.Obstacle(reason, message, stalled=False, pauses=retry.AWAY)
        return resource.model_copy(
            update={"status": status.blocked_by_cloud(resource, obstacle, NOW)}
        )

    first = away_at(cloud_image(), "listing images: no answer", Reason.CLOUD_UNREACHABLE)
    second = away_at(first, "logging in: no answer", Reason.CLOUD_UNREACHABLE)
    assert second.status == first.status
    other = away_at(second, "listing images: what?", Reason.CLOUD_ERROR)
    assert other.status.conditions != first.status.conditions


def test_a_deletion_that_a_cloud_holds_up_says_it_in_the_words_of_the_first_try() -> None:
    def blocked_by(resource: CloudImage, error: str, reason: Reason) -> CloudImage:
        said = conditions.deletion_message(resource, reason, error, NOW)
        new = status.deletion_blocked(resource, reason, said, None, NOW)
        return resource.model_copy(update={"status": new})

    first = blocked_by(cloud_image(), "listing images: no answer", Reason.CLOUD_UNREACHABLE)
    second = blocked_by(first, "logging in: no answer", Reason.CLOUD_UNREACHABLE)
    assert second.status == first.status
    assert "listing images: no answer" in str(first.status.conditions)
    refused = blocked_by(second, "logging in: refused", Reason.INVALID_CREDENTIALS)
    assert "logging in: refused" in str(refused.status.conditions)


def test_a_transition_time_moves_only_with_the_status() -> None:
    first = ready(cloud_image())
    second = available_status.available(
        first, Desired.of(first.spec), glance_image(first), None, None, LATER
    )
    assert {each.last_transition_time for each in second.conditions} == {NOW}
    third = status.starting(first, Desired.of(first.spec), None, LATER)
    times = {each.type: each.last_transition_time for each in third.conditions}
    assert times["Ready"] == LATER


def test_every_condition_carries_the_generation_it_was_computed_from() -> None:
    resource = after(cloud_image(), CloudImageStatus(), generation=9)
    new = available_status.available(
        resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
    )
    assert {each.observed_generation for each in new.conditions} == {9}


def test_each_change_of_fate_is_one_event_and_repeats_none() -> None:
    resource = cloud_image()
    started = after(resource, status.starting(resource, Desired.of(resource.spec), None, NOW))
    done = after(
        started,
        available_status.available(
            started, Desired.of(started.spec), glance_image(started), None, None, LATER
        ),
    )
    begun = list(of_transitions(resource.status.conditions, started.status.conditions))
    ended = list(of_transitions(started.status.conditions, done.status.conditions))
    assert [(each.type, each.reason) for each in begun] == [("Normal", "Progressing")]
    assert [each.reason for each in ended] == ["ChecksumMatched", "HashMatched", "Available"]
    assert not list(of_transitions(done.status.conditions, done.status.conditions))


def test_what_nothing_is_stalled_by_but_somebody_should_hear_of_is_a_warning_once() -> None:
    right = ready(cloud_image())
    wrong = after(cloud_image(image={"properties": {"hw_pmu": "perhaps"}}), right.status)
    drifted = Draft(ConditionType.SYNCED, "False", Reason.DRIFTED, "m")
    image = glance_image(wrong, status="deactivated")
    new = after(
        wrong,
        available_status.available(
            wrong, Desired.of(wrong.spec), image, None, None, LATER, drifted
        ),
    )
    events = list(of_transitions(right.status.conditions, new.status.conditions))
    assert [each.type for each in events] == ["Warning"] * 3
    assert {each.reason for each in events} == {"Deactivated", "Drifted", "InvalidProperties"}
    again = available_status.available(new, Desired.of(new.spec), image, None, None, LATER, drifted)
    assert not list(of_transitions(new.status.conditions, again.conditions))


def test_properties_that_cannot_work_are_a_warning_only() -> None:
    resource = cloud_image(image={"properties": {"hw_pmu": "perhaps"}})
    for new in (
        status.starting(resource, Desired.of(resource.spec), None, NOW),
        available_status.available(
            resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
        ),
    ):
        assert states(new)["PropertiesValid"] == ("False", "InvalidProperties")
    assert states(ready(resource).status)["Ready"] == ("True", "Available")


def test_a_blocked_deletion_names_five_and_counts_all_and_says_so_once() -> None:
    resource = ready(cloud_image())
    servers = tuple(Server(f"id-{n}", f"web-{n}", "p1") for n in range(7))
    blocker = deletion.blocker(resource, glance_image(resource), Usage(servers, "AllProjects"))
    assert blocker is not None
    assert blocker.message.startswith("7 servers use image 11111111")
    assert "web-4" in blocker.message
    assert "web-5" not in blocker.message
    assert "and 2 more" in blocker.message
    first = after(
        resource,
        status.deletion_blocked(resource, blocker.reason, blocker.message, blocker.usage, NOW),
    )
    assert first.status.used_by is not None
    assert first.status.used_by.servers == 7
    assert len(first.status.used_by.sample) == 5
    assert first.status.summary is not None
    assert first.status.summary.in_use == "7"
    words = (blocker.reason, blocker.message, blocker.usage)
    soon = status.deletion_blocked(first, *words, NOW + timedelta(seconds=12))
    assert soon.to_json() == first.status.to_json()
    later = status.deletion_blocked(first, *words, NOW + timedelta(minutes=6))
    assert later.used_by is not None
    assert later.used_by.last_check_time == NOW + timedelta(minutes=6)
    events = list(of_transitions(resource.status.conditions, first.status.conditions))
    assert [(each.type, each.reason) for each in events] == [("Warning", "DeletionBlocked")]
    fewer = status.deletion_blocked(first, blocker.reason, "6 servers use it", None, LATER)
    assert not list(of_transitions(first.status.conditions, fewer.conditions))


@pytest.mark.parametrize(
    ("spec", "held"), [({}, True), ({"protected": True}, True), ({"protected": False}, False)]
)
def test_a_protected_image_is_held_unless_the_spec_lets_it_go(
    spec: dict[str, object], *, held: bool
) -> None:
    resource = cloud_image(image=spec)
    image = glance_image(resource, protected=True)
    assert (deletion.blocker(resource, image, Usage((), "AllProjects")) is not None) is held


@pytest.mark.parametrize(
    ("annotations", "digest", "expected"),
    [
        ({}, "d", False),
        ({}, None, True),
        ({"cloudimage.dev/force-delete": "true"}, "d", True),
        ({"cloudimage.dev/force-delete": "no"}, "d", False),
    ],
)
def test_only_an_untouched_or_forced_object_goes_without_its_cloud(
    annotations: dict[str, str], digest: str | None, *, expected: bool
) -> None:
    resource = cloud_image(annotations=annotations, status={"digest": digest})
    assert guard.needs_no_cloud(resource) is expected
