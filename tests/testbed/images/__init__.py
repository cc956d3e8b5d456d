"""Images for the test bed: one that boots, and disks of any format."""

from testbed.images.bootable import BOOT_MESSAGE, bootable_qcow2
from testbed.images.digest import digest_of, sha256_of
from testbed.images.disks import Format, UnavailableError, disk

__all__ = [
    "BOOT_MESSAGE",
    "Format",
    "UnavailableError",
    "bootable_qcow2",
    "digest_of",
    "disk",
    "sha256_of",
]
