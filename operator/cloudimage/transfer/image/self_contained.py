"""Refuses images that are not complete in themselves, or absurd, beyond what oslo.utils looks at.

Each rule reads the bytes that the format's driver in qemu reads (block/vmdk.c, vdi.c, vpc.c,
vhdx.c), and as that reads them: where the two disagree, one of them is deceived.
"""

import re
import struct
import uuid
from collections.abc import Callable
from typing import Final

from oslo_utils.imageutils import format_inspector

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.vocabulary.image import DiskFormat

_QCOW2_HEADER = struct.Struct(">32xI24xI")
_QCOW2_SNAPSHOTS: Final = 100
"""A distributed image has none or few. qemu takes some kilobytes of memory for each, and more to
print it."""

_VMDK_HEADER = struct.Struct("<4s8xQQ")
_VMDK_MAGIC: Final = b"KDMV"
_VMDK_DESCRIPTOR: Final = slice(512, 512 + 20 * 512)  # whatever size the header says
_VMDK_TYPE = re.compile(r"createtype", re.IGNORECASE)
_VMDK_EXTENT = re.compile(r"\s*(rw|rdonly|noaccess)\s", re.IGNORECASE)
_VMDK_OWN_EXTENT = re.compile(
    r'(RW|RDONLY)[ \t]+(\d{1,20})[ \t]+SPARSE[ \t]+"[^"/:\\]*"([ \t]+\d+)?\s*', re.IGNORECASE
)
"""Its name may be empty, as FreeBSD's mkimg writes it: where the header has the size, qemu does not
open what the descriptor names."""

_VMDK_NO_PARENT = re.compile(r"^parentCID=ffffffff\s*$", re.IGNORECASE | re.MULTILINE)

_VDI_HEADER = struct.Struct("<76xI344x16s16s")
_VDI_KINDS: Final = frozenset({1, 2})  # dynamic and static, and not undo or differencing

_VHD_KIND = struct.Struct(">60xI")
_VHD_KINDS: Final = frozenset({2, 3})  # fixed and dynamic, and not differencing

_SECTOR: Final = 512
_VHDX_PARENT_LOCATOR: Final = uuid.UUID("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C").bytes_le


def check_complete_in_itself(
    shape: DiskFormat, head: bytes, inspector: format_inspector.FileInspector
) -> None:
    """Refuse an image that needs another file, a key, or absurdly much memory, to be read.

    Args:
        shape: Its format.
        head: Its beginning; see ``signatures.HEAD_LENGTH``.
        inspector: Of its format, having read it.

    Raises:
        TransferError: ``UnsafeImage``, or ``UnsupportedFormat`` for an encrypted image.
    """
    rule = _RULES.get(shape)
    problem = rule(head, inspector) if rule else None
    if problem:
        raise TransferError(
            Reason.UNSAFE_IMAGE, f"the {shape} image is not safe to open: {problem}"
        )


def _qcow2(head: bytes, _: format_inspector.FileInspector) -> str | None:
    crypt_method, snapshots = _QCOW2_HEADER.unpack_from(head)
    if crypt_method:
        raise TransferError(
            Reason.UNSUPPORTED_FORMAT, "the qcow2 image is encrypted; only its owner can read it"
        )
    if snapshots > _QCOW2_SNAPSHOTS:
        return f"it has {snapshots} snapshots inside, over the limit of {_QCOW2_SNAPSHOTS}"
    return None


def _vmdk(head: bytes, _: format_inspector.FileInspector) -> str | None:
    magic, capacity, _ = _VMDK_HEADER.unpack_from(head.ljust(_VMDK_HEADER.size, b"\0"))
    if magic != _VMDK_MAGIC:
        return "it is only a descriptor of data in other files"
    if capacity == 0:  # for qemu that means: the data is where the descriptor says
        return "its header has no size, so its data is in other files"
    text = head[_VMDK_DESCRIPTOR].partition(b"\0")[0].decode("latin-1")
    if "parentfilenamehint" in text.lower() or not _VMDK_NO_PARENT.search(text):
        return "it has a parent"
    if len(_VMDK_TYPE.findall(text)) != 1:
        return "its descriptor gives its type more than once"
    extents = [line for line in text.split("\n") if _VMDK_EXTENT.match(line)]
    if len(extents) != 1 or not _VMDK_OWN_EXTENT.fullmatch(extents[0]):
        return "its descriptor names extents other than the file itself"
    return None


def described_size(head: bytes) -> int:
    """Return the bytes of a sound VMDK's disk by its descriptor, which VMware goes by.

    qemu goes by the header, which may count the last grain whole: a difference of less than a grain
    does not count.
    """
    _, capacity, grain = _VMDK_HEADER.unpack_from(head)
    text = head[_VMDK_DESCRIPTOR].partition(b"\0")[0].decode("latin-1")
    own = next(filter(None, map(_VMDK_OWN_EXTENT.fullmatch, text.split("\n"))))
    sectors = int(own[2])
    same = 0 <= capacity - sectors < max(grain, 1)
    return (capacity if same else sectors) * _SECTOR


def _vdi(head: bytes, _: format_inspector.FileInspector) -> str | None:
    kind, link, parent = _VDI_HEADER.unpack_from(head)
    return "it has a parent" if kind not in _VDI_KINDS or any(link + parent) else None


def _vhd(head: bytes, _: format_inspector.FileInspector) -> str | None:
    (kind,) = _VHD_KIND.unpack_from(head)
    return None if kind in _VHD_KINDS else "it has a parent"


def _vhdx(_: bytes, inspector: format_inspector.FileInspector) -> str | None:
    if not inspector.has_region("metadata"):
        return None  # qemu will not find any either
    return "it has a parent" if _VHDX_PARENT_LOCATOR in inspector.region("metadata").data else None


_RULES: Final[dict[DiskFormat, Callable[[bytes, format_inspector.FileInspector], str | None]]] = {
    "qcow2": _qcow2,
    "vmdk": _vmdk,
    "vdi": _vdi,
    "vhd": _vhd,
    "vhdx": _vhdx,
}
