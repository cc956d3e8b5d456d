"""A file behind a URL, as the pipeline reads any source."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from cloudimage.transfer.contract import NewImage, Reason, TransferError
from cloudimage.transfer.source.base import Context, Ends
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.http import ends, proof
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.fetch import SERVERS, cache_key, fetch
from cloudimage.transfer.source.http.index.finder import find
from cloudimage.transfer.source.http.index.lists import Lists
from cloudimage.transfer.source.http.index.templates import at_build
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.side_files import fetch_text, text_of
from cloudimage.transfer.source.http.streaming import StreamedFile, try_streaming
from cloudimage.transfer.verify.checksum_files import MAX_BYTES, WEAK
from cloudimage.transfer.verify.verification import Expected


@contextmanager
def open_http(source: HttpSource, context: Context) -> Iterator["HttpReader"]:
    """Open a file behind a URL; see :class:`cloudimage.transfer.source.base.Opener`."""
    with Client(source, context.policy, context.limits, context.folder) as client:
        yield HttpReader(source, client, context)


class HttpReader:
    """A :class:`cloudimage.transfer.source.base.Reader` of a file behind a URL."""

    def __init__(self, source: HttpSource, client: Client, context: Context) -> None:
        self._source = source
        self._stated = source.checksum
        self._client = client
        self._context = context

    def expect(self) -> Expected:
        """Find out what the file must be, by the files beside it."""
        context, build = self._context, None
        if self._source.index is not None:
            build = find(
                self._source.index, self._lists(), context.tools, signed=self._source.is_list_signed
            )
            self._source = at_build(self._source, build.values, build.url)
            if self._source.sums is None and build.checksum is not None:
                self._source = self._source.model_copy(update={"checksum": build.checksum})
        expected = proof.expect(self._source, self._read, context.tools)
        self._source = self._source.model_copy(update={"checksum": expected.checksum})
        if build is None:
            return expected
        return replace(
            expected, version=build.version, location=self._source.url, values=build.values
        )

    def _read(self, url: str, *, signed: bool) -> bytes:
        if self._context.list_age is None:
            return fetch_text(url, self._client, signed=signed)
        return text_of(self._lists().read(url, MAX_BYTES, signed=signed))

    def _lists(self) -> Lists:
        context = self._context
        identity = self._source.model_dump_json(include={"auth", "ca_certificate"})
        return Lists(
            context.cache.lists,
            self._client,
            identity + self._client.identity,
            context.list_age or 0,
        )

    def look(self, min_disk: int | None) -> Ends:
        """Return what the ends of the file tell."""
        return ends.look(self._source, min_disk, self._client, self._context.folder)

    def discarding(self) -> AbstractContextManager[None]:
        """Forget the kept file if the block fails because of its bytes."""
        return self._context.cache.discarding(cache_key(self._source, self._client.identity))

    def is_kept(self) -> bool:
        """Return whether the file, or a part of it, is in the scratch already."""
        return self._context.cache.holds(cache_key(self._source, self._client.identity))

    def stream(self, image: NewImage) -> StreamedFile | None:
        """Return the file if it is raw and its server gives parts of it."""
        # A checksum from elsewhere may be by another algorithm the next time.
        stated = self._stated
        one_hash = stated is not None and stated.algorithm not in WEAK
        folder = self._context.folder
        return try_streaming(self._source, image, self._client, folder, one_hash=one_hash)

    def can_fetch_after(self, error: TransferError) -> bool:
        """Return whether the server, or a mirror, may give the file after all.

        What has come of it is kept then, which what went into Glance is not.
        """
        same = not self._source.mirrors and error.reason is Reason.CHECKSUM_MISMATCH
        return error.reason in SERVERS and not same

    def fetch(self, target: Path) -> Fetched:
        """Put the file at ``target``."""
        context = self._context
        return fetch(self._source, target, context.meter, self._client, context.cache)
