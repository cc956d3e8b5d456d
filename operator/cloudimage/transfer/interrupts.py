"""How a transfer is told to stop, and how it stops without leaving anything behind.

SIGTERM, SIGINT and the end of standard input (the operator died) all become one
``KeyboardInterrupt`` in the main thread, so that the ``finally`` clauses clean up.
"""

import logging
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

GRACE_SECONDS = 10.0
"""Time to clean up, far below the 30 s after which Kubernetes kills a pod."""

_log = logging.getLogger(__name__)


class Interrupts:
    """Raises ``KeyboardInterrupt`` once, when the transfer must end, and never in a clean-up.

    Attributes:
        folder: Removed by force if the clean-up itself hangs.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self._deferrals = 0
        self._pending = False
        self._stopping = False

    def install(self) -> None:
        """Take over SIGTERM and SIGINT."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)

    def watch(self, descriptor: int) -> None:
        """End the transfer when the file descriptor, standard input, comes to its end."""
        threading.Thread(target=self._watch, args=(descriptor,), daemon=True).start()

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold an interrupt back until the block, a clean-up, is over."""
        self._deferrals += 1
        try:
            yield
        finally:
            self._deferrals -= 1
        if self._pending and not self._deferrals:
            self._pending = False
            raise KeyboardInterrupt

    def finish(self) -> None:
        """Ignore everything from now on: the transfer is over."""
        self._stopping = True
        self._pending = False

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._stopping:
            return
        self._stopping = True
        _log.warning("stopping: %s", signal.Signals(number).name)
        last_resort = threading.Timer(GRACE_SECONDS, self._leave)
        last_resort.daemon = True
        last_resort.start()
        if self._deferrals:
            self._pending = True
        else:
            raise KeyboardInterrupt

    def _watch(self, descriptor: int) -> None:
        # os.read and not sys.stdin: a thread that holds sys.stdin's lock breaks Python's exit.
        while os.read(descriptor, 65536):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    def _leave(self) -> None:
        _log.error("the clean-up took over %s s; leaving", GRACE_SECONDS)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)  # the clean-up that hangs removes, too
        os._exit(1)
