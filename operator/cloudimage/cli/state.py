"""The state of an object, and when there is nothing left to watch."""

from collections.abc import Collection
from enum import StrEnum

from cloudimage.api.meta import Resource
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic import retry
from cloudimage.controller.logic.conditions import find, is_true


class State(StrEnum):
    """The state that an object's conditions amount to."""

    READY = "Ready"
    """It matches its latest spec."""
    WORKING = "Working"
    """The operator is working on it, or has not seen the latest spec yet."""
    STALLED = "Stalled"
    """Progress is blocked until something changes; it may be retried automatically."""
    GONE = "Gone"
    """It was deleted."""


def state_of(resource: Resource | None) -> State:
    """Return the state of an object; None is one that was deleted."""
    if resource is None:
        return State.GONE
    conditions = resource.status.conditions
    if resource.metadata.deletion_timestamp is not None:
        blocked = is_true(conditions, ConditionType.DELETION_BLOCKED)
        return State.STALLED if blocked else State.WORKING
    if not is_seen(resource):
        return State.WORKING
    if is_true(conditions, ConditionType.STALLED):
        return State.STALLED
    ready = find(conditions, ConditionType.READY)
    served_by_another = ready is not None and ready.reason == Reason.REPLACEMENT_PENDING
    if ready is not None and ready.status == "True" and not served_by_another:
        return State.READY
    return State.WORKING


def is_seen(resource: Resource) -> bool:
    """Return whether the operator has seen the latest spec and the latest request for a retry."""
    current = resource.status.observed_generation == resource.metadata.generation
    return current and retry.asked(resource) is None


def why(resource: Resource) -> tuple[str, str]:
    """Return the reason and the message of what matters most; two empty texts if nothing does."""
    conditions = resource.status.conditions
    for kind in (ConditionType.DELETION_BLOCKED, ConditionType.STALLED):
        condition = find(conditions, kind)
        if condition is not None and condition.status == "True":
            return condition.reason, condition.message
    ready = find(conditions, ConditionType.READY)
    return (ready.reason, ready.message) if ready else ("", "")


def exit_status(states: Collection[State]) -> int | None:
    """Return 0 when all are Ready, 1 when the others cannot become so, None to continue."""
    unfinished = set(states) - {State.READY}
    if not unfinished:
        return 0
    return 1 if unfinished <= {State.STALLED, State.GONE} else None
