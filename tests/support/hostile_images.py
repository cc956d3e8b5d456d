"""Broken and hostile images: what qemu-img makes, edited by hand, and bytes from nothing.

Offsets are those of qemu's docs/interop/qcow2.txt and block/{vmdk,vdi,vpc,vhdx}.c.
"""

import io
import random
import struct
import subprocess
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

from support.transfer_images import MIB, make, qemu_img

Build = Callable[[Path, Path], None]
"""Makes an image at the second path, from the raw disk at the first if it likes."""

ELSEWHERE = "/etc/passwd"
LUKS_MAGIC = b"LUKS\xba\xbe"


def created(qemu_format: str, *options: str, size: str = "8M") -> Build:
    """Make an empty image."""

    def build(_: Path, path: Path) -> None:
        qemu_img("create", "-q", "-f", qemu_format, *options, path, size)

    return build


def converted(qemu_format: str, options: str = "", *, compress: bool = False) -> Build:
    """Make an image of the disk."""

    def build(disk: Path, path: Path) -> None:
        make(disk, path, qemu_format, options, compress=compress)

    return build


def content(data: bytes) -> Build:
    """Make a file of these bytes."""

    def build(_: Path, path: Path) -> None:
        path.write_bytes(data)

    return build


def patched(base: Build, *edits: tuple[int, str, int | bytes]) -> Build:
    """Write values into an image: each an offset (from the end if negative), a format, a value."""

    def build(disk: Path, path: Path) -> None:
        base(disk, path)
        data = bytearray(path.read_bytes())
        for offset, form, value in edits:
            struct.pack_into(form, data, offset % len(data), value)
        path.write_bytes(data)

    return build


def replaced(base: Build, *pairs: tuple[bytes, bytes]) -> Build:
    """Replace bytes of an image by as many others; a shorter value is padded with newlines."""

    def build(disk: Path, path: Path) -> None:
        base(disk, path)
        data = path.read_bytes()
        for old, new in pairs:
            assert old in data
            data = data.replace(old, new, 1)
        path.write_bytes(data)

    return build


def cut(base: Build, size: float) -> Build:
    """Cut an image to bytes, or less from its end, or to a part of it."""

    def build(disk: Path, path: Path) -> None:
        base(disk, path)
        data = path.read_bytes()
        path.write_bytes(data[: size if isinstance(size, int) else int(len(data) * size)])

    return build


def followed(base: Build, tail: bytes) -> Build:
    """Add bytes to an image."""

    def build(disk: Path, path: Path) -> None:
        base(disk, path)
        path.write_bytes(path.read_bytes() + tail)

    return build


def with_descriptor(text: str, *, capacity: int | None = None) -> Build:
    """Make a monolithicSparse VMDK with another descriptor."""
    base = patched(converted("vmdk"), (512, f"{20 * 512}s", text.encode()))
    return base if capacity is None else patched(base, (12, "<Q", capacity))


def descriptor(
    extents: str, *, create_type: str = 'createType="monolithicSparse"', extra: str = ""
) -> str:
    """Return the text of a VMDK's descriptor."""
    return (
        "# Disk DescriptorFile\nversion=1\nCID=12345678\nparentCID=ffffffff\n"
        f"{create_type}\n{extra}\n# Extent description\n{extents}\n\n# The Disk Data Base\n#DDB\n\n"
        'ddb.virtualHWVersion = "4"\nddb.geometry.cylinders = "16"\nddb.geometry.heads = "16"\n'
        'ddb.geometry.sectors = "63"\nddb.adapterType = "ide"\n'
    )


def text_vmdk(extents: str, create_type: str) -> Build:
    """Make a VMDK that is a descriptor alone."""
    text = descriptor(extents, create_type=f'createType="{create_type}"')
    return content((text + "#" * 600 + "\n").encode())


