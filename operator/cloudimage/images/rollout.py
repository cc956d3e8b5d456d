"""Moves the place of an earlier image over to the present one, and tidies up behind it.

Each step looks at what there is first, so that after a crash the next look goes on. Why in this
order: see docs/decisions/0011-how-a-revision-takes-over.md.
"""

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage, JsonPatch, Member, Usage
from cloudimage.images.logic import revisions
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.shares.logic import members as sharing

logger = logging.getLogger(__name__)


def usage_of(cloud: Cloud, image_id: str) -> Usage | None:
    """Return who uses the image; None: the cloud cannot say, which must not hold up the rest."""
    try:
        return cloud.usage(image_id)
    except CloudError as error:
        logger.warning("usage is not known", extra={"image": image_id, "error": str(error)})
        return None


@dataclass(frozen=True, slots=True)
class Successor:
    """An image that is about to take the place of an earlier one.

    Attributes:
        changes: What is still to be changed of it, once the earlier ones are put aside.
        members: Those of the previous image, which it also gets.
    """

    image: GlanceImage
    changes: JsonPatch
    members: Collection[Member] = ()


def prepare(
    resource: CloudImage,
    glance: Glance,
    owned: OwnedImages,
    new: GlanceImage,
    changes: JsonPatch,
) -> Successor:
    """Give the new image all that Glance may refuse, while the earlier one still serves.

    Args:
        resource: The CloudImage.
        glance: Where its images are.
        owned: How they stand.
        new: The one that the spec wants.
        changes: What the spec wants to be changed of it.

    Raises:
        CloudError: A step failed; those before it are not repeated when it is retried.
    """
    old = revisions.replaced(resource, owned)
    if old is None:
        return Successor(new, changes)
    before, changes = revisions.steps(resource, old, new, changes)
    if before:
        new = glance.patch(new.id, before)
    members = _share_alike(glance, old, new) if new.visibility == "shared" else ()
    return Successor(new, changes, members)


def promote(
    resource: CloudImage, glance: Glance, owned: OwnedImages, new: Successor
) -> GlanceImage:
    """Put the earlier images aside and give the new one their place; return it as it is then.

    Raises:
        CloudError: A step failed; those before it are not repeated when it is retried.
    """
    for image in owned.previous:
        if patch := revisions.archiving(resource, image):
            glance.patch(image.id, patch)
    return glance.patch(new.image.id, new.changes) if new.changes else new.image


def _share_alike(glance: Glance, old: GlanceImage, new: GlanceImage) -> Collection[Member]:
    """Share the new image with the projects of the old one, which are returned, and no others.

    Others there are when the new image is one of an earlier spec that is returned to.
    """
    wanted = sharing.by_project(glance.members(old.id) if old.visibility == "shared" else ())
    present = sharing.by_project(glance.members(new.id))
    for project in sorted(wanted.keys() - present.keys()):
        glance.add_member(new.id, project)
    for project in sorted(present.keys() - wanted.keys()):
        glance.remove_member(new.id, project)
    return wanted.values()


def look(cloud: Cloud, images: Iterable[GlanceImage]) -> list[PreviousImage]:
    """Return the earlier images with who uses them."""
    return [PreviousImage(each, _users(cloud, each)) for each in images]


def _users(cloud: Cloud, image: GlanceImage) -> int | None:
    usage = usage_of(cloud, image.id)
    blind = usage is not None and usage.scope == "OwnProject" and not usage.in_use
    try:
        offered = blind and _is_offered(cloud.glance, image)
    except CloudError as error:
        logger.warning("members are not known", extra={"image": image.id, "error": str(error)})
        offered = True
    return revisions.users_seen(usage, offered=offered)


def _is_offered(glance: Glance, image: GlanceImage) -> bool:
    if image.visibility == "shared":
        return bool(glance.members(image.id))
    return image.visibility != "private"


def retire(
    resource: CloudImage, cloud: Cloud, owned: OwnedImages, previous: Sequence[PreviousImage]
) -> list[PreviousImage]:
    """Delete what is unfinished or not to be kept; return the earlier images that are left."""
    for leftover in owned.leftovers:
        if not leftover.protected and _users(cloud, leftover) == 0:
            _delete(cloud.glance, leftover)
    surplus = revisions.surplus(resource, previous)
    gone = {each.id for each in surplus if _delete(cloud.glance, each)}
    return [each for each in previous if each.image.id not in gone]


def _delete(glance: Glance, image: GlanceImage) -> bool:
    try:
        if image.protected:
            glance.patch(image.id, ({"op": "replace", "path": "/protected", "value": False},))
        glance.delete(image.id)
    except CloudError as error:
        logger.warning("an old image stays", extra={"image": image.id, "error": str(error)})
        return False
    return True
