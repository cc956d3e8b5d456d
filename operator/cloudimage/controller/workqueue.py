"""The work queue: each object once at a time, now or later, from any thread.

The shape is that of controller-runtime: whatever happened, the object's key is added, and the
reconciler looks at the whole state. A key that is added while its object is worked on is worked on
once more; of several due times the earliest counts.

Whatever a person did goes first: a thousand comparisons that are due, or a cloud that does not
answer, must not hold up a deletion. No tenant has more than its share of the workers, and whatever
a reconciler raises ends neither a worker nor the queue.
"""

import asyncio
import contextvars
import functools
import logging
import random
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.controller.faults import passes, without_text
from cloudimage.controller.logic.fairness import FairLine, Tenants, share_of
from cloudimage.deadline import DeadlineExceededError, within
from cloudimage.metrics import operator as metrics

logger = logging.getLogger(__name__)

K = TypeVar("K", bound=Hashable)

DEADLINE_SECONDS: Final = 300.0
"""How long a reconcile may take; most of its requests have a time-out of a minute."""

_GRACE_SECONDS = 15.0
"""What asks for the deadline has ended by then; what is still there hangs."""
_STOP_SECONDS = 20.0
_FIRST_RETRY_SECONDS = 1.0
_LAST_RETRY_SECONDS = 30.0
"""Of an API server that is away: nobody tells us when it is back."""
_LAST_FAULT_SECONDS = 300.0
"""Of a fault of ours: the next look is likely to meet it again."""
_STILL_URGENT_SECONDS = 5.0
"""What is urgent and comes back so soon is not finished: it stays urgent."""


class _Wish(NamedTuple):
    delay: float
    urgent: bool


class _Done(NamedTuple):
    """How a reconcile ended: when it wants to be called again, or what it raised."""

    delay: float | None
    error: BaseException | None = None


class _Errors(NamedTuple):
    """How many errors of one kind there were in a row."""

    passing: bool
    in_a_row: int


