"""External programs, under limits: they parse what strangers wrote.

Each gets a closed standard input, a bare environment, the transfer's scratch folder as its working
directory (so its arguments are plain file names), no network, no new privileges, and dies with the
transfer, even by SIGKILL.
"""

import dataclasses
import fcntl
import json
import math
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from cloudimage.transfer import confine
from cloudimage.transfer.nbd import Disk, HungUpError, NbdError
from cloudimage.transfer.types import Reason, TransferError

_MESSAGE_LENGTH = 400
_KEPT = 64 * 2**10
"""Bytes of a program's standard error; a message is cut out of its end."""
_MOST_OUTPUT = 4 * 2**20
"""Bytes of output read at once; what qemu-img says of an image is some kilobytes."""
_PIPE_SIZE = 1 * 2**20
"""Sixteen times the default: the two sides wake each other less often."""

_DISK_FULL = ("No space left on device", "Disk quota exceeded")
"""strerror of ENOSPC and EDQUOT in the locale C."""

_DRIVER_OPTIONS: Final[dict[str, dict[str, str]]] = {"vpc": {"force_size_calc": "current_size"}}
"""Options that a format is opened with, by its name in qemu.

A VHD has its size twice: as a number, which every other program goes by, and as a geometry, which
cannot say every size. qemu goes by the geometry unless it knows the program that made the file.
"""
_LOCATION = re.compile(r'json:\{[^{}]*\{[^{}]*"filename": ?"([^"]*)"\}\}')

_LEAST_SECONDS = 600.0
"""By the clock, however few CPU seconds a program may take: the machine may have others to run."""

_SOCKET = "nbd.sock"
_START_LIMIT = 60.0
"""Seconds after which a server that is not there will not come."""
_START_SECONDS = 0.005
"""Between looks whether a server is there."""

_NOT_RUN = frozenset({126, 127})
"""Exit statuses by which setpriv, prlimit and the dynamic linker say that a program cannot run."""


class ToolError(Exception):
    """An external program failed.

    Attributes:
        message: The end of what it wrote to standard error.
        status: Its exit status; negative: the signal that ended it.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


def complaint(stderr: str, status: int) -> str:
    """Return the sentence for a user: the end of a program's standard error, or how it ended."""
    text = _LOCATION.sub(r"\1", " ".join(stderr.split()))
    if len(text) > _MESSAGE_LENGTH:
        text = "... " + text[-_MESSAGE_LENGTH:]
    if status == -signal.SIGXCPU:
        return "it used up its CPU time"
    if not text:
        return f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return text


def image(name: str, qemu_format: str) -> tuple[str, str, str]:
    """Return the arguments by which any of qemu's programs opens an image, in one way everywhere.

    Args:
        name: A file in the folder of the tools.
        qemu_format: Its format; nothing is probed.
    """
    options = _DRIVER_OPTIONS.get(qemu_format)
    if options is None:
        return ("-f", qemu_format, name)
    opened = {"driver": qemu_format, **options, "file": {"driver": "file", "filename": name}}
    return ("-f", qemu_format, f"json:{json.dumps(opened)}")


