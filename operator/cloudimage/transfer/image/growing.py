"""A file that one transfer makes in the cache, from its beginning on, while others read it."""

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Final

from cloudimage.transfer.image.conversion import CHUNK, Chunks, Payload
from cloudimage.transfer.scratch import Cache, Entry, Note
from cloudimage.transfer.sparse import end_sparse, write_sparse

_PAUSE_SECONDS: Final = 0.05
_STOP_SECONDS: Final = 10.0


@dataclass
class GrowingFile:
    """Bytes that are the same for several transfers, written once and read while they are.

    The file's length says how far it is, so it must not be on a file system that several nodes
    mount: those see the length and the bytes at different times. A transfer that finds nobody
    writing does so itself from the beginning, into the same file, or into a new one if that was
    swept; all that were reading go on with it.

    Attributes:
        key: Of the bytes, in the cache.
        link: This transfer's own name for the file.
        source: Gives the bytes to whoever writes them.
        most: Bytes that they may take on the disk.
    """

    cache: Cache
    key: str
    link: Path
    source: Payload
    most: int
    _writer: Thread | None = field(default=None, init=False)
    _failure: BaseException | None = field(default=None, init=False)
    _stopped: Event = field(default_factory=Event, init=False)

    def begin(self) -> Payload:
        """Write the file beside this, or find who does, and return what reads it.

        Raises:
            TransferError: ``InsufficientScratch``.
        """
        while not (self._taken_over() or self._found()):
            time.sleep(_PAUSE_SECONDS)
        return Payload(self.source.format, self.source.size, self._chunks, self._sha512)

    def finish(self, is_wanted: Callable[[], bool]) -> None:
        """Go on writing as long as somebody else wants that."""
        while self._writes() and is_wanted():
            time.sleep(_PAUSE_SECONDS)

    def stop(self) -> None:
        """Stop writing."""
        self._stopped.set()
        if self._writer is not None:
            self._writer.join(_STOP_SECONDS)

    def _writes(self) -> bool:
        return self._writer is not None and self._writer.is_alive()

    def _found(self) -> bool:
        """Return whether there is a file, which another transfer writes."""
        try:
            self._join(self.cache.part(self.key))
        except FileNotFoundError:
            return False
        return True

    def _join(self, path: Path) -> None:
        """Have this transfer's link be of a file; it may be of one that a killed writer left.

        Raises:
            FileNotFoundError: The file is not there; the link stays.
        """
        if self.link.exists() and self.link.samefile(path):
            return
        joined = self.link.with_suffix(".joined")
        joined.hardlink_to(path)
        joined.replace(self.link)

    def _taken_over(self) -> bool:
        """Begin to write, unless another does; return whether the file is whole or begun."""
        with ExitStack() as held:
            try:
                entry = held.enter_context(self.cache.entry(self.key, wait=False))
            except BlockingIOError:
                return False
            if self._is_whole(entry):
                self._join(entry.data)
                return True
            entry.room.reserve(self.most)  # makes the part if it does not exist
            self._join(entry.part)
            arguments = entry, held.pop_all()
            self._writer = Thread(target=self._write, args=arguments, daemon=True)
            self._writer.start()
        return True

    def _is_whole(self, entry: Entry) -> bool:
        data = entry.data
        return (
            entry.note() is not None and data.exists() and data.stat().st_size == self.source.size
        )

    def _write(self, entry: Entry, held: ExitStack) -> None:
        with held:
            try:
                sha512 = self._written(entry.part)
                if not self._stopped.is_set():
                    size = self.source.size
                    entry.finish(Note(url=self.key, validator=None, total=size, sha512=sha512))
            except BaseException as error:  # noqa: BLE001 - raised where the file is read
                self._failure = error

    def _written(self, path: Path) -> str:
        """Write all bytes and return their SHA-512, which costs less now than by reading again."""
        found = hashlib.sha512()
        with closing(self.source.open()) as chunks, path.open("wb", buffering=0) as file:
            for chunk in chunks:
                if self._stopped.is_set():
                    break
                found.update(chunk)
                write_sparse(file, chunk)
                end_sparse(file)
        return found.hexdigest()

    def _chunks(self) -> Chunks:
        position = 0
        while position < self.source.size:
            # Opened again after each pause: there may be another file by then.
            with self.link.open("rb", buffering=0) as file:
                file.seek(position)
                while chunk := file.read(min(CHUNK, self.source.size - position)):
                    position += len(chunk)
                    yield chunk
            if position < self.source.size:
                self._wait()

    def _wait(self) -> None:
        """Wait for more of the file.

        Raises:
            BaseException: What kept this transfer from writing it.
        """
        if not self._writes():
            if self._failure is not None:
                raise self._failure
            if not self._taken_over():
                self._found()
        time.sleep(_PAUSE_SECONDS)

    def _sha512(self) -> str:
        with self.cache.entry(self.key) as entry:
            note = entry.note()
        if note is not None and note.sha512 is not None:
            return note.sha512
        found = hashlib.sha512()  # whoever wrote it was killed before saying so
        with closing(self._chunks()) as chunks:
            for chunk in chunks:
                found.update(chunk)
        return found.hexdigest()
