"""Disks that were cut, by what is written on them: bare, partitioned, and inside an image."""

import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.image.inspection import Inspected, inspect
from cloudimage.transfer.tools.toolbox import Toolbox
from support.hostile_images import gpt, iso, mbr
from support.transfer_images import MIB, make, qemu_img

SIZE = 8 * MIB
Writer = Callable[[str, Path, int], bytes]
FORMATS = {
    "qcow2": ("qcow2", ""),
    "vmdk": ("vmdk", "subformat=streamOptimized"),
    "vdi": ("vdi", ""),
    "vhd": ("vpc", "force_size=on"),
    "vhdx": ("vhdx", ""),
}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


def look(path: Path, *, verified: bool = False) -> Inspected:
    tools = Toolbox(path.parent, memory=2 * 2**30, cpu_seconds=60)
    return inspect(path, None, None, Limits(), tools, verified=verified)


def refusal(path: Path, *, verified: bool = False) -> TransferError:
    with pytest.raises(TransferError) as caught:
        look(path, verified=verified)
    return caught.value


def ext(kind: str, folder: Path, size: int) -> bytes:
    """Return a file system as mke2fs makes it, with a file in it."""
    path = folder / "fs"
    path.write_bytes(bytes(size))
    subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", "-t", kind, str(path)], check=True, timeout=60)
    content = path.read_bytes()
    path.unlink()
    return content


