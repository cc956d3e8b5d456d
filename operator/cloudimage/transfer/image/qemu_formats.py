"""The formats that qemu reads and writes for us."""

from typing import Final

from cloudimage.vocabulary.image import DiskFormat

QEMU_FORMATS: Final[dict[DiskFormat, str]] = {
    "raw": "raw",
    "qcow2": "qcow2",
    "vmdk": "vmdk",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
}
"""The formats that can be converted, by Glance's name and qemu's."""
