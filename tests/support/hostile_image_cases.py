"""What images are refused for, a row each; and images that are odd but sound."""

import gzip
import random
import struct
import uuid

import pytest

from support.hostile_image_case import (
    NOT_AN_IMAGE,
    SIZE,
    TOO_LARGE,
    TRUNCATED,
    UNSAFE,
    UNSUPPORTED,
    Case,
)
from support.hostile_images import (
    ELSEWHERE,
    GPT_WRONG_CRC,
    PROTECTIVE,
    QCOW2_MAGIC,
    content,
    converted,
    created,
    cut,
    descriptor,
    encrypted,
    ending_with_header,
    ext4,
    followed,
    gpt,
    image_in_image,
    iso,
    luks,
    many_snapshots,
    mbr,
    of,
    patched,
    qcow2_header,
    replaced,
    shared_l2,
    tarred,
    vhd,
    vhdx_item,
    vhdx_with_log,
    with_descriptor,
    with_snapshot,
    zipped,
)
from support.hostile_vmdk_cases import OWN, STREAM, VMDK, VMDK_CASES
from support.transfer_images import MIB

QCOW2 = converted("qcow2")
COMPRESSED = converted("qcow2", compress=True)
VDI = converted("vdi")
VHD = converted("vpc", "force_size=on")
VHD_FIXED = converted("vpc", "force_size=on,subformat=fixed")
VHDX = converted("vhdx")

RAW = converted("raw")
EXT4 = ext4("-b", "1024", "-O", "^64bit")
EXT4_64 = ext4("-b", "4096", "-O", "64bit")
BTRFS = bytes(0x10040) + b"_BHRfS_M" + bytes(40) + struct.pack("<Q16xQ", 2 * MIB, 1)
BTRFS = BTRFS.ljust(MIB, b"\0")

GPT = gpt(99, 2047, size=MIB)
VHDX_SIZE = "2FA54224-CD1B-4876-B211-5DBED83BF4B8"
VHDX_DISK_ID = "BECA12AB-B2E6-4523-93EF-C309E000C746"
VHDX_PARAMETERS = "CAA16737-FA36-4D43-B3B6-33F0AA44E76B"
VHDX_PARENT = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C").bytes_le
NOISE = random.Random(1).randbytes(100_000)


