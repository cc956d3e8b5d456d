"""Moves the place of an earlier image over to the present one.

Each step looks at what there is first, so that after a crash the next look goes on. Why in this
order: see docs/decisions/0011-how-a-revision-takes-over.md.
"""

import logging
from collections.abc import Collection, Iterable

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage, JsonPatch, Member, Usage
from cloudimage.controller.reconciler import now
from cloudimage.images.logic import retention, revisions
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.shares.consumers import Consumers
from cloudimage.shares.logic import members as sharing
from cloudimage.shares.members import shares_of
from cloudimage.vocabulary.marks import Marks

logger = logging.getLogger(__name__)


def usage_of(cloud: Cloud, image_id: str) -> Usage | None:
    """Return who uses the image; None: the cloud cannot say, which must not hold up the rest."""
    try:
        return cloud.usage(image_id)
    except CloudError as error:
        logger.warning("usage is not known", extra={"image": image_id, "error": str(error)})
        return None


def roll_out(  # noqa: PLR0913, PLR0917 - what a look found, each from elsewhere
    resource: CloudImage,
    glance: Glance,
    owned: OwnedImages,
    new: GlanceImage,
    changes: JsonPatch,
    consumers: Consumers,
) -> GlanceImage:
    """Give the new image the place of the earlier ones; return it as it is then.

    All that Glance may refuse comes first, while the earlier image still serves.

    Args:
        resource: The CloudImage.
        glance: Where its images are.
        owned: How they stand.
        new: The one that the spec wants.
        changes: What the spec wants to be changed of it.
        consumers: The projects that ImageShares give an image to.

    Raises:
        CloudError: A step failed; those before it are not repeated when it is retried.
    """
    changes = retention.revived(resource, new, changes)
    if old := revisions.replaced(resource, owned):
        before, changes = revisions.steps(resource, old, new, changes)
        if before:
            new = glance.patch(new.id, before)
        if new.visibility == "shared":
            _carry_over(resource, glance, new, _share_alike(glance, old, new), consumers)
    for image, patch in retention.putting_aside(resource, new, owned.previous, now()):
        glance.patch(image.id, patch)
    return glance.patch(new.id, changes) if changes else new


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


def _carry_over(
    resource: CloudImage,
    glance: Glance,
    new: GlanceImage,
    members: Collection[Member],
    consumers: Consumers,
) -> None:
    """Have a new image's members say of it what they said of the one before.

    By the credentials of the CloudImage where they are an administrator's, else by those that
    ImageShares give for a project. What cannot be done is logged and left to the ImageShares: it
    must not hold up a revision.
    """
    said = {each.project_id: each for each in members if each.status != "pending"}
    try:
        for each in list(said.values()):
            glance.set_member_status(new.id, each.project_id, each.status)
            del said[each.project_id]
    except CloudError as error:
        logger.info("the consumers' own credentials are needed", extra={"error": str(error)})
    accepted = {each.project_id for each in said.values() if each.status == "accepted"}
    for share in shares_of(consumers.kube, resource) if accepted else ():
        _accept(consumers, share, accepted, new.id)


def _accept(consumers: Consumers, share: ImageShare, accepted: set[str], image_id: str) -> None:
    for each in share.spec.projects:
        if each.accept_with is None:
            continue
        try:
            with consumers.borrow(share, each.accept_with) as cloud:
                project_id = cloud.glance.project_id
                if project_id is not None and project_id in accepted:
                    cloud.glance.set_member_status(image_id, project_id, "accepted")
        except CloudError as error:
            logger.warning("an image is not accepted yet", extra={"error": str(error)})


def look(cloud: Cloud, images: Iterable[GlanceImage]) -> list[PreviousImage]:
    """Return the earlier images with who uses them.

    One that was just put aside is read again, so that its mark and its name are known.

    Raises:
        CloudError: Glance could not be asked.
    """
    fresh = (
        each if Marks.REPLACED in each.properties else cloud.glance.get(each.id) or each
        for each in images
    )
    return [PreviousImage(each, *users_of(cloud, each)) for each in fresh]


def users_of(cloud: Cloud, image: GlanceImage) -> tuple[int | None, Usage | None]:
    """Return how many use an image, None if there may be others, and those that are seen."""
    usage = usage_of(cloud, image.id)
    blind = usage is not None and usage.scope == "OwnProject" and not usage.in_use
    try:
        offered = blind and _is_offered(cloud.glance, image)
    except CloudError as error:
        logger.warning("members are not known", extra={"image": image.id, "error": str(error)})
        offered = True
    return revisions.users_seen(usage, offered=offered), usage


def _is_offered(glance: Glance, image: GlanceImage) -> bool:
    if image.visibility == "shared":
        return bool(glance.members(image.id))
    return image.visibility != "private"
