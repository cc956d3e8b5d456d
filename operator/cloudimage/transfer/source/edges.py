"""The first and last bytes of a source, which tell of some formats all that there is to inspect."""

from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image import magic
from cloudimage.transfer.image.disk_end import Read
from cloudimage.transfer.image.inspection import fixed_vhd_size, shape_of
from cloudimage.vocabulary.image import DiskFormat

HEAD_LENGTH: Final = 2**20
"""All that inspection looks at: the inspectors know a raw image after a quarter of it."""

MOST_LOOKS: Final = 16
"""Pieces of a file that are asked for besides its ends: one for each partition of a disk."""

TAIL_LENGTH: Final = 512
"""The footer of a fixed VHD, which else looks raw."""


class Edges:
    """The beginning of a file, and its end if the format needs nothing else.

    Attributes:
        total: Bytes of the file, no fewer than :data:`HEAD_LENGTH`.
    """

    def __init__(self, total: int, part: Read, head: bytes | None = None) -> None:
        """Read the beginning.

        Args:
            total: Bytes of the file.
            part: Returns a piece of it, or raises.
            head: Its beginning; None: it is yet to be read.
        """
        self.total = total
        self._part = part
        self._head = part(0, HEAD_LENGTH) if head is None else head
        self._tail = b""
        self._looks = 0

    def shape(self, declared: DiskFormat | None, folder: Path) -> DiskFormat | None:
        """Return the file's format if its ends tell all of it; None: they do not.

        Args:
            declared: The format that it is said to have, if any.
            folder: For the bytes that are looked at.

        Raises:
            TransferError: As for :func:`cloudimage.transfer.image.inspection.shape_of`, and what
                ``part`` raises.
        """
        if magic.wrapping(self._head):
            return None
        path = folder / "head"
        path.write_bytes(self._head)
        try:
            found = shape_of(path, self.total, declared, self._read)
        finally:
            path.unlink()
        if found not in {"raw", "iso"}:
            return None
        self._tail = self._part(self.total - TAIL_LENGTH, TAIL_LENGTH)
        return found if fixed_vhd_size(self._tail) is None else None

    def fit(self, offset: int, chunk: bytes) -> bool:
        """Return whether a piece of the file is what was looked at."""
        for place, known in ((0, self._head), (self.total - TAIL_LENGTH, self._tail)):
            start, stop = max(offset, place), min(offset + len(chunk), place + len(known))
            if start < stop and (
                chunk[start - offset : stop - offset] != known[start - place : stop - place]
            ):
                return False
        return True

    def _read(self, offset: int, length: int) -> bytes:
        """Return a piece of the file, for what its inspection looks at behind the beginning."""
        if offset + length <= len(self._head):
            return self._head[offset : offset + length]
        self._looks += 1
        if self._looks > MOST_LOOKS:  # through the scratch that costs no requests
            raise TransferError(Reason.SOURCE_UNREACHABLE, "the disk has many partitions")
        return self._part(offset, length)
