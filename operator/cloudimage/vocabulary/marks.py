"""The marks by which our images are told from others."""

from enum import StrEnum
from typing import Final

PREFIX: Final = "cloudimage_dev_"
"""How the names of all our marks begin."""

UPLOAD_MARK: Final = "cloudimage_dev_upload"
"""Which run of ``cloudimage upload`` made the image; only such an image has it."""
SOURCE_MARK: Final = "cloudimage_dev_source_sha256"
"""SHA-256 of the file that was uploaded; likewise. No image needs either to be found."""

UNTESTED: Final = "not yet"
"""See :attr:`Marks.BOOTED`."""


class Marks(StrEnum):
    """Glance properties by which an image made by us is found again.

    Nova and Cinder copy an image's properties to the snapshots of the servers and volumes made
    from it, so a mark alone proves nothing: an image is ours only when ``IMAGE_ID`` equals its
    own id.
    """

    UID = "cloudimage_dev_uid"
    """UID of the CloudImage that owns the image."""
    DIGEST = "cloudimage_dev_digest"
    """Digest of all that the bytes depend on: the source and the conversion."""
    IMAGE_ID = "cloudimage_dev_image_id"
    """The id of the very image the mark was made for."""
    VERIFIED = "cloudimage_dev_verified"
    """``<algorithm>:<hash>`` of the stored bytes, set last: after Glance's hash was compared."""
    PROPERTIES = "cloudimage_dev_properties"
    """JSON list of the properties that were set from here, to take away those that the spec no
    longer has."""
    REPLACED = "cloudimage_dev_replaced"
    """When another image took the place of this one (RFC 3339): it ages from then."""
    BOOTED = "cloudimage_dev_booted"
    """What a server made from the image has passed, and when: ``<digest> <RFC 3339>``; until then
    :data:`UNTESTED`, if the image is not to be used before."""
