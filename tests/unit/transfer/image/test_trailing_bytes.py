"""Bytes behind the end of a compressed stream, ruled alike for every compression."""

import bz2
import gzip
import lzma
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import TransferError
from support.packed import expanded_telling, tar, zstd

CONTENT = random.Random(3).randbytes(700_000) + bytes(3_000_000) + b"end"
DISK = ("disk.raw", CONTENT)


TRAILING = {
    "a little": b"META1234",
    "less than any magic": b"ab",
    "metadata of OpenWrt": b"\0" * 8 + b'{"metadata_version":"1.1"}\nFWx0' + bytes(range(12)),
    "a lot": random.Random(5).randbytes(100_000),
}
COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": zstd,
}


@pytest.mark.parametrize("inside", ["disk", "tar"])
@pytest.mark.parametrize("tail", TRAILING.values(), ids=TRAILING)
@pytest.mark.parametrize("kind", COMPRESSORS)
def test_bytes_behind_a_sound_stream_are_left_out(
    kind: str, tail: bytes, inside: str, tmp_path: Path
) -> None:
    content = CONTENT if inside == "disk" else tar(DISK)
    path, told = expanded_telling(COMPRESSORS[kind](content) + tail, tmp_path)
    assert path.read_bytes() == CONTENT
    assert told == [each for each in told if f"end of the {kind} data" in each]
    assert len(told) == 1


@pytest.mark.parametrize("kind", COMPRESSORS)
@pytest.mark.parametrize("part", [12, 20, 0.5, -1])
def test_second_stream_that_is_cut_is_no_trailing_data(
    kind: str, part: float, tmp_path: Path
) -> None:
    first, second = COMPRESSORS[kind](CONTENT[:9000]), COMPRESSORS[kind](CONTENT[9000:])
    end = int(len(second) * part) if isinstance(part, float) else part
    with pytest.raises(TransferError, match=f"\\({kind}\\) cannot be expanded"):
        expanded_telling(first + second[:end], tmp_path)
    path, told = expanded_telling(first + second, tmp_path)
    assert (path.read_bytes(), told) == (CONTENT, [])


@pytest.mark.parametrize("kind", COMPRESSORS)
def test_cut_or_damaged_stream_with_bytes_behind_it(kind: str, tmp_path: Path) -> None:
    whole = COMPRESSORS[kind](CONTENT)
    for damaged in (whole[: len(whole) // 2], whole[:-9] + bytes(5) + whole[-4:]):
        with pytest.raises(TransferError, match=f"\\({kind}\\) cannot be expanded"):
            expanded_telling(damaged + b"META1234", tmp_path)
