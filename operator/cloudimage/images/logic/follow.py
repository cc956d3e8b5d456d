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
class Build:
    """What a source has or had.

    Attributes:
        version: What it is called; a publisher may call every build ``latest``.
        checksum: Of its bytes, as ``sha256:...``; None: not known.
    """

    version: str
    checksum: str | None = None

    def has_other_bytes(self, other: str | None) -> bool:
        """Return whether a checksum is known to be of other bytes: by the same algorithm."""
        if self.checksum is None or other is None:
            return False
        same_algorithm = self.checksum.partition(":")[0] == other.partition(":")[0]
        return same_algorithm and self.checksum != other


@dataclass(frozen=True, slots=True)
class Known:
    """What was known before the source was asked.

    Attributes:
        served: What is served; None: there is no image yet.
        available: What it had when it was asked before, if that is not served.
        earlier: What was served before.
    """

    served: Build | None
    available: Available | None = None
    earlier: Collection[Build] = ()


def judge(
    follow: Follow,
    known: Known,
    found: Build,
    is_older: Callable[[str, str], bool],
    now: datetime,
) -> Verdict:
    """Return what to do about what the source has now.

    Never a worse image: what was served before, or sorts before what is served, is refused,
    whatever the list says.

    Args:
        follow: What the spec says.
        known: What was known before.
        found: What the source has.
        is_older: Whether the first of two versions comes before the second; False where versions
            have no order, as checksums have none.
        now: The present.

    Raises:
        ScheduleError: The spec's window cannot be understood.
    """
    served = known.served
    if served is None:
        return Verdict(Action.APPLY)
    if found.version == served.version and not found.has_other_bytes(served.checksum):
        return Verdict(Action.NOTHING)
    if _has_gone_back(known, served, found, is_older):
        to = f"an earlier build of {found.version}"
        if found.version != served.version:
            to = f"{found.version}, which came before it"
        return Verdict(
            Action.REFUSE,
            why=f"The source has gone back from {served.version} to {to}. The image stays as it "
            "is. If that is meant, name that build in spec.source.",
        )
    seen = known.available
    if seen is None or seen.version != found.version or found.has_other_bytes(seen.checksum):
        seen = Available(version=found.version, checksum=found.checksum, since=now)
    return _of_newer(follow, served.version, seen, now)


def _has_gone_back(
    known: Known, served: Build, found: Build, is_older: Callable[[str, str], bool]
) -> bool:
    if found.version == served.version:
        return found.checksum in {each.checksum for each in known.earlier}
    # Other sources, which the spec had before, may number their builds in the same way.
    was_served = any(
        each.version == found.version and not found.has_other_bytes(each.checksum)
        for each in known.earlier
    )
    return was_served or is_older(found.version, served.version)


def _of_newer(follow: Follow, served: str, seen: Available, now: datetime) -> Verdict:
    if seen.failed:
        why = (
            f"An image could not be made from {seen.version}; it is skipped until the source "
            "offers another version."
        )
        return Verdict(Action.LEAVE, seen, why=why)
    if follow.policy is FollowPolicy.REPORT:
        why = f"The source has {seen.version}; served is {served}."
        if seen.version == served:
            why = (
                f"The publisher replaced the file of version {served}; the image still has the "
                "earlier one."
            )
        return Verdict(Action.REPORT, seen, why=why)
    until = _not_before(follow, seen, now)
    if until is not None:
        why = f"The source has {seen.version}; it will be applied at {until:%Y-%m-%d %H:%M} UTC."
        return Verdict(Action.WAIT, seen, until, why)
    return Verdict(Action.APPLY, seen)


def _not_before(follow: Follow, seen: Available, now: datetime) -> datetime | None:
    """Return when a version may be applied; None: now."""
    ripe = seen.since + parse_duration(follow.minimum_age) if follow.minimum_age else now
    if ripe > now:
        return follow_schedule.opens(follow, ripe) or ripe
    return follow_schedule.opens(follow, now)
