"""Uses up the id of an image whose creation may be under way: see :mod:`.logic.burned_ids`."""

import logging
from collections.abc import Collection

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.errors import ForbiddenError, InvalidImageError, QuotaExceededError
from cloudimage.cloud.glance import Glance
from cloudimage.images.logic.burned_ids import Lot
from cloudimage.transfer.glance.image_lifecycle import attempts, image_id
from cloudimage.vocabulary.marks import Marks

logger = logging.getLogger(__name__)

_REFUSALS = (ForbiddenError, InvalidImageError, QuotaExceededError)


def burn(resource: CloudImage, lot: Lot, glance: Glance, known: Collection[str]) -> None:
    """Make sure that no request to create an image of the lot can succeed from now on.

    Args:
        resource: The CloudImage.
        lot: Whose ids.
        glance: Where.
        known: Ids of the images that were there before.

    Raises:
        CloudError: Glance did not answer as expected; it must be retried.
    """
    for attempt in attempts(lot):
        identifier = image_id(lot.seed, attempt)
        if identifier in known:
            continue
        try:
            created = glance.create(identifier, _body(resource, identifier))
        except _REFUSALS as error:
            # The request under way is also ours: what is refused here is refused to it.
            logger.info("no id is burnt: %s", error, extra={"image": identifier})
            return
        if created or _arrived(glance, identifier):
            glance.delete(identifier)
            logger.info("an id is burnt", extra={"image": identifier, "arrived": not created})
            return


def _body(resource: CloudImage, identifier: str) -> dict[str, object]:
    """Return an image that is ours, should it outlive this process."""
    return {
        "name": resource.metadata.name,
        "visibility": "private",
        "os_hidden": True,
        Marks.UID: resource.metadata.uid,
        Marks.IMAGE_ID: identifier,
    }


def _arrived(glance: Glance, identifier: str) -> bool:
    """Return whether an image came meanwhile, unfinished; its id may also be long used."""
    image = glance.get(identifier)
    return (
        image is not None
        and image.properties.get(Marks.IMAGE_ID) == identifier
        and Marks.VERIFIED not in image.properties
    )
