"""Takes the image out of a compression or an archive, told by their content.

Allowed are one compression, one archive with a single image, or a tar archive in a compression.
Decompressors are programs under limits, as all that parses what strangers wrote; they write into a
pipe, and zeros become holes, so that what expands to nothing takes no disk.
"""

import mmap
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, cast

from cloudimage.sizes import size_text
from cloudimage.transfer.contract import Limits, Reason, Stage, TransferError
from cloudimage.transfer.image import archives, magic
from cloudimage.transfer.image.archives import Bounded, Say, Sink, unsafe, untar, unzip
from cloudimage.transfer.image.qemu_checks import FREE_EXPANSION, MAX_RATIO
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache, Room, write_all
from cloudimage.transfer.sparse import HOLE, is_hole
from cloudimage.transfer.tools.toolbox import Toolbox, ToolError

_CHUNK: Final = 256 * 2**10
_COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "gzip": ("gzip", "-dc", "--"),
    "xz": ("xz", "-dc", "--format=xz", "--"),
    "bzip2": ("bzip2", "-dc", "--"),
    "zstd": ("zstd", "-dcq", "--long=27", "--"),
}

_TRAILING: Final[dict[str, tuple[int, tuple[str, ...]]]] = {
    "gzip": (2, ("trailing garbage ignored",)),
    "bzip2": (0, ("trailing garbage after EOF ignored",)),
    "zstd": (1, ("unsupported format", "unknown header")),
    "xz": (1, ("Unexpected end of input", "Compressed data is corrupt")),
}
"""Exit status and words of each where something else is behind the last stream that it reads."""

_XZ_MAGIC: Final = b"\xfd7zXZ\x00"

Take = Callable[[Bounded, Sink, Say], None]
"""Writes the image of what was decompressed, or of an archive, into a sink."""


def expand(  # noqa: PLR0913, PLR0917 - what it works with
    path: Path,
    limits: Limits,
    tools: Toolbox,
    meter: Meter,
    cache: Cache,
    left_out: Say = lambda _: None,
) -> Path:
    """Return the file of the image itself: ``path``, or a new one in its place, beside it.

    Args:
        path: The file, in the toolbox's folder.
        limits: Of the request.
        tools: To run decompressors.
        meter: Counts what comes out.
        cache: Has the room.
        left_out: Is told what of the file is not in the image.

    Raises:
        TransferError: ``SourceNotAnImage``, ``UnsafeImage``, ``ImageTooLarge`` or
            ``InsufficientScratch``.
    """
    with path.open("rb") as begun:
        kind = magic.wrapping(begun.read(magic.HEAD_LENGTH))
    if kind is None:
        return path

    def unwrap(sink: _Sink) -> None:
        if kind == "zip":
            unzip(path, sink, left_out)
        elif kind == "tar":
            with path.open("rb") as archive:
                untar(archive, sink, left_out)
        else:
            _decompress(kind, path, sink, tools, left_out, _take_image)
        sink.finish()

    target = path.with_name("expanded")
    meter.start(Stage.EXPANDING)
    with cache.room(target) as room, target.open("wb", buffering=0) as file:
        _unwrap(kind, unwrap, _Sink(file, path.stat().st_size, limits, meter, room))
    path.unlink()
    return target


def extract(  # noqa: PLR0913, PLR0917 - what it works with
    path: Path,
    target: Path,
    take: Take,
    limits: Limits,
    tools: Toolbox,
    meter: Meter,
    cache: Cache,
) -> None:
    """Write what is taken out of an archive, compressed or not, to ``target``.

    Args:
        path: The archive, in the toolbox's folder. It is removed.
        target: Where to; it is not there afterwards if nothing was taken.
        take: Takes it.
        limits: Of the request.
        tools: To run decompressors.
        meter: Counts what comes out.
        cache: Has the room.

    Raises:
        TransferError: As for :func:`expand`.
    """
    with path.open("rb") as begun:
        kind = magic.compression(begun.read(magic.HEAD_LENGTH))

    def unwrap(sink: _Sink) -> None:
        if kind in _COMMANDS:
            _decompress(kind, path, sink, tools, lambda _: None, take)
        else:
            with path.open("rb") as archive:
                take(Bounded(archive), sink, lambda _: None)
        if sink.taken:
            sink.finish()

    meter.start(Stage.EXPANDING)
    with cache.room(target) as room, target.open("wb", buffering=0) as file:
        sink = _Sink(file, path.stat().st_size, limits, meter, room)
        _unwrap(kind or "tar", unwrap, sink)
    if not sink.taken:
        target.unlink()
    path.unlink()


