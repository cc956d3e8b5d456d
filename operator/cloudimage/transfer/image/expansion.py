"""Takes the image out of a compression or an archive, told by their content.

Allowed are one compression, one archive with a single file, or a tar archive in a compression.
Decompressors are programs under limits, as all that parses what strangers wrote; they write into a
pipe, and zeros become holes, so that what expands to nothing takes no disk.
"""

from pathlib import Path
from typing import IO, Final

from cloudimage.transfer.contract import Limits, Reason, Stage, TransferError
from cloudimage.transfer.image import archives, magic
from cloudimage.transfer.image.archives import Bounded, unsafe, untar, unzip
from cloudimage.transfer.image.qemu_checks import FREE_EXPANSION, MAX_RATIO
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache, Room, write_all
from cloudimage.transfer.tools.toolbox import Toolbox, ToolError

_CHUNK: Final = 256 * 2**10
_HOLE: Final = 64 * 2**10
_ZEROS: Final = bytes(_HOLE)
_COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "gzip": ("gzip", "-dc", "--"),
    "xz": ("xz", "-dc", "--format=xz", "--"),
    "bzip2": ("bzip2", "-dc", "--"),
    "zstd": ("zstd", "-dcq", "--long=27", "--"),
}


def expand(path: Path, limits: Limits, tools: Toolbox, meter: Meter, cache: Cache) -> Path:
    """Return the file of the image itself: ``path``, or a new one in its place, beside it.

    Raises:
        TransferError: ``SourceNotAnImage``, ``UnsafeImage``, ``ImageTooLarge`` or
            ``InsufficientScratch``.
    """
    with path.open("rb") as file:
        kind = magic.wrapping(file.read(magic.HEAD_LENGTH))
    if kind is None:
        return path
    meter.start(Stage.EXPANDING)
    target = path.with_name("expanded")
    with cache.room(target) as room, target.open("wb", buffering=0) as file:
        sink = _Sink(file, path.stat().st_size, limits, meter, room)
        try:
            _unwrap(kind, path, sink, tools)
        except archives.ERRORS as error:
            raise _damaged(kind, str(error)) from error
        except ToolError as error:
            raise _damaged(kind, error.message) from error
        sink.finish()
    path.unlink()
    return target


def _unwrap(kind: str, path: Path, sink: "_Sink", tools: Toolbox) -> None:
    if kind == "zip":
        unzip(path, sink)
    elif kind == "tar":
        with path.open("rb") as file:
            untar(file, sink)
    else:
        with tools.stream(*_COMMANDS[kind], path.name) as output:
            head = output.read(magic.HEAD_LENGTH)
            rest = Bounded(output, head)
            if magic.wrapping(head) == "tar":
                untar(rest, sink)
            else:
                sink.copy(rest)


class _Sink:
    """Writes the image: bounded, zeros as holes, and nothing that is wrapped once more."""

    def __init__(
        self, file: IO[bytes], compressed: int, limits: Limits, meter: Meter, room: Room
    ) -> None:
        self._file = file
        self._limits = limits
        self._by_ratio = FREE_EXPANSION + MAX_RATIO * compressed
        self._meter = meter
        self._room = room
        self._size, self._written = 0, 0

    def expect(self, size: int) -> None:
        """Refuse so many bytes before they come."""
        if size > self._limits.max_expanded:
            raise TransferError(
                Reason.IMAGE_TOO_LARGE,
                f"the source expands to more than the limit of {self._limits.max_expanded} bytes",
            )
        if size > self._by_ratio:
            raise unsafe(
                f"it expands to over {self._by_ratio} bytes, more than any image would: it is a "
                "decompression bomb"
            )

    def copy(self, content: "IO[bytes] | Bounded") -> None:
        """Write all that can be read."""
        head = content.read(magic.HEAD_LENGTH)
        if inner := magic.wrapping(head):
            raise unsafe(f"it contains {inner} again; only one layer is unpacked")
        chunk = head
        while chunk:
            self.expect(self._size + len(chunk))
            for start in range(0, len(chunk), _HOLE):
                self._write(chunk[start : start + _HOLE])
            self._meter.count(self._size)
            chunk = content.read(_CHUNK)

    def finish(self) -> None:
        """Give the file its size, also if it ends with a hole."""
        if self._size == 0:
            raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, "the compressed source is empty")
        self._file.truncate(self._size)

    def _write(self, piece: bytes) -> None:
        if piece == _ZEROS[: len(piece)]:
            self._file.seek(len(piece), 1)
        else:
            self._written += len(piece)
            self._room.need(self._written)
            write_all(self._file, piece)
        self._size += len(piece)


def _damaged(kind: str, why: str) -> TransferError:
    return TransferError(
        Reason.SOURCE_NOT_AN_IMAGE, f"the source ({kind}) cannot be expanded: {why}"
    )
