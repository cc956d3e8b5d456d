"""Patterns of names."""

import time

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.index.patterns import Pattern


def test_a_pattern_matches_the_whole_name() -> None:
    pattern = Pattern(r"debian-12-generic-amd64-(?P<version>\d{8}-\d+)\.qcow2")
    assert pattern.match("debian-12-generic-amd64-20240717-1811.qcow2") == {
        "version": "20240717-1811"
    }
    assert pattern.match("debian-12-generic-amd64-20240717-1811.qcow2.sig") is None
    assert pattern.match("a-debian-12-generic-amd64-20240717-1811.qcow2") is None


def test_a_group_that_takes_no_part_has_no_value() -> None:
    assert Pattern(r"(?<version>\d+)(?<build>-\d+)?").match("12") == {"version": "12"}


@pytest.mark.parametrize("text", ["(", "a(?=b)", r"(a)\1", "[z-a]"])
def test_what_re2_does_not_take_is_refused(text: str) -> None:
    with pytest.raises(TransferError) as caught:
        Pattern(text)
    assert caught.value.reason is Reason.INVALID_REQUEST
    assert repr(text) in caught.value.message


@pytest.mark.parametrize("name", ["a\nb", "caf\udce9.img", "\0", "x" * 2000])
def test_names_that_no_publisher_means_are_passed_over(name: str) -> None:
    assert Pattern("(?s:.*)").match(name) is None


def test_no_pattern_takes_long() -> None:
    begun = time.process_time()
    assert Pattern("(a+)+(a+)+(a|aa)+$").match("a" * 1000 + "b") is None
    assert time.process_time() - begun < 5  # backtracking would take years


def test_more_groups_than_a_status_keeps_are_refused() -> None:
    text = "".join(f"(?P<g{number}>a?)" for number in range(9))
    with pytest.raises(TransferError, match="named groups") as caught:
        Pattern(text)
    assert caught.value.reason is Reason.INVALID_REQUEST
