"""How often a cloud's images are listed."""

import pytest

from cloudimage.views.logic.pace import FRESH_SECONDS, Look, fresh_for, next_look

HOUR = 3600.0


def _requests(cost: int) -> tuple[float, float, float]:
    """Return the requests of an hour, and the longest time without a listing, and a whole one."""
    now, requests, last_whole = 0.0, 0, 0.0
    longest, longest_whole = 0.0, 0.0
    while now < 24 * HOUR:
        look = next_look(cost, now - last_whole)
        now += look.delay
        longest = max(longest, look.delay)
        requests += cost if look.is_whole else 2
        if look.is_whole:
            longest_whole = max(longest_whole, now - last_whole)
            last_whole = now
    return requests / 24, longest, longest_whole


@pytest.mark.parametrize("cost", [1, 2, 3, 4, 7, 20, 100, 200])
def test_a_cloud_at_rest_is_asked_three_times_a_minute_at_most(cost: int) -> None:
    requests, longest, _ = _requests(cost)
    assert requests <= 180
    assert longest <= 60


@pytest.mark.parametrize(("cost", "seconds"), [(1, 45), (2, 45), (3, 60), (4, 400), (20, 2000)])
def test_a_deletion_is_noticed_as_soon_as_the_requests_allow(cost: int, seconds: float) -> None:
    _, _, longest_whole = _requests(cost)
    assert longest_whole <= seconds + 50


def test_the_first_listing_is_whole_and_at_once() -> None:
    assert next_look(None, 0.0) == Look(0.0, is_whole=True)


def test_a_cloud_that_does_not_answer_is_asked_less_and_less() -> None:
    delays = [next_look(2, 0.0, failed).delay for failed in range(1, 9)]
    assert delays[0] == 90
    assert delays == sorted(delays)
    assert delays[-1] == 500


@pytest.mark.parametrize("cost", [2, 3, 4, 18])
def test_a_view_stays_fresh_while_it_is_renewed_in_time(cost: int) -> None:
    _, longest, longest_whole = _requests(cost)
    assert fresh_for(longest, longest_whole) > 0


def test_a_view_is_fresh_for_as_long_as_both_listings_are() -> None:
    assert fresh_for(0, 0) == FRESH_SECONDS
    assert fresh_for(FRESH_SECONDS, FRESH_SECONDS) == 0
    assert fresh_for(0, 2390) == 10
    assert fresh_for(0, 2401) < 0
