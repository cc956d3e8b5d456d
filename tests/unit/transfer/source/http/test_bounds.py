"""What a server of a source can take of memory and time, whatever it sends."""

import gzip
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.side_files import fetch_text
from support.fetching import CONTENT, LIMITS, LOOPBACK, transfer
from support.hostile_server import Hostile, Script, redirect

MIB = 2**20
MOST_MEMORY = 24 * MIB
"""Headers may take some: 100 of 64 KiB, which the standard library has in several copies."""
STALL = LIMITS.stall_seconds
# A busy machine makes pauses of its own of some tenths of a second.
AVERAGE = Limits(stall_seconds=0.5, min_rate=1, min_average_rate=64 * 2**10)
ZEROS = gzip.compress(bytes(64 * MIB))
BOMB = "HTTP/1.1 {}\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n{}\r\n\r\n"


def taken(program: Callable[[], None]) -> tuple[int, float]:
    """Return the bytes that this process grows to in between, and the seconds that it takes."""
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark is now's
    before, begun = _high_water(), time.monotonic()
    program()
    return _high_water() - before, time.monotonic() - begun


def _high_water() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def endless(head: str, piece: bytes = b"x" * 2**18, pause: float = 0.0) -> Script:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head.encode())
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return script


def bomb(status: str, header: str = "X: y") -> Script:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(BOMB.format(status, len(ZEROS), header).encode() + ZEROS)

    return script


CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
MOVED = "HTTP/1.1 302 Found\r\nLocation: /there\r\n"


@dataclass(frozen=True)
class Case:
    """A server, and how a transfer from it must end."""

    name: str
    script: Script
    reason: Reason
    words: str = ""
    seconds: float = 3.0
    limits: Limits = field(default_factory=lambda: LIMITS)


