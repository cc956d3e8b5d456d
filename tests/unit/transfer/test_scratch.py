"""Sources kept between transfers: shared, resumed, bounded."""

import hashlib
import json
import multiprocessing
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Checksum,
    Limits,
    Progress,
    Reason,
    TransferError,
)
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.fetch import Fetched, cache_key, fetch
from cloudimage.transfer.source.http.model import HttpAuth, HttpSource
from support.hostile_server import Hostile, answer, wants_range
from support.scratch_bench import CONTENT, RIGHT, SHA256, Bench, leave_part
from testbed.sources import Sources


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def url(sources: Sources, unique: str) -> str:
    return sources.put(f"{unique}.img", CONTENT)


def asked(sources: Sources, url: str) -> list[int | None]:
    """Return the statuses of the requests so far."""
    return [each.status for each in sources.requests(url.rpartition("/")[2].partition("?")[0])]


def test_source_with_a_checksum_is_fetched_once(bench: Bench, sources: Sources, url: str) -> None:
    source = HttpSource(url=url, checksum=RIGHT)
    written = (sources.folder / url.rpartition("/")[2]).stat().st_mtime
    modified = datetime.fromtimestamp(int(written), UTC)
    for fetched, path in (bench.fetch(source), bench.fetch(source)):
        assert fetched == Fetched(len(CONTENT), {"sha256": SHA256}, modified)
        assert path.read_bytes() == CONTENT
    assert asked(sources, url) == [200]


def test_source_without_one_is_asked_about(bench: Bench, sources: Sources, url: str) -> None:
    bench.fetch(HttpSource(url=url))
    _, path = bench.fetch(HttpSource(url=url))
    assert path.read_bytes() == CONTENT
    assert asked(sources, url) == [200, 304]


def test_changed_source_is_fetched_anew(bench: Bench, sources: Sources, url: str) -> None:
    _, before = bench.fetch(HttpSource(url=url))
    sources.put(url.rpartition("/")[2], CONTENT[::-1])
    fetched, after = bench.fetch(HttpSource(url=url))
    assert after.read_bytes() == CONTENT[::-1]
    assert fetched.checksums["sha256"] == hashlib.sha256(CONTENT[::-1]).hexdigest()
    assert before.read_bytes() == CONTENT


def test_two_at_once_share_one_download(bench: Bench, sources: Sources, url: str) -> None:
    source = HttpSource(url=f"{url}?rate=2000000", checksum=RIGHT)
    with ThreadPoolExecutor(3) as threads:
        results = list(threads.map(bench.fetch, [source] * 3))
    assert {fetched.checksums["sha256"] for fetched, _ in results} == {SHA256}
    assert len({path.stat().st_ino for _, path in results}) == 1
    assert asked(sources, url) == [200]


def test_nobody_waits_for_the_slow_server_of_a_stranger(
    bench: Bench, sources: Sources, url: str
) -> None:
    stranger = HttpSource(url=f"{url}?rate=2000", checksum=RIGHT)
    bench.limits = Limits(stall_seconds=1, min_rate=1024)
    hindrance = multiprocessing.get_context("fork").Process(target=bench.fetch, args=(stranger,))
    hindrance.start()
    try:
        while not list(bench.folder.glob("cache/*.part")):
            time.sleep(0.05)
        bench.runs += 1
        began = time.monotonic()
        assert bench.fetch(HttpSource(url=url, checksum=RIGHT))[0].checksums["sha256"] == SHA256
        assert time.monotonic() - began < 10
    finally:
        hindrance.kill()
        hindrance.join()


def test_download_of_a_killed_process_is_resumed(bench: Bench, sources: Sources, url: str) -> None:
    source = HttpSource(url=f"{url}?rate=1000000")
    victim = multiprocessing.get_context("fork").Process(target=bench.fetch, args=(source,))
    victim.start()
    part = bench.folder / "cache" / f"{cache_key(source)}.part"
    while not part.exists() or part.stat().st_size < 500_000:
        time.sleep(0.05)
    victim.kill()
    victim.join()
    bench.runs += 1
    came = part.stat().st_size
    fetched, path = bench.fetch(source)
    assert fetched.checksums["sha256"] == SHA256
    assert path.read_bytes() == CONTENT
    first, second = sources.requests(url.rpartition("/")[2])
    assert "range" not in first.headers
    assert (second.status, second.headers["range"]) == (206, f"bytes={came}-")


def test_part_that_is_damaged_is_found_out(bench: Bench, sources: Sources, url: str) -> None:
    source = HttpSource(url=url, checksum=RIGHT)
    leave_part(bench, source, b"x" * 1000)
    assert bench.fetch(source)[1].read_bytes() == CONTENT
    assert asked(sources, url) == [200, 206, 200]


def test_note_does_not_outlive_its_bytes(
    bench: Bench,
) -> None:
    bench.limits = Limits(stall_seconds=0.5)
    first = answer(CONTENT[:1_000_000], 'ETag: "x"', length=len(CONTENT))
    second = answer(CONTENT[:500_000], length=len(CONTENT))  # no validator
    scripts = iter([first, second])

    def script(connection: socket.socket, head: bytes) -> None:
        next(scripts)(connection, head)
        if wants_range(head):
            time.sleep(1)  # a stall, not an end: the part is kept

    with Hostile(script) as server:
        with pytest.raises(TransferError) as caught:
            bench.fetch(HttpSource(url=server.url()))
        assert caught.value.reason is Reason.SOURCE_UNREACHABLE
        assert not list(bench.folder.glob("cache/*.json"))


