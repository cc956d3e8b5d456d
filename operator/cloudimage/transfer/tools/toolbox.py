"""External programs, under limits: they parse what strangers wrote.

Each gets a closed standard input, a bare environment, the transfer's scratch folder as its working
directory (so its arguments are plain file names), which it may read and nothing else, no network,
no new privileges, no way to start or reach another process, and dies with the transfer, even by
SIGKILL.
"""

import dataclasses
import fcntl
import json
import math
import os
import re
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.tools.confinement import Program
from cloudimage.transfer.tools.launcher import Order
from cloudimage.transfer.tools.nbd import Disk, HungUpError, NbdError

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

_NOT_RUN = 127
"""The exit status by which the dynamic linker says that a program cannot run."""


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


Judge = Callable[[int, str], bool]
"""Returns whether an exit status and the end of standard error are no failure."""


def complaint(stderr: str, status: int) -> str:
    """Return the sentence for a user: the end of a program's standard error, or how it ended."""
    text = _LOCATION.sub(r"\1", " ".join(stderr.split()))
    if len(text) > _MESSAGE_LENGTH:
        text = "... " + text[-_MESSAGE_LENGTH:]
    if status == -signal.SIGXCPU:
        return "it used up its CPU time"
    if status == -signal.SIGXFSZ:
        return "it wrote more than its task can require"
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
class Output:
    """The one file that a program may write.

    Attributes:
        name: In the folder.
        most: Bytes that it may come to.
    """

    name: str
    most: int