def _unwrap(kind: str, unwrap: Callable[["_Sink"], None], sink: "_Sink") -> None:
    """Unwrap, and say of a failure what it was."""
    try:
        unwrap(sink)
    except archives.ERRORS as error:
        raise _damaged(kind, str(error)) from error
    except ToolError as error:
        raise _damaged(kind, error.message) from error


def _take_image(content: Bounded, sink: Sink, left_out: Say) -> None:
    """Write an image, or the only one of a tar archive."""
    head = content.read(magic.HEAD_LENGTH)
    rest = Bounded(content.file(), head)
    if magic.wrapping(head) == "tar":
        untar(rest, sink, left_out)
    else:
        sink.copy(rest)


def _decompress(  # noqa: PLR0913, PLR0917 - what it works with
    kind: str, path: Path, sink: Sink, tools: Toolbox, left_out: Say, take: Take
) -> None:
    """Write what a decompressor gives; bytes behind the end of what it reads are left out.

    That is the rule of gzip and bzip2 for all: some publishers append data of their own (OpenWrt).
    """

    def judge(status: int, message: str) -> bool:
        found, words = _TRAILING[kind]
        trailing = status == found and any(each in message for each in words)
        if kind == "xz" and trailing:
            trailing = _is_one_stream(path, counted.size, tools)
        if trailing:
            left_out(
                f"Bytes behind the end of the {kind} data were left out. Some publishers append "
                "data of their own; else the source may be damaged."
            )
        return trailing or status == 0

    with tools.stream(*_COMMANDS[kind], path.name, judge=judge) as output:
        counted = _Counted(output)
        take(Bounded(cast("IO[bytes]", counted)), sink, left_out)


def _is_one_stream(path: Path, size: int, tools: Toolbox) -> bool:
    """Return whether a file of xz is one sound stream of so many bytes with other bytes behind it.

    xz fails then as for a second stream that is cut, so that there must be no second one.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        if content.find(_XZ_MAGIC, 1) >= 0:
            return False
    try:
        with tools.stream("xz", "-dc", "--format=xz", "--single-stream", "--", path.name) as output:
            counted = _Counted(output)
            while counted.size <= size and counted.read(_CHUNK):
                pass
    except ToolError:
        return False
    return counted.size == size


class _Counted:
    """Counts what is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.size = 0

    def read(self, size: int) -> bytes:
        """Read."""
        piece = self._file.read(size)
        self.size += len(piece)
        return piece


class _Sink:
    """Writes the image: bounded, zeros as holes, and nothing that is wrapped once more.

    Attributes:
        size: Bytes so far.
        taken: A file was, even if it has none.
    """

    def __init__(
        self, file: IO[bytes], compressed: int, limits: Limits, meter: Meter, room: Room
    ) -> None:
        self._file = file
        self._limits = limits
        self._by_ratio = FREE_EXPANSION + MAX_RATIO * compressed
        self._meter = meter
        self._room = room
        self.size, self._written = 0, 0
        self.taken = False

    def expect(self, size: int) -> None:
        """Refuse so many bytes before they come."""
        if size > self._limits.max_expanded:
            raise TransferError(
                Reason.IMAGE_TOO_LARGE,
                f"the source expands to more than the limit of "
                f"{size_text(self._limits.max_expanded)}",
            )
        if size > self._by_ratio:
            raise unsafe(
                f"it expands to over {size_text(self._by_ratio)}, more than any image would: "
                "it is a decompression bomb"
            )

    def copy(self, content: "IO[bytes] | Bounded") -> None:
        """Write all that can be read."""
        self.taken = True
        head = content.read(magic.HEAD_LENGTH)
        if inner := magic.wrapping(head):
            raise unsafe(f"it contains {inner} again; only one layer is unpacked")
        chunk = head
        while chunk:
            self.expect(self.size + len(chunk))
            for start in range(0, len(chunk), HOLE):
                self._write(chunk[start : start + HOLE])
            self._meter.count(self.size)
            chunk = content.read(_CHUNK)

    def finish(self) -> None:
        """Give the file its size, also if it ends with a hole."""
        if self.size == 0:
            raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, "the compressed source is empty")
        self._file.truncate(self.size)

    def _write(self, piece: bytes) -> None:
        if is_hole(piece):
            self._file.seek(len(piece), 1)
        else:
            self._written += len(piece)
            self._room.need(self._written)
            write_all(self._file, piece)
        self.size += len(piece)


def _damaged(kind: str, why: str) -> TransferError:
    return TransferError(
        Reason.SOURCE_NOT_AN_IMAGE, f"the source ({kind}) cannot be expanded: {why}"
    )
