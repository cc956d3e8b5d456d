"""Decides by its content what a fetched file is, and refuses what is not safe to open.

First comes oslo.utils' inspector, the one that Glance itself uses; it only reads bytes. What it
lets through, and our own rules for what Glance does not look at, is then opened by qemu, for what
only the format's own driver knows: the exact virtual size, and whether all data is there.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from oslo_utils.imageutils import format_inspector

from cloudimage.sizes import exact_text, size_text
from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.image import glance_rules, magic
from cloudimage.transfer.image.content import check_inside, content_cut
from cloudimage.transfer.image.disk_end import Read
from cloudimage.transfer.image.qemu_checks import check_complete, open_disk
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.image.self_contained import check_complete_in_itself, described_size
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.vocabulary.image import NOT_DISKS, DiskFormat

GIB: Final = 2**30

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
_VHD_FOOTER = struct.Struct(">8s40xQ4xI")
_VHD_MAGIC = b"conectix"
_VHD_SIZES = slice(40, 64)  # at creation and now, the geometry, and the kind
_VHD_FOOTER_LENGTH = 512
_VHD_FIXED = 2
_SECTOR = 512


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


def inspect(  # noqa: PLR0913 - each is its own question
    path: Path,
    declared: DiskFormat | None,
    min_disk: int | None,
    limits: Limits,
    tools: Toolbox,
    *,
    verified: bool = False,
) -> Inspected:
    """Find out what the file in the toolbox's folder is.

    Args:
        path: The file.
        declared: The format that the user says it has, if any.
        min_disk: GiB that the image must fit in, if any.
        limits: Of the request.
        tools: To run qemu-img.
        verified: Whether a checksum or a signature has proved the file.

    Raises:
        TransferError: ``SourceNotAnImage``, ``UnsafeImage``, ``UnsupportedFormat`` (encrypted),
            ``ImageTooLarge``, ``SourceTruncated``, or ``ConversionFailed`` for what takes too long.
    """
    tools = tools.within(limits.inspect_seconds)
    size = path.stat().st_size
    if size == 0:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, "the source is empty")
    found = _read_format(path, size, None, declared, verified=verified)
    shape = _settle(found, declared)
    check_size(found.virtual_size, min_disk, limits)
    _check_same_size(shape, found.virtual_size, found.described)
    if shape not in QEMU_FORMATS or shape == "raw":
        return Inspected(shape, size, size)
    virtual_size = open_disk(path.name, shape, tools)
    _check_same_size(shape, found.virtual_size, virtual_size)
    check_size(virtual_size, min_disk, limits)
    proven = check_complete(path.name, shape, size, tools)
    check_inside(path.name, shape, tools, verified=verified)
    return Inspected(shape, size, virtual_size, proven)


def look(
    path: Path,
    declared: DiskFormat | None,
    min_disk: int | None,
    limits: Limits,
    read: Read | None = None,
) -> Inspected:
    """Return what a file is of which only head and tail need to be there.

    Args:
        path: The file, or as much of it.
        declared: As for :func:`inspect`.
        min_disk: As for :func:`inspect`.
        limits: As for :func:`inspect`.
        read: Reads from the whole of it; None: ``path`` has it.

    Raises:
        TransferError: As for :func:`inspect`.
    """
    size = path.stat().st_size
    found = _read_format(path, size, read, declared)
    shape = _settle(found, declared)
    check_size(found.virtual_size, min_disk, limits)
    _check_same_size(shape, found.virtual_size, found.described)
    return Inspected(shape, size, found.virtual_size, proven=False)


def shape_of(
    path: Path, size: int, declared: DiskFormat | None, read: Read | None = None
) -> DiskFormat:
    """Return the format of a file of so many bytes, of which ``path`` has the first at least.

    Args:
        path: The file's beginning.
        size: Its bytes.
        declared: As for :func:`inspect`.
        read: Reads from the whole of it; None: ``path`` has all that there is.

    Raises:
        TransferError: ``SourceNotAnImage``, ``SourceTruncated`` or ``UnsafeImage``, and those of
            ``read``.
    """
    return _settle(_read_format(path, size, read, declared), declared)


def check_size(virtual_size: int, min_disk: int | None, limits: Limits) -> None:
    """Compare the bytes of a virtual disk with what is allowed.

    Raises:
        TransferError: ``ImageTooLarge``.
    """
    if virtual_size > limits.max_virtual_size:
        raise TransferError(
            Reason.IMAGE_TOO_LARGE,
            f"the image's virtual size is {exact_text(virtual_size)}, "
            f"over the limit of {size_text(limits.max_virtual_size)}",
        )
    if min_disk and virtual_size > min_disk * GIB:  # to Glance, 0 is no minimum
        raise TransferError(
            Reason.IMAGE_TOO_LARGE,
            f"the image's virtual size is {exact_text(virtual_size)}, "
            f"which does not fit in its minimum disk of {min_disk} GiB",
        )


def _check_same_size(shape: DiskFormat, read: int, other: int) -> None:
    """Refuse a disk whose size is another one for Glance's inspector than for another reader.

    One of them would lose the end of the disk. A size of no whole sectors, which VirtualBox's VDIs
    may have, is rounded up by qemu.

    Raises:
        TransferError: ``UnsafeImage``.
    """
    if not 0 <= other - read < _SECTOR:
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            f"the {shape} image has two sizes: {exact_text(read)} for some programs, "
            f"{exact_text(other)} for others; convert it again with the program that made it",
        )


@dataclass(frozen=True)
class _Content:
    """What reading alone says.

    Attributes:
        described: The virtual size where the format says it a second time.
        cut: What is written in it and reaches behind its end, as the end of a sentence.
        known: Tells a raw disk from any other bytes.
        encrypted: It is a LUKS volume, as which no format of Glance declares it.
    """

    format: DiskFormat
    virtual_size: int
    described: int
    known: bool
    compression: str | None = None
    cut: str | None = None
    encrypted: bool = False


def _reader(path: Path) -> Read:
    def read(offset: int, length: int) -> bytes:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)

    return read


def _read_format(
    path: Path, size: int, read: Read | None, declared: DiskFormat | None, *, verified: bool = False
) -> _Content:
    with path.open("rb") as file:
        head = file.read(magic.HEAD_LENGTH)
        file.seek(max(0, size - _VHD_FOOTER_LENGTH))
        tail = file.read()
    inspector = _inspector(path)
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        failures = glance_rules.failures(error, str(inspector), declared)
        if failures:
            raise TransferError(
                Reason.UNSAFE_IMAGE, f"the image ({inspector}) is not safe to open: {failures}"
            ) from error
    except format_inspector.ImageFormatError as error:
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE, f"the image's {inspector} headers are incomplete"
        ) from error
    shape = _BY_INSPECTOR[str(inspector)]
    check_complete_in_itself(shape, head, inspector)
    if shape == "vhd":
        _check_same_footer(head, tail)
    if shape == "raw" and (disk := fixed_vhd_size(tail)) is not None:
        if not is_fixed_vhd(tail, size):
            raise _other_size(disk, size - _VHD_FOOTER_LENGTH)
        return _Content("vhd", disk, disk, known=True)
    known = str(inspector) != "raw" or bool(magic.raw_contents(head))
    virtual_size = size if shape in {"raw", "iso"} else int(inspector.virtual_size)
    described = described_size(head) if shape == "vmdk" else virtual_size
    problem = None
    if shape in {"raw", "iso"} and declared not in NOT_DISKS:
        problem = content_cut(inspector, read or _reader(path), size, verified=verified)
    compression, encrypted = magic.compression(head), str(inspector) == "luks"
    return _Content(shape, virtual_size, described, known, compression, problem, encrypted)


def _inspector(path: Path) -> format_inspector.FileInspector:
    """Return the inspector of the one format that the content matches."""
    with path.open("rb") as file:
        wrapper = format_inspector.InspectWrapper(file)
        while wrapper.formats is None and wrapper.read(_CHUNK):
            pass
        wrapper.close()
    return glance_rules.only(wrapper.formats or ())


def _settle(found: _Content, declared: DiskFormat | None) -> DiskFormat:
    """Return the format by content and declaration together, of a file that has all of its disk."""
    shape = _agreed(found, declared)
    if found.cut:
        raise TransferError(Reason.SOURCE_TRUNCATED, f"the disk is truncated: {found.cut}")
    return shape


def _agreed(found: _Content, declared: DiskFormat | None) -> DiskFormat:
    if found.encrypted and declared != "raw":
        raise TransferError(
            Reason.UNSUPPORTED_FORMAT,
            "the source is encrypted (LUKS), so only its owner can read the disk; to store it "
            "unchanged, declare the source's format as raw",
        )
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
            "the content has no known image format, partition table or file system; if it is a "
            "bare raw image, declare the source's format as raw",
        )
    if declared == found.format or (declared in _SHAPELESS and found.format == "raw"):
        return declared
    raise TransferError(
        Reason.UNSAFE_IMAGE, f"the source is declared as {declared}, but it is {found.format}"
    )


def fixed_vhd_size(tail: bytes) -> int | None:
    """Return the bytes of the disk before a fixed VHD's footer; None: there is no footer.

    Args:
        tail: The last 512 bytes of the file.
    """
    if len(tail) < _VHD_FOOTER_LENGTH or not tail.startswith(_VHD_MAGIC):
        return None
    _, current, kind = _VHD_FOOTER.unpack_from(tail)
    return int(current) if kind == _VHD_FIXED else None


def is_fixed_vhd(tail: bytes, size: int) -> bool:
    """Return whether a file is a fixed VHD: a raw disk and a footer that counts its bytes."""
    return fixed_vhd_size(tail) == size - _VHD_FOOTER_LENGTH


def _other_size(disk: int, before: int) -> TransferError:
    return TransferError(
        Reason.UNSAFE_IMAGE,
        f"the file ends as a fixed VHD of {exact_text(disk)}, but has {exact_text(before)} before "
        "its footer",
    )


def _check_same_footer(head: bytes, tail: bytes) -> None:
    """Refuse a dynamic VHD of two footers that differ: some programs read one, some the other."""
    if tail.startswith(_VHD_MAGIC) and tail[_VHD_SIZES] != head[_VHD_SIZES]:
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            "the vhd image has a footer that differs from its copy at the beginning of the file",
        )
