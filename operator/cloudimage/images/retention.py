"""Ages the earlier images of a CloudImage: changes what is due, and deletes what may go.

It comes after the new image serves, and each step looks at what there is: what the cloud refuses
is said, and holds up nothing else.
"""

import logging
from collections.abc import Sequence
from datetime import datetime

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import Reason
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage, JsonPatch
from cloudimage.images.logic import retention, retention_status, revisions
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.logic.retention_status import Refusal
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.images.rollout import users_of

logger = logging.getLogger(__name__)

_UNPROTECTED: JsonPatch = ({"op": "replace", "path": "/protected", "value": False},)


def settle(
    resource: CloudImage,
    cloud: Cloud,
    owned: OwnedImages,
    previous: Sequence[PreviousImage],
    now: datetime,
) -> CloudImageStatus:
    """Bring earlier images to what their age makes them; return the status as it is then.

    Args:
        resource: The CloudImage, whose status lists them.
        cloud: Where they are.
        owned: How its images stand; what was never finished is deleted.
        previous: Its earlier images with who uses them.
        now: The present.
    """
    glance = cloud.glance
    for leftover in owned.leftovers:
        if not leftover.protected and users_of(cloud, leftover)[0] == 0:
            _delete(glance, leftover)
    surplus = retention.surplus(resource, previous, now)
    refused = {each.id: _delete(glance, each) for each in surplus}
    gone = {image_id for image_id, refusal in refused.items() if refusal is None}
    left = [each for each in previous if each.image.id not in gone]
    ageing = retention.ageing(resource, [each.image for each in left], now)
    refusals = [*refused.values(), *(_change(glance, image, patch) for image, patch in ageing)]
    status = revisions.without(resource.status, gone)
    said = [each for each in refusals if each is not None]
    return retention_status.told(resource, status, left, said, now)


def _delete(glance: Glance, image: GlanceImage) -> Refusal | None:
    try:
        if image.protected:
            glance.patch(image.id, _UNPROTECTED)
        glance.delete(image.id)
    except CloudError as error:
        return _refusal(image, error)
    logger.info("an earlier image was deleted", extra={"image": image.id})
    return None


def _change(glance: Glance, image: GlanceImage, patch: JsonPatch) -> Refusal | None:
    try:
        glance.patch(image.id, patch)
    except CloudError as error:
        return _refusal(image, error)
    return None


def _refusal(image: GlanceImage, error: CloudError) -> Refusal:
    logger.warning("an old image stays", extra={"image": image.id, "error": str(error)})
    said = str(error).rstrip(". ")
    return Refusal(Reason(error.reason), f"Image {image.id} ({image.name}) stays as it is: {said}.")
