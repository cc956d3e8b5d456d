"""The bytes of a source's image, in order, taken up again where connections break."""

import time
from collections.abc import Iterator
from typing import Final

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.source.glance.client import NoPartsError, SourceGlance
from cloudimage.transfer.source.glance.errors import BrokenError
from cloudimage.transfer.source.hashes import CHUNK
from cloudimage.transfer.source.pace import Pace

FRUITLESS: Final = 6
"""How often a connection is taken up again without a new byte in between; some 25 seconds."""


class ImageBytes:
    """The bytes of one image, which never change: Glance takes them once.

    Attributes:
        size: How many.
        whole_only: Its Glance was seen to give them only from the beginning.
    """

    def __init__(self, glance: SourceGlance, image_id: str, size: int, limits: Limits) -> None:
        self._glance = glance
        self._id = image_id
        self._limits = limits
        self.size = size
        self.whole_only = False

    def part(self, offset: int, length: int) -> bytes:
        """Return a piece of the image.

        Raises:
            BrokenError: It did not come.
            NoPartsError: No pieces are given.
            TransferError: As for :meth:`SourceGlance.reading`.
        """
        with self._glance.reading(self._id, offset, offset + length, self.size) as body:
            if body.start != offset:
                raise NoPartsError
            content = b""
            while len(content) < length and (piece := body.read(length - len(content))):
                content += piece
        if len(content) != length:
            raise BrokenError(self._truncated(offset + len(content)))
        return content

    def pieces(self, start: int = 0) -> Iterator[bytes]:
        """Yield the bytes from ``start`` on, whatever breaks meanwhile.

        Where no parts are given, what has come already is read once more, and passed over.

        Raises:
            TransferError: As for :meth:`SourceGlance.reading`, or ``SourceTruncated``.
        """
        at, farthest, fruitless = start, start, 0
        pace = Pace(self._limits)
        while at < self.size:
            try:
                for piece in self._connection(at, pace):
                    at += len(piece)
                    yield piece
            except NoPartsError as error:
                if self.whole_only:
                    raise self._unreadable() from error
                self.whole_only = True
            except BrokenError as broken:
                fruitless = 0 if at > farthest else fruitless + 1
                if fruitless > FRUITLESS:
                    raise broken.error from broken
                farthest = at
                asked = broken.error.retry_after or 0.0
                with pace.waiting():
                    time.sleep(min(max(asked, 0.2 * 2**fruitless), self._limits.stall_seconds))

    def _connection(self, at: int, pace: Pace) -> Iterator[bytes]:
        """Yield what one connection gives from ``at`` on."""
        begin = 0 if self.whole_only else at
        pace.begin()
        with self._glance.reading(self._id, begin, self.size, self.size) as body:
            here = body.start
            # No further than the image's end: see rules.place().
            while here < self.size:
                with pace.waiting():
                    piece = body.read(min(CHUNK, self.size - here))
                if not piece:
                    raise BrokenError(self._truncated(here))
                pace.came(len(piece))
                self._check(pace)
                here += len(piece)
                if here > at:
                    yield piece[max(0, at - (here - len(piece))) :]

    def _check(self, pace: Pace) -> None:
        if pace.too_slow:
            raise BrokenError(self._slow(self._limits.min_rate, ""))
        if pace.too_slow_on_average:
            raise self._slow(self._limits.min_average_rate, " on average")

    def _slow(self, rate: int, how: str) -> TransferError:
        return TransferError(
            Reason.SOURCE_UNREACHABLE,
            f"the source's Glance sends less than {rate} bytes per second{how}",
        )

    def changed(self) -> TransferError:
        """Return what it means that the bytes are no longer those that were looked at."""
        return TransferError(
            Reason.SOURCE_UNREACHABLE, "the source's image changed while it was being read"
        )

    def _truncated(self, size: int) -> TransferError:
        return TransferError(
            Reason.SOURCE_TRUNCATED,
            f"the source's Glance ends image {self._id} after {size} of {self.size} bytes",
        )

    def _unreadable(self) -> TransferError:
        return TransferError(
            Reason.SOURCE_REFUSED,
            f"the source's Glance gives no bytes of image {self._id}: its store cannot be read",
        )
