"""What a file begins with: file systems and other contents of a raw image; pure.

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

_TAR_HEADER: Final = 512


def raw_contents(head: bytes) -> frozenset[str]:
    """Return the names of the file systems, or similar, that an unpartitioned disk begins with."""
    return frozenset(
        name for name, offset, magic in _RAW_CONTENTS if head[offset : offset + len(magic)] == magic
    )


def compression(head: bytes) -> str | None:
    """Name the compression of a file, if it is compressed."""
    for name, magic in _COMPRESSIONS:
        if head.startswith(magic):
            return name
    return None


def wrapping(head: bytes) -> str | None:
    """Name what a file is inside of that can be taken off: a compression, zip or tar."""
    name = compression(head)
    if name in {"gzip", "xz", "bzip2", "zstd", "zip"}:
        return name
    return "tar" if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    """Return whether there is a header of tar, with the right checksum: the word alone is short."""
    header = head[:_TAR_HEADER]
    if len(header) < _TAR_HEADER or header[257:262] != b"ustar":
        return False
    digits = header[148:156].strip(b" \0")
    plain = sum(header) - sum(header[148:156]) + 8 * ord(" ")
    return digits.lstrip(b"0") == b"%o" % plain
