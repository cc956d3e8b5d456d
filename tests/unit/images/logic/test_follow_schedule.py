"""When a source is asked for a new version."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudimage.api.follow import Follow
from cloudimage.images.logic.follow_schedule import ScheduleError, next_check, opens

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def _follow(**fields: Any) -> Follow:
    return Follow.model_validate(fields)


@pytest.mark.parametrize("fields", [{"every": "6h"}, {"schedule": "0 3 * * *"}])
def test_what_was_never_asked_is_asked_at_once(fields: dict[str, str]) -> None:
    assert next_check(_follow(**fields), None, 0.5, NOW) == NOW


@pytest.mark.parametrize(
    ("every", "share", "expected"),
    [
        ("6h", 0.0, timedelta(hours=6)),
        ("10h", 1.0, timedelta(hours=9)),
        ("1d12h", 0.0, timedelta(hours=36)),
        ("1s", 0.0, timedelta(minutes=1)),
    ],
)
def test_the_time_between_checks(every: str, share: float, expected: timedelta) -> None:
    assert next_check(_follow(every=every), NOW, share, NOW) == NOW + expected


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", datetime(2026, 3, 5, 3, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 3, 4, 18, tzinfo=UTC)),
    ],
)
def test_a_schedule_is_of_its_time_zone(zone: str, expected: datetime) -> None:
    follow = _follow(schedule="0 3 * * *", timeZone=zone)
    assert next_check(follow, NOW, 0.9, NOW) == expected


def test_the_hour_that_summer_time_leaves_out() -> None:
    follow = _follow(schedule="30 2 * * *", timeZone="Europe/Berlin")
    before = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    assert next_check(follow, before, 0, before) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule": "0 3 30 2 *"},
        {"schedule": "61 3 * * *"},
        {"schedule": "a b c d e"},
        {"schedule": "0 3 * * *", "timeZone": "Nowhere/Else"},
        {"schedule": "0 3 * * *", "timeZone": "Europe"},
    ],
)
def test_a_schedule_that_never_comes_is_told(fields: dict[str, str]) -> None:
    with pytest.raises(ScheduleError):
        next_check(_follow(**fields), NOW, 0, NOW)


def test_without_a_window_it_is_always_open() -> None:
    assert opens(_follow(every="6h"), NOW) is None
