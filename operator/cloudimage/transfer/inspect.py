"""Decides by its content what a fetched file is, and refuses what is not safe to open.

First comes oslo.utils' inspector, the one that Glance itself uses; it only reads bytes. What it
lets through is then opened by qemu-img, under limits and with the format given, for what only the
format's own driver knows: the exact virtual size, and whether all data is there.
"""

import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oslo_utils.imageutils import format_inspector

from cloudimage.transfer import signatures
from cloudimage.transfer.tools import Toolbox, ToolError
from cloudimage.transfer.types import Limits, Reason, TransferError
from cloudimage.vocabulary import DiskFormat

GIB: Final = 2**30

QEMU_FORMATS: Final[dict[DiskFormat, str]] = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
}
"""The formats that can be converted, by Glance's name and qemu's."""

_BY_INSPECTOR: Final[dict[str, DiskFormat]] = {
    "raw": "raw",
    "gpt": "raw",
    "luks": "raw",
    "iso": "iso",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vhd",
    "vhdx": "vhdx",
}
_SHAPELESS: Final[frozenset[DiskFormat]] = frozenset({"raw", "ami", "aki", "ari", "ploop"})
"""Formats whose content shows nothing of them, so that only a declaration tells."""

_CHUNK = 4096  # the inspectors expect pieces of this size; see detect_file_format
_VHD_FOOTER = struct.Struct(">8s32x8s8s4xI")
_VHD_FOOTER_LENGTH = 512
_VHD_FIXED, _VHD_DYNAMIC = 2, 3
_CHECK_STATUSES = frozenset({0, 2, 3, 63})  # sound, corrupt, leaks, format without checks


@dataclass(frozen=True)
class Inspected:
    """What a file is; sizes in bytes.

    Attributes:
        proven: Whether all data is known to be there. Where compressed data ends in the file
            is not told by qemu, so that it takes reading it to know.
    """

    format: DiskFormat
    size: int
    virtual_size: int
    proven: bool = True


def inspect(
    path: Path, declared: DiskFormat | None, min_disk: int | None, limits: Limits, tools: Toolbox
) -> Inspected:
    """Find out what the file in the toolbox's folder is.

    Args:
        path: The file.
        declared: The format that the user says it has, if any.
        min_disk: GiB that the image must fit in, if any.
        limits: Of the request.
        tools: To run qemu-img.

    Raises:
        TransferError: ``SourceNotAnImage``, ``UnsafeImage``, ``ImageTooLarge`` or
            ``SourceTruncated``.
    """
    size = path.stat().st_size
    if size == 0:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, "the source is empty")
    found = _read_format(path, size)
    shape = _settle(found, declared)
    check_size(found.virtual_size, min_disk, limits)
    if shape not in QEMU_FORMATS or shape == "raw":
        return Inspected(shape, size, size)
    virtual_size = _open(path.name, shape, tools)
    check_size(virtual_size, min_disk, limits)
    proven = _check_complete(path.name, shape, size, tools)
    return Inspected(shape, size, virtual_size, proven)


def check_size(virtual_size: int, min_disk: int | None, limits: Limits) -> None:
    """Compare the bytes of a virtual disk with what is allowed.

    Raises:
        TransferError: ``ImageTooLarge``.
    """
    if virtual_size > limits.max_virtual_size:
        raise TransferError(
            Reason.IMAGE_TOO_LARGE,
            f"the image's virtual size is {virtual_size} bytes, "
            f"over the limit of {limits.max_virtual_size}",
        )
    if min_disk is not None and virtual_size > min_disk * GIB:
        raise TransferError(
            Reason.IMAGE_TOO_LARGE,
            f"the image's virtual size is {virtual_size} bytes ({virtual_size / GIB:.2f} GiB), "
            f"which does not fit in its minimum disk of {min_disk} GiB",
        )


@dataclass(frozen=True)
class _Content:
    """What reading alone says: ``known`` tells a raw disk from any other bytes."""

    format: DiskFormat
    virtual_size: int
    known: bool
    compression: str | None