@dataclass
class WorkQueue(Generic[K]):
    """Runs a synchronous reconciler in threads.

    Attributes:
        reconcile: Called with a key; returns the seconds until it wants to be called again, if
            it does. After an exception the key comes back with growing pauses.
        workers: How many objects are worked on at once. A quarter of them, if there are so many,
            take urgent ones only.
        kind: What the keys name, for the operator.
        tenants: Returns those on whose account a key is worked on; none of them has more than a
            quarter of the workers.
        tell: Tells the user of a fault; called in a thread, and may itself fail.
        deadline: Seconds for one reconcile. The place of one that hangs longer is given to
            another, as often as its tenants have places.
    """

    reconcile: Callable[[K], float | None]
    workers: int
    kind: str = CLOUD_IMAGE.plural
    tenants: Callable[[K], Tenants] = lambda _: ()
    tell: Callable[[K, BaseException], None] = lambda *_: None
    deadline: float = DEADLINE_SECONDS
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _line: FairLine[K] = field(init=False)
    _due: dict[K, asyncio.TimerHandle] = field(default_factory=dict)
    _running: dict[K, asyncio.Task[None]] = field(default_factory=dict)
    _overdue: dict[K, Tenants] = field(default_factory=dict)
    _began: dict[K, float] = field(default_factory=dict)
    _again: dict[K, _Wish] = field(default_factory=dict)
    _errors: dict[K, _Errors] = field(default_factory=dict)
    _stopped: bool = False
    # A timer keeps the context that it comes from, and kopf's has the whole object.
    _context: contextvars.Context = field(default_factory=contextvars.Context)

    def __post_init__(self) -> None:
        self._line = FairLine(self.workers, for_urgent=True)

    def start(self) -> None:
        """Begin; called in the event loop that the queue then belongs to."""
        self._loop = asyncio.get_running_loop()
        metrics.RECONCILE_LONGEST.labels(self.kind).set_function(self._longest)
        metrics.RECONCILE_OVERDUE.labels(self.kind).set_function(lambda: len(self._overdue))

    def add(self, key: K, delay: float = 0.0, *, urgent: bool = False) -> None:
        """Have the key worked on in ``delay`` seconds; callable from any thread.

        Args:
            key: The key.
            delay: Seconds.
            urgent: Once it is due, it goes before those that are not.
        """
        wish = _Wish(delay, urgent)
        self._loop.call_soon_threadsafe(self._add, key, wish, context=self._context)

    async def stop(self) -> None:
        """Start nothing more, and wait for what runs, unless it takes too long."""
        self._stopped = True
        for timer in self._due.values():
            timer.cancel()
        self._due.clear()
        self._line.clear()
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=_STOP_SECONDS)
            if late:
                logger.warning("what hangs is left behind", extra={"keys": list(self._running)})

    def _add(self, key: K, wish: _Wish) -> None:
        if self._stopped:
            return
        if key in self._running:
            other = self._again.get(key, wish)
            self._again[key] = _Wish(min(wish.delay, other.delay), wish.urgent or other.urgent)
        elif wish.delay <= 0:
            self._enqueue(key, urgent=wish.urgent)
        elif key not in self._line:
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
        self._line.put(key, self.tenants(key), urgent=urgent)
        self._start()

    def _start(self) -> None:
        """Give the keys whose turn it is to the workers that are free."""
        while found := self._line.take():
            key, urgent = found
            self._running[key] = self._loop.create_task(self._run(key, urgent=urgent))
        metrics.QUEUE_DEPTH.labels(self.kind).set(self._line.waiting + len(self._running))

    async def _run(self, key: K, *, urgent: bool) -> None:
        hangs = self._loop.call_later(self.deadline + _GRACE_SECONDS, self._give_up_on, key)
        try:
            done = await self._in_thread(lambda: self._timed(key))
        except RuntimeError as error:  # the process cannot start another thread
            done = _Done(None, error)
        hangs.cancel()
        delay = done.delay
        if done.error is None:
            self._errors.pop(key, None)
        else:
            delay = self._failed(key, done.error)
        self._line.release(key)
        self._overdue.pop(key, None)
        del self._running[key]
        again = self._again.pop(key, None)
        if delay is not None:
            self._add(key, _Wish(delay, urgent and delay <= _STILL_URGENT_SECONDS))
        if again is not None:
            self._add(key, again)
        if not self._stopped:
            self._start()

    def _in_thread(self, work: Callable[[], _Done]) -> asyncio.Future[_Done]:
        """Run what never raises in a thread of its own.

        Raises:
            RuntimeError: No thread can be started.
        """
        future: asyncio.Future[_Done] = self._loop.create_future()

        def settle(done: _Done) -> None:
            if not future.done():
                future.set_result(done)

        def run() -> None:
            done = work()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any longer
                self._loop.call_soon_threadsafe(settle, done)

        # A daemon: the process must be able to end while one hangs. A thread of a pool is not.
        threading.Thread(target=run, name=f"reconcile-{self.kind}", daemon=True).start()
        return future

    def _timed(self, key: K) -> _Done:
        with metrics.RECONCILE_SECONDS.labels(self.kind).time():
            self._began[key] = self._loop.time()
            try:
                with within(self.deadline):
                    return _Done(self.reconcile(key))
            except BaseException as error:  # noqa: BLE001  # a library may raise SystemExit
                self._tell(key, error)
                return _Done(None, error)
            finally:
                del self._began[key]

    def _tell(self, key: K, error: BaseException) -> None:
        try:
            self.tell(key, error)
        except BaseException as failure:  # noqa: BLE001  # likewise
            logger.warning("a fault could not be reported", extra=without_text(failure))

    def _failed(self, key: K, error: BaseException) -> float:
        """Log what was raised, and return the pause after it."""
        passing = passes(error)
        before = self._errors.get(key)
        # An outage does not lengthen the pauses of the fault that may follow it.
        count = before.in_a_row + 1 if before and before.passing == passing else 1
        self._errors[key] = _Errors(passing, count)
        last = _LAST_RETRY_SECONDS if passing else _LAST_FAULT_SECONDS
        pause = min(last, _FIRST_RETRY_SECONDS * 2.0 ** min(count - 1, 20))
        pause *= random.uniform(0.8, 1.2)  # noqa: S311  # jitter, not cryptography
        metrics.RECONCILE_ERRORS.labels(self.kind).inc()
        details = {"key": key, "retry_seconds": pause, **without_text(error)}
        logger.log(
            logging.WARNING if passing else logging.ERROR, "reconciling failed", extra=details
        )
        return pause

    def _give_up_on(self, key: K) -> None:
        """Give the place of what hangs to another, unless its tenants had that often enough."""
        tenants = self._line.held_by(key)
        late = Counter(tenant for each in self._overdue.values() for tenant in each)
        share = share_of(self.workers)
        replaced = len(self._overdue) < self.workers and all(late[each] < share for each in tenants)
        logger.error("reconciling hangs", extra={"key": key, "replaced": replaced})
        self._overdue[key] = tenants
        error = DeadlineExceededError("reconciling hangs")
        with suppress(RuntimeError):  # no thread: it is in the log
            threading.Thread(target=self._tell, args=(key, error), daemon=True).start()
        if replaced:
            self._line.release(key)
            self._start()

    def _longest(self) -> float:
        """Return for how many seconds the oldest call has been going on."""
        # A copy at one go: other threads change the mapping.
        began = list(self._began.values())
        return self._loop.time() - min(began) if began else 0.0
