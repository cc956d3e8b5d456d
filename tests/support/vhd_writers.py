"""VHD files as other programs than qemu write them, by the published layout.

Microsoft, "Virtual Hard Disk Image Format Specification" 1.0 (2006). Programs differ in the four
bytes of "Creator Application", and qemu chooses by these whether the size is the field "Current
Size" or the geometry, which cannot say every size (block/vpc.c).
"""

import struct
from pathlib import Path
from typing import Any

from support.hostile_images import Build

SECTOR = 512
BLOCK = 2 * 2**20
UNUSED = 2**32 - 1

CREATORS = {
    "Virtual PC": b"vpc ",
    "Hyper-V": b"win ",
    "VirtualBox": b"vbox",
    "Disk2vhd": b"d2v ",
    "XenServer": b"tap\0",
    "XenConverter": b"CTXS",
    "Azure": b"wa\0\0",
    "qemu before 2.5": b"qemu",
    "qemu": b"qem2",
    "SIMH": b"simh",
    "a program that nobody knows": b"\xff\0x ",
}
"""Creator applications; those of qemu's table, and of programs that it does not know."""


def geometry(sectors: int) -> tuple[int, int, int]:
    """Return cylinders, heads and sectors a track as the specification's appendix counts them."""
    sectors = min(sectors, 65535 * 16 * 255)
    if sectors >= 65535 * 16 * 63:
        return sectors // 255 // 16, 16, 255
    track, heads = 17, max(4, (sectors // 17 + 1023) // 1024)
    for more in (31, 63):
        if sectors // track < heads * 1024 and heads <= 16:
            break
        track, heads = more, 16
    return sectors // track // heads, heads, track


def footer(
    size: int,
    creator: bytes,
    *,
    kind: int,
    original: int | None = None,
    chs: tuple[int, int, int] | None = None,
) -> bytes:
    """Return a hard disk footer.

    Args:
        size: Current size in bytes.
        creator: Creator application.
        kind: 2: fixed, 3: dynamic.
        original: Size in bytes at creation, if another one.
        chs: Another geometry than that of the size.
    """
    cylinders, heads, track = chs or geometry(size // SECTOR)
    fields = (b"conectix", 2, 0x10000, 512 if kind == 3 else UNUSED << 32 | UNUSED, 0, creator)
    head = struct.pack(">8sIIQI4s", *fields) + struct.pack(">I4s", 0x50000, b"Wi2k")
    head += struct.pack(">QQHBBI", original or size, size, cylinders, heads, track, kind)
    return _with_checksum(head + bytes(4) + bytes(range(16)), 64, 512)


def fixed(creator: bytes, **odd: int | tuple[int, int, int]) -> Build:
    """Make a fixed VHD of the disk: its bytes, and the footer."""

    def build(disk: Path, path: Path) -> None:
        data = disk.read_bytes()
        size = odd.get("size", len(data))
        assert isinstance(size, int)
        path.write_bytes(data + footer(size, creator, kind=2, **_others(odd)))

    return build


def dynamic(creator: bytes, **odd: int | tuple[int, int, int]) -> Build:
    """Make a dynamic VHD of the disk: footer, header, table, blocks with bitmaps, footer."""

    def build(disk: Path, path: Path) -> None:
        data = disk.read_bytes()
        blocks = [data[start : start + BLOCK] for start in range(0, len(data), BLOCK)]
        at = 3 * SECTOR + -(-4 * len(blocks) // SECTOR) * SECTOR
        table, body = [], b""
        for block in blocks:
            if any(block):
                table.append((at + len(body)) // SECTOR)
                body += b"\xff" * SECTOR + block.ljust(BLOCK, b"\0")
            else:
                table.append(UNUSED)
        size = odd.get("size", len(data))
        assert isinstance(size, int)
        ending = footer(size, creator, kind=3, **_others(odd))
        bat = struct.pack(f">{len(table)}I", *table).ljust(at - 3 * SECTOR, b"\xff")
        path.write_bytes(ending + header(len(table)) + bat + body + ending)

    return build


def _others(odd: dict[str, int | tuple[int, int, int]]) -> dict[str, Any]:
    return {name: value for name, value in odd.items() if name != "size"}


def header(entries: int) -> bytes:
    fields = (b"cxsparse", 2**64 - 1, 3 * SECTOR, 0x10000, entries, BLOCK)
    return _with_checksum(struct.pack(">8sQQIII", *fields), 36, 1024)


def _with_checksum(head: bytes, offset: int, length: int) -> bytes:
    data = bytearray(head.ljust(length, b"\0"))
    struct.pack_into(">I", data, offset, ~sum(data) & 0xFFFFFFFF)
    return bytes(data)
