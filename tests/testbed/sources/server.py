"""The source server: a folder over HTTP, with faults on demand.

``/files/<name>`` serves a file; its query says what will go wrong (`Wish`), so that tests need
no shared state and can run side by side. ``/requests?key=...`` returns what was asked.

It is a process of its own: ``python -m testbed.sources.server --folder F --port P``.
"""

import argparse
import base64
import contextlib
import fcntl
import json
import socket
import struct
import sys
import termios
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from testbed.sources.bodies import ResetError, body
from testbed.sources.document import Document
from testbed.sources.journal import Journal, Request
from testbed.sources.ranges import UnsatisfiableError
from testbed.sources.wish import Fault, Wish

FILES = "/files/"
PAGE = b"<!DOCTYPE html><title>Sign in</title><p>Sign in to the hotel's network to go on.</p>"
# How long a reset waits until the client's kernel has what was sent before it.
DRAIN_SECONDS = 2.0


class SourceServer(ThreadingHTTPServer):
    """Serves one folder on loopback, a thread a connection."""

    daemon_threads = True
    request_queue_size = 128  # many tests connect at once

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder = folder.resolve()
        self.journal = Journal()

    def find(self, path: str) -> Path | None:
        """Return the file behind a URL's path, if it is in the folder; of a folder, its index."""
        named = unquote(path).removeprefix(FILES)
        file = (self.folder / (f"{named}index.html" if named.endswith("/") else named)).resolve()
        return file if file.is_relative_to(self.folder) and file.is_file() else None


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: SourceServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a short body waits for the client's delayed ACK

    def setup(self) -> None:
        """Prepare for a new connection."""
        super().setup()
        self.record = Request("", "", {})

    def handle(self) -> None:
        """Answer until the connection ends; a client that leaves early is no error."""
        with contextlib.suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        """Answer with a body."""
        self._answer()

    def do_HEAD(self) -> None:
        """Answer without one."""
        self._answer()

    def _answer(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/requests":
            self._answer_requests(parse_qs(url.query).get("key", [""])[0])
            return
        try:
            wish = Wish.parse(url.query)
        except ValueError as error:
            self._say(HTTPStatus.BAD_REQUEST, str(error))
            return
        key = wish.key or unquote(url.path).removeprefix(FILES)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.record = Request(self.command, self.path, headers)
        count = self.server.journal.add(key, self.record)
        failing = wish.times is None or count <= wish.times
        self._answer_wish(wish if failing else wish.healed(), url.path)

    def _answer_requests(self, key: str) -> None:
        content = json.dumps(self.server.journal.of(key)).encode()
        self._send_whole(HTTPStatus.OK, "application/json", content)

    def _answer_wish(self, wish: Wish, path: str) -> None:
        location = self.path if Fault.LOOP in wish.fault else wish.redirect
        file = self.server.find(path)
        if wish.auth and not self._is_authorized(wish.auth):
            self._say(HTTPStatus.UNAUTHORIZED, "", {"WWW-Authenticate": 'Basic realm="testbed"'})
        elif wish.status is not None:
            self._say(wish.status, "as you wish", _retry_after(wish))
        elif location is not None:
            self._say(HTTPStatus.FOUND, "", {"Location": location})
        elif Fault.HTML in wish.fault:
            self._send_whole(HTTPStatus.OK, "text/html", PAGE)
        elif file is None:
            self._say(HTTPStatus.NOT_FOUND, "no such file")
        else:
            document = Document.open(file, wish)
            with document.file:
                self._answer_file(document, wish)

    def _is_authorized(self, credentials: str) -> bool:
        expected = base64.b64encode(credentials.encode()).decode()
        return self.record.headers.get("authorization") == f"Basic {expected}"

    def _answer_file(self, document: Document, wish: Wish) -> None:
        headers = {"ETag": document.etag, "Last-Modified": document.last_modified}
        if Fault.NO_RANGE not in wish.fault:
            headers["Accept-Ranges"] = "bytes"
        if document.unchanged(self.record.headers):
            self._start(HTTPStatus.NOT_MODIFIED, headers)
            return
        try:
            part = None if Fault.NO_RANGE in wish.fault else document.wanted(self.record.headers)
        except UnsatisfiableError:
            nothing = {"Content-Range": f"bytes */{document.size}"}
            self._say(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "", nothing)
            return
        self._send_file(document, part, wish, headers)

    def _send_file(
        self, document: Document, part: range | None, wish: Wish, headers: dict[str, str]
    ) -> None:
        span = range(document.size) if part is None else part
        chunked = bool(wish.fault & {Fault.CHUNKED, Fault.ENDLESS})
        headers["Content-Type"] = "application/octet-stream"
        headers |= {"Transfer-Encoding": "chunked"} if chunked else _length(len(span))
        if part is not None:
            last = part.stop - 1
            headers["Content-Range"] = f"bytes {part.start}-{last}/{document.size}"
        self._start(HTTPStatus.OK if part is None else HTTPStatus.PARTIAL_CONTENT, headers)
        if self.command == "GET":
            self._send_body(body(document.file, span, wish), chunked=chunked)
            # What was cut short must not be ended as if it were whole.
            if Fault.TRUNCATE in wish.fault:
                self.close_connection = True
            elif chunked:
                self.wfile.write(b"0\r\n\r\n")

    def _send_body(self, chunks: Iterator[bytes], *, chunked: bool) -> None:
        try:
            for chunk in chunks:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
                self.record.sent += len(chunk)
        except ResetError:
            self._reset()

    def _reset(self) -> None:
        """Make the close that follows a reset (RST), after what was sent has arrived."""
        deadline = time.monotonic() + DRAIN_SECONDS
        while _unacknowledged(self.connection) and time.monotonic() < deadline:
            time.sleep(0.01)
        linger_zero = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_zero)
        # Not a polite shutdown: only closing the last reference sends the reset.
        self.connection.close()
        self.close_connection = True

    def _say(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        self._send_whole(status, "text/plain", text.encode(), headers)

    def _send_whole(
        self, status: int, kind: str, content: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self._start(status, {**_length(len(content)), "Content-Type": kind, **(headers or {})})
        if self.command == "GET":
            self.wfile.write(content)

    def _start(self, status: int, headers: dict[str, str]) -> None:
        """Send the status and the headers."""
        self.record.status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _length(size: int) -> dict[str, str]:
    return {"Content-Length": str(size)}


def _retry_after(wish: Wish) -> dict[str, str]:
    return {} if wish.retry_after is None else {"Retry-After": str(wish.retry_after)}


def _unacknowledged(connection: socket.socket) -> int:
    """Return how many bytes sent have not reached the other side's kernel."""
    return int.from_bytes(fcntl.ioctl(connection, termios.TIOCOUTQ, bytes(4)), sys.byteorder)


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    SourceServer(options.folder, options.port).serve_forever()


if __name__ == "__main__":
    main()
