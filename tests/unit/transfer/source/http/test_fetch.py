"""The fetch against a real server that breaks what can break."""

import hashlib
import random
import shutil
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

import pytest

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Checksum,
    Limits,
    Progress,
    Reason,
    Stage,
    TransferError,
    UrlPolicy,
)
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.http import client as client_module
from cloudimage.transfer.source.http import download
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.fetch import Fetched, fetch
from cloudimage.transfer.source.http.model import HttpSource
from support.hostile_server import Hostile, answer, wants_range
from testbed.process import free_ports
from testbed.sources import Sources

CONTENT = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SHA1 = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
LIMITS = Limits(stall_seconds=2)


@pytest.fixture
def name(sources: Sources, unique: str) -> str:
    """A file of the test's own, which is also the key of its requests."""
    name = f"{unique}.img"
    sources.put(name, CONTENT)
    return name


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "source"


def get(
    url: str, target: Path, limits: Limits = LIMITS, checksum: Checksum | None = None
) -> Fetched:
    return run(HttpSource(url=url, checksum=checksum), target, limits)


def run(
    source: HttpSource,
    target: Path,
    limits: Limits = LIMITS,
    policy: UrlPolicy = UNRESTRICTED,
    emit: Callable[[Progress], None] = lambda _: None,
) -> Fetched:
    """Fetch without a cache; the folder of the target is the transfer's."""
    cache = Cache(target.parent / "cache", limits, shared=False)
    with Client(source, policy, limits, target.parent) as client:
        return fetch(source, target, Meter(emit), client, cache)


def refusal(url: str, target: Path, limits: Limits = LIMITS) -> TransferError:
    with pytest.raises(TransferError) as caught:
        get(url, target, limits)
    return caught.value


def test_whole_file_with_its_hashes(sources: Sources, name: str, target: Path) -> None:
    fetched = get(sources.url(name), target, checksum=Checksum(algorithm="sha1", value=SHA1))
    assert target.read_bytes() == CONTENT
    assert fetched.size == len(CONTENT)
    assert fetched.checksums == {"sha256": SHA256, "sha1": SHA1}


def test_asks_for_the_bytes_as_they_are(sources: Sources, name: str, target: Path) -> None:
    get(sources.url(name), target)
    (request,) = sources.requests(name)
    assert request.headers["accept-encoding"] == "identity"


