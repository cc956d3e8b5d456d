"""Threads for transfers, in turn: a limited number at once, and no tenant above its share."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from cloudimage.controller.logic.fairness import FairLine, Tenants


@dataclass
class Turns:
    """Runs work by the UID of its object; safe to share.

    Attributes:
        places: How much of it runs at once; further work waits.
    """

    places: int
    name: str
    _line: FairLine[str] = field(init=False)
    _work: dict[str, Callable[[], None]] = field(default_factory=dict)
    _threads: ThreadPoolExecutor = field(init=False)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._line = FairLine(self.places)
        self._threads = ThreadPoolExecutor(self.places, thread_name_prefix=self.name)

    def add(self, uid: str, tenants: Tenants, work: Callable[[], None]) -> None:
        """Run the work in its turn; that UID has none that waits or runs."""
        with self._lock:
            self._work[uid] = work
            self._line.put(uid, tenants)
            self._start()

    def cancel(self, uid: str) -> bool:
        """Take back work that waits; return whether it did."""
        with self._lock:
            waited = self._line.discard(uid)
            if waited:
                del self._work[uid]
            return waited

    def stop(self, *, wait: bool) -> None:
        """Start nothing more.

        Args:
            wait: Whether to wait for what runs.
        """
        with self._lock:
            self._stopped = True
            self._line.clear()
            self._work.clear()
        self._threads.shutdown(wait=wait)

    def _start(self) -> None:
        while not self._stopped and (found := self._line.take()):
            uid, _ = found
            self._threads.submit(self._run, uid, self._work.pop(uid))

    def _run(self, uid: str, work: Callable[[], None]) -> None:
        try:
            work()
        finally:
            with self._lock:
                self._line.release(uid)
                self._start()
