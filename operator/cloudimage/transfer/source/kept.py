"""A source's whole file in the cache: fetched, unless the one that is kept is right."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloudimage.transfer.contract import Checksum, Stage
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache, Entry, Note
from cloudimage.transfer.source.hashes import Fetched, Hashes


@dataclass(frozen=True)
class KeptSource:
    """A source as the cache knows it.

    Attributes:
        key: Of its entry.
        checksum: What the file must be, if that is known.
    """

    cache: Cache
    key: str
    checksum: Checksum | None
    meter: Meter

    def obtain(
        self,
        target: Path,
        fetch: Callable[[Entry], Fetched],
        is_current: Callable[[Note], bool] = lambda _: True,
    ) -> Fetched:
        """Put the file at ``target``, for reading only.

        Args:
            target: On the file system of the cache.
            fetch: Makes the entry's file whole.
            is_current: Returns whether the file of a note is still the source's.

        Raises:
            TransferError: That of ``fetch``, and ``InvalidRequest`` for another file system.
        """
        self.cache.sweep()
        while True:
            with self.cache.entry(self.key) as entry:
                note = _usable(entry, is_current)
                fetched = None if note else fetch(entry)
                entry.give(target)
            # The entry is free by now: others that want the file hash it at the same time.
            if note is not None:
                fetched = self._verified(note, target)
            if fetched is not None:
                return fetched
            target.unlink()
            with self.cache.entry(self.key) as entry:
                entry.forget()

    def _verified(self, note: Note, path: Path) -> Fetched | None:
        """Return what the file is; None: it is no longer as it was fetched."""
        self.meter.start(Stage.FETCHING, note.total)
        hashes = Hashes(self.checksum)
        hashes.update_from(path, self.meter)
        fetched = hashes.fetched(note.modified)
        same = fetched.checksums["sha256"] == note.sha256 and hashes.are_right()
        return fetched if same else None


def _usable(entry: Entry, is_current: Callable[[Note], bool]) -> Note | None:
    """Return what is known of the whole file, if there is one to be used; forget it otherwise."""
    note = entry.note()
    if not entry.data.exists():
        return None
    if note is None or note.sha256 is None or not is_current(note):
        entry.forget()
        return None
    return note
