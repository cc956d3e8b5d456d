"""Takes the image out of a compression or an archive, decided by content.

Allowed are one compression, one archive with a single file, or a tar archive in a compression.
Decompressors are programs under limits, as all that parses what strangers wrote; they write into a
pipe, and zeros become holes, so that what expands to nothing takes no disk.
"""

import errno
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final, cast

from cloudimage.transfer import signatures
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.tools import Toolbox, ToolError
from cloudimage.transfer.types import Limits, Reason, Stage, TransferError

MAX_RATIO: Final = 10_000
FREE_EXPANSION: Final = 2**30
"""An image may always expand to so many bytes, and beyond that by ``MAX_RATIO``: gzip cannot reach
it, and of the others only what is nothing but zeros."""

MAX_HEADERS: Final = 2**20
"""Bytes that the headers of an archive may have: the libraries keep them in memory."""

_CHUNK: Final = 256 * 2**10
_HOLE: Final = 64 * 2**10
_ZEROS: Final = bytes(_HOLE)
_COMMANDS: Final[dict[str, tuple[str, ...]]] = {
    "gzip": ("gzip", "-dc", "--"),
    "xz": ("xz", "-dc", "--format=xz", "--"),
    "bzip2": ("bzip2", "-dc", "--"),
    "zstd": ("zstd", "-dcq", "--long=27", "--"),
}
_ZIP_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ARCHIVE_ERRORS: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""All that the libraries raise for archives that are damaged on purpose."""


def expand(path: Path, limits: Limits, tools: Toolbox, meter: Meter) -> Path:
    """Return the file of the image itself: ``path``, or a new one in its place, beside it.

    Raises:
        TransferError: ``SourceNotAnImage``, ``UnsafeImage``, ``ImageTooLarge`` or
            ``InsufficientScratch``.
    """
    with path.open("rb") as file:
        kind = signatures.wrapping(file.read(signatures.HEAD_LENGTH))
    if kind is None:
        return path
    meter.start(Stage.EXPANDING)
    target = path.with_name("expanded")
    with target.open("wb", buffering=0) as file:
        sink = _Sink(file, path.stat().st_size, limits, meter)
        try:
            _unwrap(kind, path, sink, tools)
        except _ARCHIVE_ERRORS as error:
            raise _damaged(kind, str(error)) from error
        except ToolError as error:
            raise _damaged(kind, error.message) from error
        sink.finish()
    path.unlink()
    return target


def _unwrap(kind: str, path: Path, sink: "_Sink", tools: Toolbox) -> None:
    if kind == "zip":
        _unzip(path, sink)
    elif kind == "tar":
        with path.open("rb") as file:
            _untar(file, sink)
    else:
        with tools.stream(*_COMMANDS[kind], path.name) as output:
            head = output.read(signatures.HEAD_LENGTH)
            rest = _Bounded(output, head)
            if signatures.wrapping(head) == "tar":
                _untar(rest, sink)
            else:
                sink.copy(rest)


def _untar(file: "IO[bytes] | _Bounded", sink: "_Sink") -> None:
    """Write the one file of a tar archive."""
    bounded = file if isinstance(file, _Bounded) else _Bounded(file)
    names: list[str] = []
    with bounded.headers(), tarfile.open(fileobj=bounded.file(), mode="r|") as archive:
        while (member := archive.next()) is not None:
            _check_name(member.name)
            if member.isdir():
                continue
            if not member.isreg():
                raise _unsafe(f"its member {_shown(member.name)} is not a file")
            names.append(member.name)
            if len(names) > 1:
                raise _several(names)
            sink.expect(member.size)
            content = archive.extractfile(member)
            if content is None:
                raise _unsafe(f"its member {_shown(member.name)} is not a file")
            with bounded.contents():
                sink.copy(content)
    if not names:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, "the archive has no file")
    with bounded.headers():  # what is behind the archive's end is padding, or a bomb
        while bounded.read(_CHUNK):
            pass


def _unzip(path: Path, sink: "_Sink") -> None:
    """Write the one file of a zip archive."""
    with path.open("rb") as file:
        bounded = _Bounded(file)
        with bounded.headers():
            archive = zipfile.ZipFile(bounded.file())
        with archive:
            member = _only_file(archive.infolist())
            sink.expect(member.file_size)
            with archive.open(member) as content:
                sink.copy(content)


def _only_file(members: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    for each in members:
        # The name as it is written: the library's own is cut at a NUL.
        _check_name(each.orig_filename)
        kind = stat.S_IFMT(each.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise _unsafe(f"its member {_shown(each.filename)} is not a file")
    files = [each for each in members if not each.is_dir()]
    if not files:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, "the archive has no file")
    if len(files) > 1:
        raise _several([each.filename for each in files])
    if files[0].flag_bits & 1:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, "the archive is encrypted")
    if files[0].compress_type not in _ZIP_METHODS:
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE, "the zip archive is compressed otherwise than by deflate"
        )
    return files[0]


def _check_name(name: str) -> None:
    """Refuse names that lead out of a folder, though none is ever used as a path here."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name or ":" in parts[0]:
        raise _unsafe(f"its member {_shown(name)} would be outside of it")


