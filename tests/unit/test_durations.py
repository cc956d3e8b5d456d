"""Lengths of time as users write them."""

from datetime import timedelta

import pytest

from cloudimage.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90m", timedelta(minutes=90)),
        ("60d", timedelta(days=60)),
        ("1d12h30m5s", timedelta(days=1, hours=12, minutes=30, seconds=5)),
    ],
)
def test_what_a_text_says(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "5", "0m", "-5m", "1.5h", "5 m", "1w", "100000d", "5m\n"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)
