"""The order of versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.transfer.source.http.index.versions import Order, key


@pytest.mark.parametrize(
    "ascending",
    [
        ["9.4", "9.4-1", "9.5", "9.10", "10.0"],
        ["1.8.0~rc1", "1.8.0", "1.8.0-1", "1.8.1-alpha.1", "1.8.1-alpha.2", "1.8.1-rc1", "1.8.1"],
        ["v1.8.0-beta.1", "v1.8.0", "v1.9.0", "v1.10.0"],
        ["20240630", "20240701", "20240701.1", "20240701.10", "20240702"],
        ["20240701-1795", "20240701-1802", "20240717-1811"],
        ["3.19.9_alpha20240101", "3.19.9", "3.20.0"],
        ["2.0", "2.0a", "2.0b", "2.1"],
        ["release-20240423", "release-20240608"],
        ["v20240701.247490", "v20240715.250107", "v20241001.267073"],
        ["Leap-15.5.0-Build1.9", "Leap-15.5.0-Build1.10", "Leap-15.6.0-Build1.2"],
    ],
    ids=lambda each: each[0],
)
def test_versions_in_their_order(ascending: list[str]) -> None:
    keys = [key("Version", each) for each in ascending]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


def test_case_and_separators_do_not_matter() -> None:
    assert key("Version", "1.0-RC1") == key("Version", "1.0_rc1")


@pytest.mark.parametrize(
    ("order", "older", "newer"),
    [
        ("Numeric", "9", "10"),
        ("Numeric", "1.10", "1.9"),
        ("Numeric", "1.5", "1.50001"),
        ("Lexical", "10", "9"),
        ("Lexical", "Build10", "Build9"),
    ],
)
def test_other_orders(order: Order, older: str, newer: str) -> None:
    first, second = key(order, older), key(order, newer)
    assert first is not None
    assert second is not None
    assert first < second


@pytest.mark.parametrize("version", ["", "v1", "1.2.3", "1e5", "-1", "²"])
def test_what_is_no_number_has_no_place_among_numbers(version: str) -> None:
    assert key("Numeric", version) is None


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_two_texts_can_be_compared(one: str, other: str) -> None:
    first, second = key("Version", one), key("Version", other)
    assert first is not None
    assert second is not None
    assert (first < second) + (first > second) + (first == second) == 1
