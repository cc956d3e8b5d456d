"""Turns the inspected file into the bytes that Glance shall hold."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from cloudimage.transfer.inspect import QEMU_FORMATS, Inspected
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.tools import Toolbox, ToolError
from cloudimage.transfer.types import DiskFormat, Reason, Stage, TransferError

CHUNK = 1 * 2**20

_OPTIONS: Final[dict[DiskFormat, str]] = {
    "vmdk": "subformat=streamOptimized",  # the only kind besides monolithicSparse Glance accepts
    "vhd": "subformat=dynamic,force_size=on",  # the exact size, not one of heads and cylinders
}

Chunks = Generator[bytes, None, None]


@dataclass(frozen=True)
class Payload:
    """What is uploaded.

    Attributes:
        format: Glance's disk format of the bytes.
        size: Bytes.
        open: Returns the bytes anew each time. To be closed after use. It raises ``TransferError``
            before its last chunk if the bytes are not whole, so that who counts ``size`` bytes
            has them all.
    """

    format: DiskFormat
    size: int
    open: Callable[[], Chunks]


def convert(
    path: Path, found: Inspected, wanted: DiskFormat | None, tools: Toolbox, meter: Meter
) -> Payload:
    """Prepare the upload of a file as the wanted format; None keeps its own.

    To raw it is converted while it is uploaded; else into a file beside it.

    Raises:
        TransferError: ``UnsupportedFormat``, ``ConversionFailed`` or ``InsufficientScratch``.
    """
    if wanted is None or wanted == found.format:
        return _file(path, found.format)
    for each in (found.format, wanted):
        if each not in QEMU_FORMATS:
            raise TransferError(
                Reason.UNSUPPORTED_FORMAT,
                f"cannot convert {found.format} to {wanted}; convertible are "
                f"{', '.join(QEMU_FORMATS)}",
            )
    if wanted == "raw":
        return _raw_stream(path.name, found, tools)
    meter.start(Stage.CONVERTING)
    target = path.with_name("converted")
    options = ["-o", _OPTIONS[wanted]] if wanted in _OPTIONS else []
    formats = ["-f", QEMU_FORMATS[found.format], "-O", QEMU_FORMATS[wanted]]
    try:
        tools.run("qemu-img", "convert", *formats, *options, path.name, target.name)
    except ToolError as error:
        raise _failure(error) from error
    path.unlink()
    return _file(target, wanted)


def _file(path: Path, shape: DiskFormat) -> Payload:
    size = path.stat().st_size

    def chunks() -> Chunks:
        with path.open("rb", buffering=0) as file:
            yield from _exactly(file, size)

    return Payload(shape, size, chunks)


def _raw_stream(name: str, found: Inspected, tools: Toolbox) -> Payload:
    server = tools.nbd_server(name, QEMU_FORMATS[found.format])

    def chunks() -> Chunks:
        held = b""
        try:
            with tools.stream("nbdcopy", "--", *server, "-") as stdout:
                for chunk in _exactly(stdout, found.virtual_size):
                    if held:
                        yield held
                    held = chunk
        except ToolError as error:
            raise _failure(error) from error
        yield held

    return Payload("raw", found.virtual_size, chunks)


def _exactly(file: IO[bytes], size: int) -> Chunks:
    """Yield a file's bytes, and fail before the end if there are not ``size`` of them."""
    left = size
    while chunk := file.read(CHUNK):
        left -= len(chunk)
        if left < 0:
            break
        yield chunk
    if left:
        raise TransferError(
            Reason.CONVERSION_FAILED, f"{size} bytes were expected from the image, {left} differ"
        )


def _failure(error: ToolError) -> TransferError:
    if "No space left on device" in error.message:
        return TransferError(Reason.INSUFFICIENT_SCRATCH, f"the scratch is full: {error.message}")
    return TransferError(
        Reason.CONVERSION_FAILED, f"the image cannot be converted: {error.message}"
    )
