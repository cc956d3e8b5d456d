"""A file of a mounted file system, as the pipeline reads any source."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Final

from cloudimage.sizes import size_text
from cloudimage.transfer.contract import NewImage, Reason, Stage, TransferError
from cloudimage.transfer.image.inspection import Inspected, check_size
from cloudimage.transfer.source.base import Context, Ends
from cloudimage.transfer.source.edges import HEAD_LENGTH, Edges
from cloudimage.transfer.source.file.model import FileSource
from cloudimage.transfer.source.file.opening import opened, unreadable
from cloudimage.transfer.source.hashes import CHUNK, Fetched, Hashes
from cloudimage.transfer.source.streamed import Streamed
from cloudimage.transfer.sparse import end_sparse, write_sparse
from cloudimage.transfer.verify.verification import Expected, weakness

_BLOCK: Final = 512  # of st_blocks


@contextmanager
def open_file(source: FileSource, context: Context) -> Iterator["FileReader"]:
    """Open a file; see :class:`cloudimage.transfer.source.base.Opener`."""
    with opened(source.root, source.path, claim=source.claim) as descriptor:
        yield FileReader(source, context, descriptor)


class FileReader:
    """A :class:`cloudimage.transfer.source.base.Reader` of a file.

    What is inspected and converted is a copy: others may write to the file meanwhile.
    """

    def __init__(self, source: FileSource, context: Context, descriptor: int) -> None:
        self._source = source
        self._context = context
        self._content = FileBytes(descriptor, source.path)

    def expect(self) -> Expected:
        """Return what the request says that the file must be."""
        size, most = self._content.size, self._context.limits.max_download
        if size > most:
            raise TransferError(
                Reason.IMAGE_TOO_LARGE,
                f"the source has {size_text(size)}, over the limit of {size_text(most)}",
            )
        checksum = self._source.checksum
        return Expected(checksum, warnings=weakness(checksum))

    def look(self, min_disk: int | None) -> Ends:
        """Return what the file's ends tell: all of a raw or an ISO one, and nothing of others."""
        size, edges = self._content.size, self._edges()
        shape = edges.shape(self._source.format, self._context.folder) if edges else None
        if shape is None:
            return Ends(size, why_unknown="all of it has to be inspected")
        check_size(size, min_disk, self._context.limits)
        return Ends(size, Inspected(shape, size, size))

    def discarding(self) -> AbstractContextManager[None]:
        """Do nothing: nothing of the file outlives the transfer."""
        return nullcontext()

    def is_kept(self) -> bool:
        """Return that it is not."""
        return False

    def stream(self, image: NewImage) -> Streamed | None:
        """Return the file if its ends tell all that there is to inspect, and it stays as it is."""
        edges = self._edges()
        if edges is None:
            return None
        try:
            shape = edges.shape(self._source.format, self._context.folder)
        except TransferError:
            return None  # through the scratch, which says what is wrong
        if shape is None or image.disk_format not in {None, shape}:
            return None
        check_size(self._content.size, image.min_disk, self._context.limits)
        return Streamed(self._content, shape, self._source.checksum, edges)

    def can_fetch_after(self, error: TransferError) -> bool:  # noqa: ARG002 - whatever it is
        """Return that it does not help: the same file would be read."""
        return False

    def fetch(self, target: Path) -> Fetched:
        """Copy the file, with its holes, and compare it with its checksum."""
        meter, hashes = self._context.meter, Hashes(self._source.checksum)
        meter.start(Stage.FETCHING, self._content.size)
        self._context.cache.reserve(target, self._content.taken())
        with target.open("wb", buffering=0) as copy:
            for piece in self._content.pieces():
                hashes.update(piece)
                write_sparse(copy, piece)
                meter.count(hashes.size)
            end_sparse(copy)
        hashes.check()
        return hashes.fetched()

    def _edges(self) -> Edges | None:
        if self._content.size < HEAD_LENGTH:
            return None
        return Edges(self._content.size, self._content.part)


class FileBytes:
    """The bytes of an open file, which is not to change meanwhile.

    Attributes:
        size: How many.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._file = descriptor
        self._name = name
        self._begun = self._state()
        self.size = os.fstat(descriptor).st_size

    def taken(self) -> int:
        """Return the bytes that it takes on the disk, without its holes."""
        return min(self.size, os.fstat(self._file).st_blocks * _BLOCK)

    def part(self, offset: int, length: int) -> bytes:
        """Return a piece of the file.

        Raises:
            TransferError: ``SourceUnreachable``: it cannot be read, or has changed.
        """
        content = b""
        while len(content) < length:
            piece = self._read(offset + len(content), length - len(content))
            if not piece:
                raise self.changed()
            content += piece
        return content

    def pieces(self) -> Iterator[bytes]:
        """Yield all bytes; what comes last only if the file is as it was at the beginning.

        Raises:
            TransferError: As for :meth:`part`.
        """
        at, held = 0, b""
        while at < self.size and (piece := self._read(at, min(CHUNK, self.size - at))):
            at += len(piece)
            if held:
                yield held
            held = piece
        if at != self.size or self._state() != self._begun:
            raise self.changed()
        yield held

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self._file, length, offset)
        except OSError as error:
            raise unreadable(error, self._name) from error

    def _state(self) -> tuple[int, int]:
        status = os.fstat(self._file)
        return status.st_size, status.st_mtime_ns

    def changed(self) -> TransferError:
        """Return what it means that the file is no longer what it was."""
        return TransferError(
            Reason.SOURCE_UNREACHABLE,
            f"{self._name} changed while it was being read: something still writes to it",
        )
