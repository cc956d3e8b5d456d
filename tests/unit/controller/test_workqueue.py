"""The work queue: one reconcile a key at a time, the earliest due time counts."""

import asyncio
import contextvars
import gc
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from kubernetes.client import ApiException

from cloudimage.controller.workqueue import WorkQueue
from cloudimage.deadline import remaining


def run(reconcile: Callable[[str], float | None], use: Callable[[WorkQueue[str]], None]) -> None:
    """Run a queue for half a second and stop it."""

    async def main() -> None:
        queue = WorkQueue(reconcile, workers=4)
        queue.start()
        await asyncio.to_thread(use, queue)
        await asyncio.sleep(0.5)
        await queue.stop()

    asyncio.run(main())


def test_a_key_added_many_times_before_its_turn_is_worked_on_once() -> None:
    calls: list[str] = []

    def use(queue: WorkQueue[str]) -> None:
        for _ in range(5):
            queue.add("a", 0.1)

    run(calls.append, use)
    assert calls == ["a"]


def test_of_two_due_times_the_earlier_counts() -> None:
    times: list[float] = []
    begin = time.monotonic()

    def use(queue: WorkQueue[str]) -> None:
        queue.add("a", 30)
        queue.add("a", 0.05)
        queue.add("a", 20)

    run(lambda _: times.append(time.monotonic() - begin), use)
    assert len(times) == 1
    assert times[0] < 5


def test_a_key_is_never_worked_on_twice_at_once_but_once_more_after() -> None:
    running, most, calls = 0, 0, 0
    lock = threading.Lock()

    def reconcile(_: str) -> None:
        nonlocal running, most, calls
        with lock:
            running, calls = running + 1, calls + 1
            most = max(most, running)
        time.sleep(0.1)
        with lock:
            running -= 1

    def use(queue: WorkQueue[str]) -> None:
        queue.add("a")
        time.sleep(0.03)
        for _ in range(5):
            queue.add("a")

    run(reconcile, use)
    assert (most, calls) == (1, 2)


def test_different_keys_do_not_wait_for_each_other() -> None:
    barrier = threading.Barrier(3, timeout=5)

    def reconcile(_: str) -> None:
        barrier.wait()

    def use(queue: WorkQueue[str]) -> None:
        for key in "abc":
            queue.add(key)

    run(reconcile, use)
    assert not barrier.broken


@dataclass
class Gate:
    """A reconciler that notes what it is given, and holds its workers until it is opened."""

    delays: dict[str, float] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    opened: threading.Event = field(default_factory=threading.Event)

    def __call__(self, key: str) -> float | None:
        """Hold the worker."""
        self.calls.append(key)
        self.opened.wait(5)
        return self.delays.pop(key, None)

    def wait(self, ready: Callable[[list[str]], bool]) -> None:
        """Wait until the calls so far are as asked."""
        deadline = time.monotonic() + 5
        while not ready(self.calls) and time.monotonic() < deadline:
            time.sleep(0.01)


def one_worker(gate: Gate, use: Callable[[WorkQueue[str]], None]) -> list[str]:
    """Have the only worker held by "first" while the queue is used; return what it did then."""

    async def main() -> None:
        queue = WorkQueue(gate, workers=1)
        queue.start()
        queue.add("first")
        await asyncio.to_thread(gate.wait, bool)
        use(queue)
        queue.add("last")
        gate.opened.set()
        await asyncio.to_thread(gate.wait, lambda calls: "last" in calls)
        await queue.stop()

    asyncio.run(main())
    return gate.calls[1:]


def test_what_is_urgent_goes_before_what_waits_already() -> None:
    def use(queue: WorkQueue[str]) -> None:
        for key in ("a", "b", "c"):
            queue.add(key)
        queue.add("c", urgent=True)
        queue.add("d", urgent=True)
        queue.add("c")

    assert one_worker(Gate(), use) == ["c", "d", "a", "b", "last"]


def test_what_was_urgent_and_comes_back_soon_is_still_urgent() -> None:
    def use(queue: WorkQueue[str]) -> None:
        queue.add("a")
        queue.add("b", urgent=True)

    assert one_worker(Gate({"b": 0.0}), use) == ["b", "b", "a", "last"]
    assert one_worker(Gate({"a": 0.0}), use)[:3] == ["b", "a", "last"]


def test_a_quarter_of_the_workers_is_kept_for_what_is_urgent() -> None:
    gate = Gate()

    def use(queue: WorkQueue[str]) -> None:
        for key in "abcdef":
            queue.add(key)
        gate.wait(lambda calls: len(calls) == 3)
        queue.add("f", urgent=True)
        gate.wait(lambda calls: len(calls) == 4)
        assert gate.calls == ["a", "b", "c", "f"]
        gate.opened.set()

    run(gate, use)
    assert sorted(gate.calls) == list("abcdef")


def test_it_comes_back_when_the_reconciler_says_so() -> None:
    calls: list[str] = []

    def reconcile(key: str) -> float | None:
        calls.append(key)
        return 0.05 if len(calls) < 3 else None

    run(reconcile, lambda queue: queue.add("a"))
    assert calls == ["a", "a", "a"]


