"""Whole transfers from real servers into a Glance that is a double."""

import errno
import hashlib
import re
import socket
from pathlib import Path
from typing import NoReturn

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.scratch import Entry
from support.fake_glance import TransferBench
from support.hostile_server import Hostile, answer
from support.transfer_images import MIB, make, raw_disk
from testbed.sources import Sources

SIZE = 8 * MIB


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransferBench:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return TransferBench(scratch, monkeypatch)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    raw_disk(path, SIZE)
    return path


def sha256(path: Path) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(path.read_bytes()).hexdigest()}


def test_conversion_without_place(
    bench: TransferBench, sources: Sources, unique: str, disk: Path
) -> None:
    qcow2 = disk.with_suffix(".qcow2")
    make(disk, qcow2, "qcow2")
    source = {"type": "http", "url": sources.put(unique, qcow2)}
    with pytest.raises(TransferError, match="are missing") as caught:
        bench.run(source, "vmdk", limits={"max_scratch": qcow2.stat().st_size + MIB})
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    assert bench.glance.used == set()
    assert bench.run(source, "vmdk").disk_format == "vmdk"


@pytest.mark.parametrize(
    ("owner", "name"), [(Entry, "remember"), (Path, "hardlink_to"), (Path, "write_text")]
)
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_disk_full_wherever(
    bench: TransferBench,
    sources: Sources,
    unique: str,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    number: int,
) -> None:
    def full(*_: object) -> NoReturn:
        raise OSError(number, "full")

    source = {"type": "http", "url": sources.put(unique, disk)}
    monkeypatch.setattr(owner, name, full)
    with pytest.raises(TransferError) as caught:
        bench.run(source, "qcow2")
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    assert bench.glance.used == set()
    assert not list(bench.scratch.glob("transfer-*"))


def test_raw_source_of_which_the_first_server_has_a_bad_copy(
    bench: TransferBench, sources: Sources, unique: str, disk: Path
) -> None:
    good = sources.put(f"{unique}-good", disk)
    content = bytearray(disk.read_bytes())
    content[SIZE // 2] ^= 1
    source = {
        "type": "http",
        "url": sources.put(f"{unique}-bad", bytes(content)),
        "checksum": sha256(disk),
    }
    with pytest.raises(TransferError) as caught:
        bench.run(source)
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
    attempts = len(bench.glance.used)
    assert attempts > 0  # it went straight
    result = bench.run(source | {"mirrors": [good]})
    assert result.source.checksums["sha256"] == sha256(disk)["value"]
    assert list(bench.glance.images) == [result.image_id]
    assert len(bench.glance.used) == attempts + 2


def test_raw_source_that_is_only_looked_at(
    bench: TransferBench, sources: Sources, unique: str, disk: Path
) -> None:
    content = disk.read_bytes()

    def script(connection: socket.socket, head: bytes) -> None:
        wanted = re.search(rb"bytes=(\d+)-(\d+)", head)
        if wanted is None:
            answer(b"", status="404 Not Found")(connection, head)
            return
        start, last = int(wanted[1]), int(wanted[2])
        place = f"Content-Range: bytes {start}-{last}/{SIZE}"
        part = content[start : last + 1]
        answer(part, 'ETag: "x"', place, status="206 Partial Content")(connection, head)

    with Hostile(script) as server:
        source = {"type": "http", "url": server.url(), "checksum": sha256(disk)}
        result = bench.run(source | {"mirrors": [sources.put(unique, disk)]})
    assert list(bench.glance.images) == [result.image_id]
    assert len(bench.glance.used) == 2
