"""A Keystone, and the services of its catalogue, that do harm; no real server can be made to.

The first part of a URL's path says how: see :data:`LOGIN`, :data:`SLOW` and :data:`GLANCE`.
"""

import json
import socket
import threading
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self

SECRET = "hunter2"
"""What an inner server says, and must not be read in a status."""

OK = "200 OK"
JSON = "Content-Type: application/json"
PROJECT = {"id": "p" * 32, "name": "p", "domain": {"id": "default", "name": "Default"}}
IMAGE = {
    "id": "5109c637-4792-5aee-bd5a-2d73a01c0b03",
    "status": "active",
    "created_at": "2026-01-01T00:00:00Z",
    "visibility": "private",
    "protected": False,
}


class HostileCloud:
    """Answers on loopback until the ``with`` block ends.

    Attributes:
        log: Method, path and headers of each request.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.log: list[tuple[str, str, dict[str, str]]] = []

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def url(self, mode: str) -> str:
        """Return the base URL of a kind of harm."""
        return f"http://127.0.0.1:{self.port}/{mode}"

    def options(self, mode: str) -> dict[str, Any]:
        """Return an entry of clouds.yaml that leads to it."""
        names = ("username", "password", "project_name")
        domains = {"user_domain_id": "default", "project_domain_id": "default"}
        auth = {"auth_url": f"{self.url(mode)}/v3", **dict.fromkeys(names, "x"), **domains}
        return {"auth_type": "v3password", "auth": auth}

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                piece = connection.recv(65536)
                if not piece:
                    return
                head += piece
            first, *lines = head.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            method, path, _ = first.split(" ", 2)
            headers = dict(line.lower().split(": ", 1) for line in lines)
            self.log.append((method, path, headers))
            mode, _, rest = path.lstrip("/").partition("/")
            _DO.get(mode, _loop)(_Request(self, connection, method, mode, f"/{rest}"))


class _Request:
    def __init__(
        self, cloud: HostileCloud, connection: socket.socket, method: str, mode: str, path: str
    ) -> None:
        self.cloud, self.method, self.path = cloud, method, path
        self.base = cloud.url(mode)
        self.send = connection.sendall

    def answer(self, body: Any, *headers: str, status: str = OK, kind: str = JSON) -> None:
        """Answer with JSON, or with bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        length = f"Content-Length: {len(content)}"
        lines = (f"HTTP/1.1 {status}", kind, length, "Connection: close", *headers)
        self.send("\r\n".join((*lines, "", "")).encode("latin-1") + content)

    def logs_in(self, **endpoints: str) -> bool:
        """Answer a login, and the question for Glance's versions, as an honest cloud does."""
        if self.method == "POST" and self.path.endswith("/auth/tokens"):
            self.answer(token(self.base, endpoints), "X-Subject-Token: t", status="201 Created")
        elif self.path in {"/image", "/image/", "/image/v2", "/image/v2/"}:
            link = {"rel": "self", "href": f"{self.base}/image/v2/"}
            self.answer({"versions": [{"id": "v2.16", "status": "CURRENT", "links": [link]}]})
        else:
            return False
        return True


def token(base: str, endpoints: dict[str, str]) -> dict[str, Any]:
    """Return a token with a catalogue, every service below the base unless named."""
    catalog = [
        {
            "type": kind,
            "name": kind,
            "id": kind,
            "endpoints": [
                {
                    "id": kind,
                    "interface": "public",
                    "region": "RegionOne",
                    "region_id": "RegionOne",
                    "url": endpoints.get(kind, f"{base}/{kind}"),
                }
            ],
        }
        for kind in ("image", "compute", "identity", "volumev3")
    ]
    user = {"id": "u", "name": "u", "domain": PROJECT["domain"]}
    times = {"issued_at": "2026-01-01T00:00:00.0Z", "expires_at": "2126-01-01T00:00:00.0Z"}
    body = {"methods": ["password"], "user": user, "project": PROJECT, "roles": [], **times}
    return {"token": {**body, "catalog": catalog}}


def _zipped() -> bytes:
    """Return 256 KiB that become 256 MiB."""
    packer = zlib.compressobj(wbits=31)
    pieces = (b"[", *(b" " * 2**20 for _ in range(256)), b"]")
    return b"".join(map(packer.compress, pieces)) + packer.flush()


