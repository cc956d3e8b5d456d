"""Where fetched sources are kept: shared, bounded, and safe against processes that die.

A source is known by its URLs, credentials, certificates and checksum, so that transfers of the same
source share one file: the second waits for the first's download and takes its file. Nobody shares
by the checksum alone: a checksum that everybody may know must not open a file that not everybody
may fetch, nor may a stranger's slow server keep those waiting who have a better one.

Of each source there are, by its key, ``.lock`` (held while it is fetched), ``.part`` (what has
come so far), ``.data`` (a whole file; transfers that use it have hard links) and ``.json`` (what
it takes to go on, or to reuse it). What is reused is hashed again. What was being written when the
machine itself went down is not trusted.

Beside a file that grows, here or in a transfer's own folder, ``.promise`` says how many bytes it
may come to, so that no two transfers count on the same space.
"""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from pydantic import BaseModel, ValidationError

from cloudimage.sizes import size_text
from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.file_lock import locked

FOLDER_PREFIX: Final = "transfer-"
"""Begins the names of the transfers' own folders, near the cache; what is in them counts."""

STEP: Final = 64 * 2**20
"""How far ahead there must be space for a file of unknown length."""

_PROMISE: Final = ".promise"
_SUFFIXES: Final = (".part", ".data", ".json", _PROMISE, ".lock")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_BLOCK: Final = 512  # of st_blocks
_SPOILED: Final = frozenset(
    {
        Reason.CHECKSUM_MISMATCH,
        Reason.SIGNATURE_INVALID,
        Reason.SOURCE_NOT_AN_IMAGE,
        Reason.SOURCE_TRUNCATED,
        Reason.UNSAFE_IMAGE,
        Reason.UNSUPPORTED_FORMAT,
        Reason.IMAGE_TOO_LARGE,
        Reason.CONVERSION_FAILED,
    }
)
"""Reasons after which the same bytes are of no use."""

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


class Note(BaseModel):
    """What is known of a file in the cache.

    Attributes:
        url: Digest of the URL it came from; the URL itself may hold secrets.
        place: Where that URL led; None if that may also hold secrets.
        validator: What the server calls this version of the file.
        total: Bytes of the whole file.
        sha256: Of the whole file, once it is there; ``sha512`` where it was made here.
        boot: Of which run of the machine it is.
        modified: When its server says the file was last changed, if it does.
    """

    url: str
    place: str | None = None
    validator: str | None
    total: int | None
    sha256: str | None = None
    sha512: str | None = None
    boot: str = ""
    modified: datetime | None = None


