"""What the status alone says of a boot test; pure."""

from datetime import datetime, timedelta
from typing import Final

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic.conditions import find

LOOK_SECONDS: Final = 3.0
"""Between two looks at a server."""
LONGEST_END: Final = timedelta(minutes=2)
"""How long anything waits for Nova to delete a server."""
LONGEST_OUTAGE: Final = timedelta(hours=1)
"""The same while Nova cannot be asked; the turn of the test is given back before."""


def is_clear(state: BootTestStatus | None) -> bool:
    """Return whether nothing is to be taken away: it is gone, or Nova does not delete it."""
    if state is None or state.cleanup == "Abandoned":
        return True
    return state.finish_time is not None and state.server_id is None and state.cleanup is None


def ended(state: BootTestStatus, now: datetime) -> BootTestStatus:
    """Return the state of a test that goes no further; it says nothing of the image."""
    if state.finish_time is not None:
        return state
    over = {"result": "Failed", "reason": Reason.PENDING, "finish_time": now}
    return state.model_copy(update={**over, "next_test_time": now, "cleanup": "Pending"})


def has_waited(state: BootTestStatus, now: datetime) -> bool:
    """Return whether a test has been over for so long that it keeps no turn."""
    return state.finish_time is not None and now - state.finish_time >= LONGEST_END


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


def sooner(resource: CloudImage, seconds: float | None) -> float | None:
    """Return the seconds until the next look; soon where a test is to be cleared away before."""
    if is_clear(resource.status.boot_test):
        return seconds
    return LOOK_SECONDS if seconds is None else min(seconds, LOOK_SECONDS)


def may_be_left(resource: CloudImage) -> bool:
    """Return whether an object that is deleted may have a test that is yet to be ended.

    A status that was lost says nothing, and a server may come after Nova has failed to answer.
    """
    return resource.status.boot_test is not None or resource.spec.boot_test is not None
