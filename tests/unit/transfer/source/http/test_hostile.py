"""Hostile and broken servers: each ends with its reason, and with no file."""

import itertools
import socket
import struct
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Checksum, Limits, Reason, TransferError
from cloudimage.transfer.source.http.model import HttpSource
from support.fake_glance import TransferBench
from support.fetching import CONTENT, LIMITS, LOOPBACK, RIGHT, transfer
from support.hostile_server import Hostile, Script, answer, redirect, wants_range

ETAG = 'ETag: "one"'
HALF = len(CONTENT) // 2
REST = f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}"
OLD = "Date: Tue, 03 Jan 2023 00:00:00 GMT\r\nLast-Modified: Sun, 01 Jan 2023 00:00:00 GMT"
NEW = OLD.replace("01 Jan", "02 Jan").replace("Sun", "Mon")


def pieces(*parts: bytes, pause: float = 0.0) -> Script:
    def script(connection: socket.socket, _: bytes) -> None:
        for part in parts:
            connection.sendall(part)
            time.sleep(pause)

    return script


def endless(head: bytes, piece: bytes, pause: float = 0.0) -> Script:
    def script(connection: socket.socket, _: bytes) -> None:
        connection.sendall(head)
        while True:
            connection.sendall(piece)
            time.sleep(pause)

    return script


def reset(connection: socket.socket, _: bytes) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def broken_then(then: Script) -> Script:
    """Give the first half, and something else to who wants the rest."""
    first = answer(CONTENT[:HALF], ETAG, length=len(CONTENT))

    def script(connection: socket.socket, head: bytes) -> None:
        (then if wants_range(head) else first)(connection, head)

    return script


def part(content_range: str, body: bytes = CONTENT[HALF:], validator: str = ETAG) -> Script:
    return answer(body, validator, f"Content-Range: {content_range}", status="206 Partial Content")


def replaced(before: str, after: str) -> Script:
    """Give half of one file; from then on there is another, and If-Range is ignored."""
    old = answer(CONTENT[:HALF][::-1], before, length=len(CONTENT))
    rest, new = part(REST, validator=after), answer(CONTENT, after)
    first = iter([old])

    def script(connection: socket.socket, head: bytes) -> None:
        (rest if wants_range(head) else next(first, new))(connection, head)

    return script


def ever_elsewhere(connection: socket.socket, head: bytes) -> None:
    redirect(f"/{head.count(b'x') + next(COUNTER)}")(connection, head)


COUNTER = itertools.count()
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@dataclass(frozen=True)
class Case:
    """A server, and how a transfer from it must end."""

    name: str
    script: Script
    reason: Reason
    words: str = ""
    checksum: Checksum | None = None
    limits: Limits = field(default_factory=lambda: LIMITS)


