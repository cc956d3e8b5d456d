"""Starts transfers through a fork server that has already imported what they need."""

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import IO, Final, Protocol, Self

from cloudimage.transfer.forkserver import NUMBER

UNKNOWN_STATUS: Final = 255
"""Reported when the fork server died or hung before it could pass on the real exit status."""

_ANSWER_SECONDS: Final = 60.0


class Process(Protocol):
    """What is used of a process that runs a transfer: :class:`Forked`, or subprocess's own."""

    @property
    def pid(self) -> int:
        """Its number."""

    @property
    def stdin(self) -> IO[bytes] | None:
        """A pipe to its standard input."""

    @property
    def stdout(self) -> IO[bytes] | None:
        """A pipe from its standard output."""

    @property
    def returncode(self) -> int | None:
        """Its exit status as :meth:`wait` returned it; None before that."""

    def terminate(self) -> None:
        """Tell it to end; nothing when it has ended."""

    def kill(self) -> None:
        """End it; nothing when it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status once it has ended; that of a signal is negative.

        Raises:
            subprocess.TimeoutExpired: It runs after so many seconds.
        """

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
        /,
    ) -> None:
        """Close the pipes and wait for its end."""


class Forked:
    """A transfer that the server has forked: a :class:`Process`.

    Attributes:
        pid: Its number.
        stdin: The only write end of its standard input.
        stdout: The read end of its standard output.
        returncode: Its exit status, once it was waited for.
    """

    def __init__(
        self, pid: int, handle: int, stdin: IO[bytes], stdout: IO[bytes], status: IO[bytes]
    ) -> None:
        self.pid = pid
        self.stdin = stdin
        self.stdout = stdout
        self.returncode: int | None = None
        self._handle = handle
        self._status = status
        self._lock = threading.Lock()  # no signal by a descriptor that is just being closed

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stdout.close()
        with suppress(BrokenPipeError):
            self.stdin.close()
        self.wait()

    def terminate(self) -> None:
        """Tell it to end; nothing when it has ended."""
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it; nothing when it has ended."""
        self._signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Return its exit status once it has ended; only one thread may wait.

        Raises:
            subprocess.TimeoutExpired: It runs after so many seconds.
        """
        if self.returncode is not None:
            return self.returncode
        if not _readable(self._handle, timeout):
            raise subprocess.TimeoutExpired("transfer", timeout or 0)
        with self._status:
            told = self._status.read() if _readable(self._status.fileno(), _ANSWER_SECONDS) else b""
        with self._lock:
            self.returncode = NUMBER.unpack(told)[0] if told else UNKNOWN_STATUS
            os.close(self._handle)
        return self.returncode

    def _signal(self, number: signal.Signals) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self.returncode is None:
                signal.pidfd_send_signal(self._handle, number)


@dataclass
class ForkServer:
    """Forks transfers from one process, which is started with the first, and again if it died.

    It ends with this object, and with this process.

    Attributes:
        command: The server; its standard input is its connection.
    """

    command: tuple[str, ...] = (sys.executable, "-m", "cloudimage.transfer.forkserver")
    _process: subprocess.Popen[bytes] | None = None
    _connection: socket.socket | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spawn(self) -> Forked:
        """Start a transfer; callers of several threads take turns.

        Raises:
            OSError: The server cannot be started, or does not answer.
        """
        with self._lock:
            try:
                return self._forked()
            except OSError:
                if self._process is not None:
                    self._process.kill()
                self.close()
            return self._forked()

    def close(self) -> None:
        """Have the server end, without its transfers; the next one starts another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            self._process.wait()

    def _forked(self) -> Forked:
        """Have a transfer forked, by pipes that no other one has seen."""
        stdin, stdout, status = os.pipe(), os.pipe(), os.pipe()
        with ExitStack() as ours, ExitStack() as theirs:
            files = [
                ours.enter_context(os.fdopen(end, mode))
                for end, mode in ((stdin[1], "wb"), (stdout[0], "rb"), (status[0], "rb"))
            ]
            ends = (stdin[0], stdout[1], status[1])
            for end in ends:
                theirs.callback(os.close, end)
            pid, handle = self._ask(ends)
            ours.pop_all()
        return Forked(pid, handle, *files)

    def _ask(self, ends: tuple[int, int, int]) -> tuple[int, int]:
        """Hand over a transfer's ends of its pipes; return its pid and its pidfd."""
        connection = self._connected()
        socket.send_fds(connection, [b"\0"], ends)
        answer, handles, *_ = socket.recv_fds(connection, NUMBER.size, 1)
        if not handles:
            raise ConnectionResetError("the server of transfers has died")
        return NUMBER.unpack(answer)[0], handles[0]

    def _connected(self) -> socket.socket:
        if self._connection is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    self.command,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    # Away from the terminal, whose ^C would meet it while Python starts.
                    start_new_session=True,
                )
            ours.settimeout(_ANSWER_SECONDS)
            self._connection = ours
        return self._connection


def _readable(descriptor: int, seconds: float | None) -> bool:
    """Wait until there is something to read, or the end; False when the time is over."""
    poll = select.poll()  # select() knows no descriptors over 1023
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if seconds is None else seconds * 1000))
