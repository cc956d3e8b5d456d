"""Publishers' lists, kept in the scratch: many images of one publisher cost it one request.

What is kept says who may read it: the key has the credentials in it, as that of a source has. A
list is proven each time that it is used, by its signature if it has one, and not when it is kept.
"""

import fcntl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ValidationError

from cloudimage.transfer.scratch import redacted_name
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.side_files import SideFile, fetch_side_file

KEPT_SECONDS: Final = 30 * 86400.0
"""After which a list that nobody asks for is removed."""

MOST_BYTES: Final = 256 * 2**20
"""Bytes of all lists, which the scratch's own limit does not count: users choose their URLs."""


class _Note(BaseModel):
    """What is known of a list that is kept; when it was fetched, in seconds of the epoch."""

    url: str
    validators: Mapping[str, str]
    asked: float


class Lists:
    """Lists that one source may read."""

    def __init__(
        self,
        folder: Path,
        client: Client,
        identity: str,
        max_age: float,
        now: Callable[[], float] = time.time,
    ) -> None:
        """Use a folder of lists.

        Args:
            folder: Of all lists.
            client: Asks for one that is not there.
            identity: Who asks: whoever has another one gets nothing that is kept.
            max_age: Seconds for which a list that is there need not be asked for again.
            now: Tells the time, in seconds of the epoch.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._client = client
        self._identity = identity
        self._max_age = max_age
        self._now = now

    def read(self, url: str, most: int, *, signed: bool = False) -> SideFile:
        """Return a list: what is kept if that is young enough, else what its server has.

        Args:
            url: Of the list.
            most: Bytes that it may have.
            signed: Whether a signature proves it.

        Raises:
            TransferError: As for :func:`fetch_side_file`.
        """
        path = self._folder / redacted_name(f"{self._identity} {signed} {url}")
        with _held(path):
            note, content = _kept(path)
            if note and self._now() - note.asked < self._max_age:
                return SideFile(content, note.url, note.validators)
            known = note.validators if note else None
            file = fetch_side_file(
                url, self._client, signed=signed, most=most, validators=known
            ) or SideFile(content, note.url if note else url, known or {})
            self._keep(path, file)
        self._sweep()
        return file

    def _keep(self, path: Path, file: SideFile) -> None:
        note = _Note(url=file.url, validators=file.validators, asked=self._now())
        # The note last, and neither half-written: what is read belongs together.
        for suffix, data in ((".list", file.content), (".json", note.model_dump_json().encode())):
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.replace(path.with_suffix(suffix))

    def _sweep(self) -> None:
        """Remove what nobody has asked for in a long time, and the oldest of too many bytes."""
        total = 0
        for used, size, path in sorted(self._files(), reverse=True):
            total += size
            if total > MOST_BYTES or self._now() - used > KEPT_SECONDS:
                path.unlink(missing_ok=True)

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for path in self._folder.iterdir():
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # another transfer was first
            yield found.st_mtime, found.st_size, path


def _kept(path: Path) -> tuple[_Note | None, bytes]:
    try:
        note = _Note.model_validate_json(path.with_suffix(".json").read_bytes())
        return note, path.with_suffix(".list").read_bytes()
    except (OSError, ValidationError):
        return None, b""


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a list, so that transfers that want it at the same time ask once."""
    with path.with_suffix(".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
