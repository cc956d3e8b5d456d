"""When a source is asked for a new version, and when one may be applied; pure."""

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.follow import Follow, Window
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.durations import parse_duration
from cloudimage.images.logic.schedule import share_of
from cloudimage.sources.base import SpecSource

SHORTEST: Final = timedelta(minutes=1)
"""Between two checks: a publisher's server is not asked more often."""

_SPREAD: Final = 0.1
_LIST_AGE: Final = timedelta(minutes=10)


class ScheduleError(ValueError):
    """A schedule that cannot be kept; the message says why."""


def is_to_ask(
    resource: CloudImage,
    source: SpecSource,
    known: ResolvedSource | None,
    now: datetime,
    *,
    serves: bool = True,
) -> bool:
    """Return whether the source is to be asked now which bytes it means.

    Args:
        resource: The CloudImage.
        source: Its source.
        known: What is known of it.
        now: The present.
        serves: There is an image that serves.
    """
    follow = resource.spec.follow
    if known is None and source.selector() is not None:
        return True
    if follow is None:
        return source.selector() is not None and source.is_current()
    if follow.suspend or problem(follow) is not None:
        return False
    due = resource.status.follow.next_check_time if resource.status.follow else None
    # A first image is made of what was asked for, however often that fails.
    return (known is None and not serves) or due is None or now >= due


def until_check(resource: CloudImage, now: datetime) -> float | None:
    """Return the seconds until the source is asked again; None: it is not."""
    follow, state = resource.spec.follow, resource.status.follow
    if follow is None or follow.suspend or problem(follow) is not None:
        return None
    due = state.next_check_time if state else None
    return 0.0 if due is None else max(0.0, (due - now).total_seconds())


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
    period, begun = _period(follow, last, share)
    return begun + period


def _period(follow: Follow, now: datetime, share: float) -> tuple[timedelta, datetime]:
    """Return the time between two checks, and when the last one was due."""
    period = max(parse_duration(follow.every or ""), SHORTEST)
    seconds = period.total_seconds()
    # The status has whole seconds: a time that was cut would come again at the very next look.
    offset = round(_SPREAD * share * seconds)
    begun = (now.timestamp() - offset) // seconds * seconds + offset
    return period, datetime.fromtimestamp(begun, UTC)


def last_due(follow: Follow, now: datetime, share: float) -> datetime:
    """Return the latest time, up to now, at which something was due.

    It depends on nothing that a restart could lose.

    Args:
        follow: What the spec says.
        now: The present.
        share: Of the object, between 0 and 1.

    Raises:
        ScheduleError: The schedule or the time zone is wrong.
    """
    if follow.schedule is None:
        return _period(follow, now, share)[1]
    # A second later, so that it is due at the very moment.
    moment = now.astimezone(_zone(follow.time_zone)) + timedelta(seconds=1)
    return _cron(follow.schedule, moment, reverse=True).astimezone(UTC)


def snapshot_due(
    resource: CloudImage, source: SpecSource, known: ResolvedSource | None, now: datetime
) -> ResolvedSource:
    """Return of which time the schedule wants a snapshot now; its version is that time.

    The first one is due at once, as it is without a schedule. Of times that have passed while
    nothing ran, only the last one counts.

    Args:
        resource: The CloudImage, which is followed.
        source: Of which snapshots are taken.
        known: The last one.
        now: The present.

    Raises:
        ScheduleError: The schedule or the time zone is wrong.
    """
    follow, selector = resource.spec.follow, source.followed()
    if follow is None or selector is None:
        raise ValueError("unreachable: it is followed")
    if known is None:
        return ResolvedSource(selector=selector, version=_stamp(now), initial=True)
    due = _stamp(last_due(follow, now, share_of(resource)))
    # A clock that was set back takes no second snapshot.
    return known if due <= known.version else ResolvedSource(selector=selector, version=due)


def _stamp(moment: datetime) -> str:
    """Return a time as a version: of one form, so that their order is that of the texts."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def list_age(resource: CloudImage) -> float:
    """Return the seconds for which a publisher's list need not be asked for again.

    It is asked for in any case where a person wants to know now, or has changed the spec.
    """
    follow, state = resource.spec.follow, resource.status.follow
    if state is not None and state.next_check_time is None:
        return 0.0
    if follow is None:
        return SHORTEST.total_seconds()
    if follow.every is None:
        return _LIST_AGE.total_seconds()
    return max(parse_duration(follow.every), SHORTEST).total_seconds() / 2


def kept_age(resource: CloudImage) -> float | None:
    """Return the same for a transfer; None where nothing is followed: its list is fetched.

    Many images of one publisher's new build read the list that the check before has fetched.
    """
    return None if resource.spec.follow is None else list_age(resource)


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
