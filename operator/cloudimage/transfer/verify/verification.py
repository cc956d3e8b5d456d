"""Decides what the source must match before it is fetched, and checks its signature afterwards.

Files of checksums and signatures come first: a wrong one costs no download of gigabytes, and only
the hash that is needed is computed while the bytes arrive.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify import checksum_files, openpgp
from cloudimage.vocabulary.image import DiskFormat


@dataclass(frozen=True)
class Expected:
    """What the source must be.

    Attributes:
        checksum: Of the file as it is fetched; None: nobody said.
        signature: Detached, over the file as it is fetched.
        keyring: Whose signatures count.
        warnings: What the user should know though nothing failed.
        format: The disk format that who has the source says it has; None: nobody says so.
        version: What the store of the source calls these bytes, where the request may mean others
            later: a digest or a version's id; None: it has no such name.
        location: Where these bytes are, where the request does not say it.
        values: What is known of these bytes, by the names of the templates' variables.
    """

    checksum: Checksum | None = None
    signature: bytes | None = None
    keyring: str = ""
    warnings: tuple[str, ...] = ()
    format: DiskFormat | None = None
    version: str | None = None
    location: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def hashes(self) -> dict[str, str]:
        """The checksum by its algorithm; empty: nobody said."""
        return {} if self.checksum is None else {self.checksum.algorithm: self.checksum.value}

    @property
    def proves_the_file(self) -> bool:
        """Whether what passes :func:`verify` is the file that its publisher meant."""
        return self.checksum is not None or self.signature is not None


def verify(expected: Expected, path: Path, tools: Toolbox) -> None:
    """Check the signature over the file; its checksum was compared as it was fetched.

    Args:
        expected: What it must be.
        path: The file as it was fetched, in the toolbox's folder.
        tools: To run gpgv.

    Raises:
        TransferError: ``SignatureInvalid``.
    """
    if expected.signature is not None:
        openpgp.check_file(path.name, expected.signature, expected.keyring, tools)


def check_pinned(pinned: Checksum | None, found: Mapping[str, str | None]) -> None:
    """Compare a source with the file that an image was made from before.

    Args:
        pinned: Checksum of that file, or None if the image is the first.
        found: Hashes of the source by algorithm, as far as they are known.

    Raises:
        TransferError: ``SourceChanged``.
    """
    if pinned is None or found.get(pinned.algorithm) in {None, pinned.value}:
        return
    raise TransferError(
        Reason.SOURCE_CHANGED,
        "the source is not the file that the image was made from before: its "
        f"{pinned.algorithm} is {found[pinned.algorithm]}, not {pinned.value}. Nothing was "
        "uploaded. To have the image made from the present file, set spec.sourceChangePolicy to "
        "Accept, or change the checksum or the URL in spec.source",
    )


def check_version(wanted: str | None, found: str | None) -> None:
    """Compare what a store calls a source with what it called it when it was asked before.

    Args:
        wanted: What it was called; None: it was not asked.
        found: What it is called now; None: it has no name.

    Raises:
        TransferError: ``SourceChanged``.
    """
    if wanted is not None and found is not None and wanted != found:
        raise TransferError(
            Reason.SOURCE_CHANGED,
            f"the source has {found}, and not {wanted} any longer; it is asked again",
        )


def weakness(checksum: Checksum | None) -> tuple[str, ...]:
    """Return what the user should know of a checksum that alone proves the bytes, if anything."""
    if checksum is None or checksum.algorithm not in checksum_files.WEAK:
        return ()
    warning = (
        f"the source is verified only by {checksum.algorithm}, which can be forged; use sha256, "
        "sha512 or a signature"
    )
    return (warning,)