QCOW2_CASES = [
    Case(
        "backing file",
        created("qcow2", "-u", "-b", ELSEWHERE, "-F", "raw"),
        UNSAFE,
        "backing file",
    ),
    Case(
        "backing file by a protocol",
        created("qcow2", "-u", "-b", 'json:{"driver":"nbd","host":"127.0.0.1"}', "-F", "raw"),
        UNSAFE,
        "backing file",
    ),
    Case("backing file by its offset alone", patched(QCOW2, (8, ">Q", 2**50)), UNSAFE, "backing"),
    Case("data file", patched(QCOW2, (79, "B", 4)), UNSAFE, "data_file"),
    Case(
        "data file named without the feature",
        patched(QCOW2, (112, ">I", 0x44415441), (116, ">I", 11), (120, "11s", ELSEWHERE.encode())),
        UNSAFE,
        "another file",
        opened=True,
    ),
    Case("unknown feature, first bit", patched(QCOW2, (72, "B", 0x80)), UNSAFE, "features"),
    Case("unknown feature, bit 5", patched(QCOW2, (79, "B", 0x20)), UNSAFE, "features"),
    Case("extended L2", created("qcow2", "-o", "extended_l2=on"), UNSAFE, "features"),
    Case("version 1", converted("qcow"), UNSAFE, "version"),
    Case("version 4", patched(QCOW2, (4, ">I", 4)), UNSAFE, "version"),
    Case("image in an image", image_in_image, UNSAFE, "itself an image", opened=True),
    Case("L1 table absurd", patched(QCOW2, (36, ">I", 2**31 - 1)), NOT_AN_IMAGE, "L1 table"),
    Case("L1 table empty", patched(QCOW2, (36, ">I", 0)), NOT_AN_IMAGE, "L1 table"),
    Case("L1 table outside", patched(QCOW2, (40, ">Q", 2**40)), TRUNCATED),
    Case("L1 table at the end of all", patched(QCOW2, (40, ">Q", 2**63)), NOT_AN_IMAGE, "L1"),
    Case("L1 table unaligned", patched(QCOW2, (40, ">Q", 0x30001)), NOT_AN_IMAGE, "L1"),
    Case("L1 entry outside", patched(QCOW2, (0x30000, ">Q", 1 << 63 | 1 << 40)), TRUNCATED),
    Case("refcounts absurd", patched(QCOW2, (56, ">I", 2**31)), NOT_AN_IMAGE, "count table"),
    Case("refcounts outside", patched(QCOW2, (48, ">Q", 2**40)), TRUNCATED),
    Case("refcounts too wide", patched(QCOW2, (96, ">I", 99)), NOT_AN_IMAGE, "width"),
    Case("clusters of 8 bytes", patched(QCOW2, (20, ">I", 3)), NOT_AN_IMAGE, "cluster size"),
    Case("clusters of 8 EiB", patched(QCOW2, (20, ">I", 63)), NOT_AN_IMAGE, "cluster size"),
    Case("8 EiB", patched(QCOW2, (24, ">Q", 2**63 - 512)), TOO_LARGE, "limit"),
    Case("16 EiB", patched(QCOW2, (24, ">Q", 2**64 - 1)), TOO_LARGE, "limit"),
    Case("no bytes", patched(QCOW2, (24, ">Q", 0)), NOT_AN_IMAGE, "empty disk"),
    Case("over the limit", created("qcow2", size="1025G"), TOO_LARGE, "limit"),
    Case(
        "a size of no whole sectors, of which qemu drops the rest",
        patched(QCOW2, (24, ">Q", SIZE - 1)),
        UNSAFE,
        "two sizes",
        opened=True,
    ),
    Case("encrypted by AES", patched(QCOW2, (32, ">I", 1)), UNSUPPORTED, "encrypted"),
    Case("encrypted by LUKS", encrypted, UNSUPPORTED, "encrypted"),
    Case("encrypted by nobody", patched(QCOW2, (32, ">I", 9)), UNSUPPORTED, "encrypted"),
    Case("snapshots absurd", patched(QCOW2, (60, ">I", 2**31)), UNSAFE, "snapshots"),
    Case("snapshots by the thousand", many_snapshots(60_000), UNSAFE, "60000 snapshots"),
    Case("snapshots outside", patched(QCOW2, (60, ">I", 1), (64, ">Q", 2**40)), TRUNCATED),
    Case("marked as corrupt", patched(QCOW2, (79, "B", 2)), TRUNCATED, "marked"),
    Case(
        "unknown compression",
        patched(QCOW2, (79, "B", 8), (104, "B", 99)),
        NOT_AN_IMAGE,
        "compression",
    ),
    Case("header absurd", patched(QCOW2, (100, ">I", 2**31)), NOT_AN_IMAGE, "header"),
    Case("header of no length", patched(QCOW2, (100, ">I", 0)), NOT_AN_IMAGE, "header"),
    Case(
        "extension absurd",
        patched(QCOW2, (112, ">I", 0x12345678), (116, ">I", 2**31)),
        NOT_AN_IMAGE,
        "extension",
    ),
    Case("header alone", content(qcow2_header()), TRUNCATED),
    Case("magic alone", cut(QCOW2, 4), NOT_AN_IMAGE),
    Case("half a header", cut(QCOW2, 72), NOT_AN_IMAGE),
    Case("first sector", cut(QCOW2, 512), TRUNCATED),
    Case("half", cut(QCOW2, 0.5), TRUNCATED, "truncated"),
    Case("one byte short", cut(QCOW2, -1), TRUNCATED, "truncated"),
    Case("a complaint for each of a million clusters", shared_l2(128), TRUNCATED, "damaged"),
    Case("half of a compressed one", cut(COMPRESSED, 0.5), TRUNCATED),
    Case(
        "virtual size over min_disk",
        created("qcow2", size="2G"),
        TOO_LARGE,
        "1 GiB",
        image=(("min_disk", 1),),
    ),
]

VDI_CASES = [
    Case("8 EiB", patched(VDI, (0x170, "<Q", 2**63)), TOO_LARGE),
    Case("differencing", patched(VDI, (0x4C, "<I", 4)), UNSAFE, "parent"),
    Case("link", patched(VDI, (0x1A8, "16s", b"p" * 16)), UNSAFE, "parent"),
    Case("parent", patched(VDI, (0x1B8, "16s", b"p" * 16)), UNSAFE, "parent"),
    Case("blocks of 3 bytes", patched(VDI, (0x178, "<I", 3)), NOT_AN_IMAGE, "block size"),
    Case("blocks absurd", patched(VDI, (0x180, "<I", 2**31)), NOT_AN_IMAGE, "blocks"),
    Case("unknown version", patched(VDI, (0x44, "<I", 9)), NOT_AN_IMAGE, "version"),
    Case("map outside", patched(VDI, (0x154, "<I", 2**31)), TRUNCATED),
    Case("block outside", patched(VDI, (0x200, "<I", 2**20)), TRUNCATED),
    Case("a block twice", patched(VDI, (0x200, "<I", 1)), TRUNCATED),
    Case("header alone", cut(VDI, 512), TRUNCATED),
    Case("half a header", cut(VDI, 100), NOT_AN_IMAGE),
    Case("half", cut(VDI, 0.5), TRUNCATED),
]