CASES = [
    Case("closes at once", pieces(), Reason.SOURCE_UNREACHABLE),
    Case("resets at once", reset, Reason.SOURCE_UNREACHABLE),
    Case("ends among the headers", pieces(OK + b"Content-Le"), Reason.SOURCE_TRUNCATED),
    Case("is no HTTP", pieces(b"SSH-2.0-OpenSSH_9.2\r\n"), Reason.SOURCE_UNREACHABLE),
    Case("says nothing", pieces(b"", pause=3), Reason.SOURCE_UNREACHABLE, "no data for 0.5 s"),
    Case(
        "drips headers",
        endless(OK, b"X-A: b\r\n", pause=0.05),
        Reason.SOURCE_UNREACHABLE,
        "no data",
    ),
    Case(
        "is about to continue for ever",
        endless(b"", b"HTTP/1.1 100 Continue\r\n\r\n", pause=0.05),
        Reason.SOURCE_UNREACHABLE,
    ),
    Case(
        "has a header of a megabyte", pieces(OK + b"X: " + b"x" * 2**20), Reason.SOURCE_UNREACHABLE
    ),
    Case("has thousands of headers", pieces(OK + b"X: x\r\n" * 5000), Reason.SOURCE_UNREACHABLE),
    Case(
        "drips the body",
        endless(OK + b"Content-Length: 300000\r\n\r\n", b"x", pause=0.05),
        Reason.SOURCE_UNREACHABLE,
        "less than 1.0 KiB per second",
    ),
    Case(
        "stalls in the body",
        pieces(OK + b"Content-Length: 300000\r\n\r\nxxx", pause=3),
        Reason.SOURCE_UNREACHABLE,
    ),
    Case(
        "ends before its length",
        answer(CONTENT, length=len(CONTENT) + 1),
        Reason.SOURCE_TRUNCATED,
        "(300000 bytes) of 293.0 KiB (300001 bytes)",
    ),
    Case(
        "sends more than its length",
        answer(CONTENT, length=len(CONTENT) - 1),
        Reason.CHECKSUM_MISMATCH,
        "299999 bytes",
        RIGHT,
    ),
    Case("has two lengths", answer(CONTENT, "Content-Length: 5"), Reason.SOURCE_UNREACHABLE),
    Case(
        "promises too much",
        answer(b"", length=10**15),
        Reason.IMAGE_TOO_LARGE,
        "limit of 976.6 KiB",
    ),
    Case(
        "has an absurd length",
        answer(b"", length=int("9" * 4000)),
        Reason.SOURCE_TRUNCATED,
    ),
    Case("never ends", endless(OK + b"\r\n", b"x" * 65536), Reason.IMAGE_TOO_LARGE),
    Case(
        "never ends in chunks",
        endless(CHUNKED, b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        Reason.IMAGE_TOO_LARGE,
    ),
    Case("has a chunk of no size", pieces(CHUNKED + b"zz\r\nabc\r\n"), Reason.SOURCE_TRUNCATED),
    Case("ends in a chunk", pieces(CHUNKED + b"ff\r\nabc"), Reason.SOURCE_TRUNCATED),
    Case("is a page", answer(b"<p>", "Content-Type: text/html"), Reason.SOURCE_NOT_AN_IMAGE),
    Case("is a page in secret", answer(b"\n<!DOCTYPE html><p>"), Reason.SOURCE_NOT_AN_IMAGE),
    Case("gives no file", answer(b""), Reason.SOURCE_NOT_AN_IMAGE, "is empty"),
    Case("has other bytes", answer(CONTENT[::-1]), Reason.CHECKSUM_MISMATCH, "", RIGHT),
    Case("redirects to itself", redirect("/disk.img"), Reason.SOURCE_REFUSED, "more than 10 times"),
    Case("redirects for ever", ever_elsewhere, Reason.SOURCE_REFUSED, "more than 10 times"),
    Case("redirects to nowhere", answer(b"", status="302 Found"), Reason.SOURCE_REFUSED, "302"),
    Case(
        "redirects to the metadata",
        redirect("http://169.254.169.254/latest/meta-data/"),
        Reason.SOURCE_REFUSED,
        "169.254.169.254 has the address 169.254.169.254",
    ),
    Case(
        "redirects to the metadata in decimal",
        redirect("http://2852039166/latest/meta-data/"),
        Reason.SOURCE_REFUSED,
        "2852039166 has the address 169.254.169.254",
    ),
    Case(
        "redirects to a mapped address",
        redirect("http://[::ffff:169.254.169.254]/"),
        Reason.SOURCE_REFUSED,
        "urlPolicy",
    ),
    Case(
        "redirects to loopback", redirect("http://127.0.0.2/"), Reason.SOURCE_REFUSED, "127.0.0.2"
    ),
    Case("redirects to IPv6 loopback", redirect("http://[::1]/"), Reason.SOURCE_REFUSED, "::1"),
    Case(
        "redirects to a private address", redirect("//10.0.0.1/"), Reason.SOURCE_REFUSED, "10.0.0.1"
    ),
    Case("redirects to this host", redirect("http://0.0.0.0/"), Reason.SOURCE_REFUSED, "0.0.0.0"),
    Case(
        "redirects to a file", redirect("file:///etc/passwd"), Reason.SOURCE_REFUSED, "neither http"
    ),
    Case(
        "redirects to two hosts at once",
        redirect("http://127.0.0.1\\@127.0.0.2/"),
        Reason.SOURCE_REFUSED,
        "neither http",
    ),
    Case("is not there", answer(b"", status="404 Not Found"), Reason.SOURCE_NOT_FOUND, "404"),
    Case("wants a password", answer(b"", status="401 Unauthorized"), Reason.SOURCE_REFUSED, "401"),
    Case("is busy", answer(b"", status="503 Busy"), Reason.SOURCE_UNREACHABLE, "503"),
    Case("has a status of its own", answer(b"", status="299 Hm"), Reason.SOURCE_REFUSED, "299"),
    Case(
        "goes on elsewhere in the file",
        broken_then(part(f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}")),
        Reason.SOURCE_TRUNCATED,
        "wrong offset",
    ),
    Case(
        "goes on in a longer file",
        broken_then(part(f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT) + 1}")),
        Reason.SOURCE_TRUNCATED,
        "wrong offset",
    ),
    Case(
        "goes on with no word on where",
        broken_then(answer(CONTENT[HALF:], status="206 Partial Content")),
        Reason.SOURCE_TRUNCATED,
        "wrong offset",
    ),
    Case(
        "goes on with other bytes",
        broken_then(part(REST, CONTENT[:HALF])),
        Reason.CHECKSUM_MISMATCH,
        "",
        RIGHT,
    ),
    Case(
        "goes on in another file, each time",
        broken_then(part(REST, validator='ETag: "two"')),
        Reason.SOURCE_UNREACHABLE,
        "changed while it was being fetched",
    ),
    Case(
        "has shrunk meanwhile",
        broken_then(answer(b"", status="416 Range Not Satisfiable")),
        Reason.SOURCE_TRUNCATED,
        "has no further data",
    ),
    Case(
        "becomes a page meanwhile",
        broken_then(answer(b"<html>", "Content-Type: text/html")),
        Reason.SOURCE_NOT_AN_IMAGE,
    ),
]


REMAINDER = {".json", ".lock", ".part"}
"""Of a download that can be resumed: docs/transfers.md, Scratch."""

USELESS = {Reason.CHECKSUM_MISMATCH, Reason.IMAGE_TOO_LARGE}
"""What has come is not kept."""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_server_that(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = TransferBench(tmp_path, monkeypatch)
    with Hostile(case.script) as server:
        source = HttpSource(url=server.url("/disk.img?key=s3cret"), checksum=case.checksum)
        began = time.monotonic()
        with pytest.raises(TransferError) as caught:
            bench.run(source.model_dump(), policy=LOOPBACK, limits=case.limits)
    assert time.monotonic() - began < 15
    assert caught.value.reason is case.reason, caught.value.message
    assert case.words in caught.value.message
    assert "s3cret" not in caught.value.message
    assert bench.glance.used == set()
    left = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert left in ([set()] if case.reason in USELESS else [set(), REMAINDER])
    assert {path.parent.name for path in tmp_path.rglob("*") if path.is_file()} <= {"cache"}


GOOD: list[tuple[str, Script]] = [
    ("ignores ranges", broken_then(answer(CONTENT, ETAG))),
    ("has another file meanwhile", broken_then(answer(CONTENT, 'ETag: "two"'))),
    ("goes on", broken_then(part(REST))),
    ("says no length", answer(CONTENT, length=None)),
    ("has a length that is none", answer(CONTENT, "Content-Length: many", length=None)),
]


@pytest.mark.parametrize(("name", "script"), GOOD, ids=[name for name, _ in GOOD])
def test_server_that_is_only_odd(name: str, script: Script, tmp_path: Path) -> None:
    with Hostile(script) as server:
        fetched = transfer(HttpSource(url=server.url(), checksum=RIGHT), tmp_path)
    assert fetched.size == len(CONTENT)
    assert (tmp_path / "run" / "source").read_bytes() == CONTENT


REPLACED = [
    ("by its tag", replaced(ETAG, 'ETag: "two"')),
    ("by a weak tag", replaced(ETAG, 'ETag: W/"one"')),
    ("by a tag that is missing", replaced(ETAG, "X: y")),
    ("by its date", replaced(OLD, NEW)),
]


@pytest.mark.parametrize(
    "script", [each for _, each in REPLACED], ids=[name for name, _ in REPLACED]
)
def test_rest_of_another_file_is_not_taken(script: Script, tmp_path: Path) -> None:
    with Hostile(script) as server:
        transfer(HttpSource(url=server.url()), tmp_path)
    assert [wants_range(head) for head in server.requests] == [False, True, False]
    assert (tmp_path / "run" / "source").read_bytes() == CONTENT


def test_rest_by_date_needs_no_date_of_its_own(tmp_path: Path) -> None:
    first = answer(CONTENT[:HALF], OLD, length=len(CONTENT))

    def script(connection: socket.socket, head: bytes) -> None:
        (part(REST, validator="X: y") if wants_range(head) else first)(connection, head)

    with Hostile(script) as server:
        transfer(HttpSource(url=server.url()), tmp_path)
    assert (tmp_path / "run" / "source").read_bytes() == CONTENT


@pytest.mark.parametrize("tag", ["8eead23c58fcbcb0629d9470a159889f", '"8eead23c"'])
def test_a_tag_without_quotes_is_enough_to_go_on_by(tag: str, tmp_path: Path) -> None:
    """Swift's have none; it ignores If-Range, and tells of a part which version it is of."""
    headers = (f"ETag: {tag}", *OLD.split("\r\n"))
    whole = answer(CONTENT[:HALF], *headers, length=len(CONTENT))
    rest = answer(CONTENT[HALF:], *headers, f"Content-Range: {REST}", status="206 Partial Content")

    def script(connection: socket.socket, head: bytes) -> None:
        (rest if wants_range(head) else whole)(connection, head)

    with Hostile(script) as server:
        fetched = transfer(HttpSource(url=server.url()), tmp_path)
        assert len(server.requests) == 2, "the rest alone was asked for"
    assert fetched.checksums["sha256"] == RIGHT.value
