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


def test_no_pattern_takes_long() -> None:
    begun = time.process_time()
    assert not Expression("(a+)+(a+)+(a|aa)+$").is_in("a" * 100_000 + "b")
    assert time.process_time() - begun < 5