VHD_CASES = [
    Case("differencing", vhd(VHD, 60, ">I", 4), UNSAFE, "parent"),
    Case("8 EiB", vhd(VHD, 40, ">Q", 2**63 - 512), TOO_LARGE),
    Case("8 EiB for qemu only", vhd(VHD, 48, ">Q", 2**63 - 512), TOO_LARGE),
    Case("wrong checksum", patched(VHD, (64, ">I", 1)), NOT_AN_IMAGE, "checksum"),
    Case("no second header", replaced(VHD, (b"cxsparse", b"xxxxxxxx")), NOT_AN_IMAGE, "magic"),
    Case("second header outside", vhd(VHD, 16, ">Q", 2**50), NOT_AN_IMAGE),
    Case("table outside", patched(VHD, (528, ">Q", 2**50)), TRUNCATED),
    Case("table absurd", patched(VHD, (540, ">I", 2**31)), NOT_AN_IMAGE, "Table"),
    Case("blocks of 3 bytes", patched(VHD, (544, ">I", 3)), NOT_AN_IMAGE, "block size"),
    Case("half", cut(VHD, 0.5), TRUNCATED),
    Case("first header alone", cut(VHD, 512), NOT_AN_IMAGE),
    Case("511 bytes of a header", cut(VHD, 511), NOT_AN_IMAGE),
    Case("fixed, kept", VHD_FIXED, UNSUPPORTED, "fixed VHD", opened=True),
    Case("fixed, declared as raw", VHD_FIXED, UNSAFE, "it is vhd", "raw"),
    Case("fixed, some of it lost", cut(VHD_FIXED, -513), UNSAFE, "declared", "vhd"),
]

VHDX_CASES = [
    Case("parent", vhdx_item(VHDX_DISK_ID, replace=VHDX_PARENT), UNSAFE, "parent"),
    Case("parent's flag alone", vhdx_item(VHDX_PARAMETERS, flags=2), NOT_AN_IMAGE),
    Case("no size", vhdx_item(VHDX_SIZE, replace=bytes(16)), NOT_AN_IMAGE),
    Case("magic", replaced(VHDX, (b"vhdxfile", b"vhdxfilX")), NOT_AN_IMAGE),
    Case("headers", replaced(VHDX, (b"head", b"HEAD"), (b"head", b"HEAD")), NOT_AN_IMAGE),
    Case("regions", replaced(VHDX, (b"regi", b"REGI")), NOT_AN_IMAGE),
    Case("metadata", replaced(VHDX, (b"metadata", b"METADATA")), NOT_AN_IMAGE),
    Case("half", cut(VHDX, 0.5), TRUNCATED),
    Case("headers alone", cut(VHDX, 300_000), NOT_AN_IMAGE),
    Case("log to replay", vhdx_with_log, UNSUPPORTED, "was not closed"),
    Case("first header alone", cut(VHDX, 65536), NOT_AN_IMAGE),
]

