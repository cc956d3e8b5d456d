"""Moments in HTTP headers (RFC 9110), as sources' servers and OpenStack's both send them."""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_RETRY_AFTER: Final = 86400.0
"""Seconds; a header can ask for more than a date can hold."""

_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9000


def moment(value: str | None) -> datetime | None:
    """Return the moment that a header such as Date names; None when it names none.

    A year that no clock shows does not count: it cannot be reckoned with.
    """
    if value is None:
        return None
    try:
        parsed = parsedate_to_datetime(value)
    except (ValueError, OverflowError, TypeError, IndexError):  # all of them seen; see tests/fuzz
        return None
    if not _FIRST_YEAR <= parsed.year <= _LAST_YEAR:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Return the seconds that a Retry-After header asks for (RFC 9110, 10.2.3), a day at most."""
    if value is None:
        return None
    digits = value.strip()
    if digits.isdecimal():
        return min(float(digits[:20]), MAX_RETRY_AFTER)
    until = moment(value)
    if until is None:
        return None
    seconds = (until - (now or datetime.now(UTC))).total_seconds()
    return min(max(0.0, seconds), MAX_RETRY_AFTER)
