"""When a source is asked for a new version."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.api.follow import Follow
from cloudimage.images.logic.follow_schedule import ScheduleError, next_check, opens

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


def _follow(**fields: Any) -> Follow:
    return Follow.model_validate(fields)


@pytest.mark.parametrize(
    ("every", "share", "expected"),
    [
        ("6h", 0.0, datetime(2026, 3, 4, 18, tzinfo=UTC)),
        ("6h", 1.0, datetime(2026, 3, 4, 12, 36, tzinfo=UTC)),
        ("1d", 0.5, datetime(2026, 3, 5, 1, 12, tzinfo=UTC)),
        ("1s", 0.0, datetime(2026, 3, 4, 12, 1, tzinfo=UTC)),
    ],
)
def test_objects_with_one_period_ask_at_its_begin(
    every: str, share: float, expected: datetime
) -> None:
    assert next_check(_follow(every=every), NOW, share) == expected


@given(
    every=st.integers(1, 9999),
    share=st.floats(0, 1),
    last=st.integers(0, 4_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC)),
)
def test_it_comes_within_one_period(every: int, share: float, last: datetime) -> None:
    follow = _follow(every=f"{every}m")
    slack = timedelta(milliseconds=1)
    assert last < next_check(follow, last, share) + slack
    assert next_check(follow, last, share) <= last + timedelta(minutes=every) + slack


@given(
    share=st.floats(0, 1),
    late=st.floats(0, 0.999),
    last=st.integers(0, 4_000_000_000).map(lambda at: datetime.fromtimestamp(at, UTC)),
)
def test_it_does_not_come_again_once_it_was_asked(
    share: float, late: float, last: datetime
) -> None:
    follow = _follow(every="1m")
    due = next_check(follow, last, share)
    assert due == due.replace(microsecond=0)  # what a status keeps of it
    asked = due + timedelta(seconds=late)
    assert next_check(follow, asked, share) >= due + timedelta(seconds=59)


@pytest.mark.parametrize(
    ("zone", "expected"),
    [
        ("UTC", datetime(2026, 3, 5, 3, tzinfo=UTC)),
        ("Asia/Tokyo", datetime(2026, 3, 4, 18, tzinfo=UTC)),
    ],
)
def test_a_schedule_is_of_its_time_zone(zone: str, expected: datetime) -> None:
    follow = _follow(schedule="0 3 * * *", timeZone=zone)
    assert next_check(follow, NOW, 0.9) == expected


def test_the_hour_that_summer_time_leaves_out() -> None:
    follow = _follow(schedule="30 2 * * *", timeZone="Europe/Berlin")
    before = datetime(2026, 3, 29, 0, 0, tzinfo=UTC)
    assert next_check(follow, before, 0) == datetime(2026, 3, 29, 1, 0, tzinfo=UTC)


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
        next_check(_follow(**fields), NOW, 0)


def test_without_a_window_it_is_always_open() -> None:
    assert opens(_follow(every="6h"), NOW) is None