def redacted_name(text: str) -> str:
    """Return a name for a text that does not show it."""
    return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """A folder of sources.

    Attributes:
        shared: Whether the folder outlives the transfer and others use it.
    """

    def __init__(self, folder: Path, limits: Limits, *, shared: bool) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._limits = limits
        self.shared = shared

    @property
    def lists(self) -> Path:
        """Where publishers' lists are kept."""
        return self._folder / "lists"

    @contextmanager
    def entry(self, key: str, *, wait: bool = True) -> Iterator["Entry"]:
        """Hold the entry of a source by its key; wait while another process holds it.

        Raises:
            BlockingIOError: Another holds it, and we do not wait.
        """
        lock = self._folder / f"{key}.lock"
        with locked(lock, wait=wait), self.room(self.part(key)) as room:
            entry = Entry(self, self._folder, key, room)
            try:
                yield entry
            finally:
                if not (entry.part.exists() or entry.data.exists()):
                    lock.unlink(missing_ok=True)

    def part(self, key: str) -> Path:
        """Return where the file of a source is written."""
        return self._folder / f"{key}.part"

    @contextmanager
    def room(self, path: Path) -> Iterator["Room"]:
        """Keep the space that a growing file reserves."""
        try:
            yield Room(self, path)
        finally:
            _promise(path).unlink(missing_ok=True)

    @contextmanager
    def discarding(self, key: str) -> Iterator[None]:
        """Remove a whole file that is not in use if the block fails because of its bytes."""
        try:
            yield
        except TransferError as error:
            if error.reason in _SPOILED and (self._folder / f"{key}.data").exists():
                self.remove(key)
            raise

    def holds(self, key: str) -> bool:
        """Return whether the file of a source, or a part of it, is there."""
        return any((self._folder / f"{key}{suffix}").exists() for suffix in (".data", ".part"))

    def sweep(self) -> None:
        """Remove what dead processes left and nobody can use."""
        for path in self._folder.glob("*.part"):
            if not path.with_suffix(".json").exists():
                self.remove(path.stem)
        for path in self._folder.glob(f"*{_PROMISE}"):
            self.remove(path.stem, (_PROMISE,))
        for path in self._folder.glob("*.lock"):
            if not any(path.with_suffix(each).exists() for each in (".part", ".data")):
                self.remove(path.stem)

    def reserve(self, path: Path, size: int) -> None:
        """See that a file can come to a size; the least recently used sources make place for it.

        Args:
            path: The file, here or in a transfer's own folder. Its source stays.
            size: Bytes.

        Raises:
            TransferError: ``InsufficientScratch``.
        """
        turn = self._folder / "reserving"
        with locked(turn, wait=True):
            try:
                self._make_place(path, size)
                path.touch()
                _promise(path).write_text(str(size))
            finally:
                turn.unlink()

    def _make_place(self, path: Path, size: int) -> None:
        victims = iter(self._victims(path.stem))
        while (missing := self.missing(path, size)) > 0:
            victim = next(victims, None)
            if victim is None:
                free = shutil.disk_usage(self._folder).free
                raise TransferError(
                    Reason.INSUFFICIENT_SCRATCH,
                    f"the scratch has {size_text(free)} free and may take "
                    f"{size_text(self._limits.max_scratch)} including what is already reserved; "
                    f"{size_text(size - _size(path))} more are needed, {size_text(missing)} are "
                    "missing",
                )
            self.remove(victim)

    def missing(self, path: Path, size: int) -> int:
        """Return the bytes that a file of a size lacks as long as nothing makes place for it."""
        taken, coming = 0, max(0, size - _size(path))
        for each in self._all_files():
            there = _size(each)
            taken += there
            if each != path:
                coming += max(0, _promised(each) - there)
        free = shutil.disk_usage(self._folder).free
        return max(coming - free, taken + coming - self._limits.max_scratch)

    def _files(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.suffix in {".part", ".data"}]

    def _all_files(self) -> list[Path]:
        """Return what takes space in the scratch, files with several names once."""
        beside = _listing(self._folder.parent)
        folders = [*beside, *(each for folder in beside for each in _listing(folder))]
        own = [each for each in folders if each.name.startswith(FOLDER_PREFIX)]
        inodes = {}
        # Of a file with several names the one in the cache, which has the promise, comes last.
        for path in [*(each for folder in own for each in _listing(folder)), *self._files()]:
            with suppress(FileNotFoundError):
                if path.suffix != _PROMISE:
                    inodes[path.stat().st_ino] = path
        return list(inodes.values())

    def _victims(self, held: str) -> list[str]:
        """Return keys in the order to remove them: whole files that nobody uses, then parts."""
        ages = []
        for path in self._files():
            with suppress(FileNotFoundError):
                status = path.stat()
                if path.stem != held and status.st_nlink == 1:
                    ages.append((path.suffix == ".part", status.st_mtime, path.stem))
        return [key for *_, key in sorted(ages)]

    def remove(self, key: str, suffixes: tuple[str, ...] = _SUFFIXES) -> None:
        """Remove files of a key unless it is being made; who uses them keeps a link."""
        path = self._folder / f"{key}.lock"
        with suppress(BlockingIOError), locked(path, wait=False):
            for suffix in suffixes:
                path.with_suffix(suffix).unlink(missing_ok=True)


