"""What the status alone says of a boot test; pure."""

from datetime import datetime, timedelta
from typing import Final

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import BOOT_VERDICTS, ConditionType, Reason
from cloudimage.controller.logic.conditions import find

LONGEST_END: Final = timedelta(minutes=2)
"""How long a deletion waits for Nova to delete a server."""


def is_clear(state: BootTestStatus | None) -> bool:
    """Return whether a test has left nothing in the cloud."""
    return state is None or (state.finish_time is not None and state.server_id is None)


def retried(state: BootTestStatus | None, now: datetime) -> BootTestStatus | None:
    """Return the state once a person asks for another try: what has failed is due at once."""
    if state is None or state.result != "Failed":
        return state
    return state.model_copy(update={"reason": Reason.PENDING, "next_test_time": now})


def next_look(resource: CloudImage) -> datetime | None:
    """Return when the image that is in use is tested again, as far as the status says."""
    state = resource.status.boot_test if resource.spec.boot_test else None
    return state.next_test_time if state else None


def is_under_way(resource: CloudImage) -> bool:
    """Return whether a test waits, runs, or has something to clear away, and must be looked at."""
    state = resource.status.boot_test
    if resource.spec.boot_test is None:
        return state is not None
    return not is_clear(state) or not is_told(resource)


def is_told(resource: CloudImage) -> bool:
    """Return whether the condition Booted says what came of a test."""
    booted = find(resource.status.conditions, ConditionType.BOOTED)
    return booted is not None and booted.status != "Unknown"


def may_be_left(resource: CloudImage) -> bool:
    """Return whether an object that is deleted may have a test that is yet to be ended.

    A status that was lost says nothing: then the spec counts.
    """
    state = resource.status.boot_test
    return not is_clear(state) or (state is None and resource.spec.boot_test is not None)


def was_waited_for(resource: CloudImage, now: datetime) -> bool:
    """Return whether a deletion has waited for the end of a test as long as it may."""
    since = resource.metadata.deletion_timestamp
    return since is None or now - since >= LONGEST_END


def is_to_be_settled(resource: CloudImage) -> bool:
    """Return whether a test that has failed leaves something to do: to clear away, or to give up.

    A version that is followed is given up where there is one before it.
    """
    stalled = find(resource.status.conditions, ConditionType.STALLED)
    follow = resource.status.follow if resource.spec.follow else None
    given_up = follow is None or follow.previous is None
    failed = stalled is not None and stalled.reason in BOOT_VERDICTS
    return not is_clear(resource.status.boot_test) or (failed and not given_up)
