"""What processes take while they run: memory, processor time, disk; and how late a loop gets."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import psutil

_EVERY_SECONDS: Final = 0.05
_TICK_SECONDS: Final = 0.01
_NOTES: Final = frozenset({".json", ".new", ".promise"})  # of cloudimage.transfer.scratch

T = TypeVar("T")


def memory(pid: int) -> int:
    """Return the bytes of memory of a process and its family; what is shared counts once.

    That is the sum of their proportional set sizes (PSS).
    """
    total = 0
    for process in family(pid):
        with contextlib.suppress(psutil.Error):
            total += process.memory_full_info().pss
    return total


def family(pid: int) -> list[psutil.Process]:
    """Return a process and all that it started; nothing when it is gone."""
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the processor time that processes, and children they have waited for, have used."""
    total = 0.0
    # Each once: a server that one of the others has started is of two families.
    for process in {each.pid: each for pid in pids for each in family(pid)}.values():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def bytes_in(folder: Path) -> int:
    """Return the size of a transfer's files in a folder; files may vanish meanwhile.

    The few bytes that the cache notes beside each source are not of an image and do not count.
    """
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file() and path.suffix not in _NOTES:
                total += path.stat().st_size
    return total


class Peak:
    """The largest value that a function returned while it was watched."""

    def __init__(self, read: Callable[[], int]) -> None:
        self._read = read
        self.value = 0

    def look(self) -> None:
        """Record the current value if it is the largest so far."""
        self.value = max(self.value, self._read())


@contextmanager
def watching(*peaks: Peak) -> Iterator[None]:
    """Look at the peaks again and again beside the block."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_EVERY_SECONDS):
            for peak in peaks:
                peak.look()

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def worst_lag(work: Callable[[], T]) -> tuple[float, T]:
    """Return by how many seconds a tick of an event loop came late beside ``work``, and its result.

    The work is done in a thread beside the loop, as the operator's reconciles are.
    """

    async def tick() -> tuple[float, T]:
        done = asyncio.get_running_loop().run_in_executor(None, work)
        worst = 0.0
        while not done.done():
            due = time.monotonic() + _TICK_SECONDS
            await asyncio.sleep(_TICK_SECONDS)
            worst = max(worst, time.monotonic() - due)
        return worst, await done

    return asyncio.run(tick())
