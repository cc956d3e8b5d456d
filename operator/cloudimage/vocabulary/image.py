"""Glance's own terms, shared by all layers: constants only.

Source: OpenStack Image API v2, "Show image" and ``GET /v2/schemas/image``.
"""

from typing import Literal

DiskFormat = Literal[
    "raw", "qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso", "ami", "aki", "ari", "ploop"
]
ContainerFormat = Literal["bare", "ovf", "ova", "ami", "aki", "ari", "docker", "compressed"]
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
