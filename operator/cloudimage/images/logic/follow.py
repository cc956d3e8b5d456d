"""What is done about a version that a source has; pure."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from cloudimage.api.follow import Available, Follow, FollowPolicy
from cloudimage.durations import parse_duration
from cloudimage.images.logic import follow_schedule


class Action(StrEnum):
    """What to do about it."""

    NOTHING = "Nothing"
    APPLY = "Apply"
    WAIT = "Wait"
    REPORT = "Report"
    REFUSE = "Refuse"
    LEAVE = "Leave"
    """An image could not be made of it before."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do about a version, and why.

    Attributes:
        until: When it may be applied, if it has to wait.
        why: A sentence for the user; empty where there is nothing to say.
    """

    action: Action
    available: Available | None = None
    until: datetime | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known but for the version that the source has.

    Attributes:
        served: The version that is served; None: there is no image yet.
        available: What it had when it was asked before, if that is not served.
        earlier: Versions that were served before.
        replaced: Whether the source has other bytes now under the version that is served.
    """

    served: str | None
    available: Available | None = None
    earlier: Collection[str] = ()
    replaced: bool = False


def judge(
    follow: Follow,
    known: Known,
    found: str,
    is_older: Callable[[str, str], bool],
    now: datetime,
) -> Verdict:
    """Return what to do about the version that the source has now.

    Never a worse image: a version that was served before, or sorts before the one that is served,
    is refused, whatever the list says.

    Args:
        follow: What the spec says.
        known: What was known before.
        found: The version that the source has.
        is_older: Whether the first of two versions comes before the second; False where versions
            have no order, as checksums have none.
        now: The present.

    Raises:
        ScheduleError: The spec's window cannot be understood.
    """
    served = known.served
    if served is None:
        return Verdict(Action.APPLY)
    if found == served and not known.replaced:
        return Verdict(Action.NOTHING)
    if found != served and (found in known.earlier or is_older(found, served)):
        return Verdict(
            Action.REFUSE,
            why=f"The source has gone back from {served} to {found}, which came before it. The "
            "image stays as it is. If that is meant, name that version in spec.source.",
        )
    before = known.available
    seen = before if before and before.version == found else Available(version=found, since=now)
    return _of_newer(follow, served, seen, now)


def _of_newer(follow: Follow, served: str, seen: Available, now: datetime) -> Verdict:
    if seen.failed:
        why = f"No image could be made of {seen.version}; it is left until the source has another."
        return Verdict(Action.LEAVE, seen, why=why)
    if follow.policy is FollowPolicy.REPORT:
        why = f"The source has {seen.version}; served is {served}."
        if seen.version == served:
            why = f"The source has other bytes of {served} than those that are served."
        return Verdict(Action.REPORT, seen, why=why)
    until = _not_before(follow, seen, now)
    if until is not None:
        why = f"The source has {seen.version}; it is applied at {until:%Y-%m-%d %H:%M} UTC."
        return Verdict(Action.WAIT, seen, until, why)
    return Verdict(Action.APPLY, seen)


def _not_before(follow: Follow, seen: Available, now: datetime) -> datetime | None:
    """Return when a version may be applied; None: now."""
    ripe = seen.since + parse_duration(follow.minimum_age) if follow.minimum_age else now
    if ripe > now:
        return follow_schedule.opens(follow, ripe) or ripe
    return follow_schedule.opens(follow, now)
