"""Until when the work of this thread may go on, for whatever waits within it.

A thread cannot be ended from outside, so each thing that waits asks here how long it may:
``requests.get(url, timeout=bounded(60))``. Without a deadline, as in commands and transfers, that
is as long as it asks for.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

_ends: Final[ContextVar[float | None]] = ContextVar("_ends", default=None)


class DeadlineExceededError(Exception):
    """The work has taken longer than it may."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give the block so many seconds, or what is left of those of a block around it."""
    before = _ends.get()
    ends = time.monotonic() + seconds
    token = _ends.set(ends if before is None else min(before, ends))
    try:
        yield
    finally:
        _ends.reset(token)


def remaining() -> float | None:
    """Return the seconds that are left, 0 when none are; None where there is no deadline."""
    ends = _ends.get()
    return None if ends is None else max(0.0, ends - time.monotonic())


def bounded(seconds: float) -> float:
    """Return the seconds that something may wait: so many, or fewer when fewer are left.

    Raises:
        DeadlineExceededError: None are left.
    """
    left = remaining()
    if left is None:
        return seconds
    if left <= 0:
        raise DeadlineExceededError("the work has taken longer than it may")
    return min(seconds, left)
