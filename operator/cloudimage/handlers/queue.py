"""The work queue: each object once at a time, now or later, from any thread.

The shape is that of controller-runtime: whatever happened, the object's key is added, and the
reconciler looks at the whole state. A key that is added while its object is worked on is worked on
once more; of several due times the earliest counts.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 300.0


@dataclass
class WorkQueue(Generic[K]):
    """Runs a synchronous reconciler in threads.

    Attributes:
        reconcile: Called with a key; returns the seconds until it wants to be called again, if
            it does. An exception is logged, and the key comes back with growing pauses.
        workers: How many objects are worked on at once.
    """

    reconcile: Callable[[K], float | None]
    workers: int
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _due: dict[K, asyncio.TimerHandle] = field(default_factory=dict)
    _running: dict[K, asyncio.Task[None]] = field(default_factory=dict)
    _again: dict[K, float] = field(default_factory=dict)
    _errors: dict[K, int] = field(default_factory=dict)
    _stopped: bool = False

    def start(self) -> None:
        """Begin; called in the event loop that the queue then belongs to."""
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="reconcile")

    def add(self, key: K, delay: float = 0.0) -> None:
        """Have the key worked on in ``delay`` seconds; callable from any thread."""
        self._loop.call_soon_threadsafe(self._add, key, delay)

    async def stop(self) -> None:
        """Start nothing more, and wait for what runs."""
        self._stopped = True
        for timer in self._due.values():
            timer.cancel()
        self._due.clear()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._threads.shutdown()

    def _add(self, key: K, delay: float) -> None:
        if self._stopped:
            return
        if key in self._running:
            self._again[key] = min(delay, self._again.get(key, delay))
            return
        when = self._loop.time() + delay
        timer = self._due.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._due[key] = self._loop.call_at(when, self._start, key)

    def _start(self, key: K) -> None:
        del self._due[key]
        self._running[key] = self._loop.create_task(self._run(key))

    async def _run(self, key: K) -> None:
        delay: float | None
        try:
            delay = await self._loop.run_in_executor(self._threads, self.reconcile, key)
            self._errors.pop(key, None)
        except Exception:
            delay = self._pause(key)
            logger.exception("reconciling failed", extra={"key": key, "retry_seconds": delay})
        del self._running[key]
        due = [each for each in (delay, self._again.pop(key, None)) if each is not None]
        if due:
            self._add(key, min(due))

    def _pause(self, key: K) -> float:
        errors = self._errors[key] = self._errors.get(key, 0) + 1
        pause = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2.0 ** min(errors - 1, 20))
        return pause * random.uniform(0.8, 1.2)  # noqa: S311  # jitter, not cryptography
