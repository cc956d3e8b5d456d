"""Hashes of a source's bytes, computed as they arrive."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cloudimage.sizes import exact_text
from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.progress import Meter

CHUNK: Final = 256 * 2**10
"""Bytes that are read and hashed at once."""


@dataclass(frozen=True)
class Fetched:
    """What arrived.

    Attributes:
        size: Bytes.
        checksums: Hexadecimal hashes by algorithm: that of the request's checksum, and sha256
            unless that one is enough.
        modified: When its server says the file was last changed; None: it does not say.
    """

    size: int
    checksums: dict[str, str]
    modified: datetime | None = None


class Hashes:
    """Several hashes of the same bytes.

    Args:
        checksum: What one of them must be.
        one_hash: Compute no other: a second one costs a second of processor time a GiB.

    Attributes:
        size: Bytes so far.
    """

    def __init__(self, checksum: Checksum | None, *, one_hash: bool = False) -> None:
        wanted: set[str] = {checksum.algorithm} if checksum else set()
        if not (wanted and one_hash):
            wanted |= {"sha256"}
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in wanted}
        self._checksum = checksum
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

    def fetched(self, modified: datetime | None = None) -> Fetched:
        """Return the result.

        Args:
            modified: When the file was last changed, if its server says so.
        """
        checksums = {name: each.hexdigest() for name, each in self._hashes.items()}
        return Fetched(self.size, checksums, modified)

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
                f"the {name} of the {exact_text(self.size)} fetched is {found}, "
                f"expected {self._checksum.value}",
            )