def ending_with_header(base: Build, capacity: int) -> Build:
    """Make a streamed VMDK whose header points to one at its end, as VMware writes it.

    Args:
        base: Makes a streamOptimized VMDK.
        capacity: Sectors that the header at the end says.
    """

    def build(disk: Path, path: Path) -> None:
        base(disk, path)
        data = bytearray(path.read_bytes())
        footer = bytearray(data[:512])
        struct.pack_into("<Q", data, 56, 2**64 - 1)
        struct.pack_into("<Q", footer, 12, capacity)
        marker = struct.pack("<QII", 1, 0, 3).ljust(512, b"\0")
        path.write_bytes(
            data.ljust(-(-len(data) // 512) * 512, b"\0") + marker + footer + bytes(512)
        )

    return build


def luks(version: int) -> Build:
    """Make a LUKS volume: a header by its on-disk format, with one key, and noise behind it.

    qemu-img makes such ones, but fails where it cannot time the hashing on a busy machine.
    """
    head = struct.pack(">6sHQQ", LUKS_MAGIC, 2, 16384, 3)
    if version == 1:
        words = (b"aes", b"xts-plain64", b"sha256")
        head = struct.pack(">6sH32s32s32sII", LUKS_MAGIC, 1, *words, 4096, 64)
        head += struct.pack(">20s32sI40s", b"d" * 20, b"s" * 32, 1000, b"b7a3e1f0-0000")
        head += struct.pack(">II32sII", 0x00AC71F3, 1000, b"s" * 32, 8, 4000)
        head += struct.pack(">II32sII", 0x0000DEAD, 0, b"", 512, 4000) * 7
    return content(head.ljust(16384, b"\0") + random.Random(3).randbytes(MIB))


def of(inner: Build, qemu_format: str) -> Build:
    """Make an image whose disk is what is inside."""

    def build(disk: Path, path: Path) -> None:
        inside = path.with_name("inside")
        inner(disk, inside)
        make(inside, path, qemu_format)
        inside.unlink()

    return build


def vhdx_item(identity: str, *, replace: bytes | None = None, flags: int | None = None) -> Build:
    """Edit an item of a VHDX's metadata: its identity, or the flags after its block size."""

    def build(disk: Path, path: Path) -> None:
        make(disk, path, "vhdx")
        data = bytearray(path.read_bytes())
        entry = data.index(uuid.UUID(identity).bytes_le)
        table = data.rindex(b"metadata", 0, entry)
        if replace is not None:
            data[entry : entry + 16] = replace
        if flags is not None:
            (offset,) = struct.unpack_from("<I", data, entry + 16)
            struct.pack_into("<I", data, table + offset + 4, flags)
        path.write_bytes(data)

    return build


def vhdx_with_log(_: Path, path: Path) -> None:
    """Make a VHDX as if copied from a running machine: its header names the log to replay.

    qemu-io ends with its changes in the log; the log's identity is restored in the headers, where
    qemu clears it as soon as it has written the changes.
    """
    qemu_img("create", "-q", "-f", "vhdx", path, "64M")
    command = ["qemu-io", "-f", "vhdx", "-c", "write -P 170 40M 64k", "-c", "abort", str(path)]
    subprocess.run(command, check=False, timeout=60, capture_output=True)
    data = bytearray(path.read_bytes())
    assert data[2**20 : 2**20 + 4] == b"loge"
    identity = data[2**20 + 32 : 2**20 + 48]
    for place in (2**16, 2**17):
        data[place + 48 : place + 64] = identity
        struct.pack_into("<I", data, place + 4, 0)
        struct.pack_into("<I", data, place + 4, _crc32c(bytes(data[place : place + 4096])))
    path.write_bytes(data)


def _crc32c(data: bytes) -> int:
    value = 2**32 - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 2**32 - 1


def vhd(base: Build, offset: int, form: str, value: int | bytes) -> Build:
    """Edit both footers of a dynamic VHD and make their checksums right again."""

    def build(disk: Path, path: Path) -> None:
        base(disk, path)
        data = bytearray(path.read_bytes())
        for start in (0, len(data) - 512):
            struct.pack_into(form, data, start + offset, value)
            struct.pack_into(">I", data, start + 64, 0)
            total = ~sum(data[start : start + 512]) & 0xFFFFFFFF
            struct.pack_into(">I", data, start + 64, total)
        path.write_bytes(data)

    return build


def iso(boot: bytes = b"", kind: bytes = b"CD001") -> bytes:
    """Return an ISO 9660 of 512 KiB whose system area begins as told."""
    block = bytearray(2048)
    block[:7] = b"\x01" + kind + b"\x01"
    struct.pack_into("<I", block, 80, 256)
    struct.pack_into("<H", block, 128, 2048)
    return boot.ljust(32768, b"\0") + block + bytes(512 * 1024 - 34816)


def mbr(*entries: tuple[int, int, int, int], signature: bytes = b"\x55\xaa") -> bytes:
    """Return a boot sector; entries are boot flag, type, first sector, sectors."""
    table = b"".join(
        struct.pack("<B3sB3sII", flag, b"\0\2\0", kind, b"\xff" * 3, first, count)
        for flag, kind, first, count in entries
    )
    return bytes(446) + table.ljust(64, b"\0") + signature


PROTECTIVE = mbr((0, 0xEE, 1, 2**32 - 1))
GPT_WRONG_CRC = PROTECTIVE + b"EFI PART" + bytes([0, 0, 1, 0, 92, 0, 0, 0]) + b"\xde\xad\xbe\xef"
GPT_WRONG_CRC += bytes(MIB - len(GPT_WRONG_CRC))


def gpt(*last_sectors: int, size: int, sector: int = 512, first: int = 34) -> bytes:
    """Return a disk with a GUID table of partitions that end there, and no backup of it."""
    table = b"".join(
        bytes([1] * 32) + struct.pack("<QQ", first, last).ljust(96, b"\0") for last in last_sectors
    ).ljust(128 * 128, b"\0")
    header = struct.pack("<8sIIII", b"EFI PART", 0x10000, 92, 0, 0)
    last = size // sector
    header += struct.pack("<QQQQ16sQII", 1, last - 1, 34, last - 34, b"", 2, 128, 128)
    header += struct.pack("<I", zlib.crc32(table))
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    blocks = (each.ljust(sector, b"\0") for each in (PROTECTIVE, header, table))
    return b"".join(blocks).ljust(size, b"\0")


def ext4(*options: str) -> Build:
    """Make a file system of the disk's size, and nothing around it."""

    def build(disk: Path, path: Path) -> None:
        with path.open("wb") as file:
            file.truncate(disk.stat().st_size)
        command = ["/usr/sbin/mke2fs", "-q", "-t", "ext4", *options, str(path)]
        subprocess.run(command, check=True, timeout=60)

    return build


QCOW2_MAGIC = b"QFI\xfb\0\0\0\3"


def qcow2_header(**fields: int) -> bytes:
    """Return a qcow2 header of version 3 and nothing else, padded to a cluster."""
    values = {
        "backing_offset": 0,
        "backing_size": 0,
        "cluster_bits": 16,
        "size": 8 * MIB,
        "crypt": 0,
        "l1_size": 1,
        "l1_offset": 3 * 65536,
        "refcount_offset": 65536,
        "refcount_clusters": 1,
        "snapshots": 0,
        "snapshots_offset": 0,
        **fields,
    }
    head = QCOW2_MAGIC + struct.pack(">QIIQIIQQIIQ", *values.values())
    return (head + struct.pack(">QQQII", 0, 0, 0, 4, 104)).ljust(65536, b"\0")


def shared_l2(times: int) -> Build:
    """Make a qcow2 with one L2 table for all of its L1 table, and each of its entries wrong.

    A compressed cluster must not be marked as copied: qemu-img check writes a line for each.
    """
    first_l2, data = 4 * 65536, 5 * 65536
    header = qcow2_header(l1_size=times, size=times * 8192 * 65536)
    refcounts = struct.pack(">Q", 2 * 65536).ljust(2 * 65536, b"\0")
    l1 = struct.pack(">Q", 1 << 63 | first_l2) * times
    l2 = struct.pack(">Q", 3 << 62 | data) * 8192
    return content((header + refcounts + l1.ljust(65536, b"\0") + l2).ljust(data + 65536, b"\0"))


def many_snapshots(count: int) -> Build:
    """Make a qcow2 with snapshots of nothing, whose names JSON writes six times as long."""

    def build(disk: Path, path: Path) -> None:
        make(disk, path, "qcow2")
        data = bytearray(path.read_bytes())
        (l1_offset,) = struct.unpack_from(">Q", data, 40)
        struct.pack_into(">IQ", data, 60, count, len(data))
        entry = struct.pack(">QIHHIIQII", l1_offset, 1, 4, 900, 0, 0, 0, 0, 0)
        for number in range(count):
            data += (entry + f"{number:04x}"[-4:].encode() + b"\1" * 900).ljust(944, b"\0")
        path.write_bytes(data)

    return build


def encrypted(_: Path, path: Path) -> None:
    secret = ("--object", "secret,id=s,data=abcdefgh")
    options = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=200"
    qemu_img("create", "-q", "-f", "qcow2", *secret, "-o", options, path, "8M")


def image_in_image(disk: Path, path: Path) -> None:
    inner = path.with_name("inner")
    qemu_img("create", "-q", "-f", "qcow2", "-u", "-b", ELSEWHERE, "-F", "raw", inner, "8M")
    make(inner, path, "qcow2")


def with_snapshot(disk: Path, path: Path) -> None:
    converted("qcow2")(disk, path)
    qemu_img("snapshot", "-c", "one", path)


def zipped(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../disk.txt", data)
    return buffer.getvalue()


def tarred(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("../../disk.txt")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
