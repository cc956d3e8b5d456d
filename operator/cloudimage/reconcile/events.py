"""Which changes of an object's conditions are worth an Event: each said once."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from cloudimage.api.meta import Condition
from cloudimage.reconcile.reasons import ConditionType, Reason


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes Event about the object."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


_GOOD_NEWS = frozenset(
    {
        ConditionType.READY,
        ConditionType.VERIFIED,
        ConditionType.UPLOADED,
        ConditionType.RECONCILING,
    }
)


def of_transitions(before: Iterable[Condition], after: Iterable[Condition]) -> Iterator[Event]:
    """Yield an Event for each condition that changed its status or its reason for the reader.

    The conditions are stored with the object, so a restart repeats none of them.
    """
    old = {each.type: (each.status, each.reason) for each in before}
    for now in after:
        if now.status != "True" or old.get(now.type) == (now.status, now.reason):
            continue
        if now.type == ConditionType.STALLED:
            yield Event("Warning", now.reason, now.message)
        elif now.type == ConditionType.DELETION_BLOCKED:
            yield Event("Warning", "DeletionBlocked", now.message)
        elif now.type in _GOOD_NEWS and now.reason != Reason.REPLACEMENT_PENDING:
            yield Event("Normal", now.reason, now.message)
