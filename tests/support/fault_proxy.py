"""A proxy before the real Glance that does what bad networks and impatient proxies do."""

import http.client
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Self
from urllib.parse import urlsplit

CHUNK = 65536

Action = Literal[
    "reset",
    "refuse",
    "spoil token",
    "lose answer",
    "twice",
    "swallow",
    "fail",
    "hold",
    "call",
    "answer",
    "cut answer",
    "refuse parts",
]


@dataclass
class Fault:
    """What goes wrong with the first ``times`` requests of a kind.

    Attributes:
        method: Of the request.
        path: What its path ends with.
        action: ``reset`` after ``at`` bytes of the body; ``refuse`` with 413 after as many, then
            reset; ``spoil token``; ``lose answer``: 504 instead of Glance's; ``twice``: Glance
            gets it twice, the second answer counts; ``swallow``: 202 and Glance never sees it;
            ``fail``: 520, as a proxy of a CDN says that it does not understand Glance's answer;
            ``hold``: a function of the test with the request's token, before Glance gets it;
            ``call``: a function of the test with the request's token, after ``at`` bytes;
            ``cut answer``: a function of the test with the request's token, then the end
            after ``at`` bytes of an answer that has more; ``refuse parts``: 400 to what asks for a
            part, as Glance says it of a store that reads only from the beginning;
            ``answer``: ``status``, ``headers`` and ``content``, and Glance never sees it.
        times: 0: nothing goes wrong, they are only counted.
        seen: How many came.
    """

    method: str
    path: str
    action: Action
    times: int = 1
    at: int = 0
    call: Callable[[str], None] = lambda _: None
    status: int = 500
    content: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    seen: int = field(default=0, init=False)

    def takes(self, method: str, path: str) -> bool:
        """Return whether a request is to fail, and count it."""
        if method != self.method or not path.endswith(self.path):
            return False
        self.seen += 1
        return self.seen <= self.times


class FaultProxy(ThreadingHTTPServer):
    """Passes requests on to ``upstream``, faults excepted; used as a context manager.

    Attributes:
        tls: What it serves TLS with, if it does.
        spent: Tokens that Glance is to refuse from now on, and how often they came since. Revoked
            ones it would go on to take for minutes, from the cache of its middleware; expired ones
            it would not.
        ranges: Of the bytes that were asked for, in order; "" for all of an image.
    """

    daemon_threads = True

    def __init__(self, upstream: str, *faults: Fault, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.tls = tls
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)
        self.upstream = urlsplit(upstream).netloc
        self.faults = faults
        self.spent: dict[str, int] = {}
        self.ranges: list[str] = []

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()


class _ResetError(Exception):
    """The connection is to be reset now."""


class _Handler(BaseHTTPRequestHandler):
    server: FaultProxy

    def handle(self) -> None:
        try:
            super().handle()
        except (_ResetError, ConnectionError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        if name.startswith("do_"):
            return self._pass_on
        raise AttributeError(name)

    def _pass_on(self) -> None:
        if self.command == "GET" and self.path.endswith("/file"):
            self.server.ranges.append(self.headers.get("Range", ""))
        faults = (
            each
            for each in self.server.faults
            if each.action != "refuse parts" or self.headers.get("Range")
        )
        taken = [each for each in faults if each.takes(self.command, self.path)]
        fault = taken[0] if taken else None
        action = fault.action if fault else None
        headers = dict(self.headers.items())
        token = headers.get("X-Auth-Token", "")
        if token in self.server.spent:
            self.server.spent[token] += 1
        if action == "spoil token" or token in self.server.spent:
            headers["X-Auth-Token"] = "spoilt"
        if fault and action == "hold":
            fault.call(token)
        if action == "swallow":
            self._answer(202, [], b"")
            return
        if fault and action == "answer":
            kinds = {b"<": "text/html; charset=UTF-8", b"{": "application/json"}
            kind = kinds.get(fault.content[:1])
            headers_of_it = [("Content-Type", kind)] if kind else []
            self._answer(fault.status, [*headers_of_it, *fault.headers], fault.content)
            return
        if fault and action in {"cut answer", "refuse parts"}:
            self._give_less(fault, headers)
            return
        if action == "twice":
            content = b"".join(self._body(None))
            self._ask(headers, iter([content]))
            self._answer(*self._ask(headers, iter([content])))
            return
        if action == "fail":
            self._answer(520, [], b"unknown error")
            return
        answer = self._ask(headers, self._body(fault))
        self._answer(*((504, [], b"out of patience") if action == "lose answer" else answer))

    def _give_less(self, fault: Fault, headers: dict[str, str]) -> None:
        if fault.action == "refuse parts":
            told = b'{"message": "no random access<br />", "code": "400 Bad Request"}'
            self._answer(400, [("Content-Type", "application/json")], told)
            return
        status, sent, content = self._ask(headers, iter(()))
        self._answer(status, sent, content, at=fault.at)
        if len(content) > fault.at:
            fault.call(headers.get("X-Auth-Token", ""))

    def _body(self, fault: Fault | None) -> Iterator[bytes]:
        left = int(self.headers.get("Content-Length") or 0)
        came = 0
        while left:
            if fault and came >= fault.at:
                self._fail(fault)
                fault = None
            chunk = self.rfile.read(min(left, CHUNK))
            if not chunk:
                raise _ResetError
            left -= len(chunk)
            came += len(chunk)
            yield chunk
        if fault and 0 < fault.at <= came:
            self._fail(fault)

    def _fail(self, fault: Fault) -> None:
        if fault.action == "refuse":
            self._answer(413, [("Content-Type", "text/plain")], b"image_size_total, says the proxy")
            self.wfile.flush()
        if fault.action in {"refuse", "reset"}:
            raise _ResetError
        if fault.action == "call":
            fault.call(self.headers["X-Auth-Token"])

    def _ask(
        self, headers: dict[str, str], body: Iterator[bytes]
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = http.client.HTTPConnection(self.server.upstream, timeout=120)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                upstream.putheader(name, value)
            upstream.endheaders()
            try:
                for chunk in body:
                    upstream.send(chunk)
            except ConnectionError:
                pass  # Glance may have answered before the end
            response = upstream.getresponse()
            try:
                content = response.read()
            except http.client.IncompleteRead as error:
                # To a range up to the image's end Glance announces all of the image.
                content = error.partial
            return response.status, response.getheaders(), content
        finally:
            upstream.close()

    def _answer(
        self,
        status: int,
        headers: list[tuple[str, str]],
        content: bytes,
        at: int | None = None,
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content[:at])
