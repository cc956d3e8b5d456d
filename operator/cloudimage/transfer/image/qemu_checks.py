"""What only qemu's own driver of a format knows of an image that is safe to open.

The tools run under limits and with the format given; they never probe.
"""

import io
import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from oslo_utils.imageutils import format_inspector

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image import vhdx
from cloudimage.transfer.tools.toolbox import Toolbox, ToolError, image
from cloudimage.vocabulary.image import DiskFormat

QEMU_FORMATS: Final[dict[DiskFormat, str]] = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
}
"""The formats that can be converted, by Glance's name and qemu's."""

_INNOCENT: Final = frozenset({"raw", "gpt", "iso"})
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
_MOST_OF_A_LINE = 4096
_CHECK_STATUSES = frozenset({0, 2, 3, 63})  # sound, corrupt, leaks, format without checks


MAX_RATIO: Final = 10_000
FREE_EXPANSION: Final = 2**30
"""Compressed data may always expand to so many bytes, and beyond that by ``MAX_RATIO``: gzip cannot
reach it, and of the others only what is nothing but zeros."""


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
    virtual_size = info.get("virtual-size")
    if not isinstance(virtual_size, int) or virtual_size <= 0:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, f"the {shape} image is an empty disk")
    return virtual_size


def check_complete(name: str, shape: DiskFormat, size: int, tools: Toolbox) -> bool:
    """Refuse an image that refers to data behind the end of its file, or is corrupt.

    qemu reads zeros there without a word.

    Returns:
        Whether that proves it complete; see ``inspect.Inspected``.

    Raises:
        TransferError: ``SourceTruncated``, or ``UnsafeImage`` for one that names the same data
            again and again.
    """
    opened = image(name, QEMU_FORMATS[shape])
    amplified = None
    try:
        try:
            end, compressed = _mapped(opened, None if shape == "vhdx" else size, tools)
        except _AmplifiedError as error:  # it may come of damage, as the check then tells
            end, compressed, amplified = 0, False, error
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
    if report.get("corruptions") or report.get("check-errors"):
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the {shape} image is damaged: qemu-img check finds errors"
        )
    if amplified or (shape == "vhdx" and _blocks_are_amplified(tools.folder / name, size)):
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            f"the {shape} image is not safe to open: its tables refer to more data than its {size} "
            "bytes can hold, to the same data again and again",
        )
    # The last cluster of a compressed qcow2 is often not a whole one, and rightly so.
    return not compressed or (shape == "qcow2" and report.get("image-end-offset", size + 1) <= size)


def check_inside(name: str, shape: DiskFormat, tools: Toolbox) -> None:
    """Refuse a disk whose own content is an image again.

    As a raw image it would be one for whoever probes: its backing file could be any of a host.

    Raises:
        TransferError: ``UnsafeImage``, ``SourceTruncated``, or ``UnsupportedFormat`` for a disk
            that is encrypted, which would be taken for a raw one.
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


class _AmplifiedError(Exception):
    """The tables of an image name the same data, or the same part of themselves, ever again.

    In others each piece of data has its own place in the file, and so has each entry of a table.
    """


def _mapped(opened: Iterable[str], size: int | None, tools: Toolbox) -> tuple[int, bool]:
    with tools.stream("qemu-img", "map", "--output=json", *opened) as output:
        lines = iter(partial(output.readline, _MOST_OF_A_LINE), b"")
        try:
            return data_end(lines, size)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ToolError("the output of qemu-img map is incomplete", 0) from error


def data_end(lines: Iterable[bytes], size: int | None = None) -> tuple[int, bool]:
    """Return the end of the last piece of data in the file, from the output of ``qemu-img map``.

    It writes one JSON object a line; read so, a list of millions of pieces takes no memory.

    Args:
        lines: The output.
        size: Bytes of the file, if its tables may not name more data than that.

    Returns:
        The end in bytes, and whether there are compressed pieces, whose place is not told.
    """
    end, stored, compressed = 0, 0, 0
    for pieces, line in enumerate(lines, 1):
        text = line.strip().strip(b"[],")
        piece = json.loads(text) if text else {}
        if piece.get("data") and "offset" in piece:
            end = max(end, piece["offset"] + piece["length"])
            stored += piece["length"]
        elif piece.get("data"):
            compressed += piece["length"]
        if size is not None and _is_too_much(end, stored, compressed, pieces, size):
            raise _AmplifiedError
    return end, compressed > 0


def _is_too_much(end: int, stored: int, compressed: int, pieces: int, size: int) -> bool:
    if end > size:  # truncated, and no more than that
        return pieces > max(size, 1)
    most = FREE_EXPANSION + MAX_RATIO * size
    return stored > size or compressed > most or pieces > max(size, 1)


def _blocks_are_amplified(path: Path, size: int) -> bool:
    try:
        with path.open("rb") as file:
            return vhdx.holds_more(file, size)
    except ValueError as error:
        raise TransferError(
            Reason.UNSAFE_IMAGE, f"the vhdx image's blocks cannot be counted: {error}"
        ) from error
