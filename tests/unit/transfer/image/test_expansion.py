"""Images in compressions and archives, and what only looks like that."""

import bz2
import contextlib
import gzip
import lzma
import random
import struct
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.transfer import scratch
from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.image import expansion
from cloudimage.transfer.image import magic as signatures
from cloudimage.transfer.image.expansion import expand
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.tools.toolbox import Toolbox
from support.packed import tar, zipped, zstd

CONTENT = random.Random(3).randbytes(700_000) + bytes(3_000_000) + b"end"
LIMITS = Limits(max_expanded=50_000_000)


def cache(folder: Path, limits: Limits = LIMITS) -> Cache:
    return Cache(folder, limits, shared=False)


def expanded(content: bytes, folder: Path, limits: Limits = LIMITS) -> Path:
    path = folder / "source"
    path.write_bytes(content)
    tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
    return expand(path, limits, tools, Meter(lambda _: None), cache(folder, limits))


def sparse_tar(folder: Path) -> bytes:
    """Return what `tar --sparse` makes, as cloud providers publish their images."""
    disk = folder / "disk.raw"
    with disk.open("wb") as file:
        file.write(CONTENT[:700_000])
        file.seek(len(CONTENT) - 3)
        file.write(b"end")
    command = ["tar", "--format=oldgnu", "-Sczf", "-", "-C", str(folder), disk.name]
    return subprocess.run(command, capture_output=True, check=True).stdout


DISK = ("disk.raw", CONTENT)
GOOD: dict[str, Callable[[], bytes]] = {
    "as it is": lambda: CONTENT,
    "gzip": lambda: gzip.compress(CONTENT),
    "gzip in two members": lambda: gzip.compress(CONTENT[:9]) + gzip.compress(CONTENT[9:]),
    "xz": lambda: lzma.compress(CONTENT),
    "bzip2": lambda: bz2.compress(CONTENT),
    "zstd": lambda: zstd(CONTENT),
    "tar": lambda: tar(DISK),
    "tar.gz": lambda: gzip.compress(tar(DISK)),
    "tar.xz": lambda: lzma.compress(tar(DISK)),
    "tar.bz2": lambda: bz2.compress(tar(DISK)),
    "tar.zst": lambda: zstd(tar(DISK)),
    "tar with a long name": lambda: tar(("x/" * 200 + "disk.raw", CONTENT)),
    "zip": lambda: zipped(DISK),
    "stored zip": lambda: zipped(DISK, method=zipfile.ZIP_STORED),
    "zip with a folder": lambda: zipped(("images/", b""), ("images/disk.raw", CONTENT)),
}


@pytest.mark.parametrize("make", GOOD.values(), ids=GOOD)
def test_image_comes_out(make: Callable[[], bytes], tmp_path: Path) -> None:
    path = expanded(make(), tmp_path)
    assert path.read_bytes() == CONTENT
    assert list(tmp_path.iterdir()) == [path]


def test_sparse_tar(tmp_path: Path) -> None:
    disk = sparse_tar(tmp_path)
    (tmp_path / "disk.raw").unlink()
    assert expanded(disk, tmp_path).read_bytes() == CONTENT


def test_zeros_take_no_disk(tmp_path: Path) -> None:
    path = expanded(gzip.compress(bytes(40_000_000)), tmp_path)
    assert path.stat().st_size == 40_000_000
    assert path.stat().st_blocks * 512 < 1_000_000


def test_file_that_others_have_too(tmp_path: Path) -> None:
    kept, run = tmp_path / "kept", tmp_path / "run"
    run.mkdir()
    for make in GOOD.values():
        content = make()
        kept.write_bytes(content)
        (run / "source").hardlink_to(kept)
        tools = Toolbox(run, LIMITS.tool_memory, LIMITS.tool_cpu_seconds)
        path = expand(run / "source", LIMITS, tools, Meter(lambda _: None), cache(run))
        assert path.read_bytes() == CONTENT
        assert kept.read_bytes() == content
        path.unlink()


def link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0


def hard_link(info: tarfile.TarInfo) -> None:
    info.type, info.linkname, info.size = tarfile.LNKTYPE, "/etc/passwd", 0


def device(info: tarfile.TarInfo) -> None:
    info.type, info.devmajor, info.devminor, info.size = tarfile.BLKTYPE, 8, 0, 0


def folder(info: tarfile.TarInfo) -> None:
    info.type = tarfile.DIRTYPE


def long_header(info: tarfile.TarInfo) -> None:
    info.pax_headers = {"comment": "x" * 3_000_000}


def lying_tar(size: int) -> bytes:
    """Return a tar archive that has less than its header says."""
    info = tarfile.TarInfo("disk.raw")
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT) + CONTENT[:100_000]


