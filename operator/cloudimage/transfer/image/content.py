"""What is on a disk: whether it is all there, empty, or an image again."""

import io
from collections.abc import Collection
from typing import Final

from oslo_utils.imageutils import format_inspector

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image.disk_end import Read, cut
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.tools.toolbox import Toolbox, ToolError
from cloudimage.vocabulary.image import DiskFormat

_INNOCENT: Final = frozenset({"raw", "gpt", "iso"})
"""What the content of a disk may be; other formats can refer to files of a host."""
_HEAD: Final = 2**20
"""Bytes that hold the beginning of every format."""
_CHUNK: Final = 4096


def check_inside(name: str, shape: DiskFormat, tools: Toolbox, *, verified: bool = False) -> None:
    """Refuse a disk that is cut or empty, or whose own content is an image again.

    As a raw image it would be one for whoever probes: its backing file could be any of a host.

    Args:
        name: The image, in the toolbox's folder.
        shape: Its format.
        tools: To read the disk.
        verified: Whether a checksum or a signature has proved the file.

    Raises:
        TransferError: ``UnsafeImage``, ``SourceTruncated``, ``SourceNotAnImage`` for a disk of
            zeros, or ``UnsupportedFormat`` for a disk that is encrypted, which would be taken for a
            raw one.
    """
    try:
        with tools.disk(name, QEMU_FORMATS[shape]) as disk:
            head = disk.read(0, _HEAD)
            found = _formats(head)
            _check_formats(found.keys(), shape)
            problem = None
            if not _INNOCENT.isdisjoint(found):
                inspector = found.get("iso") or next(iter(found.values()))
                problem = content_cut(inspector, disk.read, disk.size, verified=verified)
            blank = not any(head) and all(piece.count(0) == len(piece) for piece in disk.pieces())
    except ToolError as error:
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the {shape} image is damaged: {error.message}"
        ) from error
    if problem:
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the disk in the {shape} image is truncated: {problem}"
        )
    if blank:
        raise blank_disk(shape)


def content_cut(
    inspector: format_inspector.FileInspector, read: Read, size: int, *, verified: bool
) -> str | None:
    """Return what a disk, or a volume of ISO 9660, has behind its end; see :func:`.disk_end.cut`.

    Args:
        inspector: Of what the disk has in it, having read its beginning.
        read: Of the disk.
        size: Bytes of the disk.
        verified: As for :func:`.disk_end.cut`.
    """
    if str(inspector) != "iso":
        return cut(read, size, verified=verified)
    end = int(inspector.virtual_size)
    return f"its volume (ISO 9660) reaches to byte {end}, but it has {size}" if end > size else None


def blank_disk(shape: DiskFormat) -> TransferError:
    """Return the failure for an image with no data."""
    return TransferError(
        Reason.SOURCE_NOT_AN_IMAGE,
        f"the disk in the {shape} image is empty: all of its bytes are zero. The program that made "
        "it wrote nothing into it, or only its first part was published",
    )


def _formats(head: bytes) -> dict[str, format_inspector.FileInspector]:
    wrapper = format_inspector.InspectWrapper(io.BytesIO(head))
    while wrapper.read(_CHUNK):
        pass
    wrapper.close()
    return {str(each): each for each in wrapper.formats or ()}


def _check_formats(found: Collection[str], shape: DiskFormat) -> None:
    inside = set(found) - _INNOCENT
    if inside == {"luks"}:
        raise TransferError(
            Reason.UNSUPPORTED_FORMAT,
            f"the disk in the {shape} image is encrypted (LUKS); only its owner can read it",
        )
    if inside:
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            f"the disk in the {shape} image is itself an image: {', '.join(sorted(inside))}",
        )
