"""What only qemu's own driver of a format knows of an image that is safe to open.

The tools run under limits and with the format given; they never probe.
"""

import json
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Final

from cloudimage.sizes import exact_text
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image import vhdx
from cloudimage.transfer.image.content import blank_disk
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.tools.toolbox import Toolbox, ToolError, image
from cloudimage.vocabulary.image import DiskFormat

_COMPLAINTS: Final = {
    "truncated": Reason.SOURCE_TRUNCATED,
    "end of file": Reason.SOURCE_TRUNCATED,
    "File too large": Reason.IMAGE_TOO_LARGE,
}
"""What qemu-img says of a file that it cannot open; anything else: the file is no sound image."""
_LOG_TO_REPLAY: Final = "log that needs to be replayed"
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
        if _LOG_TO_REPLAY in error.message:
            raise _unclean(shape) from error
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


def _unclean(shape: DiskFormat) -> TransferError:
    return TransferError(
        Reason.UNSUPPORTED_FORMAT,
        f"the {shape} image was not closed: its last changes are in its log, not in its disk. "
        "Shut down what uses it before it is copied, or have the log replayed where the image is "
        "made, by Mount-VHD and Dismount-VHD or by qemu-img check -r all, and publish it again",
    )


def check_complete(name: str, shape: DiskFormat, size: int, tools: Toolbox) -> bool:
    """Refuse an image that refers to data behind the end of its file, or is corrupt.

    qemu reads zeros there without a word.

    Returns:
        Whether that proves it complete; see ``inspect.Inspected``.

    Raises:
        TransferError: ``SourceTruncated``, ``SourceNotAnImage`` for one without any data, or
            ``UnsafeImage`` for one that names the same data again and again.
    """
    opened = image(name, QEMU_FORMATS[shape])
    amplified = False
    try:
        try:
            end, compressed = _mapped(opened, None if shape == "vhdx" else size, tools)
        except _AmplifiedError:  # it may come of damage, as the check then tells
            end, compressed, amplified = 0, False, True
        report = tools.json("qemu-img", "check", "--output=json", *opened, accept=_CHECK_STATUSES)
    except ToolError as error:
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the {shape} image is damaged: {error.message}"
        ) from error
    if end > size:
        raise TransferError(
            Reason.SOURCE_TRUNCATED,
            f"the {shape} image is truncated: its data reaches to byte {end} of a file "
            f"of {exact_text(size)}",
        )
    if report.get("corruptions") or report.get("check-errors"):
        raise TransferError(
            Reason.SOURCE_TRUNCATED, f"the {shape} image is damaged: qemu-img check finds errors"
        )
    blank = not end and not compressed
    if shape == "vhdx" and not amplified:
        present, most = _blocks(tools.folder / name, size)
        blank, amplified = present == 0, present > most
    if amplified:
        raise TransferError(
            Reason.UNSAFE_IMAGE,
            f"the {shape} image is not safe to open: its tables refer to more data than its "
            f"{exact_text(size)} can hold, to the same data again and again",
        )
    if blank:
        raise blank_disk(shape)
    # The last cluster of a compressed qcow2 is often not a whole one, and rightly so.
    return not compressed or (shape == "qcow2" and report.get("image-end-offset", size + 1) <= size)


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


def _blocks(path: Path, size: int) -> tuple[int, int]:
    try:
        with path.open("rb") as file:
            return vhdx.blocks(file, size)
    except ValueError as error:
        raise TransferError(
            Reason.UNSAFE_IMAGE, f"the vhdx image's blocks cannot be counted: {error}"
        ) from error