class Room:
    """The space of a file that grows."""

    def __init__(self, cache: Cache, path: Path) -> None:
        self._cache = cache
        self._path = path
        self._reserved = 0

    def reserve(self, size: int) -> None:
        """See that the file can come to so many bytes.

        Raises:
            TransferError: ``InsufficientScratch``.
        """
        self._cache.reserve(self._path, size)
        self._reserved = size

    def need(self, size: int) -> None:
        """See that the file can have so many bytes, and some more, for what follows.

        Raises:
            TransferError: ``InsufficientScratch``.
        """
        if size > self._reserved:
            self.reserve(size + STEP)


class Entry:
    """One source in the cache, held by us.

    Attributes:
        part: The file to write to.
        room: Its space.
        data: The whole file, if there is one.
    """

    def __init__(self, cache: Cache, folder: Path, key: str, room: Room) -> None:
        self._cache = cache
        self.part = cache.part(key)
        self.room = room
        self.data = folder / f"{key}.data"
        self._note = folder / f"{key}.json"

    @property
    def is_kept(self) -> bool:
        """Whether what is there outlives the transfer."""
        return self._cache.shared

    def has_part(self) -> bool:
        """Return whether a byte of the file is there."""
        return self.part.exists() and self.part.stat().st_size > 0

    def note(self) -> Note | None:
        """Return what is known of the file; None: nothing that can be relied on."""
        try:
            note = Note.model_validate_json(self._note.read_bytes())
        except (FileNotFoundError, ValidationError):
            return None
        return note if note.boot == boot_id() else None

    def remember(self, note: Note) -> None:
        """Write down what is known of the file."""
        incoming = self._note.with_suffix(".new")
        try:
            incoming.write_text(note.model_copy(update={"boot": boot_id()}).model_dump_json())
            incoming.replace(self._note)
        finally:
            incoming.unlink(missing_ok=True)  # of a disk that was full

    def forget_note(self) -> None:
        """Remove what was known: of the file that there is now, nothing is."""
        self._note.unlink(missing_ok=True)

    def forget(self) -> None:
        """Remove the files."""
        for path in (self.part, self.data, self._note):
            path.unlink(missing_ok=True)

    def finish(self, note: Note) -> None:
        """Make the part the whole file."""
        self.part.replace(self.data)
        self.remember(note)

    def give(self, target: Path) -> None:
        """Put the whole file where the transfer wants it, for reading only.

        Raises:
            TransferError: ``InvalidRequest`` if that is on another file system.
        """
        if not self._cache.shared:
            self.data.replace(target)
            return
        os.utime(self.data)
        try:
            target.hardlink_to(self.data)
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise TransferError(
                Reason.INVALID_REQUEST, "the cache must be on the same file system as the scratch"
            ) from error


def write_all(file: IO[bytes], piece: bytes) -> None:
    """Write to an unbuffered file, which may take less at once."""
    rest = memoryview(piece)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def telling_when_full() -> Iterator[None]:
    """Turn the error of a full disk, wherever the block meets it, into a failure for the user.

    Raises:
        TransferError: ``InsufficientScratch``.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise TransferError(
            Reason.INSUFFICIENT_SCRATCH, "the scratch became full during the transfer"
        ) from error


def _size(path: Path) -> int:
    try:
        return path.stat().st_blocks * _BLOCK
    except FileNotFoundError:
        return 0


def _promise(path: Path) -> Path:
    return path.with_suffix(_PROMISE)


def _promised(path: Path) -> int:
    """Return the bytes that a file may come to; 0: it does not grow."""
    try:
        return int(_promise(path).read_text() or 0)
    except (FileNotFoundError, ValueError):
        return 0


def _listing(folder: Path) -> list[Path]:
    """Return what is in a folder; nothing if it is gone, or none, or not ours."""
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def boot_id() -> str:
    """Return what tells this run of the machine from others; nothing where that is not known."""
    return _BOOT_ID.read_text().strip() if _BOOT_ID.exists() else ""
