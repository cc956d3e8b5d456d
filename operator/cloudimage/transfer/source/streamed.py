"""Bytes that can be read once in order, on their way into Glance with no copy between."""

from collections.abc import Iterator
from typing import Protocol

from cloudimage.transfer.contract import Checksum, TransferError
from cloudimage.transfer.image.conversion import Chunks, Payload
from cloudimage.transfer.image.inspection import Inspected
from cloudimage.transfer.source.edges import Edges
from cloudimage.transfer.source.hashes import Fetched, Hashes
from cloudimage.vocabulary.image import DiskFormat


class Content(Protocol):
    """What is streamed.

    Attributes:
        size: Bytes of it.
    """

    size: int

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes in order.

        Raises:
            TransferError: They cannot be had.
        """

    def changed(self) -> TransferError:
        """Return what it means that they are no longer what they were."""


class Streamed:
    """A :class:`cloudimage.transfer.source.base.Stream` of a content whose ends were looked at.

    Its last piece is held back until the checksum is known to be right.

    Attributes:
        found: What it is.
        payload: Its bytes, read as they are asked for.
        fetched: What was read, once it has been.
    """

    def __init__(
        self, content: Content, shape: DiskFormat, checksum: Checksum | None, edges: Edges
    ) -> None:
        self._content = content
        self._checksum = checksum
        self._edges = edges
        self.found = Inspected(shape, content.size, content.size)
        sha512 = self._sha512 if checksum and checksum.algorithm == "sha512" else None
        self.payload = Payload(shape, content.size, self._chunks, sha512)
        self.fetched = Fetched(0, {})

    def _sha512(self) -> str:
        return self.fetched.checksums.get("sha512", "")

    def _chunks(self) -> Chunks:
        hashes, held = Hashes(self._checksum), b""
        for piece in self._content.pieces():
            if not self._edges.fit(hashes.size, piece):
                raise self._content.changed()
            hashes.update(piece)
            if held:
                yield held
            held = piece
        hashes.check()
        self.fetched = hashes.fetched()
        yield held