@dataclass(frozen=True)
class Toolbox:
    """Runs programs in a folder, under limits.

    Attributes:
        folder: Their working directory.
        memory: Bytes of address space.
        cpu_seconds: CPU seconds.
        deadline: By ``time.monotonic``; a program that runs then is killed. None: each is killed
            after twice its CPU seconds.
    """

    folder: Path
    memory: int
    cpu_seconds: int
    deadline: float | None = None

    def within(self, seconds: float) -> "Toolbox":
        """Return the same, for programs that together may take so long by the clock."""
        return dataclasses.replace(self, deadline=time.monotonic() + seconds)

    def confined(self, *command: str) -> list[str]:
        """Return the command that runs ``command`` under the limits."""
        limits = [f"--as={self.memory}", f"--cpu={self.cpu_seconds}", "--core=0"]
        return ["setpriv", "--pdeathsig", "KILL", "--no-new-privs", "prlimit", *limits, *command]

    @contextmanager
    def disk(self, name: str, qemu_format: str) -> Iterator[Disk]:
        """Serve the disk in an image by qemu-nbd beside the block, which reads it to its end.

        Raises:
            ToolError: It cannot be read.
            TransferError: As for :meth:`stream`.
        """
        # By the folder's descriptor: the path of a socket has 107 bytes at the most.
        place = os.open(self.folder, os.O_PATH | os.O_DIRECTORY)
        options = ("--read-only", f"--socket=/proc/self/cwd/{_SOCKET}")
        # Who reads may be slow, as Glance is; the server's own silence is bounded by the client.
        seconds = math.inf if self.deadline is None else None
        try:
            with (
                self.stream(
                    "qemu-nbd", *options, *image(name, qemu_format), seconds=seconds
                ) as output,
                _connected(Path(f"/proc/self/fd/{place}/{_SOCKET}"), output) as connection,
            ):
                yield Disk(connection)
        except NbdError as error:
            raise ToolError(str(error), 0) from error
        finally:
            os.close(place)

    def disk_head(self, name: str, qemu_format: str, length: int) -> bytes:
        """Return the first bytes of the disk in an image, fewer only if it has no more.

        Raises:
            ToolError: They cannot be read.
            TransferError: As for :meth:`stream`.
        """
        with self.disk(name, qemu_format) as disk:
            return b"".join(disk.pieces(length))

    def run(self, *command: str, accept: frozenset[int] = frozenset({0})) -> bytes:
        """Run a program to its end and return its standard output.

        Raises:
            ToolError: Its exit status is not among ``accept``, or it writes over 4 MiB.
            TransferError: As for :meth:`stream`.
        """
        with self.stream(*command, accept=accept) as stdout:
            output = stdout.read(_MOST_OUTPUT + 1)
            if len(output) > _MOST_OUTPUT:
                raise ToolError(f"it writes over {_MOST_OUTPUT} bytes", -signal.SIGKILL)
            return output

    def json(self, *command: str, accept: frozenset[int] = frozenset({0})) -> dict[str, Any]:
        """Run a program that writes a JSON object, and return it; empty for no output.

        Raises:
            ToolError: As for :meth:`run`.
            TransferError: As for :meth:`stream`.
        """
        output = self.run(*command, accept=accept)
        try:
            found = json.loads(output) if output.strip() else {}
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise ToolError("it writes something else than a JSON object", 0)
        return found

    @contextmanager
    def stream(
        self,
        *command: str,
        accept: frozenset[int] = frozenset({0}),
        seconds: float | None = None,
    ) -> Iterator[IO[bytes]]:
        """Run a program beside the block, which reads its standard output.

        A block that ends without an exception waits for the program's end; one that raises kills
        it. One that raises ``HungUpError`` also waits, for the program's own words.

        Args:
            command: The program and its arguments.
            accept: Exit statuses of success.
            seconds: After which it is killed; None: by the deadline.

        Raises:
            ToolError: Its exit status is not among ``accept``.
            TransferError: ``InternalError``: it is not installed, or cannot be confined;
                ``InsufficientScratch``; ``ConversionFailed``: it took too long.
        """
        clock = _Clock(self._seconds() if seconds is None else seconds)
        words = self.confined(*command)
        _require(words[0], "prlimit", command[0])
        with ThreadPoolExecutor(1, "stderr") as reader:
            starting: Future[subprocess.Popen[bytes]] = Future()
            try:
                confine.start(starting, words, self.folder, _environment())
                process = starting.result()
                assert process.stdout is not None  # noqa: S101 - pipes were asked for
                assert process.stderr is not None  # noqa: S101 - pipes were asked for
                ending = reader.submit(_ending, process.stderr)
                clock.watch(process)
                with suppress(OSError):  # the kernel may not grant it
                    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
                try:
                    with process.stdout:
                        yield process.stdout
                except HungUpError:
                    accept = frozenset()
                status, stderr = process.wait(), ending.result()
            except Exception:
                clock.check(command[0])  # what was cut off made no sense
                raise
            finally:
                clock.stop()
                _end(starting)
        clock.check(command[0])
        if status not in accept:
            message = complaint(stderr.decode(errors="replace"), status)
            if status in _NOT_RUN:
                raise TransferError(
                    Reason.INTERNAL_ERROR, f"the program {command[0]} cannot be run: {message}"
                )
            if any(each in message for each in _DISK_FULL):
                raise TransferError(Reason.INSUFFICIENT_SCRATCH, f"the scratch is full: {message}")
            raise ToolError(message, status)

    def _seconds(self) -> float:
        if self.deadline is None:
            return max(_LEAST_SECONDS, 2.0 * self.cpu_seconds)
        return max(0.0, self.deadline - time.monotonic())


class _Clock:
    """Kills a program that takes too long."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._timer: threading.Timer | None = None
        self._late = False

    def watch(self, process: "subprocess.Popen[bytes]") -> None:
        """Begin."""
        if math.isfinite(self._seconds):
            self._timer = threading.Timer(self._seconds, self._kill, (process,))
            self._timer.daemon = True
            self._timer.start()

    def stop(self) -> None:
        """End; the program has."""
        if self._timer is not None:
            self._timer.cancel()

    def check(self, program: str) -> None:
        """Fail if the program was killed.

        Raises:
            TransferError: ``ConversionFailed``.
        """
        if self._late:
            raise TransferError(
                Reason.CONVERSION_FAILED,
                f"{program} was ended, since it took too long over the image: that is made to take "
                "long, or the machine is overloaded",
            )

    def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        self._late = True
        process.kill()


@contextmanager
def _connected(path: Path, output: IO[bytes]) -> Iterator[socket.socket]:
    """Connect to a server that is starting.

    Args:
        path: Of its socket.
        output: Of the server, which ends when it does.

    Raises:
        HungUpError: It has ended.
        NbdError: It does not begin to serve.
    """
    limit = time.monotonic() + _START_LIMIT
    with socket.socket(socket.AF_UNIX) as connection:
        while True:
            try:
                connection.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                ended, *_ = select.select([output], [], [], _START_SECONDS)
                if ended:
                    raise HungUpError("it has ended") from None
                if time.monotonic() > limit:
                    raise NbdError("it does not begin to serve") from None
            else:
                break
        path.unlink()
        yield connection


def _ending(stderr: IO[bytes]) -> bytes:
    """Read all and keep the last of it: an image can have a program write gigabytes."""
    last = b""
    while piece := stderr.read(_KEPT):
        last = (last + piece)[-_KEPT:]
    return last


def _end(starting: Future[subprocess.Popen[bytes]]) -> None:
    """Kill what was started, if it was; nothing when it has ended."""
    if not starting.cancel() and starting.exception() is None:
        with starting.result() as process:
            process.kill()


def _environment() -> dict[str, str]:
    """Return all of a program's environment.

    glibc gives each thread 64 MiB of addresses to allocate from, and qemu has many threads: under
    its limit of addresses the next one could not be started.
    """
    return {"PATH": _path(), "LC_ALL": "C", "MALLOC_ARENA_MAX": "2"}


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


def _require(*programs: str) -> None:
    """Refuse to go on without a program.

    Raises:
        TransferError: ``InternalError``, saying which one.
    """
    for program in programs:
        if shutil.which(program, path=_path()) is None:
            raise TransferError(
                Reason.INTERNAL_ERROR,
                f"the program {program} is not installed beside the operator; "
                "the container image lacks it",
            )
