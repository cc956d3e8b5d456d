"""The work queue: each object once at a time, now or later, from any thread.

The shape is that of controller-runtime: whatever happened, the object's key is added, and the
reconciler looks at the whole state. A key that is added while its object is worked on is worked on
once more; of several due times the earliest counts.

Whatever a person did goes first: a thousand comparisons that are due, or a cloud that does not
answer, must not hold up a deletion.
"""

import asyncio
import functools
import logging
import random
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from cloudimage import metrics
from cloudimage.api.kinds import CLOUD_IMAGE

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 30.0
"""What fails by an exception is mostly the API server: nobody tells us when it is back."""
_STILL_URGENT_SECONDS = 5.0
"""What is urgent and comes back so soon is not finished: it stays urgent."""


class _Wish(NamedTuple):
    delay: float
    urgent: bool


@dataclass
class WorkQueue(Generic[K]):
    """Runs a synchronous reconciler in threads.

    Attributes:
        reconcile: Called with a key; returns the seconds until it wants to be called again, if
            it does. An exception is logged, and the key comes back with growing pauses.
        workers: How many objects are worked on at once. A quarter of them, if there are so many,
            take urgent ones only.
        kind: What the keys name, for the metrics.
    """

    reconcile: Callable[[K], float | None]
    workers: int
    kind: str = CLOUD_IMAGE.plural
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _threads: ThreadPoolExecutor = field(init=False)
    _due: dict[K, asyncio.TimerHandle] = field(default_factory=dict)
    _urgent: OrderedDict[K, None] = field(default_factory=OrderedDict)
    _usual: OrderedDict[K, None] = field(default_factory=OrderedDict)
    _running: dict[K, asyncio.Task[None]] = field(default_factory=dict)
    _began: dict[K, float] = field(default_factory=dict)
    _again: dict[K, _Wish] = field(default_factory=dict)
    _errors: dict[K, int] = field(default_factory=dict)
    _stopped: bool = False

    def start(self) -> None:
        """Begin; called in the event loop that the queue then belongs to."""
        self._loop = asyncio.get_running_loop()
        self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="reconcile")
        metrics.RECONCILE_LONGEST.labels(self.kind).set_function(self._longest)

    def add(self, key: K, delay: float = 0.0, *, urgent: bool = False) -> None:
        """Have the key worked on in ``delay`` seconds; callable from any thread.

        Args:
            key: The key.
            delay: Seconds.
            urgent: Once it is due, it goes before those that are not.
        """
        self._loop.call_soon_threadsafe(self._add, key, _Wish(delay, urgent))

    async def stop(self) -> None:
        """Start nothing more, and wait for what runs."""
        self._stopped = True
        for timer in self._due.values():
            timer.cancel()
        for waiting in (self._due, self._urgent, self._usual):
            waiting.clear()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        self._threads.shutdown()

    def _add(self, key: K, wish: _Wish) -> None:
        if self._stopped:
            return
        if key in self._running:
            other = self._again.get(key, wish)
            self._again[key] = _Wish(min(wish.delay, other.delay), wish.urgent or other.urgent)
        elif wish.delay <= 0:
            self._enqueue(key, urgent=wish.urgent)
        elif key not in self._urgent and key not in self._usual:
            self._wait(key, wish)

    def _wait(self, key: K, wish: _Wish) -> None:
        when = self._loop.time() + wish.delay
        timer = self._due.get(key)
        if timer is not None:
            if timer.when() <= when:
                return
            timer.cancel()
        self._due[key] = self._loop.call_at(
            when, functools.partial(self._enqueue, key, urgent=wish.urgent)
        )

    def _enqueue(self, key: K, *, urgent: bool) -> None:
        timer = self._due.pop(key, None)
        if timer is not None:
            timer.cancel()
        if urgent:
            self._usual.pop(key, None)
            self._urgent[key] = None
        elif key not in self._urgent:
            self._usual[key] = None
        self._start()

    def _start(self) -> None:
        """Give the keys whose turn it is to the workers that are free."""
        kept_free = self.workers // 4
        while self._urgent or self._usual:
            urgent = bool(self._urgent)
            if len(self._running) >= self.workers - (0 if urgent else kept_free):
                break
            key, _ = (self._urgent or self._usual).popitem(last=False)
            self._running[key] = self._loop.create_task(self._run(key, urgent=urgent))
        metrics.QUEUE_DEPTH.labels(self.kind).set(
            len(self._urgent) + len(self._usual) + len(self._running)
        )

    async def _run(self, key: K, *, urgent: bool) -> None:
        delay: float | None
        try:
            delay = await self._loop.run_in_executor(self._threads, self._timed, key)
            self._errors.pop(key, None)
        except Exception:
            delay = self._pause(key)
            metrics.RECONCILE_ERRORS.labels(self.kind).inc()
            logger.exception("reconciling failed", extra={"key": key, "retry_seconds": delay})
        del self._running[key]
        again = self._again.pop(key, None)
        if delay is not None:
            self._add(key, _Wish(delay, urgent and delay <= _STILL_URGENT_SECONDS))
        if again is not None:
            self._add(key, again)
        self._start()

    def _timed(self, key: K) -> float | None:
        with metrics.RECONCILE_SECONDS.labels(self.kind).time():
            self._began[key] = self._loop.time()
            try:
                return self.reconcile(key)
            finally:
                del self._began[key]

    def _longest(self) -> float:
        """Return for how many seconds the oldest call has been going on."""
        # A copy at one go: other threads change the mapping.
        began = list(self._began.values())
        return self._loop.time() - min(began) if began else 0.0

    def _pause(self, key: K) -> float:
        errors = self._errors[key] = self._errors.get(key, 0) + 1
        pause = min(_LAST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2.0 ** min(errors - 1, 20))
        return pause * random.uniform(0.8, 1.2)  # noqa: S311  # jitter, not cryptography
