"""External programs that have nothing but what they need: one that is taken over harms nobody.

They are started by :mod:`.launcher`, a process beside the transfer, which needs no privileges and
no namespaces for that, so it works in a container of Kubernetes' restricted profile.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.tools import launcher
from cloudimage.transfer.tools.launcher import MOST, STATUS, Order

# -P: no module is taken from the folder that the operator happens to be in.
_COMMAND: Final = (sys.executable, "-P", "-m", launcher.__name__)


class Program:
    """A program that runs, until its end or that of the block.

    Attributes:
        name: What it is called.
        stdout: What it writes.
        stderr: What it complains of.
        cpu_seconds: What it took, with what it started and waited for; once :meth:`wait` returned.
    """

    def __init__(self, order: Order, listener: socket.socket | None = None) -> None:
        """Start it.

        Args:
            order: What to start.
            listener: The socket that it serves by, if it does; ours is closed then.

        Raises:
            TransferError: ``InternalError``: it cannot be confined, without which nothing is
                started, or cannot be run.
        """
        self.name = Path(order.program).name
        self.cpu_seconds = 0.0
        with ExitStack() as ours, ExitStack() as theirs:
            # The leash comes first: whatever interrupts us, the program ends when we let go of it.
            self._leash, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.enter_context(self._leash)
            theirs.enter_context(far)
            self.stdout, stdout = _pipe(ours, theirs)
            self.stderr, stderr = _pipe(ours, theirs)
            report, reporting = _pipe(ours, theirs)
            ends = [stdout, stderr, far.fileno(), reporting]
            if listener is not None:
                ends.append(theirs.enter_context(listener).fileno())
            _LAUNCHER.ask(order, ends)
            theirs.close()
            with report:
                _raise_for(report.read(MOST), self.name)
            ours.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Kill it, if it has not ended, and wait for that."""
        self.stdout.close()
        with self._leash, suppress(OSError):
            self.kill()
            self._leash.recv(STATUS.size)
        self.stderr.close()

    def kill(self) -> None:
        """Have it killed; :meth:`wait` returns soon then. From any thread."""
        with suppress(OSError):  # it has ended, and so has the leash
            self._leash.shutdown(socket.SHUT_WR)

    def wait(self) -> int:
        """Return its exit status once it has ended; that of a signal is negative."""
        told = self._leash.recv(STATUS.size)
        # Without a word the launcher has died, and what it started with it.
        if not told:
            return -signal.SIGKILL
        status, self.cpu_seconds = STATUS.unpack(told)
        return int(status)


def _pipe(ours: ExitStack, theirs: ExitStack) -> tuple[IO[bytes], int]:
    reading, writing = os.pipe()
    theirs.callback(os.close, writing)
    return ours.enter_context(os.fdopen(reading, "rb")), writing


def _raise_for(report: bytes, name: str) -> None:
    """Tell why a program did not become one; no report is a good one."""
    if not report:
        return
    stage, said = json.loads(report)
    if stage == "run":
        raise TransferError(Reason.INTERNAL_ERROR, f"the program {name} cannot be run: {said}")
    raise TransferError(
        Reason.INTERNAL_ERROR,
        "external programs cannot be confined, so they are not run; seccomp with libseccomp2 is "
        f"needed: {said}",
    )


class _Launcher:
    """The process that starts programs: there from the first one on, and again if it died."""

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0

    def ask(self, order: Order, ends: list[int]) -> None:
        """Have a program started; callers of several threads take turns."""
        with self._lock:
            try:
                socket.send_fds(self._connected(), [order.to_json()], ends)
            except (BrokenPipeError, ConnectionResetError):
                self._close()
                socket.send_fds(self._connected(), [order.to_json()], ends)

    def fork(self) -> None:
        """Fork it from this process, which has one thread and no secrets yet."""
        with self._lock:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            self._pid = os.fork()
            if not self._pid:
                ours.close()
                _be_launcher(theirs)
            theirs.close()
            self._connection = ours

    def close(self) -> None:
        """Have it end, and every program with it."""
        with self._lock:
            self._close()

    def _connected(self) -> socket.socket:
        if self._connection is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    # Away from the terminal, whose ^C would meet it while Python starts.
                    start_new_session=True,
                )
            self._connection = ours
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.wait()
            self._process = None
        if self._pid:
            with suppress(ChildProcessError):
                os.waitpid(self._pid, 0)
            self._pid = 0


def _be_launcher(connection: socket.socket) -> None:
    """Be the launcher, in a process that was forked for that."""
    try:
        # Neither the request is its to read, nor the events its to write.
        os.dup2(connection.fileno(), 0)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        with connection:
            launcher.serve(connection)
    finally:
        os._exit(0)


_LAUNCHER: Final = _Launcher()
atexit.register(_LAUNCHER.close)


@contextmanager
def prepared() -> Iterator[None]:
    """Have the launcher forked before the block and ended after it.

    For a process that has but one thread, has no secrets yet, and may end without Python's own end.
    A process that does without has it started with the first program, which takes Python's start.
    """
    _LAUNCHER.fork()
    try:
        yield
    finally:
        _LAUNCHER.close()
