"""What is done about a version that a source has."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudimage.api.follow import Available, Follow
from cloudimage.images.logic.follow import Action, Build, Known, Verdict, judge

NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)  # a Wednesday


def _judge(known: Known, found: str | Build, now: datetime = NOW, **follow: Any) -> Verdict:
    wanted = Follow.model_validate({"every": "6h", **follow})
    build = Build(found) if isinstance(found, str) else found
    return judge(wanted, known, build, lambda one, other: one < other, now)


def test_the_first_version_is_applied() -> None:
    waiting = {"policy": "Report", "minimumAge": "7d"}
    assert _judge(Known(None), "2", **waiting).action is Action.APPLY


def test_the_same_version_is_nothing_new() -> None:
    assert _judge(Known(Build("2")), "2") == Verdict(Action.NOTHING)


def test_a_newer_version_is_applied() -> None:
    assert _judge(Known(Build("2")), "3") == Verdict(
        Action.APPLY, Available(version="3", since=NOW)
    )


@pytest.mark.parametrize("known", [Known(Build("2")), Known(Build("0"), earlier=(Build("1"),))])
def test_no_version_goes_back(known: Known) -> None:
    verdict = _judge(known, "1")
    assert verdict.action is Action.REFUSE
    assert "gone back" in verdict.why
    assert verdict.available is None


def test_a_version_is_only_told_where_that_is_asked_for() -> None:
    verdict = _judge(Known(Build("2")), "3", policy="Report")
    assert verdict.action is Action.REPORT
    assert verdict.why == "The source has 3; served is 2."


def test_other_bytes_of_the_version_that_is_served_are_new() -> None:
    known, found = Known(Build("2", "sha256:a")), Build("2", "sha256:b")
    expected = Available(version="2", checksum="sha256:b", since=NOW)
    assert _judge(known, found) == Verdict(Action.APPLY, expected)
    told = _judge(known, found, policy="Report")
    assert told.why == (
        "The publisher replaced the file of version 2; the image still has the earlier one."
    )


def test_bytes_that_were_served_before_are_not_new() -> None:
    known = Known(Build("2", "sha256:b"), earlier=(Build("2", "sha256:a"),))
    verdict = _judge(known, Build("2", "sha256:a"))
    assert verdict.action is Action.REFUSE
    assert "gone back from 2 to an earlier build of 2" in verdict.why
    assert _judge(known, Build("2", "sha256:c")).action is Action.APPLY


@pytest.mark.parametrize("checksum", [None, "md5:a", "sha256:a"])
def test_a_version_that_was_served_is_known_by_any_checksum(checksum: str | None) -> None:
    known = Known(Build("b", "md5:b"), earlier=(Build("c", "sha256:a"),))
    found = Build("c", checksum)
    assert _judge(known, found).action is Action.REFUSE


def test_another_source_may_number_its_builds_alike() -> None:
    known = Known(Build("2", "md5:b"), earlier=(Build("3", "md5:a"),))
    assert _judge(known, Build("3", "md5:c")).action is Action.APPLY


def test_other_bytes_of_what_failed_are_tried() -> None:
    since = NOW - timedelta(days=1)
    failed = Available(version="2", checksum="sha256:b", since=since, failed=True)
    known = Known(Build("2", "sha256:a"), failed)
    assert _judge(known, Build("2", "sha256:b")).action is Action.LEAVE
    assert _judge(known, Build("2", "sha256:c")).action is Action.APPLY


def test_what_failed_is_left_until_there_is_another() -> None:
    failed = Available(version="3", since=NOW - timedelta(days=1), failed=True)
    assert _judge(Known(Build("2"), failed), "3").action is Action.LEAVE
    assert _judge(Known(Build("2"), failed), "4").action is Action.APPLY


def test_a_version_must_have_been_seen_for_a_while() -> None:
    first = _judge(Known(Build("2")), "3", minimumAge="2d")
    assert first.action is Action.WAIT
    assert first.until == NOW + timedelta(days=2)
    known = Known(Build("2"), first.available)
    assert _judge(known, "3", NOW + timedelta(days=1), minimumAge="2d").until == first.until
    assert _judge(known, "3", NOW + timedelta(days=2), minimumAge="2d").action is Action.APPLY
    again = _judge(known, "4", NOW + timedelta(days=2), minimumAge="2d")
    assert again.until == NOW + timedelta(days=4)


WINDOW = {"window": {"schedule": "0 2 * * 6", "duration": "4h"}}  # on Saturdays
SATURDAY = datetime(2026, 3, 7, 2, 0, tzinfo=UTC)


def test_a_version_waits_for_the_window() -> None:
    verdict = _judge(Known(Build("2")), "3", **WINDOW)
    assert verdict.until == SATURDAY
    assert verdict.why == "The source has 3; it will be applied at 2026-03-07 02:00 UTC."


@pytest.mark.parametrize(
    ("moment", "action"),
    [
        (SATURDAY - timedelta(seconds=1), Action.WAIT),
        (SATURDAY, Action.APPLY),
        (SATURDAY + timedelta(hours=4, seconds=-1), Action.APPLY),
        (SATURDAY + timedelta(hours=4), Action.WAIT),
    ],
)
def test_the_ends_of_a_window(moment: datetime, action: Action) -> None:
    assert _judge(Known(Build("2")), "3", moment, **WINDOW).action is action


def test_a_version_that_is_old_enough_only_after_the_window_waits_for_the_next() -> None:
    verdict = _judge(Known(Build("2")), "3", SATURDAY, minimumAge="1d", **WINDOW)
    assert verdict.until == SATURDAY + timedelta(days=7)
