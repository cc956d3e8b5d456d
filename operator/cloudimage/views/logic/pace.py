"""What of a cloud's images is listed next, and when."""

from dataclasses import dataclass
from typing import Final

SECONDS_PER_REQUEST: Final = 20.0
"""A cloud's Glance is asked no more than three times a minute, however many images it has."""

SERVERS_SECONDS: Final = 100.0
"""Between two questions to Nova while nothing waits for the end of a server."""

BLOCKED_SECONDS: Final = 20.0
"""The same while a deletion does."""

FRESH_SECONDS: Final = 600.0
"""After so long without a listing a view is no longer relied on: as long as one may be put off."""

_FRESH_WHOLE_SECONDS: Final = 2400.0
"""The same without a whole listing, which alone shows what was deleted."""

_SHORTEST: Final = 45.0
_LONGEST_WHOLE: Final = 60.0
_LONGEST_PAUSE: Final = 500.0
_CHANGES_SECONDS: Final = 50.0
_CHANGES_COST: Final = 2
"""A listing of those that are hidden, and one of the others."""


@dataclass(frozen=True, slots=True)
class Look:
    """The next listing.

    Attributes:
        delay: Seconds until then.
        is_whole: Of all images, not only of those that changed.
    """

    delay: float
    is_whole: bool


def next_look(cost: int | None, whole_for: float, failed: int = 0) -> Look:
    """Return what is listed next.

    Only a whole listing shows what was deleted. While one costs no more than the requests of a
    minute, there is no other; above that it comes as often as its share of the requests allows.

    Args:
        cost: Requests of the last whole listing; None: nothing was listed yet.
        whole_for: Seconds since that.
        failed: How many listings could not be read in a row.
    """
    if failed:
        return Look(min(_SHORTEST * 2**failed, _LONGEST_PAUSE), is_whole=True)
    if cost is None:
        return Look(0.0, is_whole=True)
    if (shortest := cost * SECONDS_PER_REQUEST) <= _LONGEST_WHOLE:
        return Look(max(_SHORTEST, shortest), is_whole=True)
    left = 1 / SECONDS_PER_REQUEST - _CHANGES_COST / _CHANGES_SECONDS
    return Look(_CHANGES_SECONDS, is_whole=whole_for + _CHANGES_SECONDS >= cost / left)


def fresh_for(listed: float, whole: float) -> float:
    """Return for how many seconds a view may still be relied on; 0 or less: it may not.

    Args:
        listed: Seconds since the last listing of any kind.
        whole: Seconds since the last whole one.
    """
    return min(FRESH_SECONDS - listed, _FRESH_WHOLE_SECONDS - whole)
