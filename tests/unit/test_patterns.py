"""Regular expressions of users."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.patterns import Expression, PatternError


def test_a_part_of_the_text_may_match() -> None:
    assert Expression("login:").is_in("Debian 12\ndebian login: ")
    assert Expression("(?m)^debian login:").is_in("Debian 12\ndebian login: ")
    assert not Expression("^debian login:").is_in("Debian 12\ndebian login: ")


@pytest.mark.parametrize("text", ["(", "a(?=b)", r"(a)\1", "[z-a]", "a{1000000}"])
def test_what_re2_does_not_take_is_a_sentence(text: str) -> None:
    with pytest.raises(PatternError) as caught:
        Expression(text)
    assert repr(text) in str(caught.value)


@given(st.text())
def test_any_text_is_looked_through(text: str) -> None:
    assert Expression("").is_in(text)
    assert Expression("").is_in(text + "\udce9")


@pytest.mark.parametrize(
    "text", ["(a?b?.?a?b?.?a?b?.?a?b?.?){900}z$", r"(\pL?\pN?){40}z$", "(a?b?.?){600}z$"]
)
def test_a_pattern_that_would_take_minutes_is_a_sentence(text: str) -> None:
    """RE2 takes it, and each look at a console would take as long."""
    with pytest.raises(PatternError, match="instructions"):
        Expression(text)


@pytest.mark.parametrize(
    "text",
    [
        r"(?m)^\S+ login: ?$",
        "Welcome to (Debian|Ubuntu) .{0,200}login:",
        r"(?i)cloud-init v\. \S+ finished at",
        r"\pL+ login:",
        "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    ],
)
def test_what_people_look_for_is_taken(text: str) -> None:
    Expression(text)


def test_no_pattern_takes_long() -> None:
    begun = time.process_time()
    assert not Expression("(a+)+(a+)+(a|aa)+$").is_in("a" * 100_000 + "b")
    assert time.process_time() - begun < 5
    begun = time.process_time()
    assert not Expression("(a?b?.?a?b?.?a?b?.?a?b?.?){70}z$").is_in("ab" * 2**15)
    assert time.process_time() - begun < 10
