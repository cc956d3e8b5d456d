"""When a source is asked for a new version, and when one may be applied; pure."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from cloudimage.api.follow import Follow, Window
from cloudimage.durations import parse_duration

SHORTEST: Final = timedelta(minutes=1)
"""Between two checks: a publisher's server is not asked more often."""

_JITTER: Final = 0.1


class ScheduleError(ValueError):
    """A schedule that cannot be kept; the message says why."""


def next_check(follow: Follow, last: datetime | None, share: float, now: datetime) -> datetime:
    """Return when to ask the source again.

    Args:
        follow: What the spec says.
        last: When it was asked last; None: it never was, so that it is due.
        share: Of the object, between 0 and 1: objects that were made together do not ask together.
        now: The present.

    Raises:
        ScheduleError: A schedule or the time zone is wrong.
    """
    if follow.schedule is not None:
        # Also where it is due at once, so that a wrong one is told.
        due = _next(follow.schedule, (last or now).astimezone(_zone(follow.time_zone)))
        return now if last is None else due
    if last is None:
        return now
    period = max(parse_duration(follow.every or ""), SHORTEST)
    return last + period * (1 - _JITTER * share)


def opens(follow: Follow, now: datetime) -> datetime | None:
    """Return when the window for changes opens next; None: it is open, or there is none.

    Raises:
        ScheduleError: Its schedule or the time zone is wrong.
    """
    window = follow.window
    if window is None or _is_open(window, now.astimezone(_zone(follow.time_zone))):
        return None
    return _next(window.schedule, now.astimezone(_zone(follow.time_zone)))


def _is_open(window: Window, now: datetime) -> bool:
    # A second later, so that it is open at the very moment at which it opens.
    opened = _cron(window.schedule, now + timedelta(seconds=1), reverse=True)
    return now - opened < parse_duration(window.duration)


def _next(schedule: str, after: datetime) -> datetime:
    return _cron(schedule, after).astimezone(UTC)


def _cron(schedule: str, moment: datetime, *, reverse: bool = False) -> datetime:
    try:
        return next(CronSim(schedule, moment, reverse=reverse))
    except (CronSimError, StopIteration) as error:
        raise ScheduleError(f"the schedule {schedule!r} never comes: {error}") from error


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"there is no time zone {name!r}") from error
