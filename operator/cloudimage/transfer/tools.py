"""External programs, under limits: they parse what strangers wrote.

Each gets a closed standard input, a bare environment, the transfer's scratch folder as its working
directory (so its arguments are plain file names), no network, no new privileges, and dies with the
transfer, even by SIGKILL.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

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

_SOCKET = "nbd.sock"
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
    text = " ".join(stderr.split())
    if len(text) > _MESSAGE_LENGTH:
        text = "... " + text[-_MESSAGE_LENGTH:]
    if status == -signal.SIGXCPU:
        return "it used up its CPU time"
    if not text:
        return f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
    return text


@dataclass(frozen=True)
class Toolbox:
    """Runs programs in a folder, under limits.

    Attributes:
        folder: Their working directory.
        memory: Bytes of address space.
        cpu_seconds: CPU seconds.
    """

    folder: Path
    memory: int
    cpu_seconds: int

    def confined(self, *command: str) -> list[str]:
        """Return the command that runs ``command`` under the limits."""
        memory = (f"--as={self.memory}", f"--data={self.memory}")
        limits = [*memory, f"--cpu={self.cpu_seconds}", "--core=0"]
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
        options = ("--read-only", f"--socket=/proc/self/cwd/{_SOCKET}", "-f", qemu_format)
        try:
            with (
                self.stream("qemu-nbd", *options, name) as output,
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

    def json(self, *command: str, accept: frozenset[int] = frozenset({0})) -> Any:  # noqa: ANN401 - JSON is any
        """Run a program that writes JSON and return what it wrote; None for no output.

        Raises:
            ToolError: As for :meth:`run`.
            TransferError: As for :meth:`stream`.
        """
        output = self.run(*command, accept=accept)
        return json.loads(output) if output.strip() else None

    @contextmanager
    def stream(self, *command: str, accept: frozenset[int] = frozenset({0})) -> Iterator[IO[bytes]]:
        """Run a program beside the block, which reads its standard output.

        A block that ends without an exception waits for the program's end; one that raises kills
        it. One that raises ``HungUpError`` waits, too, for the program's own words.

        Raises:
            ToolError: Its exit status is not among ``accept``.
            TransferError: ``InternalError``: it is not installed, or cannot be confined;
                ``InsufficientScratch``.
        """
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
                with suppress(OSError):  # the kernel may not grant it
                    fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
                try:
                    with process.stdout:
                        yield process.stdout
                except HungUpError:
                    accept = frozenset()
                status, stderr = process.wait(), ending.result()
            finally:
                _end(starting)
        if status not in accept:
            message = complaint(stderr.decode(errors="replace"), status)
            if status in _NOT_RUN:
                raise TransferError(
                    Reason.INTERNAL_ERROR, f"the program {command[0]} cannot be run: {message}"
                )
            if any(each in message for each in _DISK_FULL):
                raise TransferError(Reason.INSUFFICIENT_SCRATCH, f"the scratch is full: {message}")
            raise ToolError(message, status)


@contextmanager
def _connected(path: Path, output: IO[bytes]) -> Iterator[socket.socket]:
    """Connect to a server that is starting.

    Args:
        path: Of its socket.
        output: Of the server, which ends when it does.

    Raises:
        HungUpError: It has ended.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        while True:
            try:
                connection.connect(str(path))
            except (FileNotFoundError, ConnectionRefusedError):
                ended, *_ = select.select([output], [], [], _START_SECONDS)
                if ended:
                    raise HungUpError("it has ended") from None
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
