"""When something that failed is tried again: after growing pauses, sooner for a new spec."""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Final

_MOST_ASKED_SECONDS: Final = 86400.0


@dataclass(frozen=True, slots=True)
class _Failures:
    generation: int
    count: int
    until: float


@dataclass
class Backoff:
    """Counts failures by object; a failure of an older generation no longer counts.

    Attributes:
        first: Seconds after the first failure; each further one doubles it.
        last: Seconds that are never exceeded, but for the jitter and for what a server asks for.
    """

    first: float = 5.0
    last: float = 600.0
    _failures: dict[str, _Failures] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def failed(self, uid: str, generation: int, at_least: float | None = None) -> float:
        """Count a failure and return the seconds to wait.

        Args:
            uid: The object's.
            generation: The object's, when it failed.
            at_least: Seconds that a server asked for; a day at the most is granted.
        """
        with self._lock:
            old = self._failures.get(uid)
            count = old.count + 1 if old and old.generation == generation else 1
            pause = min(self.last, self.first * 2.0 ** min(count - 1, 20))
            # Jitter keeps many objects that failed together from coming back together.
            asked = min(at_least or 0.0, _MOST_ASKED_SECONDS)
            pause = max(pause * random.uniform(0.8, 1.2), asked)  # noqa: S311 - jitter
            self._failures[uid] = _Failures(generation, count, time.monotonic() + pause)
            return pause

    def remaining(self, uid: str, generation: int) -> float:
        """Return the seconds still to wait; 0 when there is nothing to wait for."""
        with self._lock:
            failures = self._failures.get(uid)
        if failures is None or failures.generation != generation:
            return 0.0
        return max(0.0, failures.until - time.monotonic())

    def clear(self, uid: str) -> None:
        """Forget the object's failures: it succeeded, or is gone."""
        with self._lock:
            self._failures.pop(uid, None)
