"""An image of a Glance, as the pipeline reads any source."""

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import Checksum, NewImage, Reason, Stage, TransferError
from cloudimage.transfer.image.inspection import Inspected, check_size
from cloudimage.transfer.scratch import Entry, Note, redacted_name, telling_when_full, write_all
from cloudimage.transfer.source.base import Context, Ends
from cloudimage.transfer.source.edges import HEAD_LENGTH, Edges
from cloudimage.transfer.source.glance import rules
from cloudimage.transfer.source.glance.client import NoPartsError, SourceGlance, cloud_of
from cloudimage.transfer.source.glance.download import ImageBytes
from cloudimage.transfer.source.glance.errors import BrokenError
from cloudimage.transfer.source.glance.model import GlanceSource
from cloudimage.transfer.source.hashes import Fetched, Hashes
from cloudimage.transfer.source.kept import KeptSource
from cloudimage.transfer.source.streamed import Streamed
from cloudimage.transfer.verify.verification import Expected, weakness
from cloudimage.vocabulary.image import DiskFormat

_SHOWN_BY_ITS_ENDS: Final[frozenset[DiskFormat]] = frozenset({"raw", "iso"})
"""Formats that need no look at the whole file."""

_PASSING: Final = frozenset({Reason.SOURCE_UNREACHABLE, Reason.SOURCE_TRUNCATED})
_NO_HASH: Final = (
    "the source's Glance has no hash of the image's bytes, as of one that its store made as a "
    "copy: they are compared with their size alone"
)


@contextmanager
def open_glance(source: GlanceSource, context: Context) -> Iterator["GlanceReader"]:
    """Open an image of a Glance; see :class:`cloudimage.transfer.source.base.Opener`."""
    yield GlanceReader(source, context)


class GlanceReader:
    """A :class:`cloudimage.transfer.source.base.Reader` of an image of a Glance."""

    def __init__(self, source: GlanceSource, context: Context) -> None:
        self._source = source
        self._context = context
        cloud = cloud_of(source, context.cloud)
        self._key = json.dumps([cloud.config, source.id], sort_keys=True)
        self._glance = SourceGlance(cloud, context.cloud_policy, context.limits, context.folder)
        self._checksum: Checksum | None = None
        self._format: DiskFormat = "raw"
        self._bytes = ImageBytes(self._glance, source.id, 0, context.limits)

    def expect(self) -> Expected:
        """Find out what the image must be, by what its Glance says of it."""
        image = self._glance.show(self._source.id)
        size, self._format = rules.size_and_format(image, self._context.limits)
        self._checksum = image.expected
        self._bytes = ImageBytes(self._glance, self._source.id, size, self._context.limits)
        warnings = weakness(self._checksum) if self._checksum else (_NO_HASH,)
        return Expected(self._checksum, warnings=warnings, format=self._format)

    def look(self, min_disk: int | None) -> Ends:
        """Return what the image's ends tell: all of a raw or an ISO one, and nothing of others."""
        size = self._bytes.size
        if self._format not in _SHOWN_BY_ITS_ENDS or size < HEAD_LENGTH:
            return Ends(size, why_unknown=f"all of a {self._format} image has to be inspected")
        try:
            edges = Edges(size, self._bytes.part)
            shape = edges.shape(self._format, self._context.folder)
        except NoPartsError:
            return Ends(size, why_unknown="its Glance gives no parts of it")
        except BrokenError as broken:
            raise broken.error from broken
        if shape is None:
            return Ends(size, why_unknown="all of it has to be inspected")
        check_size(size, min_disk, self._context.limits)
        return Ends(size, Inspected(shape, size, size))

    def discarding(self) -> AbstractContextManager[None]:
        """Forget the kept file if the block fails because of its bytes."""
        return self._context.cache.discarding(self._cache_key)

    def is_kept(self) -> bool:
        """Return whether the file, or a part of it, is in the scratch already."""
        return self._context.cache.holds(self._cache_key)

    def stream(self, image: NewImage) -> Streamed | None:
        """Return the image if it needs no look at all of it, and its Glance gives parts of it."""
        context, size = self._context, self._bytes.size
        wanted = {self._format, image.disk_format or self._format}
        if not wanted <= _SHOWN_BY_ITS_ENDS or len(wanted) > 1 or size < HEAD_LENGTH:
            return None
        try:
            ends = Edges(size, self._bytes.part)
            if ends.shape(self._format, context.folder) != self._format:
                return None
        except (TransferError, BrokenError, NoPartsError):
            return None  # through the scratch, which says what is wrong
        check_size(size, image.min_disk, context.limits)
        return Streamed(self._bytes, self._format, self._checksum, ends)

    def can_fetch_after(self, error: TransferError) -> bool:
        """Return whether the scratch helps: what has come is kept there."""
        return error.reason in _PASSING

    def fetch(self, target: Path) -> Fetched:
        """Put the image's bytes at ``target``, going on from what an earlier attempt has left."""
        self._context.meter.start(Stage.FETCHING, self._bytes.size)
        context = self._context
        kept = KeptSource(context.cache, self._cache_key, self._checksum, context.meter)
        return kept.obtain(target, self._fetched)

    def forget(self) -> None:
        """Remove what is kept of the image: it will not be asked for again."""
        if self.is_kept():
            with self._context.cache.entry(self._cache_key) as entry:
                entry.forget()

    @property
    def _cache_key(self) -> str:
        # Who has no right to ask this Glance, by these credentials, has another key.
        return redacted_name(f"glance:{self._key}:{self._bytes.size}:{self._checksum}")

    def _fetched(self, entry: Entry) -> Fetched:
        hashes = self._begun(entry)
        joined = hashes.size > 0
        self._receive(entry, hashes)
        if joined and not hashes.are_right():
            entry.forget()
            hashes = Hashes(self._checksum)
            self._receive(entry, hashes)
        try:
            hashes.check()
        except TransferError:
            entry.forget()
            raise
        fetched = hashes.fetched()
        entry.finish(self._note(fetched.checksums["sha256"]))
        return fetched

    def _begun(self, entry: Entry) -> Hashes:
        """Return the hashes of what is there of the file."""
        hashes = Hashes(self._checksum)
        if entry.note() is not None and entry.has_part():
            hashes.update_from(entry.part, self._context.meter)
            if hashes.size <= self._bytes.size:
                return hashes
        entry.forget()
        return Hashes(self._checksum)

    def _receive(self, entry: Entry, hashes: Hashes) -> None:
        entry.room.reserve(self._bytes.size)
        entry.remember(self._note())
        with telling_when_full(), entry.part.open("ab", buffering=0) as file:
            for piece in self._bytes.pieces(hashes.size):
                write_all(file, piece)
                hashes.update(piece)
                self._context.meter.count(hashes.size)

    def _note(self, sha256: str | None = None) -> Note:
        key = self._cache_key
        return Note(url=key, validator=self._source.id, total=self._bytes.size, sha256=sha256)