@dataclass(frozen=True)
class Toolbox:
    """Runs programs in a folder, under limits.

    Attributes:
        folder: Their working directory.
        memory: Bytes of address space.
        cpu_seconds: CPU seconds.
        deadline: By ``time.monotonic``; a program that runs then is killed. None: each is killed
            after twice its CPU seconds.
        lists_folders: Whether programs see the names in every folder, as one needs that opens
            ``/``; its files they cannot read.
    """

    folder: Path
    memory: int
    cpu_seconds: int
    deadline: float | None = None
    lists_folders: bool = False

    def within(self, seconds: float) -> "Toolbox":
        """Return the same, for programs that together may take so long by the clock."""
        return dataclasses.replace(self, deadline=time.monotonic() + seconds)

    @contextmanager
    def disk(self, name: str, qemu_format: str) -> Iterator[Disk]:
        """Serve the disk in an image by qemu-nbd beside the block, which reads what it likes.

        Raises:
            ToolError: It cannot be read.
            TransferError: As for :meth:`stream`.
        """
        connection, listener = _socket_pair(self.folder)
        command = ("qemu-nbd", "--read-only", *image(name, qemu_format))
        # Who reads may be slow, as Glance is; the server's own silence is bounded by the client.
        seconds = math.inf if self.deadline is None else None
        try:
            # Closed first, then waited for; and closed even if nothing can be started.
            with (
                connection,
                self.stream(*command, listener=listener, seconds=seconds),
                connection,
            ):
                disk = Disk(connection)
                yield disk
                disk.disconnect()
        except NbdError as error:
            raise ToolError(str(error), 0) from error

    def disk_head(self, name: str, qemu_format: str, length: int) -> bytes:
        """Return the first bytes of the disk in an image, fewer only if the disk is shorter.

        Raises:
            ToolError: They cannot be read.
            TransferError: As for :meth:`stream`.
        """
        with self.disk(name, qemu_format) as disk:
            return b"".join(disk.pieces(length))

    def run(
        self,
        *command: str,
        accept: frozenset[int] = frozenset({0}),
        output: Output | None = None,
    ) -> bytes:
        """Run a program to its end and return its standard output.

        Args:
            command: As for :meth:`stream`.
            accept: As for :meth:`stream`.
            output: As for :meth:`stream`.

        Raises:
            ToolError: Its exit status is not among ``accept``, or it writes over 4 MiB.
            TransferError: As for :meth:`stream`.
        """
        with self.stream(*command, accept=accept, output=output) as stdout:
            text = stdout.read(_MOST_OUTPUT + 1)
            if len(text) > _MOST_OUTPUT:
                raise ToolError(f"it wrote more than {_MOST_OUTPUT} bytes", 0)
            return text

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
            raise ToolError("its output is not a JSON object", 0)
        return found

    @contextmanager
    def stream(
        self,
        *command: str,
        accept: frozenset[int] = frozenset({0}),
        output: Output | None = None,
        listener: socket.socket | None = None,
        seconds: float | None = None,
        judge: Judge | None = None,
    ) -> Iterator[IO[bytes]]:
        """Run a program beside the block, which reads its standard output.

        A block that ends without an exception waits for the program's end; one that raises kills
        it. One that raises ``HungUpError`` also waits, for the program's own words.

        Args:
            command: The program and its arguments.
            accept: Exit statuses that are no failure.
            output: The file that it may write; without one it may write none.
            listener: A socket that it is to serve by.
            seconds: After which it is killed; None: by the deadline.
            judge: In place of ``accept``.

        Raises:
            ToolError: Its exit status is not among ``accept``.
            TransferError: ``InternalError``: it is not installed, or cannot be confined;
                ``InsufficientScratch``; ``ConversionFailed``: it took too long.
        """
        order = self._order(command, output, serves=listener is not None)
        with (
            ThreadPoolExecutor(1, "stderr") as reader,
            Program(order, listener) as program,
            _Clock(program, self._seconds() if seconds is None else seconds),
        ):
            told = reader.submit(ending, program.stderr)
            with suppress(OSError):  # the kernel may not grant it
                fcntl.fcntl(program.stdout, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
            try:
                with program.stdout:
                    yield program.stdout
            except HungUpError:
                accept, judge = frozenset(), None
            status, stderr = program.wait(), told.result()
        message = complaint(self._without_folder(stderr.decode(errors="replace")), status)
        if not (judge(status, message) if judge else status in accept):
            if status == _NOT_RUN:
                raise TransferError(
                    Reason.INTERNAL_ERROR, f"the program {command[0]} cannot be run: {message}"
                )
            if any(each in message for each in _DISK_FULL):
                raise TransferError(Reason.INSUFFICIENT_SCRATCH, f"the scratch is full: {message}")
            raise ToolError(message, status)

    def _order(self, command: tuple[str, ...], output: Output | None, *, serves: bool) -> Order:
        if output is not None:
            (self.folder / output.name).touch(0o600)
        return Order(
            program=file_of(command[0]),
            words=command,
            folder=str(self.folder),
            environment=environment(),
            memory=self.memory,
            cpu_seconds=self.cpu_seconds,
            output=output.name if output else None,
            most_output=output.most if output else 0,
            serves=serves,
            lists_folders=self.lists_folders,
        )

    def _without_folder(self, text: str) -> str:
        """Return what a program says with its files by their names, as it was given them."""
        for each in {self.folder.absolute(), self.folder.resolve()}:
            text = text.replace(f"{each}/", "")
        return text

    def _seconds(self) -> float:
        if self.deadline is None:
            return max(_LEAST_SECONDS, 2.0 * self.cpu_seconds)
        return max(0.0, self.deadline - time.monotonic())


class _Clock:
    """Kills a program that takes too long, and says so at the end of the block."""

    def __init__(self, program: Program, seconds: float) -> None:
        self._program = program
        self._late = False
        self._timer = threading.Timer(min(seconds, threading.TIMEOUT_MAX), self._kill)
        self._timer.daemon = True

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        """End.

        Raises:
            TransferError: ``ConversionFailed``: the program was killed. What it had written until
                then may have made no sense, so this comes before whatever the block raised.
        """
        self._timer.cancel()
        if self._late:
            raise TransferError(
                Reason.CONVERSION_FAILED,
                f"{self._program.name} took too long and was ended: the image is made to take "
                "long, or the machine is overloaded",
            )

    def _kill(self) -> None:
        self._late = True
        self._program.kill()


def _socket_pair(folder: Path) -> tuple[socket.socket, socket.socket]:
    """Return a connection and the listening socket that has it in its queue.

    A program that serves is given the latter, so that it needs no right to make any, and nobody
    waits for it to listen; by the time it runs the path is gone. It is by the folder's descriptor,
    since a socket's path has 107 bytes at the most.
    """
    with ExitStack() as opened, _opened(folder) as place:
        listener = opened.enter_context(socket.socket(socket.AF_UNIX))
        connection = opened.enter_context(socket.socket(socket.AF_UNIX))
        path = f"/proc/self/fd/{place}/{_SOCKET}"
        listener.bind(path)
        listener.listen(1)
        connection.connect(path)
        (folder / _SOCKET).unlink()
        opened.pop_all()
    return connection, listener


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    place = os.open(folder, os.O_PATH | os.O_DIRECTORY)
    try:
        yield place
    finally:
        os.close(place)


def ending(stderr: IO[bytes]) -> bytes:
    """Read all and return the last 64 KiB: an image can have a program write gigabytes."""
    last = b""
    while piece := stderr.read(_KEPT):
        last = (last + piece)[-_KEPT:]
    return last


def environment() -> dict[str, str]:
    """Return all of a program's environment, but for what it alone needs.

    glibc gives each thread 64 MiB of addresses to allocate from, and qemu has many threads: under
    its limit of addresses the next one could not be started.
    """
    return {"PATH": _path(), "LC_ALL": "C", "MALLOC_ARENA_MAX": "2"}


def _path() -> str:
    return os.environ.get("PATH", os.defpath)


def file_of(program: str) -> str:
    """Return the file of a program.

    Raises:
        TransferError: ``InternalError``; the program is missing.
    """
    found = shutil.which(program, path=_path())
    if found is None:
        raise TransferError(
            Reason.INTERNAL_ERROR,
            f"the program {program} is not installed; the operator's container image lacks it",
        )
    return str(Path(found).absolute())
