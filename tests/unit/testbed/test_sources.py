"""Each fault of the source server is really seen by an HTTP client."""

import itertools
import json
import random
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from testbed.sources import Sources

CONTENT = random.Random(1).randbytes(256_000)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sources]:
    server = Sources(tmp_path_factory.mktemp("bed") / "sources")
    server.up()
    yield server
    server.down()


@pytest.fixture
def name(sources: Sources, request: pytest.FixtureRequest) -> str:
    """A file of the test's own, which is also the key of its requests."""
    name = f"{request.node.name}.qcow2"
    sources.put(name, CONTENT)
    return name


def get(url: str, **headers: str) -> requests.Response:
    return requests.get(url, headers=headers, timeout=10, allow_redirects=False)


def read_until_cut(url: str, **headers: str) -> tuple[bytes, Exception | None]:
    """Return what arrives before the answer is interrupted, and the error, or None."""
    body = b""
    with requests.get(url, headers=headers, timeout=10, stream=True) as answer:
        try:
            for chunk in answer.iter_content(1000):
                body += chunk
        except requests.RequestException as error:
            return body, error
    return body, None


def test_a_file_is_served_whole(sources: Sources, name: str) -> None:
    answer = get(sources.url(name))
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["ETag"].startswith('"')
    assert "GMT" in answer.headers["Last-Modified"]


def test_head_has_the_headers_and_no_body(sources: Sources, name: str) -> None:
    answer = requests.head(sources.url(name), timeout=10)
    assert answer.headers["Content-Length"] == str(len(CONTENT))
    assert answer.content == b""
    assert [request.method for request in sources.requests(name)] == ["HEAD"]


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=1000-1999", 1000, 1999),
        ("bytes=1000-", 1000, 255_999),
        ("bytes=-10", 255_990, 255_999),
        ("bytes=255000-999999", 255_000, 255_999),
    ],
)
def test_a_range_is_served(sources: Sources, name: str, header: str, first: int, last: int) -> None:
    answer = get(sources.url(name), Range=header)
    assert (answer.status_code, answer.content) == (206, CONTENT[first : last + 1])
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/256000"


@pytest.mark.parametrize("header", ["bytes=256000-", "bytes=-0", "bytes=9-8"])
def test_a_range_outside_is_refused(sources: Sources, name: str, header: str) -> None:
    answer = get(sources.url(name), Range=header)
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "bytes=-", "lines=1-2"])
def test_other_ranges_are_ignored(sources: Sources, name: str, header: str) -> None:
    assert get(sources.url(name), Range=header).content == CONTENT


def test_validators_guard_a_resume(sources: Sources, name: str) -> None:
    old = get(sources.url(name)).headers
    resume = {"Range": "bytes=1000-"}
    for validator in (old["ETag"], old["Last-Modified"]):
        assert get(sources.url(name), **resume, **{"If-Range": validator}).status_code == 206

    sources.put(name, CONTENT[::-1])
    changed = get(sources.url(name), **resume, **{"If-Range": old["ETag"]})
    assert (changed.status_code, changed.content) == (200, CONTENT[::-1])


def test_an_unchanged_file_is_not_sent_again(sources: Sources, name: str) -> None:
    etag = get(sources.url(name)).headers["ETag"]
    answer = get(sources.url(name), **{"If-None-Match": f'"other", {etag}'})
    assert (answer.status_code, answer.content) == (304, b"")


def test_requests_are_recorded_by_key(sources: Sources, name: str) -> None:
    get(sources.url(name), Range="bytes=10-19")
    get(sources.url(name, key="mine"))
    ours, mine = sources.requests(name), sources.requests("mine")
    assert [(each.headers["range"], each.status, each.sent) for each in ours] == [
        ("bytes=10-19", 206, 10)
    ]
    assert [each.sent for each in mine] == [len(CONTENT)]
    assert mine[0].path.endswith("?key=mine")


