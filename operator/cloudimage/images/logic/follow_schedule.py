"""When a source is asked for a new version, and when one may be applied; pure."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.follow import Follow, Window
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.durations import parse_duration
from cloudimage.sources.base import SpecSource

SHORTEST: Final = timedelta(minutes=1)
"""Between two checks: a publisher's server is not asked more often."""

_SPREAD: Final = 0.1
_LIST_AGE: Final = timedelta(minutes=10)


class ScheduleError(ValueError):
    """A schedule that cannot be kept; the message says why."""


def is_to_ask(
    resource: CloudImage, source: SpecSource, known: ResolvedSource | None, now: datetime
) -> bool:
    """Return whether the source is to be asked now which bytes it means.

    Args:
        resource: The CloudImage.
        source: Its source.
        known: What is known of it.
        now: The present.
    """
    follow = resource.spec.follow
    if known is None and source.selector() is not None:
        return True
    if follow is None:
        return source.selector() is not None and source.is_current()
    if follow.suspend or problem(follow) is not None:
        return False
    due = resource.status.follow.next_check_time if resource.status.follow else None
    return due is None or now >= due


def problem(follow: Follow) -> str | None:
    """Return what is wrong with the schedules, as a sentence, or None."""
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    try:
        next_check(follow, moment, 0.0)
        opens(follow, moment)
    except ScheduleError as error:
        return f"spec.follow: {error}."
    return None


def next_check(follow: Follow, last: datetime, share: float) -> datetime:
    """Return when to ask the source again.

    Objects with the same period ask within the first tenth of each period, so that a list that one
    of them has fetched serves all.

    Args:
        follow: What the spec says.
        last: When it was asked last.
        share: Of the object, between 0 and 1: not all ask at the same moment.

    Raises:
        ScheduleError: A schedule or the time zone is wrong.
    """
    if follow.schedule is not None:
        return _next(follow.schedule, last.astimezone(_zone(follow.time_zone)))
    period = max(parse_duration(follow.every or ""), SHORTEST).total_seconds()
    offset = _SPREAD * share * period
    begun = (last.timestamp() - offset) // period
    return datetime.fromtimestamp((begun + 1) * period + offset, UTC)


def list_age(resource: CloudImage) -> float:
    """Return the seconds for which a publisher's list need not be asked for again.

    It is asked for in any case where a person wants to know now, or has changed the spec.
    """
    follow, state = resource.spec.follow, resource.status.follow
    if state is not None and state.next_check_time is None:
        return 0.0
    if follow is None or follow.every is None:
        return _LIST_AGE.total_seconds()
    return max(parse_duration(follow.every), SHORTEST).total_seconds() / 2


def opens(follow: Follow, now: datetime) -> datetime | None:
    """Return when the window for changes opens next, or None if it is open or not given.

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