def _head(*headers: str) -> bytes:
    return "\r\n".join((f"HTTP/1.1 {OK}", JSON, *headers, "", "")).encode()


def _endless(first: bytes, piece: bytes, pause: float = 0.0) -> Callable[[_Request], None]:
    def do(request: _Request) -> None:
        request.send(first)
        while True:
            request.send(piece)
            time.sleep(pause)

    return do


def _always(body: Any, *headers: str, status: str = OK, kind: str = JSON) -> Callable[..., None]:
    return lambda request: request.answer(body, *headers, status=status, kind=kind)


def _then(body: Any, *headers: str, status: str = OK, kind: str = JSON) -> Callable[..., None]:
    """Be honest until Glance is asked for something."""

    def do(request: _Request) -> None:
        if not request.logs_in():
            request.answer(body, *headers, status=status, kind=kind)

    return do


def _endpoint(url: str) -> Callable[[_Request], None]:
    """Have a catalogue in which Glance is somewhere else."""

    def do(request: _Request) -> None:
        if not request.logs_in(image=url):
            request.answer({})

    return do


def _moved(target: str) -> Callable[[_Request], None]:
    def do(request: _Request) -> None:
        if not request.logs_in():
            location = f"Location: {target.format(base=request.base, port=request.cloud.port)}"
            request.answer(b"", location, status="307 Temporary Redirect")

    return do


def _loop(request: _Request) -> None:
    if not request.logs_in():
        request.answer({"images": [], "next": "/v2/images?marker=1"})


def _pages(request: _Request) -> None:
    """List another image on each of endless pages; the link leads to another server."""
    if not request.logs_in():
        images = [IMAGE | {"id": f"image-{len(request.cloud.log)}"}]
        request.answer({"images": images, "next": "http://127.0.0.2:1/v2/images?marker=x"})


def _same_page(request: _Request) -> None:
    if not request.logs_in():
        request.answer({"images": [IMAGE], "next": "/v2/images?marker=y"})


def _wide(request: _Request) -> None:
    """Tell of versions whose URL would become two gigabytes by keystoneauth's formatting."""
    if request.method == "POST":
        request.logs_in()
    else:
        link = {"rel": "self", "href": f"{request.base}/image/%(user_id)2000000000s"}
        request.answer({"versions": [{"id": "v2.16", "status": "CURRENT", "links": [link]}]})


_CHUNKED = _head("Transfer-Encoding: chunked")
LOGIN: dict[str, Callable[[_Request], None]] = {
    "endless": _endless(_head("Content-Length: 100000000000") + b'{"a": "', b"A" * 2**20),
    "endless-unannounced": _endless(_head() + b'{"a": "', b"A" * 2**20),
    "endless-chunks": _endless(_CHUNKED, b"100000\r\n" + b"A" * 2**20 + b"\r\n"),
    "endless-chunk-line": _endless(_CHUNKED, b"0" * 2**20),
    "endless-extension": _endless(_CHUNKED + b"1;a=", b"A" * 2**20),
    "endless-trailers": _endless(_CHUNKED + b"2\r\n{}\r\n0\r\n", b"A: " + b"A" * 2**10 + b"\r\n"),
    "endless-status": _endless(b"HTTP/1.1 200 ", b"A" * 2**20),
    "endless-header": _endless(_head()[:-2] + b"A: ", b"A" * 2**20),
    "endless-headers": _endless(_head()[:-2], b"A: " + b"A" * 2**10 + b"\r\n"),
    "endless-continue": _endless(b"", b"HTTP/1.1 100 Continue\r\nA: " + b"A" * 2**10 + b"\r\n\r\n"),
    "deep": _always(b"[" * 200_000),
    "deep-objects": _always(b'{"a":' * 100_000),
    "deep-strings": _always(b'{"a\\"[[[[":' * 1000),
    "many": _always(b"[" + b"[]," * 150_000 + b"[]]"),
    "gzip": _always(_zipped(), "Content-Encoding: gzip"),
    "digits": _always(b"9" * 100_000),
    "banner": lambda request: request.send(f"SSH-2.0-{SECRET}\r\n".encode()),
    "refuses": _always({"detail": SECRET}, status="403 Forbidden"),
    "text": _always(SECRET.encode(), status="401 Unauthorized", kind="Content-Type: text/plain"),
    "page": _always(b"<html>hunter2</html>", status="500 No", kind="Content-Type: text/html"),
    "versions": _always(f'"{SECRET}"'.encode()),
    "moved-login": lambda request: request.answer(
        b"", f"Location: http://127.0.0.2:{request.cloud.port}/secret/", status="302 Found"
    ),
    "list": _always([1, 2]),
    "null": _always(None, status="201 Created"),
    "no-token": _always({"token": SECRET}, "X-Subject-Token: t", status="201 Created"),
}
"""Harm done by Keystone at once."""

