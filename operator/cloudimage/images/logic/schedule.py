"""When to compare a CloudImage with Glance again, and which failures are final."""

import uuid
from datetime import datetime, timedelta
from typing import Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import (
    BOOT_VERDICTS,
    TERMINAL_IF_PROVEN,
    TERMINAL_REASONS,
    ConditionType,
    Reason,
)
from cloudimage.api.status import CloudImageStatus
from cloudimage.controller.logic.conditions import find, is_true
from cloudimage.images.logic import boot_test_state
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Stage

_PROVEN_BY: Final = frozenset(
    {
        Stage.EXPANDING,
        Stage.INSPECTING,
        Stage.CUSTOMIZING,
        Stage.CONVERTING,
        Stage.UPLOADING,
        Stage.COMPLETE,
    }
)
"""Stages at which the checksum and the signature, if there are any, were found to be right."""

_SHORTEST_SECONDS: Final = 1.0


def is_terminal(
    desired: Desired, reason: str, stage: str | None = None, *, followed: bool = False
) -> bool:
    """Return whether this spec would meet the failure again, whatever others do meanwhile.

    What a server sent once is not for ever: it may be repaired, or a mirror in the middle of an
    update. Only bytes that are proven to be the right ones would come again.

    Args:
        desired: What the spec wants.
        reason: Of the failure.
        stage: Of the transfer, when it failed; None: it was none of a transfer.
        followed: Another version of the source is told by spec.follow.
    """
    if reason not in TERMINAL_IF_PROVEN:
        return reason in TERMINAL_REASONS
    if reason == Reason.IMAGE_TOO_LARGE and stage == Stage.UPLOADING:
        return True  # Glance refused it; to find out costs an upload each time
    source = desired.source
    if source is None:
        return False
    if not followed and source.selector() is not None and source.is_current():
        return False  # a name may come to mean other bytes
    proof = source.proof()
    return stage in _PROVEN_BY and proof.is_given and proof.lasting


def spec_changed(resource: CloudImage) -> bool:
    """Return whether the spec is another than the status was last decided from.

    While a transfer runs that is its own spec: the cause of its failure may no longer hold.
    """
    return resource.status.observed_generation != resource.metadata.generation


def needs_no_look(resource: CloudImage, desired: Desired) -> bool:
    """Return whether no image can be made of this very spec, and a test has left nothing."""
    is_clear = boot_test_state.is_clear(resource.status.boot_test)
    return is_clear and is_not_to_be_made(resource, desired)


def is_not_to_be_made(resource: CloudImage, desired: Desired) -> bool:
    """Return whether a transfer of this very spec has failed for good, whatever a test has left.

    After a verdict of a test there is an image, which is looked at like any: what it refers to, or
    the image that serves meanwhile, may become another one.
    """
    stalled = find(resource.status.conditions, ConditionType.STALLED)
    by_test = stalled is not None and stalled.reason in BOOT_VERDICTS
    return not by_test and has_failed_for_good(resource, desired)


def has_failed_for_good(resource: CloudImage, desired: Desired) -> bool:
    """Return whether a transfer or a boot test of this very spec has failed for good.

    Only a change of it helps, or another version of a source that is followed.
    """
    stalled = find(resource.status.conditions, ConditionType.STALLED)
    progress = resource.status.progress
    stage, followed = progress.stage if progress else None, resource.spec.follow is not None
    return (
        stalled is not None
        and stalled.status == "True"
        and is_terminal(desired, stalled.reason, stage, followed=followed)
        and stalled.observed_generation == resource.metadata.generation
    )


def next_resync(resource: CloudImage, period: float) -> datetime | None:
    """Return when a settled object is due to be compared with Glance; None: it is not settled.

    The time of the last comparison is in the status, so that a restart of the operator wakes
    nothing before its time.

    Args:
        resource: The CloudImage.
        period: Seconds between comparisons, give or take a fifth: each object has a share of its
            own, so that many which were made together do not come back together.
    """
    due, tested = _resync(resource, period), boot_test_state.next_look(resource)
    return due if due is None or tested is None else min(due, tested)


def _resync(resource: CloudImage, period: float) -> datetime | None:
    return None if boot_test_state.is_under_way(resource) else _comparison(resource, period)


def is_compared(resource: CloudImage, period: float, now: datetime) -> bool:
    """Return whether the image in use needs nothing but its boot test, if it is under way.

    Args:
        resource: The CloudImage.
        period: Seconds between comparisons of a settled object.
        now: The present.
    """
    due = _comparison(resource, period)
    return due is not None and now < due


def _comparison(resource: CloudImage, period: float) -> datetime | None:
    status = resource.status
    settled = (
        status.observed_generation == resource.metadata.generation
        and _stands(resource, ConditionType.READY)
        and _stands(resource, ConditionType.SYNCED)
        and not is_true(status.conditions, ConditionType.RECONCILING)
        and not is_true(status.conditions, ConditionType.STALLED)
        and not is_updating(status)
    )
    if not settled or status.last_sync_time is None:
        return None
    due = status.last_sync_time + timedelta(seconds=period * (0.8 + 0.4 * share_of(resource)))
    follow = status.follow if resource.spec.follow else None
    if follow is not None and follow.next_check_time is not None:
        return min(due, follow.next_check_time)
    return due


def until_next_look(resource: CloudImage, period: float, now: datetime) -> float:
    """Return the seconds until the next look at an object that was just looked at.

    Its boot test, which that look knew of, is not counted.

    Args:
        resource: The CloudImage.
        period: Seconds between comparisons of a settled object, and of one that waits for others.
        now: The present.
    """
    due = _resync(resource, period)
    if due is None:
        return period
    # What came due during the look is next, and not a period later.
    return max(_SHORTEST_SECONDS, (due - now).total_seconds())


def is_updating(status: CloudImageStatus) -> bool:
    """Return whether a version that was found is to be made, and its image does not serve yet.

    It is written down before anything else is: a restart in between must not wait for a resync.
    """
    told = find(status.conditions, ConditionType.UPDATE_AVAILABLE)
    return told is not None and told.reason == Reason.UPDATING


def share_of(resource: CloudImage) -> float:
    """Return a number between 0 and 1 that is the object's own for ever."""
    return uuid.UUID(resource.metadata.uid).int % 1000 / 1000


_OTHERS_TURN = frozenset(
    {
        Reason.DEACTIVATED,
        Reason.DRIFTED,
        Reason.REFERENCE_NOT_READY,
        Reason.TEMPLATE_NOT_FILLED,
    }
)
"""Nothing is left to do here: what ends it is seen at the next comparison, or told."""


def _stands(resource: CloudImage, kind: ConditionType) -> bool:
    """Return whether a condition is as it stays until somebody else does something."""
    condition = find(resource.status.conditions, kind)
    return condition is not None and (
        condition.status == "True" or condition.reason in _OTHERS_TURN
    )
