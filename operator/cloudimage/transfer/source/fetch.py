"""Fetches the source over HTTP into a file and hashes the bytes as they arrive."""

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from cloudimage.transfer.contract import HttpSource, Reason, Stage, TransferError
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import (
    STEP,
    Cache,
    Entry,
    Note,
    digest,
    telling_when_full,
    write_all,
)
from cloudimage.transfer.source.client import Client, UnansweredError
from cloudimage.transfer.source.download import CHUNK, Beginning, Download

SERVERS: Final = frozenset(
    {
        Reason.SOURCE_UNREACHABLE,
        Reason.SOURCE_NOT_FOUND,
        Reason.SOURCE_REFUSED,
        Reason.SOURCE_NOT_AN_IMAGE,
        Reason.SOURCE_TRUNCATED,
        Reason.CHECKSUM_MISMATCH,
    }
)
"""Reasons that are one server's and may not be another's."""

_ENDING: Final = frozenset({Reason.INVALID_REQUEST, Reason.INSUFFICIENT_SCRATCH})
"""Reasons that no other mirror changes."""

_PASSING: Final = frozenset(
    {Reason.SOURCE_UNREACHABLE, Reason.SOURCE_NOT_FOUND, Reason.SOURCE_TRUNCATED}
)
"""Reasons that may be gone at the next attempt."""

T = TypeVar("T")


@dataclass(frozen=True)
class Fetched:
    """What arrived.

    Attributes:
        size: Bytes.
        checksums: Hexadecimal hashes by algorithm: sha256 and the one of the request's checksum.
    """

    size: int
    checksums: dict[str, str]


def fetch(source: HttpSource, target: Path, meter: Meter, client: Client, cache: Cache) -> Fetched:
    """Fetch the source into the file ``target``, which is for reading only.

    A connection that breaks is resumed where it broke, if the server can prove by a validator
    that it is the same file; so is a download whose process died. Of the mirrors, the first that
    gives the whole file, with the right checksum if one is known, is taken.

    Raises:
        TransferError: ``InvalidRequest``, ``SourceUnreachable``, ``SourceNotFound``,
            ``SourceRefused``, ``SourceNotAnImage``, ``SourceTruncated``, ``ChecksumMismatch``,
            ``ImageTooLarge`` or ``InsufficientScratch``.
    """
    meter.start(Stage.FETCHING)
    cache.sweep()
    with cache.entry(source) as entry:
        work = _Fetch(source, meter, client, entry)
        fetched = work.reused() or first_of((source.url, *source.mirrors), work.from_url)
        entry.give(target)
    return fetched


def first_of(urls: tuple[str, ...], attempt: Callable[[str], T]) -> T:
    """Return what the first URL gives that does not fail.

    Raises:
        TransferError: If all fail: the first failure that may pass, else the first; its message
            says of each URL what was wrong.
    """
    failures: list[TransferError] = []
    for url in urls:
        try:
            return attempt(url)
        except TransferError as error:
            if error.reason in _ENDING or len(urls) == 1:
                raise
            failures.append(error)
    chosen = next((each for each in failures if each.reason in _PASSING), failures[0])
    said = "; ".join(
        f"{urlsplit(url).hostname}: {each.message}"
        for url, each in zip(urls, failures, strict=True)
    )
    raise TransferError(
        chosen.reason,
        f"none of the {len(urls)} URLs returned the image: {said}",
        retry_after=chosen.retry_after,
    )


class Hashes:
    """Several hashes of the same bytes.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, source: HttpSource) -> None:
        wanted = {"sha256"} | ({source.checksum.algorithm} if source.checksum else set())
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in wanted}
        self._checksum = source.checksum
        self.size = 0

    def update(self, chunk: bytes) -> None:
        """Take the next bytes."""
        for each in self._hashes.values():
            each.update(chunk)
        self.size += len(chunk)

    def update_from(self, path: Path, meter: Meter) -> None:
        """Take all of a file."""
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                self.update(chunk)
                meter.count(self.size)

    def fetched(self) -> Fetched:
        """Return the result."""
        checksums = {name: each.hexdigest() for name, each in self._hashes.items()}
        return Fetched(self.size, checksums)

    def are_right(self) -> bool:
        """Return whether the source's checksum, if it has one, is among them."""
        wanted = self._checksum
        return wanted is None or self._hashes[wanted.algorithm].hexdigest() == wanted.value

    def check(self) -> None:
        """Compare with the source's checksum, if it has one.

        Raises:
            TransferError: ``ChecksumMismatch``.
        """
        if self._checksum is not None and not self.are_right():
            name = self._checksum.algorithm
            found = self._hashes[name].hexdigest()
            raise TransferError(
                Reason.CHECKSUM_MISMATCH,
                f"the {name} of the {self.size} bytes fetched is {found}, "
                f"expected {self._checksum.value}",
            )