CASES = [
    Case("redirects with a body without end", endless(f"{MOVED}\r\n"), Reason.SOURCE_REFUSED),
    Case(
        "redirects with a body that is announced",
        endless(f"{MOVED}Content-Length: 99999999999\r\n\r\n"),
        Reason.SOURCE_REFUSED,
        "more than 10 times",
    ),
    Case(
        "redirects with a body that drips",
        endless(f"{MOVED}Content-Length: 9999\r\n\r\n", b"x", 0.05),
        Reason.SOURCE_REFUSED,
    ),
    Case(
        "redirects with a body that expands",
        bomb("302 Found", "Location: /there"),
        Reason.SOURCE_REFUSED,
    ),
    Case(
        "redirects with chunks without end",
        endless(
            f"{MOVED}Transfer-Encoding: chunked\r\n\r\n", b"40000\r\n" + b"x" * 2**18 + b"\r\n"
        ),
        Reason.SOURCE_REFUSED,
    ),
    Case("refuses without end", endless("HTTP/1.1 403 No\r\n\r\n"), Reason.SOURCE_REFUSED, "403"),
    Case("is not there, without end", endless("HTTP/1.1 404 No\r\n\r\n"), Reason.SOURCE_NOT_FOUND),
    Case("is not there, and expands", bomb("404 No"), Reason.SOURCE_NOT_FOUND),
    Case("is busy without end", endless("HTTP/1.1 500 No\r\n\r\n"), Reason.SOURCE_UNREACHABLE),
    Case(
        "has trailers without end",
        endless(f"{CHUNKED}3\r\nabc\r\n0\r\n", b"X: y\r\n" * 999),
        Reason.SOURCE_TRUNCATED,
        "nothing proves that they are complete",
    ),
    Case(
        "has trailers that drip",
        endless(f"{CHUNKED}3\r\nabc\r\n0\r\n", b"X: y\r\n", 0.05),
        Reason.SOURCE_UNREACHABLE,
    ),
    Case(
        "has an extension of a chunk that drips",
        endless(f"{CHUNKED}3;", b"x", 0.05),
        Reason.SOURCE_UNREACHABLE,
        "no data for 0.5 s",
    ),
    Case(
        "has an extension of a chunk without end",
        endless(f"{CHUNKED}3;", b"x" * 999),
        Reason.SOURCE_TRUNCATED,
    ),
    Case(
        "is about to continue without end",
        endless("", b"HTTP/1.1 100 Continue\r\n\r\n" * 99),
        Reason.SOURCE_UNREACHABLE,
    ),
    Case(
        "has headers without end",
        endless("HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 99),
        Reason.SOURCE_UNREACHABLE,
    ),
    Case(
        "has large headers without end",
        endless("HTTP/1.1 200 OK\r\n", b"X: " + b"y" * 65000 + b"\r\n"),
        Reason.SOURCE_UNREACHABLE,
    ),
    Case(
        "is slow, but not too slow for a connection",
        endless("HTTP/1.1 200 OK\r\n\r\n", b"x" * 1000, 0.05),
        Reason.SOURCE_UNREACHABLE,
        "less than 64.0 KiB per second on average",
        9,
        AVERAGE,
    ),
    Case(
        "is slow in chunks of a byte, with long extensions",
        endless(CHUNKED, b"1;" + b"x" * 4000 + b"\r\ny\r\n", 0.01),
        Reason.SOURCE_UNREACHABLE,
        "on average",
        9,
        AVERAGE,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_server_that(case: Case, tmp_path: Path) -> None:
    def fetch() -> None:
        with pytest.raises(TransferError) as caught:
            transfer(HttpSource(url=server.url()), tmp_path, limits=case.limits)
        assert caught.value.reason is case.reason, caught.value.message
        assert case.words in caught.value.message

    with Hostile(case.script) as server:
        memory, seconds = taken(fetch)
    assert memory < MOST_MEMORY
    assert seconds < case.seconds


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_server_of_checksums_that(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloudimage.transfer.source.http.side_files.MAX_SECONDS", 3.0)

    def fetch() -> None:
        with (
            Client(HttpSource(url=server.url()), LOOPBACK, case.limits, tmp_path) as client,
            pytest.raises(TransferError),
        ):
            fetch_text(server.url(), client, signed=False)

    with Hostile(case.script) as server:
        memory, seconds = taken(fetch)
    assert memory < MOST_MEMORY
    assert seconds < 5


@pytest.mark.parametrize("then", [b"X: y\r\n", b""], ids=["drips headers", "says nothing"])
def test_connection_that_was_kept_is_cut_too(then: bytes, tmp_path: Path) -> None:
    """Another was made meanwhile: it must be the one in use that is watched."""

    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
        assert connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        while True:
            connection.sendall(then)
            time.sleep(0.05)

    other = redirect("/x")
    with Hostile(script) as server, Hostile(other) as second:
        source = HttpSource(url=server.url())
        with Client(source, LOOPBACK, LIMITS, tmp_path) as client:
            assert fetch_text(server.url(), client, signed=False) == b"abc"
            with pytest.raises(TransferError, match="redirects more than"):
                fetch_text(second.url(), client, signed=False)
            begun = time.monotonic()
            with pytest.raises(TransferError, match="no data") as caught:
                fetch_text(server.url(), client, signed=False)
    assert len(server.requests) == 1, "it was to be the same connection"
    assert time.monotonic() - begun < 3
    assert caught.value.reason is Reason.SOURCE_UNREACHABLE


def test_slow_download_goes_on_at_the_next_attempt(tmp_path: Path) -> None:
    """Each attempt is bounded, and none is in vain."""
    tag = 'ETag: "one"'

    def script(connection: socket.socket, head: bytes) -> None:
        begin = int(head.partition(b"bytes=")[2].partition(b"-")[0] or b"0")
        status = "206 Partial Content" if begin else "200 OK"
        where = f"Content-Range: bytes {begin}-{len(CONTENT) - 1}/{len(CONTENT)}"
        length = f"Content-Length: {len(CONTENT) - begin}"
        lines = [f"HTTP/1.1 {status}", tag, where, length, "", ""]
        connection.sendall("\r\n".join(lines).encode())
        for place in range(begin, len(CONTENT), 2000):
            connection.sendall(CONTENT[place : place + 2000])
            time.sleep(0.05)

    told = []
    with Hostile(script) as server:
        for _ in range(10):
            try:
                transfer(HttpSource(url=server.url()), tmp_path, limits=AVERAGE)
            except TransferError as error:
                told.append(error.message)
            else:
                break
    assert all("on average" in each for each in told)
    assert (tmp_path / "run" / "source").read_bytes() == CONTENT
    assert 1 < len(server.requests) < 10


LOCATIONS = [
    "http://[::1/x",
    "http://127.0.0.1:port/",
    "http://127.0.0.1:99999999/",
    "http://exa mple.org/",
    "http://a..b/",
    "http://*.example.org/",
    "http://" + "a" * 300 + "/",
    "mailto:somebody",
    "\\\\host\\share",
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_malformed_location_is_the_servers_fault(location: str, tmp_path: Path) -> None:
    def script(connection: socket.socket, _: bytes) -> None:
        lines = ["HTTP/1.1 302 Found", f"Location: {location}", "Content-Length: 0", "", ""]
        connection.sendall("\r\n".join(lines).encode("latin-1"))

    with Hostile(script) as server, pytest.raises(TransferError) as caught:
        transfer(HttpSource(url=server.url()), tmp_path)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert (
        "redirects to an invalid URL, or to one that is neither http nor https"
        in caught.value.message
    )
    assert server.url() in caught.value.message
