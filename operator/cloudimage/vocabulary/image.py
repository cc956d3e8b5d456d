"""Glance's own terms, shared by all layers: constants only.

Source: OpenStack Image API v2, "Show image" and ``GET /v2/schemas/image``.
"""

from typing import Final, Literal

DiskFormat = Literal[
    "raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ami", "aki", "ari", "ploop"
]
ContainerFormat = Literal["bare", "ovf", "ova", "ami", "aki", "ari", "docker", "compressed"]
NOT_DISKS: Final[frozenset[DiskFormat]] = frozenset({"aki", "ari", "ami"})
"""What a bootable image of Amazon's kind is made of: a kernel, a ramdisk, a file system for them.

An image of such a disk format has the container format of the same name, and Glance inspects the
bytes of none of them (glance/location.py, ``ImageProxy.set_data``)."""

PACKAGES: Final[frozenset[ContainerFormat]] = frozenset({"compressed", "docker", "ova"})
"""Container formats that say that the bytes are something around a disk, which no image made here
has: what is around the source's disk is taken off."""

Visibility = Literal["private", "shared", "community", "public"]

BASE_ATTRIBUTES = (
    "checksum",
    "container_format",
    "created_at",
    "direct_url",
    "disk_format",
    "file",
    "id",
    "locations",
    "members",
    "min_disk",
    "min_ram",
    "name",
    "os_hash_algo",
    "os_hash_value",
    "os_hidden",
    "owner",
    "protected",
    "schema",
    "self",
    "size",
    "status",
    "stores",
    "tags",
    "updated_at",
    "virtual_size",
    "visibility",
)
"""Names that an image's schema takes for itself, so that no free-form property can have them."""
