"""Archives with more in them than the image."""

import gzip
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from support.packed import expanded_telling, tar, zipped

CONTENT = random.Random(3).randbytes(700_000) + bytes(3_000_000) + b"end"
DISK = ("disk.raw", CONTENT)


APPLE_DOUBLE = ("__MACOSX/._disk.raw", b"\0\5\x16\7" + bytes(100))
BESIDE: dict[str, tuple[list[tuple[str, bytes]], str | None]] = {
    "macOS": ([APPLE_DOUBLE, (".DS_Store", b"x"), ("images/._disk.raw", b"x")], None),
    "a README": ([("README.files", b"hello")], "'README.files'"),
    "a larger README than the headers may be": ([("README", bytes(3_000_000))], "'README'"),
    "checksums": ([("SHA256SUMS", b"x"), ("disk.raw.sha256", b"x")], "'disk.raw.sha256'"),
    "a license": ([("images/LICENSE", b"x"), ("NOTICE.txt", b"x")], "'NOTICE.txt'"),
    "an OVA": ([("a.ovf", b"<Envelope/>"), ("a.mf", b"SHA256(a.ovf)= 0")], "'a.mf'"),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("beside", BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize("pack", [tar, zipped, lambda *files: gzip.compress(tar(*files))])
def test_the_one_image_beside_others(
    pack: Callable[..., bytes],
    beside: tuple[list[tuple[str, bytes]], str | None],
    tmp_path: Path,
    *,
    first: bool,
) -> None:
    others, words = beside
    path, told = expanded_telling(pack(DISK, *others) if first else pack(*others, DISK), tmp_path)
    assert path.read_bytes() == CONTENT
    assert [words in each for each in told if words] == ([True] if words else [])
    assert bool(told) == bool(words)


UNCLEAR: dict[str, tuple[list[tuple[str, bytes]], str]] = {
    "two images": ([DISK, ("b.raw", CONTENT)], "several files"),
    "an image and its kernel": ([DISK, ("vmlinuz", b"MZ")], "'vmlinuz'"),
    "an image that is called README": ([DISK, ("README.img", CONTENT)], "several files"),
    "a README of an image's size": ([DISK, ("README", bytes(17_000_000))], "several files"),
    "nothing but a README": ([("README", b"x")], "no file but 'README'"),
    "nothing but macOS": ([APPLE_DOUBLE], "no file"),
    "more READMEs than anybody writes": (
        [DISK, *((f"{number}/README", b"x") for number in range(70))],
        "several files",
    ),
}


@pytest.mark.parametrize("case", UNCLEAR.values(), ids=UNCLEAR)
@pytest.mark.parametrize("pack", [tar, zipped])
def test_unclear_which_is_the_image(
    pack: Callable[..., bytes], case: tuple[list[tuple[str, bytes]], str], tmp_path: Path
) -> None:
    files, words = case
    with pytest.raises(TransferError) as caught:
        expanded_telling(pack(*files), tmp_path)
    assert caught.value.reason is Reason.SOURCE_NOT_AN_IMAGE
    assert words in caught.value.message
