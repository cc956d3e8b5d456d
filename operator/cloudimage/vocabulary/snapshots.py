"""Properties that tie an image to the server that it was made of: nothing of use to another server.

A snapshot gets the properties of the server's image, and with them all of the server's own
``system_metadata``: Nova's ``initialize_instance_snapshot_metadata`` (compute/utils.py). The names
are those that Nova writes there (compute/api.py, compute/manager.py, api/metadata/password.py,
crypto.py), that its drivers add to a snapshot (virt/libvirt/driver.py, virt/zvm/driver.py,
virt/vmwareapi/images.py), and those of older releases.
"""

import re
from collections.abc import Mapping
from typing import Final

_NAMES: Final = frozenset(
    {
        "backup_type",
        "base_image_ref",
        "bdm_v2",
        "block_device_mapping",
        "boot_roles",
        "clean_attempts",
        "image_location",
        "image_state",
        "img_bdm_v2",
        "img_block_device_mapping",
        "img_owner_id",
        "instance_owner",
        "instance_uuid",
        "locked_reason",
        "network_allocated",
        "new_pci_requests",
        "old_vm_state",
        "owner_id",
        "owner_project_name",
        "owner_user_name",
        "pci_requests",
        "root_device_name",
        "rootfs_device_name",
        "shelved_at",
        "shelved_host",
        "shelved_image_id",
        "user_id",
        "vtpm_secret_uuid",
    }
)
_FAMILIES: Final = re.compile(
    r"password_\d+"  # the server's password, encrypted for its user's key
    r"|((old|new)_)?instance_type_.+"  # the flavor, until Nova 2014.2
)
_TYPES: Final = frozenset({"backup", "snapshot"})
_OF_OTHER_BYTES: Final = "owner_specified."
"""Hashes and name of the file that openstacksdk made the server's image of, not of the snapshot."""
_IMAGES: Final = frozenset({"kernel_id", "ramdisk_id"})


def is_snapshot(properties: Mapping[str, str]) -> bool:
    """Return whether an image was made of a server.

    Args:
        properties: All of the image.
    """
    return properties.get("image_type") in _TYPES or "instance_uuid" in properties


def server_bound(properties: Mapping[str, str]) -> list[str]:
    """Return the names of those properties that say something of a server or of other bytes.

    Args:
        properties: All of an image.
    """
    snapshot = is_snapshot(properties)
    return sorted(
        name
        for name, value in properties.items()
        if _is_bound(name, value) or (snapshot and name.startswith(_OF_OTHER_BYTES))
    )


def _is_bound(name: str, value: str) -> bool:
    if name == "image_type":  # an image may have a type of its own
        return value in _TYPES
    if name in _IMAGES:  # empty where there is no such image
        return not value
    return name in _NAMES or _FAMILIES.fullmatch(name) is not None
