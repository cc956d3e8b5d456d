"""VMDKs as other programs than qemu write them, by the published layout.

VMware, "Virtual Disk Format 5.0": a header, the descriptor, a grain directory, grain tables, and
the grains. Programs differ in the descriptor: how long it is, its lines, and the extent's name.
"""

import struct
from pathlib import Path

SECTOR = 512
GRAIN = 16
ENTRIES = 512

HEAD = "# Disk DescriptorFile\nversion=1\n"

MKIMG = (
    HEAD + "CID=00000000\nparentCID=ffffffff\n"
    'createType="monolithicSparse"\n# Extent description\nRW {sectors} SPARSE ""\n'
    '# The Disk Data Base\n#DDB\nddb.adapterType = "ide"\nddb.geometry.cylinders = "4"\n'
    'ddb.geometry.heads = "16"\nddb.geometry.sectors = "63"\n'
)
"""FreeBSD's mkimg, of whose release images the extent has no name."""

VIRTUALBOX = (
    HEAD + "CID=8902101c\nparentCID=ffffffff\n"
    'createType="monolithicSparse"\n\n# Extent description\n'
    'RW {sectors} SPARSE "Fedora 41 (x64).vmdk"\n\n# The disk Data Base \n#DDB\n\n'
    'ddb.virtualHWVersion = "4"\nddb.adapterType="ide"\n'
    'ddb.geometry.cylinders="4"\nddb.geometry.heads="16"\nddb.geometry.sectors="63"\n'
    'ddb.uuid.image="8dcce260-7a5f-462c-878f-01786958e77f"\n'
    'ddb.uuid.parent="00000000-0000-0000-0000-000000000000"\n'
    'ddb.uuid.modification="ad5898bc-5c76-4b2a-bdc7-a6108298a25a"\n'
    'ddb.uuid.parentmodification="00000000-0000-0000-0000-000000000000"\nddb.comment=""\n'
)

OVFTOOL = (
    HEAD + 'encoding="UTF-8"\nCID=7e5b80a7\nparentCID=ffffffff\nisNativeSnapshot="no"\n'
    'createType="monolithicSparse"\n\n# Extent description\nRDONLY {sectors} SPARSE '
    '"generated-stream.vmdk"\n\n# The Disk Data Base \n#DDB\n\nddb.adapterType = "lsilogic"\n'
    'ddb.geometry.cylinders = "4"\nddb.geometry.heads = "255"\nddb.geometry.sectors = "63"\n'
    'ddb.longContentID = "e2f65ac84feef46a1815c03cc9b58254"\nddb.toolsInstallType = "4"\n'
    'ddb.toolsVersion = "11360"\nddb.uuid = "60 00 C2 9a 81 87 b4 5a-a0 59 e6 9d da b6 d0 47"\n'
    'ddb.virtualHWVersion = "13"\n'
)

OPEN_VMDK = (
    HEAD + 'encoding="UTF-8"\nCID=2c5bd1e4\nparentCID=ffffffff\ncreateType="monolithicSparse"\n\n'
    '# Extent description\nRW {sectors} SPARSE "photon-disk1.vmdk"\n\n'
    "# The Disk Data Base\n#DDB\n\n"
    'ddb.longContentID = "0d1bb9e81f5c86aa3b3a54a82c5bd1e4"\nddb.virtualHWVersion = "4"\n'
    'ddb.geometry.cylinders = "4"\nddb.geometry.heads = "255"\nddb.geometry.sectors = "63"\n'
    'ddb.adapterType = "lsilogic"\nddb.toolsVersion = "2147483647"\n'
)

WRITERS = {
    "mkimg": MKIMG,
    "VirtualBox": VIRTUALBOX,
    "ovftool": OVFTOOL,
    "open-vmdk": OPEN_VMDK,
    "a program on Windows": OVFTOOL.replace("\n", "\r\n"),
}


def write(disk: Path, path: Path, descriptor: str) -> None:
    """Write a VMDK of a raw disk of whole grains, all of them in their order."""
    raw = disk.read_bytes()
    total = len(raw) // SECTOR
    grains = total // GRAIN
    text = _whole(descriptor.format(sectors=total).encode())
    directory = 1 + len(text) // SECTOR
    tables = -(-grains // ENTRIES)
    first = directory + len(_whole(bytes(4 * tables))) // SECTOR
    step = ENTRIES * 4 // SECTOR
    data = -(-(first + tables * step) // GRAIN) * GRAIN
    places = (total, GRAIN, 1, len(text) // SECTOR, ENTRIES, directory, directory, data)
    header = struct.pack("<4sIIQQQQIQQQB4sH", b"KDMV", 1, 3, *places, 0, b"\n \r\n", 0)
    entries = struct.pack(f"<{tables}I", *range(first, first + tables * step, step))
    table = struct.pack(f"<{grains}I", *range(data, data + total, GRAIN))
    head = _whole(header) + text + _whole(entries) + table
    path.write_bytes(head.ljust(data * SECTOR, b"\0") + raw)


def _whole(content: bytes) -> bytes:
    return content.ljust(-(-len(content) // SECTOR) * SECTOR, b"\0")