def test_only_the_folder_is_served(sources: Sources) -> None:
    (sources.state / "secret").write_text("x")
    ((_, _, url),) = sources.status()
    address = ("127.0.0.1", int(url.rpartition(":")[2]))
    for path in ("/files/../secret", "/files/%2e%2e/secret", "/secret", "/files//etc/hostname"):
        # Not with requests, which would take the dots away.
        with socket.create_connection(address) as client:
            client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            assert b" 404 " in client.makefile("rb").readline()


def test_an_unknown_wish_is_refused(sources: Sources, name: str) -> None:
    assert get(sources.url(name, falt="reset")).status_code == 400
    assert get(sources.url(name, fault="rset")).status_code == 400


def test_truncate_never_sends_the_end(sources: Sources, name: str) -> None:
    url = sources.url(name, fault="truncate", at=1000)
    body, error = read_until_cut(url)
    assert body == CONTENT[:1000]
    assert "IncompleteRead" in str(error)
    rest, error = read_until_cut(url, Range="bytes=1000-")
    assert rest == b""
    assert error is not None


def test_truncate_of_a_chunked_answer_has_no_end_mark(sources: Sources, name: str) -> None:
    url = sources.url(name, fault=["truncate", "chunked"], at=1000)
    body, error = read_until_cut(url)
    assert body == CONTENT[:1000]
    assert isinstance(error, requests.exceptions.ChunkedEncodingError)


def test_reset_breaks_each_answer_and_resuming_gets_to_the_end(sources: Sources, name: str) -> None:
    url = sources.url(name, fault="reset", at=100_000)
    body, error = read_until_cut(url)
    assert body == CONTENT[:100_000]
    assert "reset" in str(error)
    while error is not None:
        part, error = read_until_cut(url, Range=f"bytes={len(body)}-")
        body += part
    assert body == CONTENT
    assert [request.sent for request in sources.requests(name)] == [100_000, 100_000, 56_000]


def test_status_fails_so_many_times_then_heals(sources: Sources, name: str) -> None:
    url = sources.url(name, status=503, times=2, retry_after=7)
    answers = [get(url) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[2].content == CONTENT


def test_a_fault_heals_too(sources: Sources, name: str) -> None:
    url = sources.url(name, fault="reset", at=1000, times=1)
    assert read_until_cut(url)[0] == CONTENT[:1000]
    assert read_until_cut(url, Range="bytes=1000-") == (CONTENT[1000:], None)


def test_stall_holds_the_answer_in_the_middle(sources: Sources, name: str) -> None:
    url = sources.url(name, fault="stall", at=1000, seconds=0.5)
    with requests.get(url, stream=True, timeout=10) as answer:
        begin = time.monotonic()
        head = answer.raw.read(1000)
        before = time.monotonic() - begin
        rest = answer.raw.read()
        after = time.monotonic() - begin
    assert head + rest == CONTENT
    assert before < 0.4
    assert after > 0.45


def test_stall_trips_a_read_timeout(sources: Sources, name: str) -> None:
    url = sources.url(name, fault="stall", at=1000, seconds=5)
    with pytest.raises(requests.ConnectionError, match="Read timed out"):
        _ = requests.get(url, timeout=0.3).content


def test_drip_sends_a_byte_at_a_time(sources: Sources, name: str) -> None:
    url = sources.url(name, fault="drip", seconds=0.1)
    begin = time.monotonic()
    assert get(url, Range="bytes=0-4").content == CONTENT[:5]
    assert time.monotonic() - begin > 0.35


def test_rate_limits_the_pace(sources: Sources, name: str) -> None:
    begin = time.monotonic()
    assert get(sources.url(name, rate=512_000)).content == CONTENT
    assert 0.4 < time.monotonic() - begin < 2


def test_progress_shows_while_bytes_flow(sources: Sources, name: str) -> None:
    with requests.get(sources.url(name, rate=128_000), stream=True, timeout=10) as answer:
        answer.raw.read(10_000)
        (request,) = sources.requests(name)
    assert 0 < request.sent < len(CONTENT)


def test_html_comes_with_success(sources: Sources, name: str) -> None:
    answer = get(sources.url(name, fault="html"))
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "text/html")
    assert answer.text.startswith("<!DOCTYPE html>")


