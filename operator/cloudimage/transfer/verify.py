"""Compares the fetched bytes with the checksum that the user gave."""

from collections.abc import Mapping

from cloudimage.transfer.types import Checksum, Reason, TransferError


def verify(checksum: Checksum | None, found: Mapping[str, str], size: int) -> None:
    """Check the hashes found while ``size`` bytes arrived.

    Raises:
        TransferError: ``ChecksumMismatch``.
    """
    if checksum is None or found[checksum.algorithm] == checksum.value:
        return
    raise TransferError(
        Reason.CHECKSUM_MISMATCH,
        f"the {checksum.algorithm} of the {size} bytes fetched is {found[checksum.algorithm]}, "
        f"expected {checksum.value}",
    )