def superblock(offset: int, form: str, *values: bytes | float) -> Writer:
    """Return a writer of a file system of which only the superblock is there.

    A float is that part of the file system's bytes.
    """

    def write(_kind: str, _folder: Path, size: int) -> bytes:
        data = bytearray(size)
        told = [int(size * each) if isinstance(each, float) else each for each in values]
        struct.pack_into(form, data, offset, *told)
        data[size // 2 :] = random.Random(size).randbytes(size - size // 2)
        return bytes(data)

    return write


FILE_SYSTEMS: dict[str, Writer] = {
    "ext2": ext,
    "ext3": ext,
    "ext4": ext,
    # fs/xfs/libxfs/xfs_format.h: magic, bytes of a block, blocks.
    "XFS": superblock(0, ">4sIQ", b"XFSB", 4096, 1 / 4096),
    # fs/btrfs: total_bytes, devices.
    "Btrfs": superblock(0x10040, "<8s40xQ16xQ", b"_BHRfS_M", 1.0, 1),
    "SquashFS": superblock(0, "<4s24xHH8xQ", b"hsqs", 4, 0, 1.0),
    "EROFS": superblock(1024, "<I8xB23xI", 0xE0F5E1E2, 12, 1 / 4096),
    # The last sector of the partition is the copy of the first, and not counted.
    "NTFS": superblock(3, "<8sHB26xQ", b"NTFS    ", 512, 8, 1 / 512),
    "FAT": superblock(
        11,
        "<HBHBHHBHHHII3xI11s8s",
        512,
        4,
        4,
        2,
        512,
        0,
        0xF8,
        16,
        32,
        2,
        0,
        1 / 512,
        0,
        b"CIDATA     ",
        b"FAT16   ",
    ),
}


def partitioned(content: bytes, kind: str) -> bytes:
    """Return a disk with one partition, at 1 MiB, and a MiB behind it."""
    size = len(content) + 2 * MIB
    if kind == "MBR":
        table = mbr((0x80, 0x83, 2048, len(content) // 512)).ljust(MIB, b"\0")
    else:
        sector = 4096 if kind == "GPT of 4 KiB sectors" else 512
        first, last = MIB // sector, (MIB + len(content)) // sector - 1
        table = gpt(last, size=size, sector=sector, first=first)[:MIB]
    return (table + content).ljust(size, b"\0")


TABLES = ["MBR", "GPT", "GPT of 4 KiB sectors"]


@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("part", [0.5, 0.99])
def test_bare_file_system(kind: str, part: float, source: Path) -> None:
    content = FILE_SYSTEMS[kind](kind, source.parent, SIZE)
    source.write_bytes(content)
    assert look(source).format == "raw"
    source.write_bytes(content[: int(SIZE * part)])
    error = refusal(source)
    assert error.reason is Reason.SOURCE_TRUNCATED, error.message
    assert f"reaches to byte {SIZE}, but it has {int(SIZE * part)}" in error.message


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", FILE_SYSTEMS)
@pytest.mark.parametrize("verified", [False, True])
def test_cut_in_its_partition(kind: str, table: str, source: Path, *, verified: bool) -> None:
    disk = partitioned(FILE_SYSTEMS[kind](kind, source.parent, SIZE), table)
    source.write_bytes(disk)
    assert look(source, verified=verified).format == "raw"
    source.write_bytes(disk[: SIZE // 2])
    if verified and table == "MBR" and kind in {"FAT", "NTFS"}:
        assert look(source, verified=True).format == "raw"
        return
    error = refusal(source, verified=verified)
    assert error.reason is Reason.SOURCE_TRUNCATED, error.message
    assert str(SIZE // 2) in error.message


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["ext4", "XFS", "Btrfs", "SquashFS", "EROFS"])
def test_table_that_was_written_again_for_a_cut_disk(kind: str, table: str, source: Path) -> None:
    content = FILE_SYSTEMS[kind](kind, source.parent, SIZE)[: SIZE // 2]
    source.write_bytes(partitioned(content, table))
    error = refusal(source)
    assert error.reason is Reason.SOURCE_TRUNCATED, error.message
    assert f"({'ext2, ext3 or ext4' if kind == 'ext4' else kind}) in the partition at byte" in (
        error.message
    )


def test_cut_in_a_logical_partition(source: Path) -> None:
    content = ext("ext4", source.parent, 4 * MIB)
    extended = 2048
    table = mbr((0x80, 0x05, extended, 10 * 2048)).ljust(MIB, b"\0")
    chain = mbr((0, 0x83, 2048, len(content) // 512), (0, 0x05, 5 * 2048, 5 * 2048))
    last = mbr((0, 0x83, 2048, len(content) // 512))
    disk = (table + chain).ljust(2 * MIB, b"\0") + content + last.ljust(MIB, b"\0") + content
    source.write_bytes(disk)
    assert look(source).format == "raw"
    source.write_bytes(disk[:-MIB])
    assert refusal(source, verified=True).reason is Reason.SOURCE_TRUNCATED


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["ext4", "XFS"])
def test_a_file_system_may_be_smaller_than_its_partition(
    kind: str, table: str, source: Path
) -> None:
    content = FILE_SYSTEMS[kind](kind, source.parent, SIZE // 2).ljust(SIZE, b"\0")
    source.write_bytes(partitioned(content, table))
    assert look(source).format == "raw"


@pytest.mark.parametrize(
    "mark", [(0, b"LUKS\xba\xbe\0\1"), (0x218, b"LVM2 001"), (0xFF6, b"SWAPSPACE2")]
)
@pytest.mark.parametrize("table", TABLES)
def test_what_was_left_behind_below_another_content_says_nothing(
    mark: tuple[int, bytes], table: str, source: Path
) -> None:
    content = bytearray(ext("ext4", source.parent, SIZE)[: SIZE // 2])
    offset, sign = mark
    content[offset : offset + len(sign)] = sign
    source.write_bytes(partitioned(bytes(content), table))
    assert look(source).format == "raw"


@pytest.mark.parametrize("shape", FORMATS)
@pytest.mark.parametrize("table", [None, *TABLES])
def test_cut_disk_in_a_sound_image(shape: str, table: str | None, source: Path) -> None:
    content = ext("ext4", source.parent, SIZE)
    disk = partitioned(content, table) if table else content
    raw = source.with_name("raw")
    for size, sound in ((len(disk), True), (len(disk) // 2, False)):
        raw.write_bytes(disk[:size])
        make(raw, source, *FORMATS[shape])
        if sound:
            assert look(source).format == shape
        else:
            error = refusal(source)
            assert error.reason is Reason.SOURCE_TRUNCATED, error.message
            assert f"the disk in the {shape} image is truncated" in error.message


def test_cut_iso_in_a_sound_image(source: Path) -> None:
    raw = source.with_name("raw")
    raw.write_bytes(iso()[:-2048])
    make(raw, source, "qcow2")
    assert refusal(source).reason is Reason.SOURCE_TRUNCATED


@pytest.mark.parametrize("shape", FORMATS)
def test_empty_disk(shape: str, source: Path) -> None:
    qemu_img("create", "-q", "-f", FORMATS[shape][0], source, "8M")
    error = refusal(source)
    assert error.reason is Reason.SOURCE_NOT_AN_IMAGE
    assert f"the disk in the {shape} image is empty" in error.message


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ("qcow2", "preallocation=full"),
        ("vdi", "static=on"),
        ("vpc", "subformat=fixed,force_size=on"),
        ("vhdx", "subformat=fixed"),
    ],
)
def test_empty_disk_that_takes_all_of_its_room(shape: str, options: str, source: Path) -> None:
    qemu_img("create", "-q", "-f", shape, "-o", options, source, "8M")
    assert "is empty" in refusal(source).message


@pytest.mark.parametrize("shape", FORMATS)
def test_disk_with_a_little_at_its_end(shape: str, source: Path) -> None:
    raw = source.with_name("raw")
    raw.write_bytes(bytes(SIZE - 512) + b"x" * 512)
    make(raw, source, *FORMATS[shape])
    assert look(source).format == shape
