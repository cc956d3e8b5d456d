"""Archives with one image in them: tar, also with holes (GNU's ``--sparse``), and zip.

Beside it may be what people and their systems add: a README, checksums, an OVA's description,
macOS's ``__MACOSX``. Anything else makes it unclear what the image is.

The libraries parse them; what they do not bound, the headers, is bounded here.
"""

import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final, Protocol, cast

from cloudimage.transfer.contract import Reason, TransferError

MAX_HEADERS: Final = 2**20
"""Bytes that the headers of an archive may have: the libraries keep them in memory."""

ERRORS: Final = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    LookupError,
    OverflowError,
    RuntimeError,
    ValueError,
)
"""All that the libraries raise for archives that are damaged on purpose."""

LARGEST_COMPANION: Final = 16 * 2**20
"""Bytes that a text or a checksum beside an image may have."""

_CHUNK: Final = 256 * 2**10
_MOST_SHOWN: Final = 3
_MOST_COMPANIONS: Final = 64
_JUNK: Final = frozenset({".ds_store", "thumbs.db", "desktop.ini"})
_DOCUMENT: Final = re.compile(
    r"(readme|licen[cs]e|copying|copyright|notice|changelog|changes|authors|version|manifest"
    r"|release[-_ ]?notes|(md5|sha\d+|check)sums?)([.\-_ ].*)?$",
    re.IGNORECASE,
)
_IMAGE_NAME: Final = re.compile(
    r"\.(img|image|raw|bin|iso|qcow2?|vmdk|vdi|vhdx?|gz|xz|bz2|zst|zip|tar|7z)$", re.IGNORECASE
)
_DESCRIPTION: Final = re.compile(
    r"\.(txt|md|rst|html?|pdf|nfo|url|log|json|ya?ml|xml|asc|sig|sign|manifest|packages|sbom|spdx"
    r"|(md5|sha\d+)(sums?)?|ovf|mf|cert)$",
    re.IGNORECASE,
)
_ZIP_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})


class Sink(Protocol):
    """Takes the file."""

    def expect(self, size: int) -> None:
        """Record how many bytes will come; raise ``TransferError`` against it."""

    def copy(self, content: "IO[bytes] | Bounded") -> None:
        """Take all that can be read."""


Say = Callable[[str], None]
"""Takes a sentence for the user."""


def untar(file: "IO[bytes] | Bounded", sink: Sink, left_out: Say = lambda _: None) -> None:
    """Write the one image of a tar archive.

    Args:
        file: The archive.
        sink: Takes the image.
        left_out: Is told what of the archive is not in the image.

    Raises:
        TransferError: ``SourceNotAnImage``, ``UnsafeImage`` and those of the sink.
        Exception: One of ``ERRORS``; the archive is damaged.
    """
    bounded = file if isinstance(file, Bounded) else Bounded(file)
    names: list[str] = []
    companions: list[str] = []
    with bounded.headers(), tarfile.open(fileobj=bounded.file(), mode="r|") as archive:
        while (member := archive.next()) is not None:
            _check_name(member.name)
            if member.isdir():
                continue
            if not member.isreg():
                raise unsafe(f"its member {_shown(member.name)} is not a file")
            content = archive.extractfile(member)
            if content is None:
                raise unsafe(f"its member {_shown(member.name)} is not a file")
            if _is_companion(member.name, member.size, companions):
                companions.append(member.name)
                with bounded.contents():
                    while content.read(_CHUNK):
                        pass
                continue
            names.append(member.name)
            if len(names) > 1:
                raise _several(names)
            sink.expect(member.size)
            with bounded.contents():
                sink.copy(content)
    _check_one(names, companions, left_out)
    with bounded.headers():  # what is behind the archive's end is padding, or a bomb
        while bounded.read(_CHUNK):
            pass