@pytest.mark.parametrize("field", ["boot", "url"])
def test_part_of_another_time_or_place_is_dropped(
    bench: Bench, sources: Sources, url: str, field: str
) -> None:
    source = HttpSource(url=url)
    note = leave_part(bench, source, CONTENT[:1000])
    note.write_text(json.dumps(json.loads(note.read_text()) | {field: "other"}))
    bench.fetch(source)
    assert asked(sources, url) == [200, 200]


@pytest.mark.parametrize("size", [0, len(CONTENT), len(CONTENT) + 1])
def test_part_of_an_odd_size(bench: Bench, url: str, size: int) -> None:
    source = HttpSource(url=url)
    leave_part(bench, source, bytes(size))
    assert bench.fetch(source)[1].read_bytes() == CONTENT


def test_note_that_is_damaged(bench: Bench, url: str) -> None:
    source = HttpSource(url=url)
    leave_part(bench, source, CONTENT[:1000]).write_text("{")
    assert bench.fetch(source)[1].read_bytes() == CONTENT


def test_kept_file_that_is_damaged_is_fetched_anew(bench: Bench, url: str) -> None:
    source = HttpSource(url=url, checksum=RIGHT)
    bench.fetch(source)
    (bench.folder / "cache" / f"{cache_key(source)}.data").write_bytes(CONTENT[::-1])
    assert bench.fetch(source)[1].read_bytes() == CONTENT


def test_kept_file_is_hashed_by_several_transfers_at_once(bench: Bench, url: str) -> None:
    source = HttpSource(url=url, checksum=RIGHT)
    bench.fetch(source)
    hashed: list[int] = []

    def take_the_entry(progress: Progress) -> None:
        if progress.transferred:
            with bench.cache.entry(cache_key(source), wait=False):
                hashed.append(progress.transferred)

    fetched, _ = bench.fetch(source, Meter(take_the_entry))
    assert fetched.checksums == {"sha256": SHA256}
    assert hashed, "progress was reported while the entry was free"


def test_failure_that_may_pass_keeps_the_part(
    bench: Bench, sources: Sources, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    bench.limits = Limits(stall_seconds=0.3)
    source = HttpSource(url=f"{url}?fault=truncate&at=100000")
    with pytest.raises(TransferError) as caught:
        bench.fetch(source)
    assert caught.value.reason is Reason.SOURCE_TRUNCATED
    assert bench.kept() == [".json", ".lock", ".part"]


def test_sweep(bench: Bench, url: str) -> None:
    bench.fetch(HttpSource(url=url))
    folder = bench.folder / "cache"
    for name in ("a.part", "a.lock", "b.lock", "c.lock", "c.json"):
        (folder / name).touch()
    bench.cache.sweep()
    assert bench.kept() == [".data", ".json", ".lock"]


def test_another_file_system_is_refused(small_disk: Path, tmp_path: Path, url: str) -> None:
    source, limits = HttpSource(url=url), Limits()
    cache = Cache(small_disk / "cache", limits, shared=True)
    with (
        Client(source, UNRESTRICTED, limits, tmp_path) as client,
        pytest.raises(TransferError) as caught,
    ):
        fetch(source, tmp_path / "source", Meter(lambda _: None), client, cache)
    assert caught.value.reason is Reason.INVALID_REQUEST


def test_files_are_for_the_owner_alone(bench: Bench, url: str) -> None:
    umask = os.umask(0o077)
    try:
        bench.fetch(HttpSource(url=url))
    finally:
        os.umask(umask)
    assert {path.stat().st_mode & 0o077 for path in (bench.folder / "cache").iterdir()} == {0}
    assert (bench.folder / "cache").stat().st_mode & 0o077 == 0


PUBLIC = HttpSource(url="https://a.example/x", checksum=RIGHT)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({"format": "raw"}, True),
        ({"url": "https://b.example/y"}, False),
        ({"mirrors": ("https://b.example/y",)}, False),
        ({"checksum": None}, False),
        ({"checksum": Checksum(algorithm="sha256", value="0" * 64)}, False),
        ({"url": "https://a.example/x?token=1"}, False),
        ({"url": "https://me:secret@a.example/x"}, False),
        ({"auth": HttpAuth(bearer="secret")}, False),
    ],
)
def test_who_shares(change: dict[str, object], same: bool) -> None:
    assert (cache_key(PUBLIC.model_copy(update=change)) == cache_key(PUBLIC)) is same


def test_others_with_a_secret_share_no_file() -> None:
    private = PUBLIC.model_copy(update={"auth": HttpAuth(bearer="one")})
    other = PUBLIC.model_copy(update={"auth": HttpAuth(bearer="two")})
    assert cache_key(private) != cache_key(other)
    assert cache_key(private) == cache_key(private.model_copy())
