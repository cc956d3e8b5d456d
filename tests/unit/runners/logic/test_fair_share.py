"""Which transfers stand back for another tenant's."""

from cloudimage.runners.logic.fair_share import FairShare


def test_a_tenant_alone_stands_back_for_nobody() -> None:
    share = FairShare()
    for pid in range(4):
        share.start(pid, "a", 0)
    assert share.standing_back(10_000) == set()


def test_who_had_much_stands_back_for_who_comes() -> None:
    share = FairShare()
    for pid in range(4):
        share.start(pid, "greedy", 0)
    share.start(10, "new", 30)
    assert share.standing_back(30) == {0, 1, 2, 3}


def test_what_has_ended_counts() -> None:
    share = FairShare()
    share.start(1, "greedy", 0)
    share.end(1, 100)
    share.start(2, "greedy", 100)
    share.start(3, "new", 100)
    assert share.standing_back(100) == {2}


def test_what_is_long_ago_does_not() -> None:
    share = FairShare()
    share.start(1, "busy once", 0)
    share.end(1, 300)
    share.start(2, "busy once", 1000)
    share.start(3, "new", 1000)
    assert share.standing_back(1000) == set()


def test_two_that_begin_together_are_equal() -> None:
    share = FairShare()
    share.start(1, "a", 0)
    share.start(2, "b", 5)
    assert share.standing_back(5) == set()
    assert share.standing_back(500) == set()


def test_a_tenant_with_no_transfer_now_makes_nobody_stand_back() -> None:
    share = FairShare()
    share.start(1, "small", 0)
    share.end(1, 1)
    share.start(2, "large", 1)
    assert share.standing_back(400) == set()