@pytest.mark.parametrize("delay", [0.0, 3600.0])
def test_what_waits_keeps_nothing_of_where_it_was_added(delay: float) -> None:
    """Kopf's context has the whole object: ten thousand that wait for hours would all be kept."""

    class Event:
        pass

    handled: contextvars.ContextVar[Event] = contextvars.ContextVar("handled")
    called = threading.Event()

    def reconcile(_: str) -> float:
        called.set()
        return 3600.0

    async def main() -> bool:
        queue = WorkQueue(reconcile, workers=1)
        queue.start()

        async def handle(event: Event) -> None:
            handled.set(event)
            queue.add("a", delay)

        event = Event()
        kept = weakref.ref(event)
        await asyncio.create_task(handle(event))
        del event
        if not delay:
            await asyncio.to_thread(called.wait)
        await asyncio.sleep(0.1)
        gc.collect()
        await queue.stop()
        return kept() is None

    assert asyncio.run(main())


def test_an_exception_loses_no_key() -> None:
    seen = threading.Event()

    def reconcile(_: str) -> None:
        if not seen.is_set():
            seen.set()
            raise ValueError("first")

    async def main() -> None:
        again = asyncio.Event()
        loop = asyncio.get_running_loop()

        def twice(key: str) -> None:
            reconcile(key)
            loop.call_soon_threadsafe(again.set)

        queue = WorkQueue(twice, workers=1)
        queue.start()
        queue.add("a")
        await asyncio.wait_for(again.wait(), 10)
        await queue.stop()

    asyncio.run(main())


async def until(ready: Callable[[], bool]) -> None:
    """Wait until something is so."""

    def wait() -> None:
        deadline = time.monotonic() + 15
        while not ready() and time.monotonic() < deadline:
            time.sleep(0.02)

    await asyncio.to_thread(wait)


class LibrarysOwnError(BaseException):
    """What no library should raise."""


FAULTS = [
    SystemExit(3),
    GeneratorExit(),
    KeyboardInterrupt(),
    RecursionError("deep"),
    MemoryError(),
    StopIteration(1),
    asyncio.CancelledError(),
    LibrarysOwnError("password=hunter2"),
    ValueError("password=hunter2"),
]


@pytest.mark.parametrize("error", FAULTS, ids=lambda error: type(error).__name__)
def test_whatever_is_raised_ends_neither_queue_nor_key(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    """And whatever telling of it raises does not, either."""
    told: list[tuple[str, BaseException]] = []
    calls: list[str] = []

    def reconcile(key: str) -> float | None:
        calls.append(key)
        if key == "bad":
            raise error
        return None

    def tell(key: str, what: BaseException) -> None:
        told.append((key, what))
        raise error

    async def main() -> None:
        queue = WorkQueue(reconcile, workers=1, tell=tell)
        queue.start()
        queue.add("bad")
        await until(lambda: calls.count("bad") >= 2)
        queue.add("good")
        await until(lambda: "good" in calls)
        await queue.stop()

    asyncio.run(asyncio.wait_for(main(), 20))
    assert told[0] == ("bad", error)
    log = [vars(record) for record in caplog.records]
    assert any(entry.get("fault") == type(error).__name__ for entry in log)
    assert "hunter2" not in str(log)


def test_the_first_fault_after_an_outage_is_tried_again_soon() -> None:
    """An API server that starts answers 403 until it has read its roles."""
    queue: WorkQueue[str] = WorkQueue(lambda _: None, 1)
    for _ in range(9):
        queue._failed("key", ApiException(status=0))
    assert queue._failed("key", ApiException(status=403)) <= 1.2
    assert queue._failed("key", ApiException(status=403)) >= 1.6


def test_pauses_after_faults_grow_beyond_those_of_an_api_server_that_is_away() -> None:
    def pauses(error: BaseException) -> list[float]:
        queue = WorkQueue(lambda _: None, workers=1)
        return [queue._failed("key", error) for _ in range(12)]

    away, fault = pauses(ApiException(status=503)), pauses(SystemExit())
    assert max(away) <= 36
    assert 240 <= fault[-1] <= 360
    assert fault[0] < 2


def test_without_threads_the_key_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    start = threading.Thread.start

    def refuse(self: threading.Thread) -> None:
        if self.name.startswith("reconcile") and not calls:
            calls.append("refused")
            raise RuntimeError("can't start new thread")
        start(self)

    async def main() -> None:
        queue = WorkQueue(calls.append, workers=1)
        queue.start()
        queue.add("a")
        await until(lambda: "a" in calls)
        await queue.stop()

    monkeypatch.setattr(threading.Thread, "start", refuse)
    asyncio.run(asyncio.wait_for(main(), 20))
    assert calls == ["refused", "a"]


def test_a_reconcile_knows_how_long_it_may_take() -> None:
    left: list[float | None] = []
    run(lambda _: left.append(remaining()), lambda queue: queue.add("a"))
    assert left[0] is not None
    assert 290 < left[0] <= 300
    assert remaining() is None
