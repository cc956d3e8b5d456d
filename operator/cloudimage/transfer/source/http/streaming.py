"""Raw sources that go from their server into Glance with no disk between.

A few bytes of the source's beginning and end tell whether it is raw, and that the server gives
parts of it, so that a broken connection can be taken up again. Whatever speaks against it, a
failure too, leaves the source to the way through the scratch, which says what is wrong. What then
comes must begin and end with the bytes that were looked at, and its last piece is held back until
the checksum is known to be right: Glance never gets a wrong file whole.
"""

from pathlib import Path

from cloudimage.transfer.contract import NewImage, TransferError
from cloudimage.transfer.image.conversion import Chunks, Payload
from cloudimage.transfer.image.inspection import Inspected, check_size
from cloudimage.transfer.source.edges import HEAD_LENGTH, Edges
from cloudimage.transfer.source.hashes import Fetched, Hashes
from cloudimage.transfer.source.http.client import CONNECTION_ERRORS, Client, UnansweredError
from cloudimage.transfer.source.http.download import Beginning, Download
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.parts import Parts


class StreamedFile:
    """A raw source on its way.

    Attributes:
        found: What it is.
        payload: Its bytes, read from the server as they are asked for.
        fetched: What arrived, once it has.
    """

    def __init__(
        self, source: HttpSource, client: Client, probe: "_Probe", *, one_hash: bool
    ) -> None:
        self._source = source
        self._one_hash = one_hash
        self._client = client
        self._probe = probe
        self.found = Inspected("raw", probe.total, probe.total)
        sha512 = self._sha512 if source.checksum and source.checksum.algorithm == "sha512" else None
        self.payload = Payload("raw", probe.total, self._chunks, sha512)
        self.fetched = Fetched(0, {})

    def _sha512(self) -> str:
        return self.fetched.checksums.get("sha512", "")

    def _chunks(self) -> Chunks:
        probe, held = self._probe, b""
        hashes = Hashes(self._source.checksum, one_hash=self._one_hash)
        verified = self._source.checksum is not None
        download = Download(self._client, probe.url, verified=verified)
        for piece in download.pieces():
            if isinstance(piece, Beginning):
                if hashes.size or download.part.total != probe.total:
                    raise probe.changed()
                continue
            if not probe.ends.fit(piece.offset, piece.content):
                raise probe.changed()
            hashes.update(piece.content)
            if held:
                yield held
            held = piece.content
        hashes.check()
        self.fetched = hashes.fetched(download.part.modified)
        yield held


def try_streaming(
    source: HttpSource, image: NewImage, client: Client, folder: Path, *, one_hash: bool = False
) -> StreamedFile | None:
    """Return the source if it can go straight into Glance.

    Args:
        source: The source, with its checksum if one is known.
        image: What Glance will hold.
        client: To ask the servers; it must stay open until the payload was read.
        folder: For the bytes that are looked at.
        one_hash: Whether the checksum is all by which the file need be known again.

    Raises:
        TransferError: ``ImageTooLarge``.
    """
    raw = {None, "raw"}
    if source.signature or source.format not in raw or image.disk_format not in raw:
        return None
    for url in (source.url, *source.mirrors):
        try:
            probe = _Probe(client, url, verified=source.checksum is not None)
            straight = probe.is_raw(source, folder)
        except (TransferError, UnansweredError, *CONNECTION_ERRORS):
            continue
        if not straight:
            return None
        check_size(probe.total, image.min_disk, client.limits)
        return StreamedFile(source, client, probe, one_hash=one_hash)
    return None


class _Probe:
    """The beginning of a file and its size, and its end if the beginning is raw.

    Raises:
        TransferError: The server does not give parts of it, or it is not worth it.
    """

    def __init__(self, client: Client, url: str, *, verified: bool) -> None:
        self.url = url
        self._client = client
        self._parts = Parts(client, url, verified=verified, pinned=True)
        head = self._parts.read(0, HEAD_LENGTH)
        if self.total < HEAD_LENGTH:
            raise self.changed()
        self.ends = Edges(self.total, self._parts.read, head)

    @property
    def total(self) -> int:
        """Bytes of the file."""
        return self._parts.total

    def is_raw(self, source: HttpSource, folder: Path) -> bool:
        """Return whether the file is raw and nothing else."""
        if self.total > self._client.limits.max_download:
            return False
        return self.ends.shape(source.format, folder) == "raw"

    def changed(self) -> TransferError:
        """Return the failure for a file that is another one by now."""
        return self._parts.changed()
