"""Reads a disk that qemu-nbd serves, in its order, several requests ahead.

qemu decompresses the requests of a client beside each other, and says of holes that they are holes
instead of sending zeros. libnbd's own ``nbdcopy`` has one request at a time under way when it
writes to a pipe, which takes twice the time, and its bindings for Python are not on PyPI.

The protocol is that of https://github.com/NetworkBlockDevice/nbd/blob/master/doc/proto.md: its
fixed newstyle negotiation with structured replies, and the command ``READ``. A server that says
anything else is not believed: the image that it reads may have taken it over.
"""

import socket
import struct
import time
from collections import deque
from collections.abc import Generator
from typing import Final

PIECE: Final = 2**20
"""Bytes of one request."""

AHEAD: Final = 4
"""Requests under way; so many pieces are kept in memory, here and in qemu-nbd."""

ANSWER_SECONDS: Final = 600.0
"""For the answer to one request: a server that takes longer hangs, or drips it byte by byte."""

_GREETING: Final = struct.Struct(">8s8sH")
_OPTION: Final = struct.Struct(">8sII")
_OPTION_REPLY: Final = struct.Struct(">QIII")
_REQUEST: Final = struct.Struct(">IHHQQI")
_CHUNK: Final = struct.Struct(">IHHQI")
_EXPORT: Final = struct.Struct(">HQH")
_OFFSET: Final = struct.Struct(">Q")
_HOLE: Final = struct.Struct(">QI")

_IHAVEOPT: Final = b"IHAVEOPT"
_FIXED_NEWSTYLE: Final = 1
_NO_ZEROES: Final = 2
_OPT_GO: Final = 7
_OPT_STRUCTURED_REPLY: Final = 8
_REP_MAGIC: Final = 0x3E889045565A9
_REP_ACK: Final = 1
_REP_INFO: Final = 3
_INFO_EXPORT: Final = 0
_REQUEST_MAGIC: Final = 0x25609513
_CHUNK_MAGIC: Final = 0x668E33EF
_CMD_READ: Final = 0
_CMD_DISC: Final = 2
_DONE: Final = 1
_NONE: Final = 0
_OFFSET_DATA: Final = 1
_OFFSET_HOLE: Final = 2
_ERROR: Final = 1 << 15
_MOST_SAID: Final = 64 * 2**10
_ZEROS: Final = bytes(PIECE)

Pieces = Generator[bytes, None, None]


class NbdError(Exception):
    """The server failed, or speaks something else than the protocol."""


class HungUpError(NbdError):
    """The server has gone; its exit status tells why."""


