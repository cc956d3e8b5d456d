"""How many bytes a raw disk must have by what is written on it; pure.

Partition tables and file systems say where they end. A file that ends before is a part of the disk,
whatever its server says of its length.
"""

import struct
import zlib
from collections.abc import Callable
from typing import Final

from cloudimage.transfer.image import magic as signatures

_SECTOR: Final = 512
_SECTORS: Final = (512, 4096)
"""Sizes of a sector for which there are GUID tables; the second is for disks of 4 KiB sectors."""

_GPT_HEADER = struct.Struct("<8s64xQIII")  # UEFI 5.3.2: where the table is, entries, size, CRC
_GPT_ENTRY = struct.Struct("<16s24xQ")  # UEFI 5.3.3: type, last sector
_GPT_ENTRIES: Final = 1024
_MBR_ENTRY = struct.Struct("<B3xB3xII")  # UEFI 5.2.1: boot flag, type, first sector, sectors
_MBR_TABLE: Final = 446
_MBR_SIGNATURE: Final = slice(510, 512)
_MBR_FLAGS: Final = frozenset({0, 0x80})
_PROTECTIVE: Final = 0xEE
_WITH_BOOT_SECTOR: Final = frozenset({"FAT", "NTFS"})
"""File systems that begin with the signature of a boot sector, and code in place of its table."""

_EXT = struct.Struct("<4xI16xI")  # at 1024: blocks, their size as a power of two in KiB
_EXT_LARGE = struct.Struct("<96xI236xI")  # at 1024: features, upper half of the blocks
_EXT_64BIT: Final = 0x80
_EXT_LARGEST: Final = 6
_XFS = struct.Struct(">4xIQ")  # bytes of a block, blocks
_SQUASHFS = struct.Struct("<40xQ")  # bytes used
_BTRFS = struct.Struct("<112xQ16xQ")  # at 0x10000: bytes, devices


def needed(head: bytes, *, verified: bool = False) -> tuple[int, str]:
    """Return the bytes that a raw disk must have at least, and what says so; 0 if nothing does.

    Args:
        head: The disk's beginning; see ``signatures.HEAD_LENGTH``.
        verified: Whether the file is known to be its publisher's. Some publish disks without the
            empty end of the last partition of a boot sector's table (OpenWrt), and these work.
    """
    head = head.ljust(signatures.HEAD_LENGTH, b"\0")
    content = signatures.raw_content(head) or ""
    tables = max(_gpt(head, each) for each in _SECTORS)
    if not tables and not verified and content not in _WITH_BOOT_SECTOR:
        tables = _mbr(head)
    if tables:
        return tables, "partitions reach"
    rule = _FILE_SYSTEMS.get(content)
    return (rule(head) if rule else 0), f"file system ({content}) reaches"


def _gpt(head: bytes, sector: int) -> int:
    """Return where the last partition of a sound GUID table ends in bytes; else 0.

    Where the backup of the table should be says less: many disks were made smaller without it.
    """
    magic, place, count, length, crc = _GPT_HEADER.unpack_from(head, sector)
    table = head[place * sector :][: count * length]
    if magic != b"EFI PART" or count > _GPT_ENTRIES or length < _GPT_ENTRY.size:
        return 0
    if zlib.crc32(table) != crc:
        return 0
    starts = range(0, len(table) - _GPT_ENTRY.size + 1, length)
    entries = (_GPT_ENTRY.unpack_from(table, start) for start in starts)
    return max(((last + 1) * sector for kind, last in entries if any(kind)), default=0)


def _mbr(head: bytes) -> int:
    """Return where the last partition of a boot sector's table ends in bytes; 0 without one."""
    if head[_MBR_SIGNATURE] != b"\x55\xaa":
        return 0
    places = range(_MBR_TABLE, _MBR_SIGNATURE.start, _MBR_ENTRY.size)
    entries = [_MBR_ENTRY.unpack_from(head, place) for place in places]
    if any(flag not in _MBR_FLAGS or kind == _PROTECTIVE for flag, kind, *_ in entries):
        return 0
    return max(((first + count) * _SECTOR for _, kind, first, count in entries if kind), default=0)


def _ext(head: bytes) -> int:
    blocks, power = _EXT.unpack_from(head, 1024)
    features, upper = _EXT_LARGE.unpack_from(head, 1024)
    if features & _EXT_64BIT:
        blocks |= upper << 32
    return blocks * 1024 << power if power <= _EXT_LARGEST else 0


def _xfs(head: bytes) -> int:
    size, blocks = _XFS.unpack_from(head)
    return int(size * blocks)


def _squashfs(head: bytes) -> int:
    return int(_SQUASHFS.unpack_from(head)[0])


def _btrfs(head: bytes) -> int:
    size, devices = _BTRFS.unpack_from(head, 0x10000)
    return int(size) if devices == 1 else 0


_FILE_SYSTEMS: Final[dict[str, Callable[[bytes], int]]] = {
    "ext2, ext3 or ext4": _ext,
    "XFS": _xfs,
    "SquashFS": _squashfs,
    "Btrfs": _btrfs,
}
"""By the names of ``signatures``; kernels refuse to mount them where the disk is shorter."""
