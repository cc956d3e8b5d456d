"""Whether a disk is cut, by what is written on it: tables of partitions and file systems.

Both say where they end. A disk that ends before is a part of one, whatever its server says of its
length, and so is a partition with less room than its file system: kernels refuse to mount that.
LVM, encrypted volumes and swap say nothing here, and neither does a superblock that is invalid.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from cloudimage.transfer.image import magic
from cloudimage.transfer.image.file_systems import SIZES, TOLERANT

Read = Callable[[int, int], bytes]
"""Reads so many bytes from an offset of a disk; it is asked for none behind its end."""

_SECTOR: Final = 512
_SECTORS: Final = (512, 4096)
"""Sizes of a sector for which there are GUID tables; the second is for disks of 4 KiB sectors."""

_GPT_HEADER = struct.Struct("<8s64xQIII")  # UEFI 5.3.2: where the table is, entries, size, CRC
_GPT_ENTRY = struct.Struct("<16s16xQQ")  # UEFI 5.3.3: type, first and last sector
_GPT_LONGEST: Final = 2**20
_MBR_ENTRY = struct.Struct("<B3xB3xII")  # UEFI 5.2.1: boot flag, type, first sector, sectors
_MBR_TABLE: Final = 446
_MBR_SIGNATURE: Final = slice(510, 512)
_MBR_FLAGS: Final = frozenset({0, 0x80})
_PROTECTIVE: Final = 0xEE
_EXTENDED: Final = frozenset({0x05, 0x0F, 0x85})
_MOST_PARTITIONS: Final = 128
"""Looked at for file systems: each takes a read, and of a GUID table this is the usual length."""

_WITH_BOOT_SECTOR: Final = frozenset({"FAT", "NTFS"})
"""File systems that begin with the signature of a boot sector, and code in place of its table."""


@dataclass(frozen=True)
class Partition:
    """A part of a disk; bytes from the disk's beginning.

    Attributes:
        end: The first byte behind it.
    """

    start: int
    end: int


def cut(read: Read, size: int, *, verified: bool = False) -> str | None:
    """Return what reaches behind a disk's end, as the end of a sentence; None: nothing does.

    Args:
        read: Of the disk.
        size: Bytes of the disk.
        verified: Whether the file is known to be its publisher's. Some publish disks without the
            empty end of the last partition of a boot sector's table (OpenWrt), and these work.
    """
    read = _within(read, size)
    head = _head(read, 0)
    partitions, sure = _gpt(read), True
    if not partitions and not magic.raw_contents(head) & _WITH_BOOT_SECTOR:
        partitions, sure = _mbr(read, head), not verified
    if not partitions:
        return _file_system(head, Partition(0, size), size, verified=verified)
    end = max(each.end for each in partitions)
    if sure and end > size:
        return f"its partitions reach to byte {end}, but it has {size}"
    for each in partitions[:_MOST_PARTITIONS]:
        if problem := _file_system(_head(read, each.start), each, size, verified=verified):
            return problem
    return None


def _within(read: Read, size: int) -> Read:
    """Return the same, never asked for what is behind the end: not every number is an offset."""
    return lambda offset, length: read(offset, min(length, size - offset)) if offset < size else b""


def _head(read: Read, offset: int) -> bytes:
    return read(offset, magic.HEAD_LENGTH).ljust(magic.HEAD_LENGTH, b"\0")


def _file_system(head: bytes, place: Partition, size: int, *, verified: bool) -> str | None:
    """Return how the file system in a part of the disk reaches behind it, or behind the disk."""
    names = magic.raw_contents(head)
    # Two at once: one of them is what another program left behind.
    name = next(iter(names)) if len(names) == 1 else ""
    if name not in SIZES or (verified and name in TOLERANT):
        return None
    end = place.start + SIZES[name](head)
    where = f" in the partition at byte {place.start}" if place != Partition(0, size) else ""
    what = f"its file system ({name}){where} reaches to byte {end}"
    if end > size:
        return f"{what}, but it has {size}"
    if end > place.end and name not in TOLERANT:
        return f"{what}, but the partition ends at byte {place.end}"
    return None


def _gpt(read: Read) -> list[Partition]:
    """Return the partitions of the sound GUID table that has the farthest of them.

    Where the backup of the table should be says less: many disks were made smaller without it.
    """
    tables = [list(_gpt_table(read, sector)) for sector in _SECTORS]
    return max(tables, key=lambda each: max((part.end for part in each), default=0))


def _gpt_table(read: Read, sector: int) -> Iterator[Partition]:
    header = read(sector, _GPT_HEADER.size).ljust(_GPT_HEADER.size, b"\0")
    mark, place, count, length, crc = _GPT_HEADER.unpack(header)
    if mark != b"EFI PART" or count * length > _GPT_LONGEST or length < _GPT_ENTRY.size:
        return
    table = read(place * sector, count * length)
    if zlib.crc32(table) != crc:
        return
    for start in range(0, len(table) - _GPT_ENTRY.size + 1, length):
        kind, first, last = _GPT_ENTRY.unpack_from(table, start)
        if any(kind) and first <= last:
            yield Partition(first * sector, (last + 1) * sector)


def _mbr(read: Read, head: bytes) -> list[Partition]:
    """Return the partitions of a boot sector's table, logical ones too; none without a table."""
    if head[_MBR_SIGNATURE] != b"\x55\xaa":
        return []
    entries = _mbr_entries(head)
    if any(flag not in _MBR_FLAGS or kind == _PROTECTIVE for flag, kind, *_ in entries):
        return []
    found = []
    for _, kind, first, count in entries:
        if kind:
            found.append(Partition(first * _SECTOR, (first + count) * _SECTOR))
        if kind in _EXTENDED:
            found.extend(_logical(read, first))
    return found


def _logical(read: Read, extended: int) -> Iterator[Partition]:
    """Yield the partitions inside an extended one: a chain of boot sectors, each with one."""
    place = extended
    for _ in range(_MOST_PARTITIONS):
        sector = read(place * _SECTOR, _SECTOR)
        if sector[_MBR_SIGNATURE] != b"\x55\xaa":
            return
        (_, kind, first, count), (_, more, following, _) = _mbr_entries(sector)[:2]
        if kind:
            yield Partition((place + first) * _SECTOR, (place + first + count) * _SECTOR)
        if more not in _EXTENDED or not following:
            return
        place = extended + following


def _mbr_entries(sector: bytes) -> list[tuple[int, int, int, int]]:
    places = range(_MBR_TABLE, _MBR_SIGNATURE.start, _MBR_ENTRY.size)
    return [_MBR_ENTRY.unpack_from(sector, place) for place in places]
