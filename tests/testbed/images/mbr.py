"""The first sector of a disk: boot code and partition table (master boot record)."""

import struct
from dataclasses import dataclass

SECTOR_BYTES = 512
# Where partitioning tools put the first partition: aligned for every kind of storage.
FIRST_SECTOR = 2048
FIRST_BYTE = FIRST_SECTOR * SECTOR_BYTES

LINUX = 0x83
FAT16 = 0x0E

_CODE_BYTES = 440
# "Look at the sector number instead": cylinders, heads and sectors cannot say where it is.
_NO_GEOMETRY = b"\xfe\xff\xff"


@dataclass(frozen=True)
class Partition:
    """A partition of a disk.

    Attributes:
        sectors: Its size in sectors of 512 bytes.
        kind: What the table says it holds, `LINUX` or `FAT16`.
        bootable: Whether the boot code starts it.
        first: The sector that it begins with.
    """

    sectors: int
    kind: int = LINUX
    bootable: bool = False
    first: int = FIRST_SECTOR

    @classmethod
    def of_disk(cls, disk_bytes: int, kind: int = LINUX, *, bootable: bool = False) -> "Partition":
        """Return the partition that takes all of the disk after its usual start."""
        return cls(disk_bytes // SECTOR_BYTES - FIRST_SECTOR, kind, bootable)


def record(*partitions: Partition, disk_id: int, code: bytes = b"") -> bytes:
    """Return the sector.

    Args:
        partitions: What the table lists, at most four.
        disk_id: The disk's signature, 32 bits.
        code: The BIOS jumps to it; at most 440 bytes.
    """
    entries = b"".join(
        struct.pack(
            "<B3sB3sII",
            0x80 if partition.bootable else 0,
            _NO_GEOMETRY,
            partition.kind,
            _NO_GEOMETRY,
            partition.first,
            partition.sectors,
        )
        for partition in partitions
    )
    head = code.ljust(_CODE_BYTES, b"\0") + struct.pack("<IH", disk_id, 0)
    return (head + entries).ljust(SECTOR_BYTES - 2, b"\0") + b"\x55\xaa"
