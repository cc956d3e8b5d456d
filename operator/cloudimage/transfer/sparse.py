"""Files with holes: zeros that take no place on the disk."""

from typing import IO, Final

from cloudimage.transfer.scratch import write_all

HOLE: Final = 64 * 2**10
"""Bytes that are looked at together; no smaller hole is made."""

_ZEROS: Final = bytes(HOLE)


def is_hole(piece: bytes) -> bool:
    """Return whether bytes, no more than :data:`HOLE`, are all zero."""
    return piece == _ZEROS[: len(piece)]


def write_sparse(file: IO[bytes], chunk: bytes) -> None:
    """Write bytes behind the end of an unbuffered file, zeros as holes.

    Where a hole comes last, only :func:`end_sparse` makes the file as long as it is to be.
    """
    for start in range(0, len(chunk), HOLE):
        piece = chunk[start : start + HOLE]
        if is_hole(piece):
            file.seek(len(piece), 1)
        else:
            write_all(file, piece)


def end_sparse(file: IO[bytes]) -> None:
    """Give the file the length that was written, also if it ends with a hole."""
    file.truncate(file.tell())