class Disk:
    """A disk behind a connection.

    Attributes:
        size: Bytes.
    """

    def __init__(self, connection: socket.socket) -> None:
        """Agree with the server.

        Raises:
            NbdError: It fails, or is not an NBD server.
        """
        self._connection = connection
        self._deadline = time.monotonic() + ANSWER_SECONDS
        silence = struct.pack("@ll", int(ANSWER_SECONDS), 0)
        for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            connection.setsockopt(socket.SOL_SOCKET, option, silence)
        self._flying: dict[int, _Piece] = {}
        magic, option, flags = _GREETING.unpack(self._take(_GREETING.size))
        if (magic, option) != (b"NBDMAGIC", _IHAVEOPT) or not flags & _FIXED_NEWSTYLE:
            raise NbdError("it is not an NBD server")
        self._send(struct.pack(">I", _FIXED_NEWSTYLE | flags & _NO_ZEROES))
        self._negotiate(_OPT_STRUCTURED_REPLY)
        # The export without a name, and no information but what always comes.
        found = self._negotiate(_OPT_GO, struct.pack(">IH", 0, 0))
        if found is None:
            raise NbdError("it does not report the disk's size")
        self.size = found

    def pieces(self, limit: int | None = None, start: int = 0) -> Pieces:
        """Yield all bytes, or ``limit`` of them, from an offset on.

        Raises:
            NbdError: A part cannot be read.
        """
        size = self.size if limit is None else min(start + limit, self.size)
        queue: deque[_Piece] = deque()
        offset = start
        while offset < size or queue:
            while offset < size and len(queue) < AHEAD:
                queue.append(self._ask(offset, min(PIECE, size - offset)))
                offset += PIECE
            piece = queue.popleft()
            self._deadline = time.monotonic() + ANSWER_SECONDS
            while not piece.whole:
                self._receive()
            yield piece.content()

    def read(self, offset: int, length: int) -> bytes:
        """Return so many bytes from an offset on, fewer only at the end.

        Raises:
            NbdError: They cannot be read.
        """
        return b"".join(self.pieces(length, offset))

    def disconnect(self) -> None:
        """Say that nothing more will be asked.

        Raises:
            NbdError: The server has gone.
        """
        self._send(_REQUEST.pack(_REQUEST_MAGIC, 0, _CMD_DISC, 0, 0, 0))

    def _ask(self, offset: int, length: int) -> "_Piece":
        piece = self._flying[offset] = _Piece(offset, length)
        self._send(_REQUEST.pack(_REQUEST_MAGIC, 0, _CMD_READ, offset, offset, length))
        return piece

    def _receive(self) -> None:
        """Take one chunk of the answer to any of the requests."""
        magic, flags, kind, cookie, length = _CHUNK.unpack(self._take(_CHUNK.size))
        piece = self._flying.get(cookie)
        if magic != _CHUNK_MAGIC or piece is None:
            raise NbdError("its answer is invalid")
        if kind == _OFFSET_DATA and length > _OFFSET.size:
            (offset,) = _OFFSET.unpack(self._take(_OFFSET.size))
            self._fill(piece.place(offset, length - _OFFSET.size))
        elif kind == _OFFSET_HOLE and length == _HOLE.size:
            piece.leave_hole(*_HOLE.unpack(self._take(_HOLE.size)))
        elif kind & _ERROR and length <= _MOST_SAID:
            raise NbdError(_said(self._take(length)))
        elif kind != _NONE or length:
            raise NbdError("its answer is invalid")
        if flags & _DONE:
            del self._flying[cookie]
            piece.finish()

    def _negotiate(self, option: int, data: bytes = b"") -> int | None:
        """Ask for an option; return the size of the disk if the answer says it."""
        self._send(_OPTION.pack(_IHAVEOPT, option, len(data)) + data)
        size = None
        while True:
            magic, answered, kind, length = _OPTION_REPLY.unpack(self._take(_OPTION_REPLY.size))
            if magic != _REP_MAGIC or answered != option or length > _MOST_SAID:
                raise NbdError("it is not an NBD server")
            content = self._take(length)
            if kind == _REP_ACK:
                return size
            if kind != _REP_INFO:
                raise NbdError(f"it refuses the option {option}")
            if len(content) == _EXPORT.size and _EXPORT.unpack(content)[0] == _INFO_EXPORT:
                size = int(_EXPORT.unpack(content)[1])

    def _send(self, message: bytes) -> None:
        try:
            self._connection.sendall(message)
        except BlockingIOError as error:
            raise _hanging() from error
        except OSError as error:
            raise HungUpError("it closed the connection") from error

    def _take(self, length: int) -> bytes:
        content = bytearray(length)
        self._fill(memoryview(content))
        return bytes(content)

    def _fill(self, view: memoryview) -> None:
        while view:
            if time.monotonic() > self._deadline:
                raise _hanging()
            try:
                came = self._connection.recv_into(view, 0, socket.MSG_WAITALL)
            except BlockingIOError as error:
                raise _hanging() from error
            except OSError as error:
                raise HungUpError("it closed the connection") from error
            if not came:
                raise HungUpError("it closed the connection")
            view = view[came:]


class _Piece:
    """The answer to one request, while its parts come.

    Attributes:
        whole: All has come.
    """

    def __init__(self, offset: int, length: int) -> None:
        self._offset = offset
        self._length = length
        self._missing = length
        self._buffer: bytearray | None = None
        self.whole = False

    def place(self, offset: int, length: int) -> memoryview:
        """Return where a part belongs."""
        start = self._count(offset, length)
        if self._buffer is None:
            self._buffer = bytearray(self._length)
        return memoryview(self._buffer)[start : start + length]

    def leave_hole(self, offset: int, length: int) -> None:
        """Record a part that is a hole."""
        self._count(offset, length)

    def finish(self) -> None:
        """Record the end of the answer."""
        if self._missing:
            raise NbdError("its answer is incomplete")
        self.whole = True

    def content(self) -> bytes:
        """Return the bytes."""
        return _ZEROS[: self._length] if self._buffer is None else bytes(self._buffer)

    def _count(self, offset: int, length: int) -> int:
        start = offset - self._offset
        if start < 0 or start + length > self._length or length > self._missing:
            raise NbdError("its answer is invalid")
        self._missing -= length
        return start


def _hanging() -> NbdError:
    """Return the error for a server that is still there; one that has gone tells why itself."""
    return NbdError(f"it did not answer within {ANSWER_SECONDS:g} s")


def _said(content: bytes) -> str:
    """Return the text of an error chunk: a number, a length, and the text."""
    return content[6:].decode(errors="replace") or "it cannot read the image"
