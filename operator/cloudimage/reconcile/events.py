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


_GOOD_NEWS = (
    ConditionType.RECONCILING,
    ConditionType.VERIFIED,
    ConditionType.UPLOADED,
    ConditionType.READY,
)
_SAID_OTHERWISE = frozenset({Reason.REPLACEMENT_PENDING, Reason.REVISION_FAILED, Reason.DELETING})


def of_transitions(before: Iterable[Condition], after: Iterable[Condition]) -> Iterator[Event]:
    """Yield an Event for each condition that became True, or is so for another reason.

    They come in the order in which things happened. The conditions are stored with the object,
    so a restart repeats none of them.
    """
    old = {each.type: (each.status, each.reason) for each in before}
    news = {
        each.type: each
        for each in after
        if each.status == "True" and old.get(each.type) != (each.status, each.reason)
    }
    for kind in _GOOD_NEWS:
        if kind in news and news[kind].reason not in _SAID_OTHERWISE:
            yield Event("Normal", news[kind].reason, news[kind].message)
    if stalled := news.get(ConditionType.STALLED):
        yield Event("Warning", stalled.reason, stalled.message)
    if blocked := news.get(ConditionType.DELETION_BLOCKED):
        yield Event("Warning", "DeletionBlocked", blocked.message)