def test_norange_sends_all(sources: Sources, name: str) -> None:
    answer = get(sources.url(name, fault="norange"), Range="bytes=1000-")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert "Accept-Ranges" not in answer.headers


def test_etag_is_never_the_same(sources: Sources, name: str) -> None:
    url = sources.url(name, fault="etag")
    first, second = get(url), get(url)
    assert first.headers["ETag"] != second.headers["ETag"]
    resumed = get(url, Range="bytes=1000-", **{"If-Range": first.headers["ETag"]})
    assert resumed.status_code == 200


def test_loop_redirects_for_ever(sources: Sources, name: str) -> None:
    with pytest.raises(requests.TooManyRedirects):
        requests.get(sources.url(name, fault="loop"), timeout=10)


def test_redirect_leads_to_the_file(sources: Sources, name: str) -> None:
    answer = requests.get(sources.url("moved", redirect=sources.url(name)), timeout=10)
    assert answer.content == CONTENT
    assert [step.status_code for step in answer.history] == [302]


def test_auth_wants_the_right_password(sources: Sources, name: str) -> None:
    url = sources.url(name, auth="user:p@ss:word")
    denied = get(url)
    assert (denied.status_code, denied.content) == (401, b"")
    assert denied.headers["WWW-Authenticate"].startswith("Basic")
    assert requests.get(url, auth=("user", "wrong"), timeout=10).status_code == 401
    assert requests.get(url, auth=("user", "p@ss:word"), timeout=10).content == CONTENT


def test_chunked_has_no_length(sources: Sources, name: str) -> None:
    answer = get(sources.url(name, fault="chunked"))
    assert answer.content == CONTENT
    assert "Content-Length" not in answer.headers


def test_endless_goes_on_past_the_file(sources: Sources, name: str) -> None:
    with requests.get(sources.url(name, fault="endless"), stream=True, timeout=10) as answer:
        assert "Content-Length" not in answer.headers
        chunks = itertools.islice(answer.iter_content(len(CONTENT)), 20)
        assert sum(map(len, chunks)) > 10 * len(CONTENT)


def test_clients_do_not_wait_for_each_other(sources: Sources, name: str) -> None:
    url = sources.url(name, fault="stall", seconds=0.5)
    begin = time.monotonic()
    with ThreadPoolExecutor(20) as pool:
        assert all(pool.map(lambda _: get(url).content == CONTENT, range(20)))
    assert time.monotonic() - begin < 5


def test_a_missing_file_is_404(sources: Sources) -> None:
    assert get(sources.url("absent")).status_code == 404


def test_what_is_being_read_stays_whole_when_replaced(sources: Sources, name: str) -> None:
    with requests.get(sources.url(name, rate=500_000), stream=True, timeout=60) as answer:
        sources.put(name, b"new")
        assert answer.raw.read() == CONTENT
    assert get(sources.url(name)).content == b"new"


def test_put_copies_a_file(sources: Sources, tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(b"from disk")
    assert get(sources.put("folder/image", tmp_path / "image")).content == b"from disk"


def test_down_leaves_no_trace(tmp_path: Path) -> None:
    server = Sources(tmp_path / "sources")
    server.up()
    server.up()
    ((_, pid, url),) = server.status()
    assert pid is not None
    process = psutil.Process(pid)
    assert json.loads(get(f"{url}/requests?key=none").text) == []
    server.down()
    # psutil also compares start times: other tests start processes, and one may have its number.
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    assert list(tmp_path.iterdir()) == []
