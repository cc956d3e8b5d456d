"""How long the work of a thread may go on."""

import pytest

from cloudimage.deadline import DeadlineExceededError, bounded, remaining, within


def test_without_a_deadline_everything_may_take_its_time() -> None:
    assert remaining() is None
    assert bounded(60) == 60


def test_what_waits_within_a_deadline_waits_no_longer() -> None:
    with within(10):
        assert 9 < bounded(60) <= 10
        assert bounded(1) == 1
    assert remaining() is None


def test_a_deadline_within_another_cannot_be_later() -> None:
    with within(1):
        with within(100):
            assert bounded(60) <= 1
        with within(0.1):
            assert bounded(60) <= 0.1
        assert bounded(60) > 0.5


def test_nothing_begins_after_the_deadline() -> None:
    with within(-1):
        assert remaining() == 0
        with pytest.raises(DeadlineExceededError):
            bounded(60)