def unzip(path: Path, sink: Sink, left_out: Say = lambda _: None) -> None:
    """Write the one image of a zip archive.

    Args:
        path: The archive.
        sink: Takes the image.
        left_out: Is told what of the archive is not in the image.

    Raises:
        TransferError: ``SourceNotAnImage``, ``UnsafeImage`` and those of the sink.
        Exception: One of ``ERRORS``; the archive is damaged.
    """
    with path.open("rb") as file:
        bounded = Bounded(file)
        with bounded.headers():
            archive = zipfile.ZipFile(bounded.file())
        with archive:
            member = _only_file(archive.infolist(), left_out)
            sink.expect(member.file_size)
            with archive.open(member) as content:
                sink.copy(content)


def _only_file(members: list[zipfile.ZipInfo], left_out: Say) -> zipfile.ZipInfo:
    for each in members:
        # The name as it is written: the library's own is cut at a NUL.
        _check_name(each.orig_filename)
        kind = stat.S_IFMT(each.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise unsafe(f"its member {_shown(each.filename)} is not a file")
    files: list[zipfile.ZipInfo] = []
    companions: list[str] = []
    for each in members:
        if _is_companion(each.filename, each.file_size, companions):
            companions.append(each.filename)
        elif not each.is_dir():
            files.append(each)
    _check_one([each.filename for each in files], companions, left_out)
    if files[0].flag_bits & 1:
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, "the archive is encrypted")
    if files[0].compress_type not in _ZIP_METHODS:
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE, "the zip archive uses another compression than deflate"
        )
    return files[0]


def _is_companion(name: str, size: int, others: list[str]) -> bool:
    """Return whether a file is known to be no image, by its name."""
    few = len(others) < _MOST_COMPANIONS
    return few and size <= LARGEST_COMPANION and not name.endswith("/") and is_described(name)


def is_described(name: str) -> bool:
    """Return whether a file's name says that it is no image, but tells of one, or is junk."""
    base = PurePosixPath(name).name
    by_name = bool(_DOCUMENT.match(base)) and not _IMAGE_NAME.search(base)
    return _is_junk(name) or by_name or bool(_DESCRIPTION.search(base))


def _is_junk(name: str) -> bool:
    """Return whether a file is one that macOS or Windows adds without being asked."""
    *folders, base = PurePosixPath(name).parts
    return "__MACOSX" in folders or base.startswith("._") or base.casefold() in _JUNK


def _check_one(names: list[str], companions: list[str], left_out: Say) -> None:
    """Refuse an archive with other than one image, and tell what is beside that."""
    told = [each for each in companions if not _is_junk(each)]
    if not names:
        only = f" but {_listed(told)}, which is no image" if told else ""
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, f"the archive contains no file{only}")
    if len(names) > 1:
        raise _several(names)
    if told:
        left_out(f"Of the archive only {_shown(names[0])} was used; left out: {_listed(told)}.")


def _check_name(name: str) -> None:
    """Refuse names that lead out of a folder, though none is ever used as a path here."""
    if not name:
        raise unsafe("it has a member without a name")
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or ".." in parts or "\0" in name or ":" in parts[0]:
        raise unsafe(f"its member {_shown(name)} would be written outside of it")


class Bounded:
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
            raise ValueError("it refers to an offset outside of it") from error

    def tell(self) -> int:
        """Return the place in a file that has one."""
        return self._file.tell()

    def seekable(self) -> bool:
        """Return whether one can go elsewhere."""
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


def unsafe(why: str) -> TransferError:
    """Return the failure for a source that was made to do harm."""
    return TransferError(Reason.UNSAFE_IMAGE, f"the source is not safe to expand: {why}")


def _several(names: list[str]) -> TransferError:
    return TransferError(
        Reason.SOURCE_NOT_AN_IMAGE,
        f"the archive has several files ({_listed(names)}), and any of them may be the image; "
        "beside the image it may have texts, checksums and an OVA's description",
    )


def _listed(names: list[str]) -> str:
    more = ", ..." if len(names) > _MOST_SHOWN else ""
    return ", ".join(map(_shown, names[:_MOST_SHOWN])) + more
