"""What a request says of its bytes before any come, and kernels and ramdisks as they are made."""

import gzip
import lzma
import random
import struct
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from support.fake_glance import TransferBench
from testbed.sources import Sources


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransferBench:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return TransferBench(scratch, monkeypatch)


def kernel() -> bytes:
    """Return a bzImage with EFI stub: its section table is where a table of partitions would be."""
    data = bytearray(random.Random(1).randbytes(2**20))
    data[:2], data[0x3C:0x40] = b"MZ", struct.pack("<I", 0x82)
    data[0x82:0x86], data[0x1BE:0x1FE] = b"PE\0\0", b".text\0\0\0" * 8
    data[0x1F1], data[510:512], data[0x202:0x206] = 31, b"\x55\xaa", b"HdrS"
    return bytes(data)


def cpio(name: str, content: bytes) -> bytes:
    """Return an archive of one file in the format newc, of which ramdisks are made."""
    return _newc(name, content) + _newc("TRAILER!!!", b"")


def _newc(name: str, content: bytes) -> bytes:
    numbers = (1, 0o100644, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name) + 1, 0)
    head = b"070701" + b"".join(b"%08X" % each for each in numbers) + name.encode() + b"\0"
    return _padded(head) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // 4) * 4, b"\0")


RAMDISK = cpio("init", random.Random(2).randbytes(2**19))
MICROCODE = cpio("microcode", random.Random(3).randbytes(2**16))
FILES = {
    "kernel": ("aki", kernel()),
    "gzipped kernel": ("aki", gzip.compress(kernel())),
    "gzipped ramdisk": ("ari", gzip.compress(RAMDISK)),
    "xz ramdisk": ("ari", lzma.compress(RAMDISK, check=lzma.CHECK_CRC32)),
    "ramdisk in two parts": ("ari", MICROCODE + gzip.compress(RAMDISK)),
    "two gzipped parts": ("ari", gzip.compress(MICROCODE) + gzip.compress(RAMDISK)),
    "plain ramdisk": ("ari", RAMDISK),
    "file system with a boot loader": ("ami", kernel()),
}


@pytest.mark.parametrize("said", ["format", "diskFormat", "containerFormat", "all"])
@pytest.mark.parametrize("name", FILES)
def test_what_is_declared_arrives_as_it_is(
    name: str, said: str, bench: TransferBench, sources: Sources, unique: str
) -> None:
    declared, content = FILES[name]
    source: dict[str, Any] = {"type": "http", "url": sources.put(unique, content)}
    if said in {"format", "all"}:
        source["format"] = declared
    wanted = declared if said in {"diskFormat", "all"} else None
    result = bench.run(source, wanted, container=declared)
    assert result.disk_format == declared
    assert bench.glance.stored == content


@pytest.mark.parametrize("package", ["ova", "docker", "compressed"])
def test_label_that_would_be_wrong_is_refused_before_the_download(
    package: str, bench: TransferBench, sources: Sources, unique: str, disk: Path
) -> None:
    with pytest.raises(TransferError, match="containerFormat to bare") as caught:
        bench.run({"type": "http", "url": sources.put(unique, disk)}, "raw", container=package)
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT
    assert sources.requests(unique) == []


@pytest.mark.parametrize(
    ("source", "wanted", "container"),
    [("aki", "aki", "bare"), ("aki", "ari", "ari"), (None, "raw", "aki"), ("qcow2", "ami", "ami")],
)
def test_formats_that_glance_refuses_together(
    source: str | None,
    wanted: str | None,
    container: str,
    bench: TransferBench,
    sources: Sources,
    unique: str,
) -> None:
    url = sources.put(unique, kernel())
    with pytest.raises(TransferError, match=r"spec\.image\.containerFormat") as caught:
        bench.run({"type": "http", "url": url, "format": source}, wanted, container=container)
    assert caught.value.reason is Reason.INVALID_IMAGE
    assert sources.requests(unique) == []
