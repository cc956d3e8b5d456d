"""Which changes of conditions are worth an Event; each is posted once."""

from collections.abc import Iterable, Iterator

from cloudimage.api.meta import Condition, Event
from cloudimage.api.reasons import ConditionType, Reason, ShareCondition, ShareReason

_GOOD_NEWS = (
    ConditionType.RECONCILING,
    ConditionType.VERIFIED,
    ConditionType.UPLOADED,
    ConditionType.READY,
    ConditionType.UPDATE_AVAILABLE,
    ConditionType.BOOTED,
    ShareCondition.ACCEPTED,
)
_SAID_OTHERWISE = frozenset(
    {Reason.REPLACEMENT_PENDING, Reason.REVISION_FAILED, Reason.DELETING, Reason.UPDATE_FAILED}
)
_BAD_NEWS = frozenset(
    {
        Reason.DEACTIVATED,
        Reason.DRIFTED,
        Reason.INVALID_PROPERTIES,
        Reason.NO_CHECKSUM,
        Reason.NAME_NOT_UNIQUE,
        Reason.UPDATE_FAILED,
        Reason.TEMPLATE_NOT_FILLED,
        Reason.PROVENANCE_INCOMPLETE,
        Reason.CONFIG_MAP_CONFLICT,
        Reason.CONFIG_MAP_FORBIDDEN,
        Reason.CONFIG_MAP_REFUSED,
        ShareReason.REJECTED,
    }
)
"""Reasons that somebody has to hear of, since nothing is Stalled by them."""


def of_transitions(before: Iterable[Condition], after: Iterable[Condition]) -> Iterator[Event]:
    """Yield an Event for each condition that became True, or is so for another reason.

    Of those that became False only some are news: the others are said by Stalled.

    They come in the order in which things happened. The conditions are stored with the object,
    so a restart repeats none of them.
    """
    after = tuple(after)
    old = {each.type: (each.status, each.reason) for each in before}
    news = {
        each.type: each
        for each in after
        if each.status == "True" and old.get(each.type) != (each.status, each.reason)
    }
    for kind in _GOOD_NEWS:
        if kind in news and news[kind].reason not in _SAID_OTHERWISE:
            yield Event("Normal", news[kind].reason, news[kind].message)
    for each in after:
        if _is_bad_news(each) and old.get(each.type) != (each.status, each.reason):
            yield Event("Warning", each.reason, each.message)
    stalled = news.get(ConditionType.STALLED)
    booted = next((each for each in after if _has_not_booted(each)), None)
    changed = booted is not None and old.get(booted.type) != (booted.status, booted.reason)
    if booted and changed and (stalled is None or stalled.reason != booted.reason):
        yield Event("Warning", booted.reason, booted.message)
    if stalled:
        yield Event("Warning", stalled.reason, stalled.message)
    if blocked := news.get(ConditionType.DELETION_BLOCKED):
        yield Event("Warning", "DeletionBlocked", blocked.message)


def _is_bad_news(condition: Condition) -> bool:
    """Return whether somebody has to hear of a condition.

    A source that cannot be followed any longer is news, since a person wants it to be.
    """
    if condition.reason in _BAD_NEWS:
        return True
    lost = condition.type == ConditionType.FOLLOWING and condition.status == "False"
    return lost and condition.reason != Reason.SUSPENDED


def _has_not_booted(condition: Condition) -> bool:
    """Return whether a boot test has failed, which may be of an image that stays in use."""
    return condition.type == ConditionType.BOOTED and condition.status == "False"