def test_progress_counts_to_the_total(sources: Sources, name: str, target: Path) -> None:
    events: list[Progress] = []
    source = HttpSource(url=sources.url(name, rate=2_000_000))
    run(source, target, emit=events.append)
    assert events[0].transferred == 0
    assert {event.stage for event in events} == {Stage.FETCHING}
    assert events[-1].transferred == events[-1].total == len(CONTENT)
    assert 500_000 < events[-1].rate < 4_000_000
    assert len(events) <= 7


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (404, Reason.SOURCE_NOT_FOUND),
        (410, Reason.SOURCE_NOT_FOUND),
        (401, Reason.SOURCE_REFUSED),
        (403, Reason.SOURCE_REFUSED),
        (451, Reason.SOURCE_REFUSED),
        (204, Reason.SOURCE_REFUSED),
        (206, Reason.SOURCE_REFUSED),
        (429, Reason.SOURCE_UNREACHABLE),
        (500, Reason.SOURCE_UNREACHABLE),
        (503, Reason.SOURCE_UNREACHABLE),
    ],
)
def test_status(
    sources: Sources,
    name: str,
    target: Path,
    status: int,
    reason: Reason,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    error = refusal(sources.url(name, status=status), target)
    assert error.reason is reason
    assert f"answered {status}" in error.message


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_busy_server_that_is_fine_again(
    sources: Sources, name: str, target: Path, status: int
) -> None:
    url = sources.url(name, status=status, times=2)
    assert get(url, target).checksums["sha256"] == SHA256
    assert [request.status for request in sources.requests(name)] == [status, status, 200]


def test_busy_server_is_waited_for(sources: Sources, name: str, target: Path) -> None:
    began = time.monotonic()
    get(sources.url(name, status=503, retry_after=2, times=1), target)
    assert 2 <= time.monotonic() - began < 4


def test_busy_server_in_the_middle(target: Path) -> None:
    half = len(CONTENT) // 2
    etag, busy = 'ETag: "x"', answer(b"", status="503 Busy")
    place = f"Content-Range: bytes {half}-{len(CONTENT) - 1}/{len(CONTENT)}"
    scripts = iter(
        [
            answer(CONTENT[:half], etag, length=len(CONTENT)),
            busy,
            busy,
            answer(CONTENT[half:], etag, place, status="206 Partial Content"),
        ]
    )

    def script(connection: socket.socket, head: bytes) -> None:
        next(scripts)(connection, head)

    with Hostile(script) as server:
        assert get(server.url(), target).checksums["sha256"] == SHA256
    assert [wants_range(head) for head in server.requests] == [False, True, True, True]


def test_waits_as_long_as_the_server_says(sources: Sources, name: str, target: Path) -> None:
    error = refusal(sources.url(name, status=503, retry_after=17), target)
    assert error.retry_after == 17
    assert len(sources.requests(name)) == 1


def test_web_page_by_its_content_type(sources: Sources, name: str, target: Path) -> None:
    assert refusal(sources.url(name, fault="html"), target).reason is Reason.SOURCE_NOT_AN_IMAGE


def test_web_page_by_its_content(sources: Sources, unique: str, target: Path) -> None:
    url = sources.put(f"{unique}.img", b"\n <!DOCTYPE HTML><title>Log in</title>")
    assert refusal(url, target).reason is Reason.SOURCE_NOT_AN_IMAGE


def test_resumes_after_a_reset(sources: Sources, name: str, target: Path) -> None:
    url = sources.url(name, fault="reset", at=1_000_000, times=2)
    assert get(url, target).checksums["sha256"] == SHA256
    first, *rest = sources.requests(name)
    assert target.read_bytes() == CONTENT
    assert "range" not in first.headers
    assert [request.status for request in rest] == [206, 206]
    assert all(request.headers["if-range"] for request in rest)


def test_resumes_after_a_stall(sources: Sources, name: str, target: Path) -> None:
    url = sources.url(name, fault="stall", at=1_000_000, seconds=20, times=1)
    assert get(url, target, Limits(stall_seconds=0.5)).checksums["sha256"] == SHA256
    assert [request.status for request in sources.requests(name)] == [200, 206]


def test_starts_again_when_the_file_changed(sources: Sources, name: str, target: Path) -> None:
    url = sources.url(name, fault=["reset", "etag"], at=1_000_000, times=1)
    assert get(url, target).checksums["sha256"] == SHA256
    assert target.read_bytes() == CONTENT
    assert [request.status for request in sources.requests(name)] == [200, 200]


def test_starts_again_when_ranges_are_ignored(sources: Sources, name: str, target: Path) -> None:
    url = sources.url(name, fault=["reset"], at=1_000_000, times=1)
    both = f"{url}&fault=norange"
    assert get(both, target).checksums["sha256"] == SHA256


def test_gives_up_a_connection_that_brings_nothing(
    sources: Sources, name: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    error = refusal(sources.url(name, fault="reset", at=0), target)
    assert error.reason in {Reason.SOURCE_TRUNCATED, Reason.SOURCE_UNREACHABLE}
    assert len(sources.requests(name)) == 1 + download.BRIEF.resumes


def test_body_shorter_than_promised(
    sources: Sources, name: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has come would be lost with the transfer: a server gets more time to come back."""
    monkeypatch.setattr(time, "sleep", lambda _: None)
    error = refusal(sources.url(name, fault="truncate", at=1_000_000), target)
    assert error.reason is Reason.SOURCE_TRUNCATED
    assert "after 976.6 KiB (1000000 bytes) of 2.9 MiB (3000000 bytes)" in error.message
    assert len(sources.requests(name)) == 1 + download.LONG.resumes


def test_chunked_body_that_breaks_off(sources: Sources, name: str, target: Path) -> None:
    url = sources.url(name, fault=["chunked", "truncate"], at=1_000_000)
    assert refusal(url, target).reason is Reason.SOURCE_TRUNCATED


def test_chunked_body(sources: Sources, name: str, target: Path) -> None:
    assert get(sources.url(name, fault="chunked"), target).checksums["sha256"] == SHA256


def test_stalled_server(sources: Sources, name: str, target: Path) -> None:
    url = sources.url(name, fault=["stall", "chunked"], at=1000, seconds=20)
    began = time.monotonic()
    error = refusal(url, target, Limits(stall_seconds=0.5))
    assert error.reason is Reason.SOURCE_UNREACHABLE
    assert "no data for 0.5 s" in error.message
    assert time.monotonic() - began < 5


def test_promise_over_the_limit(sources: Sources, name: str, target: Path) -> None:
    error = refusal(sources.url(name), target, Limits(max_download=len(CONTENT) - 1))
    assert error.reason is Reason.IMAGE_TOO_LARGE
    assert not target.exists()


def test_endless_body(sources: Sources, name: str, target: Path) -> None:
    error = refusal(sources.url(name, fault="endless"), target, Limits(max_download=5_000_000))
    assert error.reason is Reason.IMAGE_TOO_LARGE
    assert not target.exists()


def test_exactly_the_limit(sources: Sources, name: str, target: Path) -> None:
    assert get(sources.url(name), target, Limits(max_download=len(CONTENT))).size == len(CONTENT)


def test_follows_redirects(sources: Sources, name: str, target: Path) -> None:
    url = sources.url("elsewhere", redirect=sources.url(name))
    assert get(url, target).checksums["sha256"] == SHA256


def test_redirect_loop(sources: Sources, name: str, target: Path) -> None:
    error = refusal(sources.url(name, fault="loop"), target)
    assert error.reason is Reason.SOURCE_REFUSED
    assert len(sources.requests(name)) == client_module.MAX_REDIRECTS + 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://a:b/"])
def test_redirect_to_another_scheme(
    sources: Sources, name: str, target: Path, location: str
) -> None:
    assert refusal(sources.url(name, redirect=location), target).reason is Reason.SOURCE_REFUSED


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host/x", "http:///x", "http://host:port/x", "x"]
)
def test_url_that_is_none(url: str, target: Path) -> None:
    assert refusal(url, target).reason is Reason.INVALID_REQUEST


def test_basic_authentication_from_the_url(sources: Sources, name: str, target: Path) -> None:
    url = sources.url(name, auth="me:s3cret/").replace(
        "http://", f"http://me:{quote('s3cret/', safe='')}@"
    )
    assert get(url, target).size == len(CONTENT)


def test_credentials_do_not_follow_to_another_host(
    sources: Sources, name: str, target: Path
) -> None:
    elsewhere = sources.url(name).replace("127.0.0.1", "localhost")
    start = f"start-{name}"
    url = sources.url(start, redirect=elsewhere).replace("http://", "http://me:secret@")
    get(url, target)
    assert "authorization" in sources.requests(start)[-1].headers
    assert "authorization" not in sources.requests(name)[-1].headers


def test_netrc_is_not_for_sources(
    sources: Sources, name: str, target: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login operator password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    get(sources.url(name), target)
    assert "authorization" not in sources.requests(name)[-1].headers


def test_host_name_that_does_not_exist(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = refusal("http://user:secret@images.example.org/x?token=secret", target)
    assert error.reason is Reason.SOURCE_UNREACHABLE
    assert error.message == "images.example.org: the host name cannot be resolved"


def test_refused_connection(target: Path) -> None:
    (port,) = free_ports(1)
    error = refusal(f"http://127.0.0.1:{port}/x?token=secret", target)
    assert error.reason is Reason.SOURCE_UNREACHABLE
    assert error.message == "127.0.0.1: the connection was refused"


@pytest.mark.parametrize("query", [{"status": 404}, {"fault": "html"}, {"fault": "truncate"}])
def test_secrets_of_the_url_stay_secret(
    sources: Sources, name: str, target: Path, query: dict[str, str]
) -> None:
    url = sources.url(name, key="secret", **query).replace("http://", "http://me:secret@")
    error = refusal(url, target)
    assert "secret" not in error.message
    assert name in error.message


def test_scratch_too_small_for_the_promise(
    sources: Sources, name: str, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _free_space(monkeypatch, 1_000_000)
    error = refusal(sources.url(name), target)
    assert error.reason is Reason.INSUFFICIENT_SCRATCH
    assert "1.9 MiB are missing" in error.message
    assert not target.exists()


def _free_space(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
