"""Shares the processor fairly among the tenants whose transfers run."""

import os
import threading
import time
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cloudimage.runners.logic.fair_share import FairShare

_PASSES: Final = 2
"""A thread that was not there in the first one was started by one that was not yet idle."""


@dataclass
class Priorities:
    """Which of the transfers that run get only what the others leave of the processor.

    It is decided whenever one starts, and holds to a transfer's end: without privileges nobody
    gets out of Linux' class for the idle time again. Safe to share.

    Attributes:
        clock: Returns seconds.
    """

    clock: Callable[[], float] = time.monotonic
    _share: FairShare = field(default_factory=FairShare)
    _idle: set[int] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def running(self, pid: int, tenant: Hashable) -> Iterator[None]:
        """Count a transfer for its tenant while the block runs.

        Args:
            pid: The transfer's, which leads a process group of its own.
            tenant: On whose account it runs.
        """
        with self._lock:
            self._share.start(pid, tenant, self.clock())
            for each in self._share.standing_back(self.clock()) - self._idle:
                self._idle.add(each)
                _make_idle(each)
        try:
            yield
        finally:
            with self._lock:
                self._share.end(pid, self.clock())
                self._idle.discard(pid)


def _make_idle(group: int) -> None:
    """Put each thread of a process group into the scheduler's class for the idle time (sched(7)).

    Niceness alone does not do: a nice thread is not interrupted for one that wakes up, and a
    transfer and its tools wake each other thousands of times a second.
    """
    for _ in range(_PASSES):
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # of one that ends meanwhile
                if os.getpgid(int(process.name)) != group:
                    continue
                for thread in (process / "task").iterdir():
                    os.sched_setscheduler(int(thread.name), os.SCHED_IDLE, os.sched_param(0))
