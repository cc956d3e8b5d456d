"""The bytes of an answer, and what faults make of them: iterators put around iterators."""

import functools
import itertools
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from testbed.sources.wish import Fault, Wish

CHUNK_BYTES = 256 * 1024
# A throttled answer comes in so many pieces a second, so that progress is smooth.
PIECES_PER_SECOND = 20


class ResetError(Exception):
    """The connection is to be reset now."""


def body(file: BinaryIO, span: range, wish: Wish) -> Iterator[bytes]:
    """Return the bytes of the file within the span, as the wish deforms them."""
    if Fault.ENDLESS in wish.fault:
        chunks = _endless(file, _chunk_bytes(wish))
    else:
        chunks = _read(file, _promised(span, wish), _chunk_bytes(wish))
    if Fault.RESET in wish.fault:
        chunks = _after(chunks, wish.at, _reset)
    if Fault.STALL in wish.fault:
        chunks = _after(chunks, wish.at, functools.partial(time.sleep, wish.seconds))
    if Fault.DRIP in wish.fault:
        chunks = _drip(chunks, wish.seconds)
    return _throttle(chunks, wish.rate) if wish.rate else chunks


def _promised(span: range, wish: Wish) -> range:
    """Return what of the span is really sent."""
    if Fault.TRUNCATE in wish.fault:
        return range(span.start, max(span.start, min(span.stop, wish.at)))
    return span


def _chunk_bytes(wish: Wish) -> int:
    if wish.rate is None:
        return CHUNK_BYTES
    return max(1, min(CHUNK_BYTES, wish.rate // PIECES_PER_SECOND))


def _read(file: BinaryIO, span: range, chunk_bytes: int) -> Iterator[bytes]:
    file.seek(span.start)
    left = len(span)
    while left and (chunk := file.read(min(chunk_bytes, left))):
        left -= len(chunk)
        yield chunk


def _endless(file: BinaryIO, chunk_bytes: int) -> Iterator[bytes]:
    return itertools.repeat(file.read(chunk_bytes) or b"\0")


def _reset() -> None:
    raise ResetError


def _after(chunks: Iterator[bytes], at: int, action: Callable[[], None]) -> Iterator[bytes]:
    """Pass the chunks on and act between byte ``at`` and the next; never, when there is no next."""
    for chunk in chunks:
        if 0 <= at < len(chunk):
            if at:
                yield chunk[:at]
            action()
            yield chunk[at:]
        else:
            yield chunk
        at -= len(chunk)


def _drip(chunks: Iterator[bytes], seconds: float) -> Iterator[bytes]:
    for byte in itertools.chain.from_iterable(chunks):
        yield bytes([byte])
        time.sleep(seconds)


def _throttle(chunks: Iterator[bytes], rate: int) -> Iterator[bytes]:
    """Hold chunks back so that no more than ``rate`` bytes a second pass, from the first on."""
    begin = time.monotonic()
    passed = 0
    for chunk in chunks:
        yield chunk
        passed += len(chunk)
        time.sleep(max(0.0, begin + passed / rate - time.monotonic()))
