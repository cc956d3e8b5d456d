"""The name by which all that a transfer has a cloud make is found again, whatever ends it; pure.

A name, and not a property: Nova and Cinder copy properties to what is made of a server or volume,
so that a property may be that of another image, and Cinder takes none for the image it makes.
"""

from collections.abc import Mapping
from typing import Any, Final

from cloudimage.transfer.contract import SECRET_MARK, NewImage
from cloudimage.vocabulary.marks import Marks

PREFIX: Final = "cloudimage-snapshot-"
STOPPED: Final = "cloudimage_dev_stopped"
"""Metadata of a server that was stopped for its snapshot, and is to be started again: the label."""

_LENGTH: Final = 200
"""Characters: Nova puts words before it, and Glance and Cinder take 255."""

_GIVEN: Final = (Marks.UID, Marks.DIGEST, SECRET_MARK)


def label(seed: str) -> str:
    """Return the name of what is made for an image.

    Args:
        seed: The image's, as :class:`cloudimage.transfer.contract.NewImage` has it.
    """
    return f"{PREFIX}{seed.replace('/', '-')}"[:_LENGTH]


def volume_snapshot(name: str) -> str:
    """Return the name of the volume snapshots that Nova makes of a server with volumes.

    Source: ``snapshot_volume_backed`` of nova/compute/api.py.
    """
    return f"snapshot for {name}"


def marks(image: NewImage) -> dict[str, str]:
    """Return the properties that say who had a temporary image made.

    The mark that makes an image ours, ``Marks.IMAGE_ID``, is not among them.
    """
    return {name: image.properties[name] for name in _GIVEN if name in image.properties}


def is_temporary(name: str, properties: Mapping[str, Any]) -> bool:
    """Return whether an image was made for a transfer alone, by its name and its marks."""
    uid, digest = properties.get(Marks.UID), properties.get(Marks.DIGEST)
    return name == label(f"{uid}/{digest}")