class _Sink:
    """Writes the image: bounded, zeros as holes, and nothing that is wrapped once more."""

    def __init__(self, file: IO[bytes], compressed: int, limits: Limits, meter: Meter) -> None:
        self._file = file
        self._limits = limits
        self._by_ratio = FREE_EXPANSION + MAX_RATIO * compressed
        self._meter = meter
        self._size = 0

    def expect(self, size: int) -> None:
        """Refuse so many bytes before they come."""
        if size > self._limits.max_expanded:
            raise TransferError(
                Reason.IMAGE_TOO_LARGE,
                f"the source expands to over {self._limits.max_expanded} bytes, the limit",
            )
        if size > self._by_ratio:
            raise _unsafe(
                f"it expands to over {self._by_ratio} bytes, which no image does: "
                "it is a decompression bomb"
            )

    def copy(self, content: "IO[bytes] | _Bounded") -> None:
        """Write all that can be read."""
        head = content.read(signatures.HEAD_LENGTH)
        if inner := signatures.wrapping(head):
            raise _unsafe(f"inside of it is {inner} again; only one layer is taken off")
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
            rest = memoryview(piece)
            try:
                while rest:
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                raise TransferError(
                    Reason.INSUFFICIENT_SCRATCH,
                    "the scratch became full while the source was expanded",
                ) from error
        self._size += len(piece)


class _Bounded:
    """A file that gives only so much while a library reads headers."""

    def __init__(self, file: IO[bytes], head: bytes = b"") -> None:
        self._file = file
        self._head = head
        self._left: int | None = None

    def read(self, size: int = -1) -> bytes:
        """Read, within the bounds."""
        if self._left is None:
            return self._take(size)
        piece = self._take(size if 0 <= size <= self._left else self._left + 1)
        if len(piece) > self._left:
            raise ValueError("its headers are too long")
        self._left -= len(piece)
        return piece

    def _take(self, size: int) -> bytes:
        if self._head:
            piece, self._head = self._head[:size], self._head[size:]
            return piece
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go elsewhere in a file that can."""
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            raise ValueError("it points outside of itself") from error

    def tell(self) -> int:
        """Return the place in a file that has one."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Tell whether one can go elsewhere."""
        return self._file.seekable()

    def file(self) -> IO[bytes]:
        """Return itself, as what the libraries take it for."""
        return cast("IO[bytes]", self)

    @contextmanager
    def headers(self) -> Iterator[None]:
        """Bound what is read in the block."""
        previous, self._left = self._left, MAX_HEADERS
        try:
            yield
        finally:
            self._left = previous

    @contextmanager
    def contents(self) -> Iterator[None]:
        """Lift the bound in the block, which has its own."""
        self._left = None
        try:
            yield
        finally:
            self._left = MAX_HEADERS


def _shown(name: str) -> str:
    return repr(name[:80])


def _unsafe(why: str) -> TransferError:
    return TransferError(Reason.UNSAFE_IMAGE, f"the source is not safe to expand: {why}")


def _several(names: list[str]) -> TransferError:
    shown = ", ".join(_shown(name) for name in names[:3])
    return TransferError(
        Reason.SOURCE_NOT_AN_IMAGE,
        f"the archive has several files ({shown}); it must have the image alone",
    )


def _damaged(kind: str, why: str) -> TransferError:
    return TransferError(
        Reason.SOURCE_NOT_AN_IMAGE, f"the source ({kind}) cannot be expanded: {why}"
    )
