"""Downloads that break often: what has come is kept, and no byte is sent twice.

The servers are Python's own, with ranges and validators as nginx and Apache have them. Mirrors
behind a redirector have tags of their own for one file, as MirrorBrain's and Fedora's do.
"""

import hashlib
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Checksum, Limits, Reason, TransferError
from cloudimage.transfer.source.http.download import BRIEF, MAX_BEGINNINGS
from cloudimage.transfer.source.http.model import HttpAuth, HttpSource
from support.fake_glance import TransferBench
from support.scratch_bench import Bench
from support.transfer_images import MIB, make, raw_disk
from testbed.sources import Sources

CONTENT = random.Random(7).randbytes(4_000_000)
RIGHT = Checksum(algorithm="sha256", value=hashlib.sha256(CONTENT).hexdigest())
CUT = len(CONTENT) // 20


@dataclass
class Mirror:
    """One server's file.

    Attributes:
        tag: Its ETag, or None.
        cut: Bytes after which each connection is cut; None: never.
        ranges: Whether it gives parts.
        gone_after: Pieces after which it answers 404; None: never.
        content: Of the file.
        tags: A tag for each request instead.
        sent: Offsets and lengths of what was sent.
        heads: What was asked: path and headers.
    """

    tag: str | None = '"one"'
    cut: int | None = CUT
    ranges: bool = True
    gone_after: int | None = None
    content: bytes = CONTENT
    tags: Iterator[str] | None = None
    sent: list[tuple[int, int]] = field(default_factory=list)
    heads: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def times_sent(self) -> int:
        """Return the bytes sent."""
        return sum(length for _, length in self.sent)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer a request."""
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.heads.append((request.path, headers))
        request.close_connection = True
        if len(self.sent) == self.gone_after:
            request.send_error(404)
            return
        tag = next(self.tags) if self.tags else self.tag
        begin = self._begin(headers, tag)
        size = len(self.content)
        request.send_response(206 if begin else 200)
        request.send_header("Content-Length", str(size - begin))
        if tag:
            request.send_header("ETag", tag)
        if begin:
            request.send_header("Content-Range", f"bytes {begin}-{size - 1}/{size}")
        request.end_headers()
        end = size if self.cut is None else min(size, begin + self.cut)
        request.wfile.write(self.content[begin:end])
        self.sent.append((begin, end - begin))

    def _begin(self, headers: dict[str, str], tag: str | None) -> int:
        wanted = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
        same = headers.get("if-range", tag) == tag
        return int(wanted[1]) if wanted and same and self.ranges else 0


@contextmanager
def serving(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    """Serve on a port of its own; hand out the URL of a file."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/disk.img"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def redirecting(mirrors: list[Mirror], query: str = "") -> Iterator[tuple[str, list[str]]]:
    """Send each request to the next mirror; hand out the URL, and what was asked of it."""
    asked: list[str] = []
    with serving_all(mirrors) as urls:

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(302)
            request.send_header("Location", urls[len(asked) % len(urls)] + query)
            request.send_header("Content-Length", "0")
            request.end_headers()
            asked.append(request.path)

        with serving(answer) as url:
            yield url, asked


@contextmanager
def serving_all(mirrors: list[Mirror]) -> Iterator[list[str]]:
    if not mirrors:
        yield []
        return
    with serving(mirrors[0].answer) as url, serving_all(mirrors[1:]) as urls:
        yield [url, *urls]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Limits(stall_seconds=0.5))


@pytest.mark.parametrize("checksum", [None, RIGHT])
def test_a_server_that_cuts_each_connection(bench: Bench, checksum: Checksum | None) -> None:
    mirror = Mirror()
    with serving(mirror.answer) as url:
        assert bench.fetch(HttpSource(url=url, checksum=checksum))[1].read_bytes() == CONTENT
    assert mirror.sent == [(place, CUT) for place in range(0, len(CONTENT), CUT)]


@pytest.mark.parametrize("checksum", [None, RIGHT])
@pytest.mark.parametrize("query", ["", "?signature=s3cret"])
def test_a_redirector_to_mirrors_with_other_tags(
    bench: Bench, query: str, checksum: Checksum | None
) -> None:
    mirrors = [Mirror(tag=f'"{number}"') for number in range(3)]
    with redirecting(mirrors, query) as (url, asked):
        assert bench.fetch(HttpSource(url=url, checksum=checksum))[1].read_bytes() == CONTENT
    assert len(asked) == 1
    assert mirrors[0].sent == [(place, CUT) for place in range(0, len(CONTENT), CUT)]
    assert {path for path, _ in mirrors[0].heads} == {f"/disk.img{query}"}


