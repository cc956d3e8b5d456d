"""When to compare a CloudImage with Glance again, and which failures are final."""

import uuid
from datetime import datetime, timedelta

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import TERMINAL_REASONS, ConditionType, Reason
from cloudimage.controller.logic.conditions import find, is_true
from cloudimage.images.logic.desired import Desired


def is_terminal(desired: Desired, reason: str) -> bool:
    """Return whether this spec would meet the failure again, whatever others do meanwhile.

    A publisher's checksum file can change with the next build.
    """
    if reason == Reason.CHECKSUM_MISMATCH and desired.source is not None:
        return not desired.source.proof().listed
    return reason in TERMINAL_REASONS


def spec_changed(resource: CloudImage) -> bool:
    """Return whether the spec is another than the status was last decided from.

    While a transfer runs that is its own spec: the cause of its failure may no longer hold.
    """
    return resource.status.observed_generation != resource.metadata.generation


def has_failed_for_good(resource: CloudImage, desired: Desired) -> bool:
    """Return whether this very spec has failed for good, so that only a change of it helps."""
    stalled = find(resource.status.conditions, ConditionType.STALLED)
    return (
        stalled is not None
        and stalled.status == "True"
        and is_terminal(desired, stalled.reason)
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
    status = resource.status
    settled = (
        status.observed_generation == resource.metadata.generation
        and _stands(resource, ConditionType.READY)
        and _stands(resource, ConditionType.SYNCED)
        and not is_true(status.conditions, ConditionType.RECONCILING)
        and not is_true(status.conditions, ConditionType.STALLED)
    )
    if not settled or status.last_sync_time is None:
        return None
    share = uuid.UUID(resource.metadata.uid).int % 1000 / 1000
    return status.last_sync_time + timedelta(seconds=period * (0.8 + 0.4 * share))


_OTHERS_TURN = frozenset({Reason.DEACTIVATED, Reason.DRIFTED, Reason.REFERENCE_NOT_READY})
"""Nothing is left to do here: what ends it is seen at the next comparison, or told."""


def _stands(resource: CloudImage, kind: ConditionType) -> bool:
    """Return whether a condition is as it stays until somebody else does something."""
    condition = find(resource.status.conditions, kind)
    return condition is not None and (
        condition.status == "True" or condition.reason in _OTHERS_TURN
    )
