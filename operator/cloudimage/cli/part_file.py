"""A file that is written beside its name, and has that name only once it is whole."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from cloudimage.cli.errors import CommandError
from cloudimage.transfer.sparse import end_sparse, write_sparse

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


@dataclass
class PartFile:
    """What is there of a file, held against other runs.

    Attributes:
        path: Where it is until it is whole.
        target: What it is to be.
    """

    path: Path
    target: Path
    _file: IO[bytes]
    _mode: int

    def size(self) -> int:
        """Return the bytes that are there."""
        return os.fstat(self._file.fileno()).st_size

    def begin(self, at: int) -> None:
        """Go on behind so many bytes; what is behind them goes."""
        self._file.truncate(at)
        self._file.seek(at)

    def write(self, chunk: bytes) -> None:
        """Write the next bytes, zeros as holes.

        Raises:
            CommandError: The disk is full, for example.
        """
        with _told(f"{self.path} cannot be written"):
            write_sparse(self._file, chunk)

    def finish(self, *, force: bool) -> None:
        """Give it its name, in one step.

        Args:
            force: Whether it takes the place of a file that has the name.

        Raises:
            CommandError: There is such a file, or the disk failed; the part stays.
        """
        with _told(f"{self.target} cannot be written"):
            end_sparse(self._file)
            os.fchmod(self._file.fileno(), self._mode)
            os.fsync(self._file.fileno())
            if force:
                self.path.replace(self.target)
                return
            try:
                self.target.hardlink_to(self.path)
            except FileExistsError:
                raise _taken(self.target) from None
            except OSError:  # a file system without hard links, as those of USB sticks
                check_free(self.target, force=False)
                self.path.replace(self.target)
                return
            self.path.unlink()

    def discard(self) -> None:
        """Remove it: it is of no use to another run."""
        self.path.unlink(missing_ok=True)


def check_free(target: Path, *, force: bool) -> None:
    """Refuse what must not be overwritten, before any work is done.

    Raises:
        CommandError: There is such a file, or something else that no file can replace.
    """
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise CommandError(f"{target} cannot be written: {error.strerror}.") from error
    if not stat.S_ISREG(mode) and not stat.S_ISLNK(mode):
        raise CommandError(f"{target} is no file; give the name of one, or - for standard output.")
    if not force:
        raise _taken(target)


@contextmanager
def part_of(target: Path, key: str, mode: int) -> Iterator[PartFile]:
    """Open the part of a file, or make it.

    Args:
        target: The file.
        key: Which bytes it is to have: a part of others is not gone on with.
        mode: Who may read and write the file once it is whole.

    Raises:
        CommandError: It cannot be written here, or another run is writing it.
    """
    path = target.with_name(f"{target.name}.{key}.part")
    with _told(f"{path} cannot be written"):
        descriptor = os.open(path, _FLAGS, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        _check_ours(path, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"Another run is writing {path}; wait until it has ended.") from None
        part = PartFile(path, target, file, mode)
        file.seek(0, os.SEEK_END)
        try:
            yield part
        finally:
            # A hole at the end counts as well, for the next run.
            end_sparse(file)
            if part.size() == 0:
                part.discard()


def _check_ours(path: Path, descriptor: int) -> None:
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
        raise CommandError(f"{path} is in the way: it is not a file of yours.")


def _taken(target: Path) -> CommandError:
    return CommandError(f"{target} is there already; give --force to replace it.")


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CommandError(f"{what}: {error.strerror}.") from error


def usual_mode() -> int:
    """Return the mode of the user's new files; their mask can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
