"""Fetches the source over HTTP into a file and hashes the bytes as they arrive."""

from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from cloudimage.transfer.contract import Reason, Stage, TransferError
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import (
    STEP,
    Cache,
    Entry,
    Note,
    redacted_name,
    telling_when_full,
    write_all,
)
from cloudimage.transfer.source.hashes import Fetched, Hashes
from cloudimage.transfer.source.http import rules
from cloudimage.transfer.source.http.client import Client, UnansweredError
from cloudimage.transfer.source.http.download import (
    BRIEF,
    LONG,
    Beginning,
    Download,
    Part,
    Patience,
)
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.kept import KeptSource

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

_DISPROVED: Final = frozenset({Reason.CHECKSUM_MISMATCH, Reason.IMAGE_TOO_LARGE})
"""Reasons after which what has come is of no use."""

T = TypeVar("T")


def fetch(source: HttpSource, target: Path, meter: Meter, client: Client, cache: Cache) -> Fetched:
    """Fetch the source into the file ``target``, which is for reading only.

    A connection that breaks is resumed where it broke, as long as each brings more, if a checksum
    or the server's validator can prove that it is the same file. So is what an attempt that failed
    or died has left. Of the mirrors, the first that gives the whole file, with the right checksum
    if one is known, is taken; the one that gave what is there comes first.

    Raises:
        TransferError: ``InvalidRequest``, ``SourceUnreachable``, ``SourceNotFound``,
            ``SourceRefused``, ``SourceNotAnImage``, ``SourceTruncated``, ``ChecksumMismatch``,
            ``ImageTooLarge`` or ``InsufficientScratch``.
    """
    meter.start(Stage.FETCHING)

    def fetched(entry: Entry) -> Fetched:
        work = _Fetch(source, meter, client, entry)
        return first_of(work.urls(), work.from_url)

    kept = KeptSource(cache, cache_key(source, client.identity), source.checksum, meter)
    return kept.obtain(target, fetched, partial(_is_current, source, client))


def cache_key(source: HttpSource, identity: str = "") -> str:
    """Return what identifies a source: who has the same key may have the same bytes.

    Args:
        source: The source.
        identity: Who asks, where the source does not say it.
    """
    parts = {"url", "mirrors", "auth", "ca_certificate", "checksum"}
    return redacted_name(source.model_dump_json(include=parts) + identity)


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


def _is_current(source: HttpSource, client: Client, note: Note) -> bool:
    """Return whether the file that we have is still the server's, which is asked unless proven."""
    if source.checksum is not None:
        return True
    urls = (source.url, *source.mirrors)
    url = next((each for each in urls if redacted_name(each) == note.url), None)
    if url is None or note.validator is None:
        return False
    name = "If-None-Match" if rules.is_tag(note.validator) else "If-Modified-Since"
    try:
        answer = client.get(url, {name: note.validator}, verified=False)
    except (UnansweredError, TransferError):
        return False
    with closing(answer):
        return answer.status_code == HTTPStatus.NOT_MODIFIED


class _Fetch:
    def __init__(self, source: HttpSource, meter: Meter, client: Client, entry: Entry) -> None:
        self._source = source
        self._verified = source.checksum is not None
        self._meter = meter
        self._client = client
        self._entry = entry

    def urls(self) -> tuple[str, ...]:
        """Return the URLs in the order to try them."""
        note, urls = self._entry.note(), (self._source.url, *self._source.mirrors)
        return tuple(sorted(urls, key=lambda url: not (note and note.url == redacted_name(url))))

    def from_url(self, url: str) -> Fetched:
        """Fetch from one URL, going on from what is there of it."""
        download, hashes = self._received(url)
        if download.joined and not hashes.are_right():
            self._entry.forget()  # of two versions perhaps; all of one may be right
            download, hashes = self._received(url)
        try:
            hashes.check()
        except TransferError as error:
            self._entry.forget()
            raise rules.encoded(error, download.encoding) from error
        fetched = hashes.fetched(download.part.modified)
        self._entry.finish(_note(download, fetched.checksums["sha256"]))
        return fetched

    def _received(self, url: str) -> tuple[Download, Hashes]:
        """Receive the file; keep what has come if that fails and it is of use."""
        download = Download(
            self._client,
            url,
            verified=self._verified,
            signed=self._source.signature is not None,
            patience=self._patience(),
        )
        try:
            with telling_when_full():
                hashes = self._receive(download)
            if not download.proven and not hashes.are_right():
                raise download.unproven()  # a part of the file, so that it is retried
        except TransferError as error:
            self._keep(download, error)
            raise
        return download, hashes

    def _patience(self) -> Patience:
        """Return how long to wait for the rest: longer where nobody else can go on."""
        others = self._verified and self._source.mirrors
        return BRIEF if self._entry.is_kept or others else LONG

    def _keep(self, download: Download, error: TransferError) -> None:
        """Keep what has come for the next attempt, whatever the failure, unless it is of no use."""
        if error.reason in _DISPROVED or not self._entry.has_part():
            self._entry.forget()
        elif download.part.size and download.can_go_on:
            with suppress(OSError):  # on a full disk the note of the beginning has to do
                self._entry.remember(_note(download))
        elif download.part.size:
            self._entry.forget()

    def _receive(self, download: Download) -> Hashes:
        hashes, there = self._begun(download.url)
        if there.size and there.size == there.total:
            download.part = there
            return hashes
        with self._entry.part.open("ab", buffering=0) as file:
            for piece in download.pieces(there):
                if isinstance(piece, Beginning):
                    file.truncate(0)
                    hashes = Hashes(self._source.checksum)
                    self._announce(download)
                    continue
                self._entry.room.need(piece.offset + len(piece.content))
                write_all(file, piece.content)
                hashes.update(piece.content)
                self._meter.count(hashes.size)
        return hashes

    def _begun(self, url: str) -> tuple[Hashes, Part]:
        """Return what is there of the file that a URL leads to, and its hashes."""
        note, hashes = self._entry.note(), Hashes(self._source.checksum)
        same = note is not None and note.url == redacted_name(url)
        if note and note.total and self._entry.has_part() and (same or self._verified):
            self._meter.start(Stage.FETCHING, note.total)
            hashes.update_from(self._entry.part, self._meter)
            whole = hashes.size == note.total and self._verified and hashes.are_right()
            if hashes.size < note.total or whole:
                self._entry.room.reserve(note.total)
                place, validator = (note.place, note.validator) if same else (None, None)
                return hashes, Part(hashes.size, note.total, place, validator, note.modified)
        if note is None:
            self._entry.forget()
        return Hashes(self._source.checksum), Part()

    def _announce(self, download: Download) -> None:
        """Prepare for a file's first byte."""
        self._meter.start(Stage.FETCHING, download.part.total)
        self._entry.room.reserve(download.part.total or STEP)
        if download.can_go_on:
            self._entry.remember(_note(download))
        else:
            self._entry.forget_note()


def _note(download: Download, sha256: str | None = None) -> Note:
    part = download.part
    # What a redirect adds to a URL may be secret.
    harmless = part.place if part.place and rules.redacted(part.place) == part.place else None
    return Note(
        url=redacted_name(download.url),
        place=harmless,
        validator=part.validator,
        total=part.total,
        sha256=sha256,
        modified=part.modified,
    )
