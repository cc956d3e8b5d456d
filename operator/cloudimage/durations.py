"""Lengths of time as users write them, such as ``90m`` or ``60d``."""

import re
from datetime import timedelta
from typing import Final

PATTERN: Final = "([1-9][0-9]{0,4}[dhms]){1,4}"
"""Of a duration: Kubernetes' own units (Go's ``time.ParseDuration``), and days."""

_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_PART: Final = re.compile(r"([0-9]+)([dhms])")


def parse_duration(text: str) -> timedelta:
    """Return the length of time that a text says.

    Raises:
        ValueError: It says none.
    """
    if re.fullmatch(PATTERN, text) is None:
        raise ValueError(f"{text!r} is no duration such as 90m, 12h or 60d")
    return timedelta(
        seconds=sum(int(number) * _SECONDS[unit] for number, unit in _PART.findall(text))
    )
