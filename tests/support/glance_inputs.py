"""What Glance takes and refuses by its inspectors: bytes, their formats, and why.

The verdicts are those of real Glance: ``tests/cloud/test_glance_rules.py`` compares.
"""

import struct
from dataclasses import dataclass

from cloudimage.vocabulary.image import DiskFormat
from support.hostile_images import Build, content, converted, gpt, iso, mbr
from support.transfer_images import MIB


@dataclass(frozen=True)
class Given:
    """An image as it is given to Glance.

    Attributes:
        refused: Words of our refusal; None: Glance takes it.
    """

    build: Build
    shape: DiskFormat
    refused: str | None = None
    container: str = "bare"


def protective(chs: bytes, *others: tuple[int, int, int, int], first: int = 1) -> bytes:
    """Return a disk with a GUID table below a boot sector that begins as told.

    Args:
        chs: First sector of the protective entry as cylinder, head and sector.
        others: Entries beside it, as for ``mbr``.
        first: First sector of the protective entry.
    """
    data = bytearray(gpt(2000, size=2 * MIB))
    data[:512] = mbr((0, 0xEE, first, 4095), *others)
    data[447:450] = chs
    return bytes(data)


GPT = protective(b"\0\2\0")
OLD_PARTED = protective(b"\0\1\0")
HYBRID = protective(b"\0\2\0", (0, 0x0C, 34, 1000))
KERNEL = bytearray(b"MZ".ljust(0x1BE, b"\xb8") + b".text\0\0\0" * 8 + b"\x55\xaa" + bytes(MIB))
NTFS = bytearray(MIB)
struct.pack_into("<8sHB", NTFS, 3, b"NTFS    ", 512, 8)
NTFS[0x1BE:0x1FE] = b"\r\nAn operating system wasn't found. Try disconnecting drives  ..."[:64]
NTFS[510:512] = b"\x55\xaa"

CHS, MORE = "Glance's check 'mbr' of gpt", "invalid extra partitions"
FIXED = converted("vpc", "subformat=fixed,force_size=on")

GIVEN: dict[str, Given] = {
    "raw": Given(converted("raw"), "raw"),
    "GPT": Given(content(GPT), "raw"),
    "GPT of older parted": Given(content(OLD_PARTED), "raw", CHS),
    "hybrid GPT": Given(content(HYBRID), "raw", MORE),
    "bare NTFS": Given(content(bytes(NTFS)), "raw", CHS),
    "kernel": Given(content(bytes(KERNEL)), "aki", container="aki"),
    "kernel as raw": Given(content(bytes(KERNEL)), "raw", CHS),
    "ISO": Given(content(iso()), "iso"),
    "hybrid ISO": Given(content(iso(GPT[:2048])), "iso"),
    "qcow2": Given(converted("qcow2"), "qcow2"),
    "VMDK": Given(converted("vmdk", "subformat=streamOptimized"), "vmdk"),
    "VDI": Given(converted("vdi"), "vdi"),
    "VHD": Given(converted("vpc", "force_size=on"), "vhd"),
    "VHDX": Given(converted("vhdx"), "vhdx"),
    "fixed VHD": Given(FIXED, "vhd", "a fixed VHD does not have"),
    "fixed VHD in a package": Given(FIXED, "vhd", container="ovf"),
    "ploop": Given(content(b"ploop" * MIB), "ploop"),
    "ploop with a boot sector": Given(converted("raw"), "ploop", "the content is gpt"),
}
