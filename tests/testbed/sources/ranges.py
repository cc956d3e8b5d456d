"""The byte range of a request (RFC 9110, section 14)."""

import re

SINGLE_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class UnsatisfiableError(ValueError):
    """The range begins after the end; the answer is 416."""


def parse(header: str | None, size: int) -> range | None:
    """Return the bytes that the header asks for, or None for the whole file.

    A header that is malformed or names several ranges is ignored, which the RFC allows.

    Raises:
        UnsatisfiableError: No byte of the file is in the range.
    """
    match = SINGLE_RANGE.fullmatch(header or "")
    if match is None or match[0] == "bytes=-":
        return None
    first, last = match.groups()
    wanted = _suffix(int(last), size) if not first else _span(int(first), last, size)
    if not wanted:
        raise UnsatisfiableError(header)
    return wanted


def _suffix(length: int, size: int) -> range:
    return range(max(0, size - length), size)


def _span(first: int, last: str, size: int) -> range:
    return range(first, min(int(last) + 1, size) if last else size)
