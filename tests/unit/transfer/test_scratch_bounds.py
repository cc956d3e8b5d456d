"""The scratch is bounded, and so is what is promised to files that still grow."""

import random
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.http.fetch import cache_key
from cloudimage.transfer.source.http.model import HttpSource
from support.scratch_bench import CONTENT, Bench, leave_part
from testbed.sources import Sources


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def url(sources: Sources, unique: str) -> str:
    return sources.put(f"{unique}.img", CONTENT)


def put(bench: Bench, sources: Sources, name: str, *, use: bool) -> HttpSource:
    """Fetch a file of a megabyte into the cache, and perhaps go on using it."""
    source = HttpSource(url=sources.put(name, random.Random(name).randbytes(2**20)))
    _, path = bench.fetch(source)
    if not use:
        path.unlink()
    time.sleep(0.02)
    return source


def keys(bench: Bench) -> set[str]:
    return {path.stem for path in (bench.folder / "cache").glob("*.data")}


def test_least_recently_used_go_first(bench: Bench, sources: Sources, unique: str) -> None:
    bench.limits = Limits(max_scratch=3 * 2**20 + 500_000)
    first, second, third = (put(bench, sources, f"{unique}-{n}", use=False) for n in range(3))
    _, again = bench.fetch(first)
    again.unlink()
    fourth = put(bench, sources, f"{unique}-3", use=False)
    assert keys(bench) == {cache_key(each) for each in (first, third, fourth)}
    assert cache_key(second) not in {path.stem for path in (bench.folder / "cache").iterdir()}


def test_what_is_in_use_stays(bench: Bench, sources: Sources, unique: str) -> None:
    bench.limits = Limits(max_scratch=2 * 2**20 + 500_000)
    first = put(bench, sources, f"{unique}-0", use=True)
    put(bench, sources, f"{unique}-1", use=False)
    third = put(bench, sources, f"{unique}-2", use=True)
    assert keys(bench) == {cache_key(first), cache_key(third)}
    with pytest.raises(TransferError) as caught:
        put(bench, sources, f"{unique}-3", use=True)
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    missing = re.search(r"1.0 MiB more are needed, ([0-9.]+) KiB are missing", caught.value.message)
    assert missing is not None
    assert abs(float(missing[1]) * 1024 - (2**20 - 500_000)) < 20_000
    assert keys(bench) == {cache_key(first), cache_key(third)}


def test_what_is_being_fetched_stays(bench: Bench, sources: Sources, url: str, unique: str) -> None:
    bench.limits = Limits(max_scratch=2_500_000)
    slow = HttpSource(url=f"{url}?rate=1000000")
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(bench.fetch, slow)
        part = bench.folder / "cache" / f"{cache_key(slow)}.part"
        while not part.exists() or part.stat().st_size < 1_600_000:
            time.sleep(0.05)
        with pytest.raises(TransferError) as caught:
            put(bench, sources, unique, use=False)
        assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
        assert running.result()[1].read_bytes() == CONTENT


def test_space_is_promised_once(bench: Bench) -> None:
    bench.limits = Limits(max_scratch=1000)
    run = bench.folder / "run-1" / "transfer-x"
    run.mkdir(parents=True)
    with bench.cache.room(run / "one") as first, bench.cache.room(run / "two") as second:
        first.reserve(900)
        first.reserve(950)
        with pytest.raises(TransferError, match="900 bytes more are needed, 850 bytes are missing"):
            second.reserve(900)
        second.reserve(50)
    with bench.cache.room(run / "three") as third:
        third.reserve(1000)


def test_promises_of_files_being_fetched_count(
    bench: Bench, sources: Sources, url: str, unique: str
) -> None:
    bench.limits = Limits(max_scratch=2_500_000)
    slow = HttpSource(url=f"{url}?rate=1000000")
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(bench.fetch, slow)
        while not list(bench.folder.glob("cache/*.promise")):
            time.sleep(0.01)
        with pytest.raises(TransferError) as caught:
            put(bench, sources, unique, use=False)
        assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
        running.result()
    assert not list(bench.folder.glob("cache/*.promise"))


@pytest.mark.parametrize("place", ["transfer-x", "run-7/transfer-x"])
def test_folders_of_transfers_count(
    bench: Bench, sources: Sources, unique: str, place: str
) -> None:
    bench.limits = Limits(max_scratch=2_500_000)
    (bench.folder / place).mkdir(parents=True)
    (bench.folder / place / "converted").write_bytes(bytes(2_000_000))
    with pytest.raises(TransferError) as caught:
        put(bench, sources, unique, use=False)
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH


def test_promise_of_a_killed_process_is_swept(bench: Bench, url: str) -> None:
    source = HttpSource(url=url)
    note = leave_part(bench, source, CONTENT[:1000])
    note.with_suffix(".promise").write_text(str(2**50))
    bench.cache.sweep()
    assert bench.kept() == [".json", ".lock", ".part"]


def test_left_parts_make_place(bench: Bench, sources: Sources, url: str, unique: str) -> None:
    leave_part(bench, HttpSource(url=url), CONTENT[:1_900_000])
    bench.limits = Limits(max_scratch=2_500_000)
    put(bench, sources, unique, use=False)
    assert [each for each in bench.kept() if each == ".part"] == []


def test_small_disk_before_the_start(small_disk: Path, sources: Sources, unique: str) -> None:
    bench = Bench(small_disk)
    url = sources.put(unique, bytes(20 * 2**20))
    with pytest.raises(TransferError) as caught:
        bench.fetch(HttpSource(url=url))
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    assert "are missing" in caught.value.message
    assert bench.kept() == []


def test_disk_full_in_the_middle(
    small_disk: Path, sources: Sources, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Cache, "reserve", lambda *_: None)  # another process was quicker
    bench = Bench(small_disk)
    url = sources.put(unique, random.Random(1).randbytes(12 * 2**20))
    with pytest.raises(TransferError) as caught:
        bench.fetch(HttpSource(url=url))
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    assert "full" in caught.value.message
    assert bench.kept() == [".json", ".lock", ".part"], "it goes on once there is place"


def test_disk_full_of_an_endless_file(small_disk: Path, sources: Sources, unique: str) -> None:
    bench = Bench(small_disk)
    sources.put(unique, bytes(2**20))
    with pytest.raises(TransferError) as caught:
        bench.fetch(HttpSource(url=sources.url(unique, fault="endless")))
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    assert bench.kept() == []


def test_disk_makes_place_for_the_next(small_disk: Path, sources: Sources, unique: str) -> None:
    bench = Bench(small_disk)
    for number in range(12):
        put(bench, sources, f"{unique}-{number}", use=False)
    assert 4 <= len(keys(bench)) <= 7