def encrypted() -> bytes:
    content = bytearray(zipped(DISK))
    for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        content[content.index(magic) + offset] |= 1
    return bytes(content)


def wide_zip() -> bytes:
    """Return a zip archive with a directory of megabytes."""
    return zipped(*[(f"{number:0>200}", b"") for number in range(6000)])


def lying_zip() -> bytes:
    """Return a zip archive that says it expands to a little, and to a lot more."""
    content = bytearray(zipped(DISK))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = struct.pack("<I", 10)
    return bytes(content)


@dataclass(frozen=True)
class Bad:
    """What must be refused, and how."""

    make: Callable[[], bytes]
    reason: Reason
    words: str


NOT, UNSAFE = Reason.SOURCE_NOT_AN_IMAGE, Reason.UNSAFE_IMAGE
BAD: dict[str, Bad] = {
    "gzip cut": Bad(lambda: gzip.compress(CONTENT)[:-9], NOT, "gzip"),
    "xz cut": Bad(lambda: lzma.compress(CONTENT)[:-9], NOT, "xz"),
    "bzip2 cut": Bad(lambda: bz2.compress(CONTENT)[:-9], NOT, "bzip2"),
    "zstd cut": Bad(lambda: zstd(CONTENT)[:-9], NOT, "zstd"),
    "tar cut": Bad(lambda: tar(DISK)[:100_000], NOT, "tar"),
    "tar.gz cut": Bad(lambda: gzip.compress(tar(DISK)[:100_000]), NOT, "gzip"),
    "zip cut": Bad(lambda: zipped(DISK)[:-100], NOT, "zip"),
    "gzip damaged": Bad(lambda: gzip.compress(CONTENT)[:-6] + b"abcdef", NOT, "gzip"),
    "gzip of nothing": Bad(lambda: gzip.compress(b""), NOT, "empty"),
    "gzip in gzip": Bad(lambda: gzip.compress(gzip.compress(CONTENT)), UNSAFE, "gzip again"),
    "xz in gzip": Bad(lambda: gzip.compress(lzma.compress(CONTENT)), UNSAFE, "xz again"),
    "zip in gzip": Bad(lambda: gzip.compress(zipped(DISK)), UNSAFE, "zip again"),
    "gzip in tar": Bad(lambda: tar(("a.gz", gzip.compress(CONTENT))), UNSAFE, "gzip again"),
    "gzip in zip": Bad(lambda: zipped(("a.gz", gzip.compress(CONTENT))), UNSAFE, "gzip again"),
    "zip in zip": Bad(lambda: zipped(("a.zip", zipped(DISK))), UNSAFE, "zip again"),
    "tar in tar": Bad(lambda: tar(("a.tar", tar(DISK))), UNSAFE, "tar again"),
    "tar.gz in tar.gz": Bad(
        lambda: gzip.compress(tar(("a.tgz", gzip.compress(tar(DISK))))), UNSAFE, "gzip again"
    ),
    "tar with ../": Bad(lambda: tar(("../disk.raw", CONTENT)), UNSAFE, "outside"),
    "tar with a root": Bad(lambda: tar(("/etc/passwd", CONTENT)), UNSAFE, "outside"),
    "tar with a link": Bad(lambda: tar(("disk.raw", b""), edit=link), UNSAFE, "not a file"),
    "tar with a hard link": Bad(lambda: tar(("x", b""), edit=hard_link), UNSAFE, "not a file"),
    "tar with a device": Bad(lambda: tar(("sda", b""), edit=device), UNSAFE, "not a file"),
    "tar with two files": Bad(lambda: tar(DISK, ("b", b"x")), NOT, "several files"),
    "tar.gz with two files": Bad(lambda: gzip.compress(tar(("b", b"x"), DISK)), NOT, "several"),
    "tar with a folder alone": Bad(lambda: tar(("a", b""), edit=folder), NOT, "no file"),
    "tar with a long header": Bad(lambda: tar(DISK, edit=long_header), NOT, "headers are too long"),
    "tar with much behind its end": Bad(
        lambda: gzip.compress(tar(DISK) + bytes(9_000_000)), NOT, "too long"
    ),
    "tar that lies": Bad(lambda: lying_tar(400_000), NOT, "tar"),
    "tar that promises too much": Bad(
        lambda: lying_tar(2**50), Reason.IMAGE_TOO_LARGE, "limit of 47.7 MiB"
    ),
    "zip with ../": Bad(lambda: zipped(("../disk.raw", CONTENT)), UNSAFE, "outside"),
    "zip with ..\\": Bad(lambda: zipped(("..\\disk.raw", CONTENT)), UNSAFE, "outside"),
    "zip with a root": Bad(lambda: zipped(("/etc/passwd", CONTENT)), UNSAFE, "outside"),
    "zip with a link": Bad(
        lambda: zipped(("l", b"/etc/passwd"), mode=0o120777), UNSAFE, "not a file"
    ),
    "zip with two files": Bad(lambda: zipped(DISK, ("b", b"x")), NOT, "several files"),
    "zip with no file": Bad(lambda: zipped(("a/", b"")), NOT, "no file"),
    "zip by bzip2": Bad(lambda: zipped(DISK, method=zipfile.ZIP_BZIP2), NOT, "deflate"),
    "zip by lzma": Bad(lambda: zipped(DISK, method=zipfile.ZIP_LZMA), NOT, "deflate"),
    "zip with a password": Bad(encrypted, NOT, "encrypted"),
    "zip with a wide directory": Bad(wide_zip, NOT, "headers are too long"),
    "zip that lies": Bad(lying_zip, NOT, "zip"),
    "gzip too large": Bad(
        lambda: gzip.compress(bytes(60_000_000)), Reason.IMAGE_TOO_LARGE, "limit of 47.7 MiB"
    ),
    "tar.xz too large": Bad(
        lambda: lzma.compress(tar(("x", bytes(60_000_000)))), Reason.IMAGE_TOO_LARGE, "limit"
    ),
    "zip too large": Bad(
        lambda: zipped(("x", bytes(60_000_000))), Reason.IMAGE_TOO_LARGE, "limit of 47.7 MiB"
    ),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_refused(bad: Bad, tmp_path: Path) -> None:
    with pytest.raises(TransferError) as caught:
        expanded(bad.make(), tmp_path)
    assert caught.value.reason is bad.reason, caught.value.message
    assert bad.words in caught.value.message
    written = tmp_path / "expanded"
    assert not written.exists() or written.stat().st_size <= LIMITS.max_expanded


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress, zstd])
def test_bomb(
    compress: Callable[[bytes], bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(expansion, "FREE_EXPANSION", 1_000_000)
    monkeypatch.setattr(expansion, "MAX_RATIO", 500)
    with pytest.raises(TransferError, match="bomb") as caught:
        expanded(compress(bytes(40_000_000)), tmp_path)
    assert caught.value.reason is Reason.UNSAFE_IMAGE


def test_xz_that_wants_too_much_memory(tmp_path: Path) -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29, "preset": 0}]
    content = lzma.compress(CONTENT, filters=filters)
    with pytest.raises(TransferError) as caught:
        expanded(content, tmp_path, Limits(tool_memory=200 * 2**20))
    assert caught.value.reason is Reason.SOURCE_NOT_AN_IMAGE


