"""Where the body of an HTTP answer ends, and whether that end proves it whole (RFC 9112, 6 to 8).

Python's http.client takes the end of a connection for the end of a chunk's size, of the trailers,
or of a body without a length, and so a part of a file for the file. Here an end counts only if the
server made it: a length, a last chunk with the empty line behind it, or the close_notify of TLS.
"""

import http.client
import re
import ssl
from typing import Final

import requests

from cloudimage.transfer.source.http.rules import causes, content_length

MAX_LINE: Final = 4096
"""Bytes of a line between chunks: a size with its extensions, or a trailer."""

MAX_TRAILERS: Final = 64

_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(;.*)?\r?\n")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:.*\r?\n")
_LINE_ENDS: Final = frozenset({b"\r\n", b"\n"})


class Response(http.client.HTTPResponse):
    """An answer whose chunks must be what RFC 9112, 7.1 says.

    Attributes:
        ended: The last chunk has come, and the empty line behind it and its trailers.
    """

    ended = False

    def read1(self, n: int = -1) -> bytes:
        """Read at most ``n`` bytes of the body, waiting for one piece at the most.

        Raises:
            http.client.IncompleteRead: The chunks end too early, or are invalid.
        """
        if not self.chunked or self.fp is None:
            return super().read1(n)
        if not self.chunk_left and not self._begin_chunk():
            self.close()
            return b""
        assert self.chunk_left  # noqa: S101 - a chunk was begun
        piece = self.fp.read1(self.chunk_left if n < 0 else min(n, self.chunk_left))
        if not piece:
            raise http.client.IncompleteRead(b"")
        self.chunk_left -= len(piece)
        return piece

    def _begin_chunk(self) -> bool:
        """Read up to a chunk's data; False: it was the last one, and all behind it was read."""
        if self.chunk_left == 0 and self._line() not in _LINE_ENDS:
            raise http.client.IncompleteRead(b"")
        size = _SIZE.fullmatch(self._line())
        if size is None:
            raise http.client.IncompleteRead(b"")
        self.chunk_left = int(size[1], 16)
        if self.chunk_left == 0:
            self.ended = self._has_end()
        return bool(self.chunk_left)

    def _has_end(self) -> bool:
        """Read the trailers; return whether they are such, and the empty line is behind them."""
        try:
            for _ in range(MAX_TRAILERS):
                line = self._line()
                if line in _LINE_ENDS or not _TRAILER.fullmatch(line):
                    return line in _LINE_ENDS
        except ssl.SSLError as error:
            if not is_cut(error):
                raise
        return False

    def _line(self) -> bytes:
        """Return the next line; what is cut off or too long has no end of a line.

        One that drips is bounded by the caller, which cuts the connection.
        """
        line = b""
        while len(line) <= MAX_LINE:
            # One look at the network at the most; from Python 3.14 on a buffer has 128 KiB.
            ahead = self.fp.peek(1)[: MAX_LINE + 1 - len(line)]
            length = ahead.find(b"\n") + 1
            line += self.fp.read(length or len(ahead))
            if length or not ahead:
                break
        return line


def is_proven(response: requests.Response) -> bool:
    """Return whether a body that was read to its end is known to be whole.

    A connection by TLS that was cut has failed while it was read, see :func:`is_cut`; one without
    TLS ends in the same way whether its server is done or dead.
    """
    if "Transfer-Encoding" in response.headers:
        answer = response.raw._original_response  # noqa: SLF001 - there is no other way to it
        return isinstance(answer, Response) and answer.ended
    return content_length(response.headers) is not None or response.url.startswith("https:")


def is_cut(error: BaseException) -> bool:
    """Return whether a connection by TLS ended without the close_notify that proves its end.

    Python knows OpenSSL 3's word for it from 3.11.4 on.
    """
    return any(
        isinstance(cause, ssl.SSLEOFError)
        or (isinstance(cause, ssl.SSLError) and cause.reason == "UNEXPECTED_EOF_WHILE_READING")
        for cause in causes(error)
    )