def _read_format(path: Path, size: int) -> _Content:
    with path.open("rb") as file:
        head = file.read(signatures.HEAD_LENGTH)
        file.seek(max(0, size - _VHD_FOOTER_LENGTH))
        tail = file.read()
    inspector = _inspector(path)
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        why = "; ".join(str(each) for each in error.failures.values())
        raise TransferError(
            Reason.UNSAFE_IMAGE, f"the image ({inspector}) is not safe to open: {why}"
        ) from error
    except format_inspector.ImageFormatError as error:
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE, f"the image's {inspector} headers are not complete"
        ) from error
    shape = _BY_INSPECTOR[str(inspector)]
    if shape == "vhd":
        _check_vhd(head)
    if shape == "raw" and is_fixed_vhd(tail, size):
        return _Content("vhd", size - _VHD_FOOTER_LENGTH, known=True, compression=None)
    known = str(inspector) != "raw" or signatures.raw_content(head) is not None
    virtual_size = size if shape in {"raw", "iso"} else int(inspector.virtual_size)
    return _Content(shape, virtual_size, known, signatures.compression(head))


def _inspector(path: Path) -> format_inspector.FileInspector:
    """Return the inspector of the one format that the content matches."""
    with path.open("rb") as file:
        wrapper = format_inspector.InspectWrapper(file)
        while wrapper.formats is None and wrapper.read(_CHUNK):
            pass
        wrapper.close()
    found = {str(each): each for each in wrapper.formats or ()}
    if found.keys() == {"iso", "gpt"}:  # an ISO that also boots from a disk; Glance's own rule
        return found["iso"]
    if len(found) != 1:
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            f"the content is of several formats at once: {', '.join(sorted(found))}",
        )
    return next(iter(found.values()))


def _settle(found: _Content, declared: DiskFormat | None) -> DiskFormat:
    """Return the format by content and declaration together."""
    if declared is None:
        if found.known:
            return found.format
        if found.compression:
            raise TransferError(
                Reason.SOURCE_NOT_AN_IMAGE,
                f"the source is compressed or an archive ({found.compression}); "
                "give the URL of the image itself",
            )
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE,
            "the content is of no known image format and has neither a partition table nor a "
            "known file system; if it is a bare raw image, declare the source's format as raw",
        )
    if declared == found.format or (declared in _SHAPELESS and found.format == "raw"):
        return declared
    raise TransferError(
        Reason.UNSAFE_IMAGE, f"the source is declared as {declared}, but it is {found.format}"
    )


def is_fixed_vhd(tail: bytes, size: int) -> bool:
    """Tell whether a file is a fixed VHD: a raw disk followed by a footer that counts its bytes."""
    if len(tail) < _VHD_FOOTER_LENGTH or not tail.startswith(b"conectix"):
        return False
    _, _, current, kind = _VHD_FOOTER.unpack_from(tail)
    return kind == _VHD_FIXED and int.from_bytes(current) == size - _VHD_FOOTER_LENGTH


def _check_vhd(head: bytes) -> None:
    """Refuse a VHD that is not complete in itself: a differencing disk names a parent."""
    *_, kind = _VHD_FOOTER.unpack_from(head)
    if kind not in {_VHD_FIXED, _VHD_DYNAMIC}:
        raise TransferError(Reason.UNSAFE_IMAGE, "the VHD is not safe to open: it has a parent")


def _open(name: str, shape: DiskFormat, tools: Toolbox) -> int:
    """Return the virtual size that the format's own driver sees; refuse what points elsewhere."""
    try:
        info = tools.json("qemu-img", "info", "--output=json", "-f", QEMU_FORMATS[shape], name)
    except ToolError as error:
        truncated = "truncated" in error.message or "end of file" in error.message
        raise TransferError(
            Reason.SOURCE_TRUNCATED if truncated else Reason.SOURCE_NOT_AN_IMAGE,
            f"the {shape} image cannot be opened: {error.message}",
        ) from error
    data = info.get("format-specific", {}).get("data", {})
    if "backing-filename" in info or "data-file" in data:
        raise TransferError(Reason.UNSAFE_IMAGE, "the image refers to another file")
    virtual_size = int(info["virtual-size"])
    if virtual_size == 0:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, f"the {shape} image is an empty disk")
    return virtual_size


def _check_complete(name: str, shape: DiskFormat, size: int, tools: Toolbox) -> bool:
    """Refuse an image that refers to data behind the end of its file, or is corrupt.

    qemu reads zeros there without a word.

    Returns:
        Whether that proves it complete; see ``Inspected``.
    """
    qemu_format = QEMU_FORMATS[shape]
    try:
        with tools.stream("qemu-img", "map", "--output=json", "-f", qemu_format, name) as lines:
            end, compressed = data_end(lines)
        report = tools.json(
            "qemu-img", "check", "--output=json", "-f", qemu_format, name, accept=_CHECK_STATUSES
        )
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
