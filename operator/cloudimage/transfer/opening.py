"""What only qemu's own driver of a format knows of an image that is safe to open.

The tools run under limits and with the format given; they never probe.
"""

import io
import json
from collections.abc import Iterable
from typing import Final

from oslo_utils.imageutils import format_inspector

from cloudimage.transfer.tools import Toolbox, ToolError, image
from cloudimage.transfer.types import Reason, TransferError
from cloudimage.vocabulary import DiskFormat

QEMU_FORMATS: Final[dict[DiskFormat, str]] = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
}
"""The formats that can be converted, by Glance's name and qemu's."""

_INNOCENT: Final = frozenset({"raw", "gpt", "luks", "iso"})
"""What the content of a disk may be; other formats can refer to files of a host."""
_CONTENT_HEAD = 2**20
"""Bytes that hold the beginning of every format."""
_CHUNK = 4096
_COMPLAINTS: Final = {
    "truncated": Reason.SOURCE_TRUNCATED,
    "end of file": Reason.SOURCE_TRUNCATED,
    "File too large": Reason.IMAGE_TOO_LARGE,
}
"""What qemu-img says of a file that it cannot open; anything else: the file is no image."""
_CHECK_STATUSES = frozenset({0, 2, 3, 63})  # sound, corrupt, leaks, format without checks


def open_disk(name: str, shape: DiskFormat, tools: Toolbox) -> int:
    """Return the virtual size that the format's own driver sees; refuse what points elsewhere.

    Raises:
        TransferError: ``SourceNotAnImage``, ``SourceTruncated``, ``ImageTooLarge`` or
            ``UnsafeImage``.
    """
    try:
        info = tools.json("qemu-img", "info", "--output=json", *image(name, QEMU_FORMATS[shape]))
    except ToolError as error:
        reasons = (each for words, each in _COMPLAINTS.items() if words in error.message)
        raise TransferError(
            next(reasons, Reason.SOURCE_NOT_AN_IMAGE),
            f"the {shape} image cannot be opened: {error.message}",
        ) from error
    data = info.get("format-specific", {}).get("data", {})
    if "backing-filename" in info or "data-file" in data:
        raise TransferError(Reason.UNSAFE_IMAGE, "the image refers to another file")
    if data.get("corrupt"):
        raise TransferError(Reason.SOURCE_TRUNCATED, f"the {shape} image is marked as corrupt")
    virtual_size = int(info["virtual-size"])
    if virtual_size == 0:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, f"the {shape} image is an empty disk")
    return virtual_size


def check_complete(name: str, shape: DiskFormat, size: int, tools: Toolbox) -> bool:
    """Refuse an image that refers to data behind the end of its file, or is corrupt.

    qemu reads zeros there without a word.

    Returns:
        Whether that proves it complete; see ``inspect.Inspected``.

    Raises:
        TransferError: ``SourceTruncated``.
    """
    opened = image(name, QEMU_FORMATS[shape])
    try:
        with tools.stream("qemu-img", "map", "--output=json", *opened) as lines:
            end, compressed = data_end(lines)
        report = tools.json("qemu-img", "check", "--output=json", *opened, accept=_CHECK_STATUSES)
    except ToolError as error:
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the {shape} image is damaged: {error.message}"
        ) from error
    if end > size:
        raise TransferError(
            Reason.SOURCE_TRUNCATED,
            f"the {shape} image is truncated: its data reaches to byte {end} of a file "
            f"of {size} bytes",
        )
    if report and (report.get("corruptions") or report.get("check-errors")):
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the {shape} image is damaged: qemu-img check finds errors"
        )
    # The last cluster of a compressed qcow2 is often not a whole one, and rightly so.
    return not compressed or (shape == "qcow2" and report["image-end-offset"] <= size)


def check_inside(name: str, shape: DiskFormat, tools: Toolbox) -> None:
    """Refuse a disk whose own content is an image again.

    As a raw image it would be one for whoever probes: its backing file could be any of a host.

    Raises:
        TransferError: ``UnsafeImage`` or ``SourceTruncated``.
    """
    try:
        head = tools.disk_head(name, QEMU_FORMATS[shape], _CONTENT_HEAD)
    except ToolError as error:
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the {shape} image is damaged: {error.message}"
        ) from error
    wrapper = format_inspector.InspectWrapper(io.BytesIO(head))
    while wrapper.read(_CHUNK):
        pass
    wrapper.close()
    inside = {str(each) for each in wrapper.formats or ()} - _INNOCENT
    if inside:
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            f"the disk in the {shape} image is an image itself: {', '.join(sorted(inside))}",
        )


def data_end(lines: Iterable[bytes]) -> tuple[int, bool]:
    """Return the end of the last piece of data in the file, from the output of ``qemu-img map``.

    It writes one JSON object a line; read so, a list of millions of pieces takes no memory.

    Returns:
        The end in bytes, and whether there are compressed pieces, whose place is not told.
    """
    end, compressed = 0, False
    for line in lines:
        text = line.strip().strip(b"[],")
        piece = json.loads(text) if text else {}
        if piece.get("data"):
            compressed |= "offset" not in piece
            end = max(end, piece["offset"] + piece["length"] if "offset" in piece else 0)
    return end, compressed
