"""Takes over an image that is in Glance already: whether to, which one, and its marks."""

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import Reason
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.errors import ImageNotFoundError
from cloudimage.images.logic import metadata, revisions
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.kube import Kube
from cloudimage.vocabulary.marks import Marks

_WHY_NOT_ACTIVE = {
    "deactivated": "it is deactivated; an administrator can reactivate it",
    "queued": "it has no bytes yet",
}


def is_wanted(resource: CloudImage, owned: OwnedImages) -> bool:
    """Return whether the image of spec.adopt is to be looked for.

    With a source beside it, it counts only in the beginning: later changes are made from the
    source.
    """
    if resource.spec.adopt is None or owned.current is not None:
        return False
    return resource.spec.source is None or not owned.previous


def makes_up_for_it(resource: CloudImage) -> bool:
    """Return whether an image that is not there is made from the source instead.

    Not in the beginning: a wrong id must not end in a second image.
    """
    return resource.spec.source is not None and resource.status.digest is not None


def gone(resource: CloudImage, image_id: str) -> tuple[Reason, str]:
    """Return why there is no image to take over, as a reason and a sentence."""
    if resource.status.image_id == image_id:
        deleted = (
            f"Image {image_id}, which was adopted, was deleted in Glance, and the spec has no "
            "source to make it from again. Add a source, or change spec.adopt.id."
        )
        return Reason.IMAGE_DELETED, deleted
    unknown = f"These credentials cannot see an image {image_id}. Correct spec.adopt.id."
    return Reason.IMAGE_NOT_FOUND, unknown


def other_owner(resource: CloudImage, image: GlanceImage) -> str | None:
    """Return the UID of another CloudImage that the image belongs to, or None.

    Marks that Nova copied to a snapshot do not count: see
    docs/decisions/0002-image-ids-and-marks.md.
    """
    uid = image.properties.get(Marks.UID)
    ours = image.properties.get(Marks.IMAGE_ID) != image.id or uid == resource.metadata.uid
    return None if ours else uid


def refusal(
    resource: CloudImage, image: GlanceImage, project_id: str | None, owner: str = ""
) -> str | None:
    """Return why an image cannot be adopted, as a sentence, or None if it can.

    Args:
        resource: The CloudImage.
        image: The image of spec.adopt.
        project_id: The credentials' project.
        owner: Name of the other CloudImage of this namespace that the image belongs to, if one
            does.
    """
    wanted, uid = resource.spec.image, other_owner(resource, image)
    why = None
    if image.status != "active":
        why = _WHY_NOT_ACTIVE.get(image.status, f"its status is {image.status}, not active")
    elif not image.size:
        why = (
            "it has no bytes (size 0): what it boots from is elsewhere, for example "
            "in a volume's snapshot, and would not be kept with it"
        )
    elif image.owner != project_id:
        why = (
            f"it belongs to project {image.owner}, but the credentials belong to project "
            f"{project_id}"
        )
    elif owner:
        why = (
            f"it belongs to the CloudImage {owner} of this namespace. Delete that CloudImage with "
            "deletionPolicy Orphan, or leave the image to it"
        )
    elif uid is not None:
        why = (
            f"it belongs to a CloudImage with the UID {uid}, which is not in this namespace. "
            "Delete that CloudImage with deletionPolicy Orphan; if it no longer exists in any "
            f"cluster, remove the image's property {Marks.UID}"
        )
    elif wanted.disk_format not in {None, image.disk_format}:
        why = (
            f"its disk format is {image.disk_format}, but spec.image.diskFormat is "
            f"{wanted.disk_format}"
        )
    elif wanted.container_format != image.container_format:
        why = (
            f"its container format is {image.container_format}, but spec.image.containerFormat is "
            f"{wanted.container_format}"
        )
    return why and f"Image {image.id} cannot be adopted: {why}."


class ImageDeletedError(CloudError):
    """The image that was adopted no longer exists."""

    reason = Reason.IMAGE_DELETED


class AdoptionRefusedError(CloudError):
    """The image cannot be adopted."""

    reason = Reason.ADOPTION_REFUSED


class RevisionFailedError(CloudError):
    """The image cannot replace the previous image, which stays in use."""

    reason = Reason.REVISION_FAILED


_ERRORS: tuple[type[CloudError], ...] = (
    ImageNotFoundError,
    ImageDeletedError,
    AdoptionRefusedError,
)


def candidate(
    resource: CloudImage, glance: Glance, owned: OwnedImages, kube: Kube
) -> GlanceImage | None:
    """Return the image to take over; None: it is made from the source instead.

    Raises:
        ImageNotFoundError: There is no such image.
        ImageDeletedError: There was.
        AdoptionRefusedError: It is not one to take over.
        RevisionFailedError: Any of these, while a previous image stays in use.
        CloudError: Glance does not answer.
    """
    if resource.spec.adopt is None:
        return None
    image = glance.get(resource.spec.adopt.id.lower())
    if image is None:
        if makes_up_for_it(resource):
            return None
        raise _error(resource, owned, *gone(resource, resource.spec.adopt.id.lower()))
    if why := refusal(resource, image, glance.project_id, _owner(resource, image, kube)):
        raise _error(resource, owned, Reason.ADOPTION_REFUSED, why)
    return image


def _owner(resource: CloudImage, image: GlanceImage, kube: Kube) -> str:
    """Return the name of the image's CloudImage; empty where it has none in this namespace."""
    uid = other_owner(resource, image)
    if uid is None:
        return ""
    beside = kube.read_all(CloudImage, [resource.metadata.namespace])
    return next((each.metadata.name for each in beside if each.metadata.uid == uid), "")


def take_over(
    resource: CloudImage,
    desired: Desired,
    glance: Glance,
    owned: OwnedImages,
    image: GlanceImage,
) -> OwnedImages:
    """Mark the image as the resource's, and return how things stand then.

    Raises:
        CloudError: Glance does not answer, or refuses.
    """
    image = glance.patch(image.id, metadata.marks(resource, desired, image))
    return OwnedImages(
        current=image,
        previous=tuple(each for each in owned.previous if each.id != image.id),
        leftovers=tuple(each for each in owned.leftovers if each.id != image.id),
    )


def _error(resource: CloudImage, owned: OwnedImages, reason: Reason, message: str) -> CloudError:
    if revisions.serving(resource, owned):
        return RevisionFailedError(message)
    return next(each for each in _ERRORS if each.reason == reason)(message)
