"""VMDKs that must be refused: descriptors that reach elsewhere, tables that lie."""

from support.hostile_image_case import NOT_AN_IMAGE, TOO_LARGE, TRUNCATED, UNSAFE, Case
from support.hostile_images import (
    ELSEWHERE,
    content,
    converted,
    cut,
    descriptor,
    ending_with_header,
    patched,
    text_vmdk,
    with_descriptor,
)
from support.transfer_images import MIB

VMDK = converted("vmdk")
STREAM = converted("vmdk", "subformat=streamOptimized")
NBD = 'RW 16384 FLAT "nbd:127.0.0.1:9" 0'
OWN = 'RW 16384 SPARSE "source"'
TWO_TYPES = 'createtype="monolithicSparse"\ncreateType="monolithicFlat"'
"""The first is the one that oslo.utils sees, the second the one that qemu sees."""
HIDDEN_PARENT = descriptor(OWN) + "#" * 300 + f'\nparentFileNameHint="{ELSEWHERE}"\n'

VMDK_CASES = [
    Case("monolithicFlat", text_vmdk(f'RW 16384 FLAT "{ELSEWHERE}" 0', "monolithicFlat"), UNSAFE),
    Case("twoGbMaxExtentFlat", text_vmdk('RW 16384 FLAT "source" 0', "twoGbMaxExtentFlat"), UNSAFE),
    Case("twoGbMaxExtentSparse", text_vmdk(OWN, "twoGbMaxExtentSparse"), UNSAFE),
    Case("vmfs", text_vmdk('RW 16384 VMFS "source"', "vmfs"), UNSAFE),
    Case("fullDevice", text_vmdk('RW 16384 FLAT "/dev/sda" 0', "fullDevice"), UNSAFE),
    Case(
        "text with a harmless type", text_vmdk(OWN, "monolithicSparse"), UNSAFE, "only a descriptor"
    ),
    Case(
        "text with two types",
        content((descriptor(NBD, create_type=TWO_TYPES) + "#" * 600).encode()),
        UNSAFE,
        "only a descriptor",
    ),
    Case(
        "two types, and no size in the header",
        with_descriptor(descriptor(NBD, create_type=TWO_TYPES), capacity=0),
        UNSAFE,
        "no size",
    ),
    Case("no size in the header", with_descriptor(descriptor(OWN), capacity=0), UNSAFE),
    Case("two types", with_descriptor(descriptor(OWN, create_type=TWO_TYPES)), UNSAFE, "its type"),
    Case(
        "type in a comment",
        with_descriptor(
            descriptor(OWN, create_type='createType="streamOptimized"\n#createType="vmfs"')
        ),
        UNSAFE,
        "its type",
    ),
    Case("extent elsewhere", with_descriptor(descriptor(f'RW 9 SPARSE "{ELSEWHERE}"')), UNSAFE),
    Case("extent by a protocol", with_descriptor(descriptor(NBD)), UNSAFE, "extents"),
    Case("two extents", with_descriptor(descriptor(f"{OWN}\n{OWN}")), UNSAFE, "extents"),
    Case("extent of nothing", with_descriptor(descriptor("RW 16384 ZERO")), UNSAFE, "extents"),
    Case("no extent", with_descriptor(descriptor("")), UNSAFE, "extents"),
    Case(
        "parent",
        with_descriptor(descriptor(OWN, extra=f'parentFileNameHint="{ELSEWHERE}"')),
        UNSAFE,
        "parent",
    ),
    Case(
        "parent by its id",
        with_descriptor(descriptor(OWN).replace("ffffffff", "00000001")),
        UNSAFE,
        "parent",
    ),
    Case(
        "parent past the descriptor's size",
        patched(with_descriptor(HIDDEN_PARENT), (36, "<Q", 1)),
        UNSAFE,
        "parent",
    ),
    Case("garbage for a descriptor", with_descriptor("\x01\x02 nonsense\n"), UNSAFE),
    Case("descriptor elsewhere", patched(VMDK, (28, "<Q", 2**40)), UNSAFE),
    Case("no descriptor", patched(VMDK, (28, "<Q", 0), (36, "<Q", 0)), UNSAFE),
    Case("unknown version", patched(VMDK, (4, "<I", 9)), UNSAFE),
    Case("footer of another kind", patched(STREAM, (56, "<Q", 2**64 - 1)), UNSAFE, "footer"),
    Case("8 EiB", patched(VMDK, (12, "<Q", 2**54)), TOO_LARGE),
    Case(
        "footer of another size",
        ending_with_header(STREAM, 15_000),
        UNSAFE,
        "two sizes",
        opened=True,
    ),
    Case(
        "descriptor of a larger size",
        with_descriptor(descriptor(OWN.replace("16384", "16385"))),
        UNSAFE,
        "two sizes",
    ),
    Case(
        "descriptor of a smaller size",
        with_descriptor(descriptor(OWN.replace("16384", "16256"))),
        UNSAFE,
        "two sizes",
    ),
    Case("more bytes than there are numbers", patched(VMDK, (12, "<Q", 2**64 - 1)), TOO_LARGE),
    Case("grains of nothing", patched(VMDK, (20, "<Q", 0)), NOT_AN_IMAGE),
    Case("L2 tables absurd", patched(VMDK, (44, "<I", 2**31)), NOT_AN_IMAGE, "L2"),
    Case("half", cut(VMDK, 0.5), TRUNCATED),
    Case("half a stream", cut(STREAM, 0.5), TRUNCATED),
    Case("half a header", cut(VMDK, 30), NOT_AN_IMAGE),
    Case("COWD", content(b"COWD" + bytes(MIB)), NOT_AN_IMAGE),
    Case("COWD declared as vmdk", content(b"COWD" + bytes(MIB)), UNSAFE, "declared", "vmdk"),
]