def test_the_next_attempt_asks_where_the_bytes_came_from(bench: Bench) -> None:
    """Without a checksum only that server can give the rest; the redirector is away by then."""
    first, away = Mirror(tag='"a"', gone_after=3), Mirror(gone_after=0)
    with redirecting([first, away]) as (url, asked):
        with pytest.raises(TransferError):
            bench.fetch(HttpSource(url=url))
        first.gone_after, before = None, len(asked)
        assert bench.fetch(HttpSource(url=url))[1].read_bytes() == CONTENT
    assert first.times_sent() == len(CONTENT)
    assert len(asked) == before


@pytest.mark.parametrize("checksum", [None, RIGHT])
def test_what_came_is_kept_whatever_the_next_answer_is(
    bench: Bench, checksum: Checksum | None
) -> None:
    mirror = Mirror(gone_after=3)
    with serving(mirror.answer) as url:
        source = HttpSource(url=url, checksum=checksum)
        with pytest.raises(TransferError) as caught:
            bench.fetch(source)
        assert caught.value.reason is Reason.SOURCE_NOT_FOUND
        mirror.gone_after = None
        assert bench.fetch(source)[1].read_bytes() == CONTENT
    assert mirror.times_sent() == len(CONTENT)


def test_a_mirror_that_is_gone_is_replaced(bench: Bench) -> None:
    """The checksum tells whether their files are the same."""
    mirrors = [Mirror(tag='"a"', gone_after=3), Mirror(tag='"b"', gone_after=5), Mirror(tag=None)]
    with redirecting(mirrors) as (url, _):
        assert bench.fetch(HttpSource(url=url, checksum=RIGHT))[1].read_bytes() == CONTENT
    places = [place for mirror in mirrors for place, _ in mirror.sent]
    assert places == list(range(0, len(CONTENT), CUT))


def test_without_a_checksum_another_mirror_begins_again(bench: Bench) -> None:
    old = bytes(reversed(CONTENT))
    mirrors = [Mirror(tag='"a"', gone_after=3, content=old), Mirror(tag='"b"')]
    with redirecting(mirrors) as (url, _):
        assert bench.fetch(HttpSource(url=url))[1].read_bytes() == CONTENT
    assert mirrors[1].times_sent() == len(CONTENT)


def test_parts_of_different_files_are_found_out(bench: Bench) -> None:
    old, new = Mirror(gone_after=3, content=bytes(reversed(CONTENT))), Mirror(tag='"b"')
    with redirecting([old, new, new]) as (url, _):
        assert bench.fetch(HttpSource(url=url, checksum=RIGHT))[1].read_bytes() == CONTENT


def test_a_mirror_of_the_spec_gives_the_rest(bench: Bench) -> None:
    with serving_all(
        [first := Mirror(tag='"a"', gone_after=3), second := Mirror(tag='"b"')]
    ) as urls:
        source = HttpSource(url=urls[0], mirrors=(urls[1],), checksum=RIGHT)
        assert bench.fetch(source)[1].read_bytes() == CONTENT
    assert first.times_sent() + second.times_sent() == len(CONTENT)


def test_the_mirror_that_gave_most_comes_first(bench: Bench) -> None:
    """Without a checksum, what it gave is of no use to another."""
    first, second = Mirror(gone_after=0), Mirror(tag='"b"', gone_after=3)
    with serving_all([first, second]) as urls:
        source = HttpSource(url=urls[0], mirrors=(urls[1],))
        with pytest.raises(TransferError):
            bench.fetch(source)
        first.gone_after = second.gone_after = None
        assert bench.fetch(source)[1].read_bytes() == CONTENT
    assert (first.times_sent(), second.times_sent()) == (0, len(CONTENT))


def test_servers_behind_one_name_with_a_tag_each(bench: Bench) -> None:
    mirror = Mirror(tags=iter(f'"{number}"' for number in range(100)))
    with serving(mirror.answer) as url:
        source = HttpSource(url=url, checksum=RIGHT)
        assert bench.fetch(source)[1].read_bytes() == CONTENT
    assert mirror.times_sent() <= len(CONTENT) + CUT


@pytest.mark.parametrize("tag", [None, 'W/"one"'])
def test_a_checksum_needs_no_validator(bench: Bench, tag: str | None) -> None:
    mirror = Mirror(tag=tag)
    with serving(mirror.answer) as url:
        assert bench.fetch(HttpSource(url=url, checksum=RIGHT))[1].read_bytes() == CONTENT
    assert mirror.times_sent() == len(CONTENT)


@pytest.mark.parametrize("checksum", [None, RIGHT])
def test_a_server_without_parts_is_given_up(bench: Bench, checksum: Checksum | None) -> None:
    mirror = Mirror(ranges=False)
    with serving(mirror.answer) as url, pytest.raises(TransferError) as caught:
        bench.fetch(HttpSource(url=url, checksum=checksum))
    assert caught.value.reason in {Reason.SOURCE_TRUNCATED, Reason.SOURCE_UNREACHABLE}
    assert len(mirror.heads) <= 2 * (MAX_BEGINNINGS + 1)


