"""Turns the inspected file into the bytes that Glance is to store."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cloudimage.sizes import exact_text
from cloudimage.transfer.contract import Reason, Stage, TransferError
from cloudimage.transfer.image.inspection import Inspected
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.tools.toolbox import Output, Toolbox, ToolError, image
from cloudimage.vocabulary.image import DiskFormat

CHUNK = 1 * 2**20

_OPTIONS: Final[dict[DiskFormat, str]] = {
    "vmdk": "subformat=streamOptimized",  # the only kind besides monolithicSparse Glance accepts
    "vhd": "subformat=dynamic,force_size=on",  # the exact size, not one of heads and cylinders
}

_SLACK: Final = 8 * 2**20
_LARGE_CLUSTERS: Final = ("-o", "cluster_size=2M")
"""No other format than vhdx stores the data in larger pieces."""

Chunks = Generator[bytes, None, None]


@dataclass(frozen=True)
class Payload:
    """What is uploaded.

    Attributes:
        format: Glance's disk format of the bytes.
        size: Bytes.
        open: Returns the bytes from the start each time. To be closed after use. It raises
            ``TransferError`` before its last chunk if the bytes are not whole, so that who counts
            ``size`` bytes has them all.
        sha512: Returns their SHA-512 once all were read, where it is computed elsewhere; None: by
            whoever reads them.
    """

    format: DiskFormat
    size: int
    open: Callable[[], Chunks]
    sha512: Callable[[], str] | None = None


@dataclass(frozen=True)
class TargetFormat:
    """What a file is to become.

    Attributes:
        format: None keeps its own.
        compress: Compress the clusters of a qcow2 that is converted to. A file that has the format
            is kept byte for byte: what its publisher says of it stays true.
    """

    format: DiskFormat | None = None
    compress: bool = False


def convert(
    path: Path, found: Inspected, wanted: TargetFormat, tools: Toolbox, meter: Meter
) -> Payload:
    """Prepare the upload of a file.

    To raw it is converted while it is uploaded; else into a file beside it.

    Raises:
        TransferError: ``UnsupportedFormat``, ``SourceTruncated``, ``ConversionFailed`` or
            ``InsufficientScratch``.
    """
    shape = wanted.format
    if shape is None or shape == found.format:
        if not found.proven:
            _read_all(path.name, found, tools)
        return as_file(path, found.format)
    for each in (found.format, shape):
        if each not in QEMU_FORMATS:
            raise TransferError(
                Reason.UNSUPPORTED_FORMAT,
                f"cannot convert {found.format} to {shape}; supported formats are "
                f"{', '.join(QEMU_FORMATS)}",
            )
    if shape == "raw":
        return raw_stream(path.name, found, tools)
    target = convert_to_file(path, found, wanted, tools, meter)
    path.unlink()
    return as_file(target, shape)


def convert_to_file(
    path: Path, found: Inspected, wanted: TargetFormat, tools: Toolbox, meter: Meter
) -> Path:
    """Convert a file into one beside it, which is returned.

    Raises:
        TransferError: ``ConversionFailed`` or ``InsufficientScratch``.
    """
    shape = wanted.format or found.format
    meter.start(Stage.CONVERTING)
    target = path.with_name("converted")
    options = ["-o", _OPTIONS[shape]] if shape in _OPTIONS else []
    if wanted.compress and shape == "qcow2":
        options.append("-c")
    opened = image(path.name, QEMU_FORMATS[found.format])
    try:
        # With exactly the bytes that are reserved for it.
        written = largest(path.name, found, shape, tools) or found.virtual_size
        output = Output(target.name, written)
        words = ("convert", "-O", QEMU_FORMATS[shape], *options, *opened, target.name)
        tools.run("qemu-img", *words, output=output)
    except ToolError as error:
        raise _failure(error) from error
    return target


def largest(name: str, found: Inspected, wanted: DiskFormat | None, tools: Toolbox) -> int:
    """Return how many bytes :func:`convert` may write to the disk, at the most.

    Raises:
        TransferError: ``SourceTruncated`` or ``ConversionFailed``.
    """
    if wanted in {None, "raw", found.format} or {wanted, found.format} - QEMU_FORMATS.keys():
        return 0
    if wanted == "vhdx":
        return found.virtual_size + _vhdx_block(found.virtual_size) + _tables(found)
    return qcow2_size(name, found, tools, *(() if wanted == "qcow2" else _LARGE_CLUSTERS))


def qcow2_size(name: str, found: Inspected, tools: Toolbox, *options: str) -> int:
    """Return how many bytes an image takes at the most as a qcow2.

    Raises:
        TransferError: ``ConversionFailed``.
    """
    opened = image(name, QEMU_FORMATS[found.format])
    words = ("measure", "--output=json", "-O", "qcow2", *options, *opened)
    try:
        measured = tools.json("qemu-img", *words)
    except ToolError as error:
        raise _failure(error) from error
    data = int(measured["required"])
    # What cannot be compressed becomes a little larger.
    return data + data // 50 + _tables(found)


def _tables(found: Inspected) -> int:
    return found.virtual_size // 4096 + _SLACK  # vmdk's are the largest


def _vhdx_block(size: int) -> int:
    """Return the bytes in which qemu writes a VHDX of this virtual size; the last ones are whole.

    Its block/vhdx.c, vhdx_co_create(), has 8 MiB up to 1 GiB, 16 up to 100 GiB, then 32 and 64.
    """
    if size <= 2**30:
        return 8 * 2**20
    return (16 if size <= 100 * 2**30 else 64) * 2**20


def _read_all(name: str, found: Inspected, tools: Toolbox) -> None:
    try:
        with tools.disk(name, QEMU_FORMATS[found.format]) as disk:
            for _ in disk.pieces():
                pass
    except ToolError as error:
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the {found.format} image is damaged: {error.message}"
        ) from error


def as_file(path: Path, shape: DiskFormat) -> Payload:
    """Return a file as it is."""
    size = path.stat().st_size

    def chunks() -> Chunks:
        with path.open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    return Payload(shape, size, chunks)


def raw_stream(name: str, found: Inspected, tools: Toolbox) -> Payload:
    """Return the disk in an image, converted each time that it is read."""
    size = found.virtual_size

    def chunks() -> Chunks:
        try:
            with tools.disk(name, QEMU_FORMATS[found.format]) as disk:
                if disk.size != size:
                    raise TransferError(
                        Reason.CONVERSION_FAILED,
                        f"the image should have {exact_text(size)}, but it has "
                        f"{exact_text(disk.size)}",
                    )
                yield from disk.pieces()
        except ToolError as error:
            raise _failure(error) from error

    return Payload("raw", size, chunks)


def _failure(error: ToolError) -> TransferError:
    return TransferError(
        Reason.CONVERSION_FAILED, f"the image cannot be converted: {error.message}"
    )