class _Fetch:
    def __init__(self, source: HttpSource, meter: Meter, client: Client, entry: Entry) -> None:
        self._source = source
        self._verified = source.checksum is not None
        self._meter = meter
        self._client = client
        self._entry = entry

    def reused(self) -> Fetched | None:
        """Return the file that is there already, if it is still the right one."""
        note = self._entry.note()
        if not self._entry.data.exists():
            return None
        if note is None or note.sha256 is None or not (self._verified or self._is_current(note)):
            self._entry.forget()
            return None
        self._meter.start(Stage.FETCHING, note.total)
        hashes = Hashes(self._source)
        hashes.update_from(self._entry.data, self._meter)
        fetched = hashes.fetched()
        if fetched.checksums["sha256"] != note.sha256 or not hashes.are_right():
            self._entry.forget()
            return None
        return fetched

    def _is_current(self, note: Note) -> bool:
        """Ask the server whether the file is still the one we have."""
        urls = (self._source.url, *self._source.mirrors)
        url = next((each for each in urls if digest(each) == note.url), None)
        if url is None or note.validator is None:
            return False
        name = "If-None-Match" if note.validator.startswith('"') else "If-Modified-Since"
        try:
            answer = self._client.get(url, {name: note.validator}, verified=self._verified)
        except (UnansweredError, TransferError):
            return False
        with closing(answer):
            return answer.status_code == HTTPStatus.NOT_MODIFIED

    def from_url(self, url: str) -> Fetched:
        """Fetch from one URL, going on from what is there of it."""
        signed = self._source.signature is not None
        download = Download(self._client, url, verified=self._verified, signed=signed)
        try:
            with telling_when_full():
                hashes = self._receive(download)
            if not download.proven and not hashes.are_right():
                raise download.unproven()  # a part of the file, so that it is tried again
            hashes.check()
        except TransferError as error:
            resumable = self._entry.note() is not None
            if error.reason is not Reason.SOURCE_UNREACHABLE or not resumable:
                self._entry.forget()
            raise
        fetched = hashes.fetched()
        self._entry.finish(_note(download, fetched.checksums["sha256"]))
        return fetched

    def _receive(self, download: Download) -> Hashes:
        hashes, begin = self._begun(download.url)
        with self._entry.part.open("ab", buffering=0) as file:
            for piece in download.pieces(*begin):
                if isinstance(piece, Beginning):
                    file.truncate(0)
                    hashes = Hashes(self._source)
                    self._announce(download)
                    continue
                self._entry.room.need(piece.offset + len(piece.content))
                write_all(file, piece.content)
                hashes.update(piece.content)
                self._meter.count(hashes.size)
        return hashes

    def _begun(self, url: str) -> tuple[Hashes, tuple[int, int | None, str | None]]:
        """Return the hashes of what is there of a URL's file, and where to go on."""
        note, hashes = self._entry.note(), Hashes(self._source)
        if note and note.total and note.url == digest(url) and self._entry.part.exists():
            self._meter.start(Stage.FETCHING, note.total)
            hashes.update_from(self._entry.part, self._meter)
            if 0 < hashes.size < note.total:
                self._entry.room.reserve(note.total)
                return hashes, (hashes.size, note.total, note.validator)
        self._entry.forget()
        return Hashes(self._source), (0, None, None)

    def _announce(self, download: Download) -> None:
        """Prepare for a file's first byte."""
        self._meter.start(Stage.FETCHING, download.total)
        self._entry.room.reserve(download.total or STEP)
        if download.validator:
            self._entry.remember(_note(download))
        else:
            self._entry.forget_note()


def _note(download: Download, sha256: str | None = None) -> Note:
    return Note(
        url=digest(download.url),
        validator=download.validator,
        total=download.total,
        sha256=sha256,
    )
