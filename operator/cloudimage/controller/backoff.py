"""When to retry what failed: after growing pauses, sooner for a new spec."""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Final

from cloudimage.controller.logic.retry import Pauses

_MOST_ASKED_SECONDS: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Failures:
    """The failures of one kind in a row, of one generation of an object.

    Attributes:
        pause: Seconds to wait after the last of them.
        until: When that is over, by the monotonic clock.
    """

    generation: int
    pauses: Pauses
    count: int
    pause: float
    until: float


@dataclass
class Backoff:
    """Counts failures by object; one of an older generation or of another kind no longer counts."""

    _failures: dict[str, Failures] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def after_failure(
        self, uid: str, generation: int, pauses: Pauses, asked: float | None = None
    ) -> Failures:
        """Return what one more failure comes to. It counts once it is passed to :meth:`remember`.

        Args:
            uid: The object's.
            generation: The object's, when it failed.
            pauses: Those of this kind of failure.
            asked: Seconds that a server asked for; a day at the most is granted.
        """
        with self._lock:
            old = self._failures.get(uid)
        alike = old is not None and (old.generation, old.pauses) == (generation, pauses)
        count = old.count + 1 if old and alike else 1
        # Jitter keeps many objects that failed together from coming back together.
        pause = max(
            pauses.after(count) * random.uniform(0.8, 1.2),  # noqa: S311  # jitter
            min((asked or 0.0) * random.uniform(1.0, 1.2), _MOST_ASKED_SECONDS),  # noqa: S311  # jitter
        )
        return Failures(generation, pauses, count, pause, time.monotonic() + pause)

    def remember(self, uid: str, failures: Failures) -> None:
        """Count the failure: it has been told."""
        with self._lock:
            self._failures[uid] = failures

    def remaining(self, uid: str, generation: int) -> float:
        """Return the seconds still to wait; 0 when there is nothing to wait for."""
        with self._lock:
            failures = self._failures.get(uid)
        if failures is None or failures.generation != generation:
            return 0.0
        return max(0.0, failures.until - time.monotonic())

    def clear(self, uid: str) -> None:
        """Forget the object's failures: it succeeded, is gone, or is to be tried at once."""
        with self._lock:
            self._failures.pop(uid, None)
