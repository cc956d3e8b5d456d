"""Images of kilobytes whose tables name the same data again and again, for gigabytes of disk.

Each is sound for its driver in qemu, ``qemu-img check`` included where there is one. Layouts are
those of qemu's docs/interop/qcow2.txt, VMware's "Virtual Disk Format 1.1", Microsoft's VHD and VHDX
specifications.
"""

import struct
import uuid
import zlib
from pathlib import Path

from support.hostile_images import Build, content, qcow2_header
from support.transfer_images import make
from support.vhd_writers import BLOCK, SECTOR, footer, header

GIB = 2**30
_CLUSTER = 65536
_ENTRIES = _CLUSTER // 8
_DATA = (bytes(range(256)) * 256)[:510] + b"\x55\xaa" + (bytes(range(256)) * 256)[512:]


def qcow2(gib: int, entry: int | None = None) -> Build:
    """Make a qcow2 of one L2 table, all of whose entries are the same.

    Args:
        gib: Size of the disk.
        entry: The L2 entry; None: the one cluster of data.
    """
    tables = gib * GIB // (_CLUSTER * _ENTRIES)
    l2, data = 4 * _CLUSTER, 5 * _CLUSTER
    head = qcow2_header(size=gib * GIB, l1_size=tables)
    head = head[:96] + struct.pack(">I", 6) + head[100:]  # counts of references have 64 bits
    counts = [1, 1, 1, 1, tables, tables * _ENTRIES if entry is None else 0]
    blocks = (
        head,
        struct.pack(">Q", 2 * _CLUSTER),
        struct.pack(">6Q", *counts),
        struct.pack(">Q", l2) * tables,
        struct.pack(">Q", data if entry is None else entry) * _ENTRIES,
        _DATA,
    )
    return content(b"".join(block.ljust(_CLUSTER, b"\0") for block in blocks))


def compressed_qcow2(gib: int) -> Build:
    """Make a qcow2 whose every cluster is the same compressed one."""
    packed = zlib.compressobj(wbits=-12)
    stream = packed.compress(b"x" * _CLUSTER) + packed.flush()
    base = qcow2(gib, 1 << 62 | 5 * _CLUSTER)

    def build(disk: Path, path: Path) -> None:
        base(disk, path)
        data = bytearray(path.read_bytes())
        data[5 * _CLUSTER : 5 * _CLUSTER + len(stream)] = stream
        count = gib * GIB // _CLUSTER
        data[2 * _CLUSTER + 40 : 2 * _CLUSTER + 48] = struct.pack(">Q", count)
        path.write_bytes(data)

    return build


def vmdk(gib: int, *, compressed: bool = False) -> Build:
    """Make a VMDK of one grain table, all of whose entries are the same grain."""
    grain, entries = 128, 512
    sectors = gib * GIB // SECTOR
    directory = sectors // (grain * entries)
    at = 21
    table = at + -(-directory * 4 // SECTOR)
    first = table + 4
    kind = "streamOptimized" if compressed else "monolithicSparse"
    text = (
        f'# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\ncreateType="{kind}"\n'
        f'# Extent description\nRW {sectors} SPARSE "source"\n# The Disk Data Base\n#DDB\n'
        'ddb.adapterType = "ide"\n'
    )
    fields = (b"KDMV", 3, 0x30001 if compressed else 1, sectors, grain, 1, 20, entries, 0, at)
    head = struct.pack("<4sIIQQQQIQQ", *fields)
    head += struct.pack("<QB4sH", 0 if compressed else first, 0, b"\n \r\n", int(compressed))
    grain_data = _DATA
    if compressed:
        stream = zlib.compress(b"x" * grain * SECTOR)
        grain_data = struct.pack("<QI", 0, len(stream)) + stream
    data = head.ljust(SECTOR, b"\0") + text.encode().ljust(20 * SECTOR, b"\0")
    data += struct.pack("<I", table) * directory
    data = data.ljust(table * SECTOR, b"\0") + struct.pack("<I", first) * entries + grain_data
    return content(data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0"))


def vhd(gib: int) -> Build:
    """Make a dynamic VHD whose every block is the same."""
    size, entries = gib * GIB, gib * GIB // BLOCK
    table = 3 * SECTOR
    first = -(-(table + 4 * entries) // SECTOR)
    ending = footer(size, b"win ", kind=3)
    data = ending + header(entries) + struct.pack(">I", first) * entries
    data = data.ljust(first * SECTOR, b"\xff") + b"\xff" * SECTOR + _DATA.ljust(BLOCK, b"\0")
    return content(data + ending)


def vdi(gib: int) -> Build:
    """Make a VDI whose every block is the same."""
    block = 2**20
    entries = gib * GIB // block
    first = 512 + -(-entries * 4 // 512) * 512
    fields = (0xBEDA107F, 0x10001, 0x180, 1, 0)
    head = b"<<< made here >>>\n".ljust(64, b"\0") + struct.pack("<IIIII", *fields)
    head = head.ljust(0x154, b"\0") + struct.pack("<IIIIII", 512, first, 0, 0, 0, 512)
    head += struct.pack("<IQIIII", 0, gib * GIB, block, 0, entries, entries)
    head += uuid.UUID(int=1).bytes + uuid.UUID(int=2).bytes
    return content(head.ljust(512, b"\0") + bytes(first - 512) + _DATA.ljust(block, b"\0"))


def vhdx(gib: int) -> Build:
    """Make a VHDX of the disk, larger, all of whose blocks are one of it."""

    def build(disk: Path, path: Path) -> None:
        with disk.open("rb") as file:
            small = path.with_suffix(".small")
            small.write_bytes(file.read(2**20))
        with small.open("r+b") as file:
            file.truncate(gib * GIB)
        make(small, path, "vhdx", "block_size=1M")
        small.unlink()
        data = bytearray(path.read_bytes())
        guid = uuid.UUID("2DC27766-F623-4200-9D64-115E9BFD4A08").bytes_le
        place = data.index(guid, 192 * 1024)
        (table,) = struct.unpack_from("<Q", data, place + 16)
        (entry,) = struct.unpack_from("<Q", data, table)
        ratio = 2**23 * 512 // 2**20
        blocks = gib * GIB // 2**20
        for number in range(blocks):
            struct.pack_into("<Q", data, table + 8 * (number + number // ratio), entry)
        path.write_bytes(data)

    return build