RAW_CASES = [
    Case("boot flag", content(mbr((5, 0x83, 1, 9)) + bytes(MIB)), UNSAFE, "boot flag"),
    Case("no partitions", content(mbr() + bytes(MIB)), UNSAFE, "no partitions"),
    Case(
        "GPT and more",
        content(mbr((0, 0xEE, 1, 9), (0, 0x83, 9, 9)) + bytes(MIB)),
        UNSAFE,
        "extra partitions",
    ),
    Case("GPT elsewhere", content(mbr((0, 0xEE, 7, 9)) + bytes(MIB)), UNSAFE, "start LBA"),
    Case("LUKS 1", luks(1), UNSUPPORTED, "encrypted (LUKS)"),
    Case("LUKS 1 declared as a kernel", luks(1), UNSUPPORTED, "encrypted", "aki"),
    Case("LUKS 1 declared as qcow2", luks(1), UNSUPPORTED, "encrypted", "qcow2"),
    Case("LUKS 2 as cryptsetup makes it", luks(2), UNSAFE, "version 2"),
    Case("LUKS 2, declared", luks(2), UNSAFE, "version 2", "raw"),
    Case("LUKS 1 in qcow2", of(luks(1), "qcow2"), UNSUPPORTED, "encrypted (LUKS)", opened=True),
    Case("LUKS 2 in VMDK", of(luks(2), "vmdk"), UNSUPPORTED, "encrypted (LUKS)", opened=True),
    Case("LUKS 2", content(b"LUKS\xba\xbe\0\2" + bytes(MIB)), UNSAFE, "version 2"),
    Case("zeros", content(bytes(MIB)), NOT_AN_IMAGE),
    Case("half a partition", content(GPT[: MIB // 2]), TRUNCATED, "reach to byte 1048576"),
    Case("one byte short", content(GPT[:-1]), TRUNCATED, "truncated"),
    Case("half a partition of an MBR", cut(RAW, 0.5), TRUNCATED, f"reach to byte {SIZE}"),
    Case("one byte short of an MBR", cut(RAW, -1), TRUNCATED, "partitions", "raw"),
    Case("partition of an MBR far away", patched(RAW, (458, "<I", 2**32 - 1)), TRUNCATED),
    Case(
        "second partition of an MBR",
        content(mbr((0x80, 0x83, 1, 9), (0, 0x0F, 10, 4096)).ljust(MIB, b"\0")),
        TRUNCATED,
        f"reach to byte {4106 * 512}",
    ),
    Case(
        "half a partition in sectors of 4 KiB",
        content(gpt(255, size=MIB, sector=4096)[: MIB // 2]),
        TRUNCATED,
        "reach to byte 1048576",
    ),
    Case("half of ext4", cut(EXT4, 0.5), TRUNCATED, f"(ext2, ext3 or ext4) reaches to byte {SIZE}"),
    Case("half of ext4, 64 bits", cut(EXT4_64, 0.5), TRUNCATED, f"to byte {SIZE}"),
    Case(
        "half of XFS",
        content((b"XFSB" + struct.pack(">IQ", 4096, 512)).ljust(MIB, b"\0")),
        TRUNCATED,
        f"(XFS) reaches to byte {2 * MIB}",
    ),
    Case(
        "half of SquashFS",
        content((b"hsqs".ljust(40, b"\0") + struct.pack("<Q", MIB + 1)).ljust(MIB, b"\0")),
        TRUNCATED,
        f"(SquashFS) reaches to byte {MIB + 1}",
    ),
    Case("half of Btrfs", content(BTRFS), TRUNCATED, f"(Btrfs) reaches to byte {2 * MIB}"),
    Case("over the download limit", content(PROTECTIVE + bytes(64 * MIB)), TOO_LARGE, "limit"),
]

ISO_CASES = [
    Case("declared as raw", content(iso()), UNSAFE, "it is iso", "raw"),
    Case("cut in its descriptor", content(iso()[:33000]), NOT_AN_IMAGE),
    Case("half", content(iso()[: MIB // 4]), TRUNCATED, "(ISO 9660) reaches to byte 524288"),
    Case("one byte short", content(iso()[:-1]), TRUNCATED, "truncated", "iso"),
    Case("to be converted", content(iso()), UNSUPPORTED, "iso", image=(("disk_format", "raw"),)),
]

POLYGLOTS = [
    Case("qcow2 and ISO", content(iso(QCOW2_MAGIC)), UNSAFE, "iso, qcow2"),
    Case("VMDK and ISO", content(iso(b"KDMV")), UNSAFE, "iso, vmdk"),
    Case("VHD and ISO", content(iso(b"conectix")), UNSAFE, "iso, vhd"),
    Case("QED and ISO", content(iso(b"QED\0")), UNSAFE, "iso, qed"),
    Case("VDI in qcow2", patched(QCOW2, (0x40, "<I", 0xBEDA107F)), UNSAFE, "qcow2, vdi"),
    Case("MBR in qcow2", patched(QCOW2, (510, "<H", 0xAA55)), UNSAFE, "gpt, qcow2"),
    Case("MBR in VMDK", patched(VMDK, (510, "<H", 0xAA55)), UNSAFE, "gpt, vmdk"),
    Case("qcow2 behind VMDK's magic", content(b"KDMV" + qcow2_header()), UNSAFE),
    Case("qcow2 behind a sector", content(bytes(512) + qcow2_header()), NOT_AN_IMAGE),
    Case("qcow2 declared as raw", QCOW2, UNSAFE, "it is qcow2", "raw"),
    Case("qcow2 declared as iso", QCOW2, UNSAFE, "it is qcow2", "iso"),
    Case("qcow2 declared as a kernel", QCOW2, UNSAFE, "it is qcow2", "aki"),
    Case("VMDK declared as qcow2", VMDK, UNSAFE, "it is vmdk", "qcow2"),
    Case("text declared as qcow2", content(b"text\n" * 9999), UNSAFE, "it is raw", "qcow2"),
    Case("VHD's footer behind qcow2", followed(QCOW2, b"conectix".ljust(512)), UNSAFE, "", "vhd"),
]

OTHERS = [
    Case("empty", content(b""), NOT_AN_IMAGE, "empty"),
    Case("one byte", content(b"x"), NOT_AN_IMAGE),
    Case("511 bytes", content(bytes(511)), NOT_AN_IMAGE),
    Case("text", content(b"text\n" * 10_000), NOT_AN_IMAGE),
    Case("some text", content(b"text\n" * 10), NOT_AN_IMAGE),
    Case("web page", content(b"<!DOCTYPE html>" + bytes(9999)), NOT_AN_IMAGE, "web page"),
    Case("program", content(b"\x7fELF\2\1\1" + NOISE), NOT_AN_IMAGE),
    Case("picture", content(b"\x89PNG\r\n\x1a\n" + NOISE), NOT_AN_IMAGE),
    Case("PDF", content(b"%PDF-1.7\n" + NOISE), NOT_AN_IMAGE),
    Case("noise", content(NOISE), NOT_AN_IMAGE),
    Case("gzip of noise", content(gzip.compress(NOISE)), NOT_AN_IMAGE),
    Case("zip with ../", content(zipped(b"text")), UNSAFE, "outside of it"),
    Case("tar with ../", content(tarred(b"text")), UNSAFE, "outside of it"),
    Case("QED", converted("qed"), UNSAFE, "not allowed"),
    Case("Parallels", converted("parallels"), NOT_AN_IMAGE),
    Case("DMG", content(bytes(MIB) + b"koly".ljust(512, b"\0")), NOT_AN_IMAGE),
    Case("Bochs", content(b"Bochs Virtual HD Image".ljust(MIB, b"\0")), NOT_AN_IMAGE),
]

GROUPS = {
    "qcow2": QCOW2_CASES,
    "vmdk": VMDK_CASES,
    "vdi": VDI_CASES,
    "vhd": VHD_CASES,
    "vhdx": VHDX_CASES,
    "raw": RAW_CASES,
    "iso": ISO_CASES,
    "polyglot": POLYGLOTS,
    "other": OTHERS,
}
CASES = [
    pytest.param(case, id=f"{group}: {case.name}")
    for group, cases in GROUPS.items()
    for case in cases
]

ODD_BUT_SOUND = {
    "qcow2 with a snapshot": (with_snapshot, "qcow2"),
    "qcow2 marked as dirty": (patched(QCOW2, (79, "B", 1)), "qcow2"),
    "qcow2 with zstd": (converted("qcow2", "compression_type=zstd", compress=True), "qcow2"),
    "hybrid ISO, GPT": (content(iso(PROTECTIVE)), "iso"),
    "hybrid ISO, MBR": (content(iso(mbr((0x80, 0x17, 0, 100)))), "iso"),
    "UDF": (content(iso(kind=b"NSR02")), "iso"),
    "GPT on a disk that grew": (content(GPT + bytes(MIB)), "raw"),
    "GPT on a disk that shrank behind its partitions": (
        content(gpt(99, 999, size=MIB)[:512_000]),
        "raw",
    ),
    "GPT in sectors of 4 KiB": (content(gpt(255, size=MIB, sector=4096)), "raw"),
    "MBR": (RAW, "raw"),
    "MBR on a disk that grew": (followed(RAW, bytes(MIB)), "raw"),
    "ext4": (EXT4, "raw"),
    "ext4, 64 bits": (EXT4_64, "raw"),
    "GPT with a wrong CRC, cut": (patched(cut(content(GPT), -512), (1024 + 40, "B", 9)), "raw"),
    # Glance and Nova do not read the GPT; a kernel that finds it damaged takes the backup.
    "GPT with a wrong CRC": (content(GPT_WRONG_CRC), "raw"),
    "streamOptimized VMDK": (STREAM, "vmdk"),
    "VMDK as VMware writes it": (
        with_descriptor(
            descriptor('RDONLY 16384 SPARSE "call-me-stream.vmdk" 0').replace("\n", "\r\n")
        ),
        "vmdk",
    ),
    "VMDK with its header at its end": (ending_with_header(STREAM, SIZE // 512), "vmdk"),
    "VMDK of whole grains, whose descriptor says what is used of the last": (
        with_descriptor(descriptor(OWN.replace("16384", "16257"))),
        "vmdk",
    ),
    "VDI of a size that is no whole sectors": (patched(VDI, (0x170, "<Q", SIZE - 100)), "vdi"),
}
