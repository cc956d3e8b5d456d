"""Properties that mean the same in another cloud, told from those that name things of their own.

Of the properties that OpenStack knows, those are carried that say how a server or a volume is to be
made. What users add is carried unless it looks like a reference: an id, or the address of a store.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cloudimage.vocabulary.marks import PREFIX
from cloudimage.vocabulary.properties import NAMES
from cloudimage.vocabulary.snapshots import server_bound

MOST: Final = 120
"""Properties of a CloudImage; Glance takes 128 by default."""
MOST_CHARACTERS: Final = 32_768
"""Of all names and values together: they go into an object of Kubernetes, and its annotations."""
LONGEST_NAME: Final = 255
LONGEST_VALUE: Final = 4096

_OF_ONE_CLOUD: Final = frozenset(
    {
        "cinder_img_volume_type",  # the name of a volume type
        "hw_ephemeral_encryption_secret_uuid",
        "kernel_id",
        "ramdisk_id",
    }
)
"""Of the properties that OpenStack knows, those whose values name something in one cloud."""

_RESERVED: Final = (
    "cinder_encryption_key_",  # a volume's key in the key manager (cinder/image/image_utils.py)
    "img_signature",  # of the bytes as they are, by a certificate in the key manager
    "os_decrypt_",
    "os_encrypt_",
    "os_glance",  # Glance's own; it refuses to set them
    "owner_",
    PREFIX,
)
"""Beginnings of the names of properties that a service writes for itself, or for one owner."""

_ID: Final = re.compile(
    r"(?<![0-9a-f])[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}(?![0-9a-f])",
    re.IGNORECASE,
)
"""An id as OpenStack makes them: a UUID, with dashes or without."""

_NO_TEXT: Final = re.compile("[\x00\ud800-\udfff]")

_ADDRESS: Final = re.compile(r"(?!https?:)[a-z][a-z0-9+.-]*://", re.IGNORECASE)
"""The location of bytes in a store, such as ``rbd://`` or ``swift+config://``."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """The properties of an image.

    Attributes:
        kept: Those that mean the same anywhere, by their names in order.
        left_out: Names of the others, in order; without marks of a CloudImage.
    """

    kept: Mapping[str, str]
    left_out: tuple[str, ...]


def sort(properties: Mapping[str, str]) -> Sorted:
    """Sort an image's properties by whether they can be carried to another cloud."""
    bound = frozenset(server_bound(properties))
    kept: dict[str, str] = {}
    room = MOST_CHARACTERS
    for name, value in sorted(properties.items()):
        fits = len(kept) < MOST and len(name) + len(value) <= room
        if fits and name not in bound and _is_portable(name, value):
            kept[name] = value
            room -= len(name) + len(value)
    left = (name for name in properties if name not in kept and not name.startswith(PREFIX))
    return Sorted(kept, tuple(sorted(left)))


def is_text(value: str) -> bool:
    """Return whether a text can be written as UTF-8 and kept by any database."""
    return _NO_TEXT.search(value) is None


def _is_portable(name: str, value: str) -> bool:
    if len(name) > LONGEST_NAME or len(value) > LONGEST_VALUE or not is_text(name + value):
        return False
    if name in _OF_ONE_CLOUD or name.startswith(_RESERVED):
        return False
    return name in NAMES or not (_ID.search(value) or _ADDRESS.match(value))