SLOW: dict[str, Callable[[_Request], None]] = {
    "drip": _endless(_head("Content-Length: 100000"), b" ", 0.2),
    "drip-headers": _endless(b"HTTP/1.1 200 OK\r\nA: ", b"A", 0.2),
    "drip-continue": _endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.2),
    "drip-chunks": _endless(_CHUNKED, b"1\r\n \r\n", 0.2),
    "silent": lambda _: time.sleep(60),
}
"""Harm done by Keystone with patience."""

GLANCE: dict[str, Callable[[_Request], None]] = {
    "moved": _moved("http://127.0.0.2:{port}/secret/latest/meta-data"),
    "moved-other-port": _moved("http://127.0.0.1:1/secret"),
    "moved-https": _moved("https://127.0.0.1:{port}/secret"),
    "moved-file": _moved("file:///etc/passwd"),
    "moved-ever": _moved("{base}/image/v2/images"),
    "metadata": _endpoint("http://169.254.169.254/latest/"),
    "metadata-mapped": _endpoint("http://[::ffff:169.254.169.254]/latest/"),
    "file": _endpoint("file:///etc/passwd"),
    "ftp": _endpoint("ftp://127.0.0.1/"),
    "wide": _wide,
    "loop": _loop,
    "pages": _pages,
    "same-page": _same_page,
    "inner-text": _then(SECRET.encode(), status="403 Forbidden", kind="Content-Type: text/plain"),
    "inner-json": _then({"detail": SECRET}, status="403 Forbidden"),
    "inner-ok": _then({"db_password": SECRET, "images": SECRET}),
    "inner-images": _then({"images": [{"id": {"a": SECRET}}]}),
    "inner-none": _then(b"", kind="Content-Type: text/plain"),
    "retry": _then(b"{}", f"Retry-After: {'9' * 400}", status="503 Busy"),
}
"""Harm done after an honest login."""


def _bytes(do: Callable[[_Request], None], size: int = 1 << 20) -> Callable[[_Request], None]:
    """Be honest until the bytes of an image are asked for."""

    def wrapped(request: _Request) -> None:
        if request.logs_in():
            return
        if request.path.endswith("/file"):
            do(request)
        else:
            formats = {"disk_format": "qcow2", "container_format": "bare"}
            hashed = {"size": size, "os_hash_algo": "sha512", "os_hash_value": "0" * 128}
            request.answer(IMAGE | formats | hashed)

    return wrapped


BYTES: dict[str, Callable[[_Request], None]] = {
    "bytes-endless": _bytes(_endless(_head(), b"A" * 2**20)),
    "bytes-chunk-line": _bytes(_endless(_CHUNKED, b"0" * 2**20)),
    "bytes-extension": _bytes(_endless(_CHUNKED + b"1;a=", b"A" * 2**20)),
    "bytes-error": _bytes(_endless(b"HTTP/1.1 404 No\r\n\r\n", b"A" * 2**20), 1 << 38),
    "bytes-gzip": _bytes(_always(_zipped(), "Content-Encoding: gzip")),
    "bytes-none": _bytes(_always(b"")),
    "bytes-lost": _bytes(_always(b"", status="204 No Content")),
    "bytes-other-part": _bytes(
        _always(b"AA", "Content-Range: bytes 7-8/9", status="206 Partial Content")
    ),
    "bytes-moved": _bytes(
        lambda request: request.answer(
            b"", f"Location: http://127.0.0.2:{request.cloud.port}/secret/", status="302 Found"
        )
    ),
    "bytes-silent": _bytes(lambda _: time.sleep(60)),
    "bytes-drip": _bytes(_endless(_head("Content-Length: 1048576"), b"A", 0.02)),
    "bytes-text": _bytes(_always({"detail": SECRET}, status="403 Forbidden")),
}
"""Harm done by a Glance whose image is a source."""

_DO = LOGIN | SLOW | GLANCE | BYTES
