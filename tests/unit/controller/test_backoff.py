"""Pauses after failures: growing, bounded, counted once the failure is reported."""

from cloudimage.controller.backoff import Backoff
from cloudimage.controller.logic.retry import Pauses


def fail(
    backoff: Backoff, pauses: Pauses, generation: int = 1, asked: float | None = None
) -> float:
    failures = backoff.after_failure("u", generation, pauses, asked)
    backoff.remember("u", failures)
    return failures.pause


def test_backoff_grows_is_bounded_and_belongs_to_a_generation() -> None:
    backoff, pauses = Backoff(), Pauses(10, 40)
    for expected in [10, 20, 40, 40, 40]:
        assert 0.8 * expected <= fail(backoff, pauses) <= 1.2 * expected
    assert backoff.remaining("u", 1) > 0
    assert backoff.remaining("u", 2) == 0
    assert backoff.remaining("other", 1) == 0
    assert fail(backoff, pauses, 2) <= 12
    backoff.clear("u")
    assert backoff.remaining("u", 2) == 0


def test_each_kind_of_failure_is_counted_by_itself() -> None:
    backoff = Backoff()
    fail(backoff, Pauses(10, 1000))
    assert fail(backoff, Pauses(10, 1000)) >= 16
    assert fail(backoff, Pauses(1, 1000)) <= 1.2


def test_what_a_server_asks_for_is_granted_and_no_more_than_a_day() -> None:
    backoff, pauses = Backoff(), Pauses(10, 40)
    assert 100 <= fail(backoff, pauses, asked=100) <= 120
    assert fail(backoff, pauses, asked=0) <= 24
    # A hostile server may ask for anything.
    assert fail(backoff, pauses, asked=float("inf")) == 86400


def test_a_failure_that_was_not_told_does_not_count() -> None:
    backoff, pauses = Backoff(), Pauses(10, 1000)
    first = backoff.after_failure("u", 1, pauses)
    again = backoff.after_failure("u", 1, pauses)
    assert first.count == again.count == 1
    assert backoff.remaining("u", 1) == 0
