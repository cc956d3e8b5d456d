"""How fast a server gives, and whether that is too slow to wait for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from cloudimage.transfer.contract import Limits

_GRACE: Final = 10
"""Times ``stall_seconds`` that a download may take, however slow it is."""


class Pace:
    """Notices a server that gives just enough not to stall.

    Only the time of waiting for it counts, not what is done with the bytes meanwhile.

    Attributes:
        too_slow: The connection gave less than the limit in the last while.
        too_slow_on_average: So did all connections together, since the first.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recent, self._whole = _Rate(), _Rate()
        self.too_slow = False
        self.too_slow_on_average = False

    def begin(self) -> None:
        """Begin to judge a connection."""
        self._recent = _Rate()
        self.too_slow = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the block."""
        begun = time.monotonic()
        try:
            yield
        finally:
            waited = time.monotonic() - begun
            self._recent.seconds += waited
            self._whole.seconds += waited

    def came(self, size: int) -> None:
        """Count bytes; judge unless there are 0, which is the end."""
        self._recent.size += size
        self._whole.size += size
        stall = self._limits.stall_seconds
        if size and self._recent.seconds >= stall:
            self.too_slow = self._recent.is_below(self._limits.min_rate)
            self._recent = _Rate()
        if size and self._whole.seconds >= _GRACE * stall:
            self.too_slow_on_average = self._whole.is_below(self._limits.min_average_rate)


@dataclass
class _Rate:
    """Bytes that came in seconds of waiting."""

    size: int = 0
    seconds: float = 0.0

    def is_below(self, limit: int) -> bool:
        return self.size < limit * self.seconds
