"""What several transfers make of one source is fetched and converted once, by real tools."""

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.companions import making
from cloudimage.transfer.contract import Limits, Reason, Result, TransferError
from cloudimage.transfer.image.conversion import (
    Chunks,
    Payload,
    TargetFormat,
    convert_to_file,
    raw_stream,
)
from cloudimage.transfer.image.inspection import Inspected
from cloudimage.transfer.image.shared_conversion import SharedConversion
from cloudimage.transfer.scratch import Cache
from support.fake_glance import TransferBench
from support.transfer_images import MIB, make, raw_disk
from testbed.sources import Sources

SIZE = 8 * MIB


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransferBench:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return TransferBench(scratch, monkeypatch)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    raw_disk(path, SIZE)
    return path


@pytest.fixture
def qcow2(raw: Path) -> Path:
    path = raw.with_suffix(".qcow2")
    make(raw, path, "qcow2")
    return path


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The formats that files were converted to for several transfers."""
    done: list[str | None] = []

    def counted(path: Path, found: Any, wanted: Any, *rest: Any) -> Path:
        done.append(wanted.format)
        return convert_to_file(path, found, wanted, *rest)

    def read(name: str, found: Any, tools: Any) -> Payload:
        source = raw_stream(name, found, tools)

        def chunks() -> Chunks:
            done.append("raw")
            yield from source.open()

        return replace(source, open=chunks)

    monkeypatch.setattr(f"{SharedConversion.__module__}.convert_to_file", counted)
    monkeypatch.setattr(f"{SharedConversion.__module__}.raw_stream", read)
    return done


def at_once(
    bench: TransferBench, source: dict[str, str], *shapes: str, across_nodes: bool = False
) -> list[Result]:
    """Run transfers of one source at the same time."""
    with ThreadPoolExecutor(len(shapes)) as pool:
        run = partial(bench.run, source, across_nodes=across_nodes)
        return list(pool.map(run, shapes))


def kept(bench: TransferBench) -> list[str]:
    """Return what is in the cache besides the source, and whose."""
    cache = bench.scratch / "cache"
    return sorted(path.name for path in cache.iterdir() if path.suffix in {".data", ".making"})


@pytest.mark.parametrize("across_nodes", [False, True])
@pytest.mark.parametrize("shape", ["raw", "vmdk"])
def test_four_that_want_the_same_convert_once(
    bench: TransferBench,
    sources: Sources,
    unique: str,
    raw: Path,
    qcow2: Path,
    conversions: list[str | None],
    shape: str,
    across_nodes: bool,
) -> None:
    sources.put(unique, qcow2)
    source = {"type": "http", "url": sources.url(unique, rate=8 * MIB)}
    results = at_once(bench, source, *[shape] * 4, across_nodes=across_nodes)
    assert conversions == [shape]
    assert len({each.image_id for each in results}) == 4
    assert len({each.hash_value for each in results}) == 1
    if shape == "raw":
        assert results[0].hash_value == hashlib.sha512(raw.read_bytes()).hexdigest()
    # The source stays for the next one; what was made of it goes with the last.
    assert len(kept(bench)) == 1
    assert not list(bench.scratch.glob("transfer-*"))


def test_the_shared_hash_proves_what_glance_stored(
    bench: TransferBench, sources: Sources, unique: str, qcow2: Path
) -> None:
    sources.put(unique, qcow2)
    bench.glance.truth = {"os_hash_value": "0" * 128}
    source = {"type": "http", "url": sources.url(unique, rate=8 * MIB)}
    with pytest.raises(TransferError) as caught:
        at_once(bench, source, *["raw"] * 2)
    assert caught.value.reason is Reason.UPLOAD_MISMATCH


def test_one_alone_is_converted_on_its_way(
    bench: TransferBench, sources: Sources, unique: str, qcow2: Path, conversions: list[str | None]
) -> None:
    source = {"type": "http", "url": sources.put(unique, qcow2)}
    bench.run(source, "raw")
    at_once(bench, source, "raw", "vmdk")
    assert conversions == []


@pytest.mark.parametrize(("grows", "is_another"), [(True, True), (False, False)])
def test_what_was_being_written_when_the_machine_went_down_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, grows: bool, is_another: bool
) -> None:
    cache = Cache(tmp_path, Limits(), shared=True)
    found, wanted = Inspected("qcow2", 1, 1), TargetFormat("raw")
    keys = set()
    for boot in ("before", "after"):
        monkeypatch.setattr(f"{SharedConversion.__module__}.boot_id", lambda boot=boot: boot)
        keys.add(SharedConversion(cache, "ab", lambda: True, grows)._key_of(found, wanted))
    assert len(keys) == 1 + is_another


def test_without_room_to_keep_it_each_converts_its_own(
    bench: TransferBench, sources: Sources, unique: str, qcow2: Path, conversions: list[str | None]
) -> None:
    sources.put(unique, qcow2)
    source = {"type": "http", "url": sources.url(unique, rate=8 * MIB)}
    limits = {"max_scratch": qcow2.stat().st_size + MIB}
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda _: bench.run(source, "raw", limits=limits), range(2)))
    assert conversions == []
    assert len({each.hash_value for each in results}) == 1


def test_a_transfer_that_was_killed_does_not_count(tmp_path: Path) -> None:
    text = (
        "import sys, pathlib; from cloudimage.transfer.companions import making\n"
        "with making(pathlib.Path(sys.argv[1]), 'key'): print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", text, str(tmp_path)]
    with (
        making(tmp_path, "key") as others,
        making(tmp_path, "another"),
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        process.stdout.readline()
        assert others()
        process.kill()
        process.wait()
        assert not others()