def test_full_disk(small_disk: Path) -> None:
    noise = random.Random(4).randbytes(3_000_000)
    (small_disk / "filler").write_bytes(bytes(3_000_000))
    with pytest.raises(TransferError) as caught:
        expanded(gzip.compress(noise), small_disk)
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH


def test_scratch_too_small(tmp_path: Path) -> None:
    noise = random.Random(4).randbytes(3_000_000)
    limits = LIMITS.model_copy(update={"max_scratch": 5_000_000})
    with pytest.raises(TransferError) as caught:
        expanded(gzip.compress(noise), tmp_path, limits)
    assert caught.value.reason is Reason.INSUFFICIENT_SCRATCH
    assert "are missing" in caught.value.message


def test_holes_need_no_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "STEP", 2**20)
    limits = LIMITS.model_copy(update={"max_scratch": 5_000_000})
    content = b"x" + bytes(40_000_000)
    assert expanded(gzip.compress(content), tmp_path, limits).stat().st_size == len(content)


@given(st.binary(max_size=600))
def test_any_head_is_told(head: bytes) -> None:
    assert signatures.wrapping(head) in {None, "gzip", "xz", "bzip2", "zstd", "zip", "tar"}


@given(st.sampled_from(["zip", "tar"]), st.integers(0, 2000), st.binary(min_size=1, max_size=40))
def test_damaged_archives_end_with_a_reason(
    tmp_path_factory: pytest.TempPathFactory, kind: str, at: int, damage: bytes
) -> None:
    small = ("disk.raw", b"image" * 200)
    content = bytearray(zipped(small) if kind == "zip" else tar(small))
    content[at : at + len(damage)] = damage
    path = tmp_path_factory.mktemp("damaged") / "source"
    path.write_bytes(content)
    tools = Toolbox(path.parent, LIMITS.tool_memory, LIMITS.tool_cpu_seconds)
    with contextlib.suppress(TransferError):
        expand(path, LIMITS, tools, Meter(lambda _: None), cache(path.parent))
