"""What a file begins with: file systems and other contents of a bare raw image; pure.

Offsets and magic bytes are those of libblkid and file(1).
"""

from typing import Final

HEAD_LENGTH: Final = 0x10100
"""Bytes from a file's beginning that hold every signature below."""

_RAW_CONTENTS: Final[tuple[tuple[str, int, bytes], ...]] = (
    ("ext2, ext3 or ext4", 0x438, b"\x53\xef"),
    ("XFS", 0, b"XFSB"),
    ("Btrfs", 0x10040, b"_BHRfS_M"),
    ("SquashFS", 0, b"hsqs"),
    ("EROFS", 0x400, b"\xe2\xe1\xf5\xe0"),
    ("F2FS", 0x400, b"\x10\x20\xf5\xf2"),
    ("NTFS", 3, b"NTFS    "),
    ("FAT", 0x36, b"FAT1"),
    ("FAT", 0x52, b"FAT32   "),
    ("LUKS", 0, b"LUKS\xba\xbe"),
    ("LVM", 0x218, b"LVM2 001"),
    ("LVM", 0x018, b"LVM2 001"),
    ("swap", 0xFF6, b"SWAPSPACE2"),
    ("UFS", 0x255C, b"\x19\x01\x54\x19"),
    ("UFS", 0x1055C, b"\x19\x01\x54\x19"),
)

_COMPRESSIONS: Final[tuple[tuple[str, bytes], ...]] = (
    ("gzip", b"\x1f\x8b"),
    ("xz", b"\xfd7zXZ\x00"),
    ("bzip2", b"BZh"),
    ("zstd", b"\x28\xb5\x2f\xfd"),
    ("zip", b"PK\x03\x04"),
    ("7-zip", b"7z\xbc\xaf\x27\x1c"),
)


def raw_content(head: bytes) -> str | None:
    """Name the file system, or the like, that a raw image without partitions begins with."""
    for name, offset, magic in _RAW_CONTENTS:
        if head[offset : offset + len(magic)] == magic:
            return name
    return None


def compression(head: bytes) -> str | None:
    """Name the compression of a file, if it is compressed."""
    for name, magic in _COMPRESSIONS:
        if head.startswith(magic):
            return name
    return None
