"""How many bytes a file system takes by its superblock; pure.

Each rule reads a file system's first bytes (``magic.HEAD_LENGTH``) and returns 0 where the
superblock is invalid: two or four bytes of a signature may be there by chance.
"""

import struct
from collections.abc import Callable
from typing import Final

_EXT = struct.Struct("<I12xII4xI4xI28xII")
"""At 1024, fs/ext4/ext4.h: blocks at 4, first block, block size, blocks and inodes of a group,
creator and revision."""
_EXT_LARGE = struct.Struct("<96xI236xI")  # at 1024: features, upper half of the blocks
_EXT_64BIT: Final = 0x80
_EXT_LARGEST: Final = 6
_EXT_CREATORS: Final = 4
_XFS = struct.Struct(">4xIQ")  # bytes of a block, blocks
_XFS_BLOCKS: Final = frozenset(2**power for power in range(9, 17))
_BTRFS = struct.Struct("<112xQ16xQ")  # at 0x10000: bytes, devices
_SQUASHFS = struct.Struct("<40xQ")  # bytes used
_EROFS = struct.Struct("<12xB23xI")  # at 1024: block size as a power of two, blocks
_EROFS_POWERS: Final = range(9, 17)
_NTFS = struct.Struct("<11xH27xQ")  # bytes of a sector, sectors
_FAT = struct.Struct("<11xHBHBHH11xI")
"""Bytes of a sector, sectors of a cluster, reserved ones, tables, entries of the root, sectors in
16 bits, sectors in 32."""
_SECTORS: Final = frozenset({512, 1024, 2048, 4096})


def _ext(head: bytes) -> int:
    blocks, first, power, per_group, inodes, creator, revision = _EXT.unpack_from(head, 1028)
    features, upper = _EXT_LARGE.unpack_from(head, 1024)
    sane = power <= _EXT_LARGEST and per_group and inodes and first <= 1 and revision <= 1
    if features & _EXT_64BIT:
        blocks |= upper << 32
    return int(blocks * 1024 << power) if sane and creator <= _EXT_CREATORS else 0


def _xfs(head: bytes) -> int:
    size, blocks = _XFS.unpack_from(head)
    return int(size * blocks) if size in _XFS_BLOCKS else 0


def _btrfs(head: bytes) -> int:
    size, devices = _BTRFS.unpack_from(head, 0x10000)
    return int(size) if devices == 1 else 0


def _squashfs(head: bytes) -> int:
    return int(_SQUASHFS.unpack_from(head)[0])


def _erofs(head: bytes) -> int:
    power, blocks = _EROFS.unpack_from(head, 1024)
    return int(blocks << power) if power in _EROFS_POWERS else 0


def _ntfs(head: bytes) -> int:
    sector, sectors = _NTFS.unpack_from(head)
    return int(sector * sectors) if sector in _SECTORS else 0


def _fat(head: bytes) -> int:
    sector, cluster, reserved, tables, _, few, many = _FAT.unpack_from(head)
    sane = sector in _SECTORS and cluster and reserved and tables in {1, 2}
    return int(sector * (few or many)) if sane else 0


SIZES: Final[dict[str, Callable[[bytes], int]]] = {
    "ext2, ext3 or ext4": _ext,
    "XFS": _xfs,
    "Btrfs": _btrfs,
    "SquashFS": _squashfs,
    "EROFS": _erofs,
    "NTFS": _ntfs,
    "FAT": _fat,
}
"""By the names of ``magic``. F2FS and UFS are not here: they may be spread over several disks."""

TOLERANT: Final = frozenset({"FAT", "NTFS"})
"""File systems that are mounted although the disk is shorter, as long as that part is not read."""