@pytest.mark.parametrize("page", [b"<!DOCTYPE html><p>Down for maintenance.", b""])
def test_a_page_in_between_does_not_cost_what_came(bench: Bench, page: bytes) -> None:
    mirror = Mirror()

    def answer(request: BaseHTTPRequestHandler) -> None:
        if len(mirror.sent) != 3 or mirror.cut is None:
            mirror.answer(request)
            return
        request.send_response(200)
        request.send_header("Content-Type", "text/html")
        request.send_header("Content-Length", str(len(page)))
        request.end_headers()
        request.wfile.write(page)

    with serving(answer) as url:
        with pytest.raises(TransferError) as caught:
            bench.fetch(HttpSource(url=url))
        assert caught.value.reason is Reason.SOURCE_NOT_AN_IMAGE
        mirror.cut = None
        assert bench.fetch(HttpSource(url=url))[1].read_bytes() == CONTENT
    assert mirror.times_sent() == len(CONTENT)


def test_a_signed_url_is_written_nowhere(bench: Bench) -> None:
    mirrors = [Mirror(gone_after=3)]
    with (
        redirecting(mirrors, "?signature=s3cret") as (url, _),
        pytest.raises(TransferError) as caught,
    ):
        bench.fetch(HttpSource(url=url))
    notes = [path.read_text() for path in bench.folder.glob("cache/*.json")]
    assert notes
    assert "s3cret" not in "".join(notes) + caught.value.message


def test_credentials_go_where_they_went_before(bench: Bench) -> None:
    """To the source's own server, by whatever way; never to one that it redirects to."""
    elsewhere = Mirror()
    with redirecting([elsewhere]) as (url, _):
        source = HttpSource(url=url, auth=HttpAuth(bearer="s3cret"))
        assert bench.fetch(source)[1].read_bytes() == CONTENT
    assert not any("authorization" in headers for _, headers in elsewhere.heads)
    own = Mirror()

    def answer(request: BaseHTTPRequestHandler) -> None:
        if request.path != "/disk.img":
            own.answer(request)
            return
        request.send_response(302)
        request.send_header("Location", "/build-7/disk.img")
        request.send_header("Content-Length", "0")
        request.end_headers()

    with serving(answer) as url:
        source = HttpSource(url=url.replace("//", "//me:s3cret@"))
        assert bench.fetch(source)[1].read_bytes() == CONTENT
    assert len(own.heads) == 20
    assert all("authorization" in headers for _, headers in own.heads)


def qcow2(folder: Path) -> bytes:
    raw_disk(folder / "disk.raw", 8 * MIB)
    make(folder / "disk.raw", folder / "disk.qcow2", "qcow2")
    return (folder / "disk.qcow2").read_bytes()


def test_a_whole_transfer_keeps_what_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "scratch").mkdir()
    bench = TransferBench(tmp_path / "scratch", monkeypatch)
    mirror = Mirror(content=qcow2(tmp_path), gone_after=3)
    with serving(mirror.answer) as url:
        with pytest.raises(TransferError):
            bench.run({"type": "http", "url": url}, "qcow2")
        mirror.gone_after = None
        assert bench.run({"type": "http", "url": url}, "qcow2").size == len(mirror.content)
    assert mirror.times_sent() == len(mirror.content)


def test_a_job_waits_for_its_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no cache: what has come goes with its pod."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    (tmp_path / "scratch").mkdir()
    bench = TransferBench(tmp_path / "scratch", monkeypatch)
    mirror, away = Mirror(content=qcow2(tmp_path)), iter(range(2 * BRIEF.resumes))

    def answer(request: BaseHTTPRequestHandler) -> None:
        if len(mirror.sent) == 3 and next(away, None) is not None:
            request.send_error(503)
        else:
            mirror.answer(request)

    with serving(answer) as url:
        assert bench.run({"type": "http", "url": url}, "qcow2", cache=None).size == len(
            mirror.content
        )
    assert mirror.times_sent() == len(mirror.content)


def test_a_raw_stream_that_breaks_off_goes_on_through_the_scratch(
    tmp_path: Path, sources: Sources, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is in Glance by then is lost; what comes from now on is not."""
    (tmp_path / "scratch").mkdir()
    bench = TransferBench(tmp_path / "scratch", monkeypatch)
    raw_disk(tmp_path / "disk.raw", 8 * MIB)
    sources.put(unique, tmp_path / "disk.raw")
    # Two looks at it, the stream and its resumes get no further than 5 MiB.
    times = 2 + 1 + BRIEF.resumes
    url = sources.url(unique, fault="truncate", at=5 * MIB, times=times, key=unique)
    with pytest.raises(TransferError) as caught:
        bench.run({"type": "http", "url": sources.url(unique, fault="truncate", at=5 * MIB)})
    assert caught.value.reason is Reason.SOURCE_TRUNCATED
    assert {path.suffix for path in bench.scratch.rglob("*.part")} == {".part"}
    assert bench.run({"type": "http", "url": url}).size == 8 * MIB
