"""A server that answers each connection with whatever a test wants to send, as raw bytes."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

Script = Callable[[socket.socket, bytes], None]
"""Gets the connection and the request's head, and sends what it likes; then it is closed."""


class Hostile:
    """Runs a script for each connection, on a port of loopback.

    Attributes:
        requests: The heads of the requests so far.
    """

    def __init__(self, script: Script, certificate: Path | None = None) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._tls = None
        if certificate is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(
                certificate.with_suffix(".crt"), certificate.with_suffix(".key")
            )
        self.port = self._listener.getsockname()[1]
        self.requests: list[bytes] = []

    def url(self, path: str = "/disk.img", host: str = "127.0.0.1") -> str:
        """Return a URL of the server."""
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
            with connection:
                head = b""
                while b"\r\n\r\n" not in head and (piece := connection.recv(65536)):
                    head += piece
                self.requests.append(head)
                self._script(connection, head)


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = -1) -> Script:
    """Return a script that sends one answer.

    Args:
        body: After the headers.
        headers: Lines.
        status: Code and phrase.
        length: Content-Length; -1: the true one, None: none.
    """
    lines = [f"HTTP/1.1 {status}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {len(body) if length < 0 else length}")
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
    return lambda connection, _: connection.sendall(head + body)


def wants_range(head: bytes) -> bool:
    """Return whether a request asks for a part."""
    return b"\r\nrange:" in head.lower()


def redirect(location: str) -> Script:
    """Send whoever asks to another place."""
    return answer(b"", f"Location: {location}", status="302 Found")
