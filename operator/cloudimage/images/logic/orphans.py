"""Images that were made for a CloudImage that no longer exists; pure.

An image of another cluster's CloudImage, in the same project, must never be taken for one. So only
images count that bear the UID of a Secret: that one is in one namespace of one cluster, and only
CloudImages of that namespace use it.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from cloudimage.cloud.models import GlanceImage
from cloudimage.transfer.contract import SECRET_MARK
from cloudimage.transfer.source.snapshot import labels
from cloudimage.vocabulary.marks import Marks

_UNFINISHED = frozenset({"queued", "saving", "uploading", "importing"})
"""See "Image statuses" in Glance's documentation: no server can be made from such an image."""


def orphans(
    images: Iterable[GlanceImage], secret_uid: str, living: Collection[str]
) -> tuple[GlanceImage, ...]:
    """Return the images that a Secret's credentials made for CloudImages that are gone.

    Args:
        images: Those that bear the mark of the Secret; snapshots of servers may also bear it.
        secret_uid: UID of the Secret.
        living: UIDs of the CloudImages of its namespace, listed after the images.
    """
    return tuple(
        image
        for image in images
        if (image.properties.get(Marks.IMAGE_ID) == image.id or is_temporary(image))
        and image.properties.get(SECRET_MARK) == secret_uid
        and Marks.UID in image.properties
        and image.properties[Marks.UID] not in living
    )


def is_temporary(image: GlanceImage) -> bool:
    """Return whether the image was made for a transfer alone, as the snapshot of its source."""
    return labels.is_temporary(image.name or "", image.properties)


def is_finished(image: GlanceImage) -> bool:
    """Return whether servers may use the image: it is then not deleted without being asked for."""
    if is_temporary(image):
        return False
    return image.status not in _UNFINISHED or Marks.VERIFIED in image.properties


def may_be_deleted(image: GlanceImage, now: datetime, age: timedelta) -> bool:
    """Return whether an orphan may be deleted: it was never finished, and is old enough."""
    return not is_finished(image) and not image.protected and now - image.created_at >= age
