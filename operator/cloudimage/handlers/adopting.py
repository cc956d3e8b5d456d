"""Takes over an image that is in Glance already."""

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.types import GlanceImage
from cloudimage.handlers.observing import ImageNotFoundError
from cloudimage.reconcile import adoption, revisions
from cloudimage.reconcile.plan import Standing
from cloudimage.reconcile.reasons import Reason


class ImageDeletedError(CloudError):
    """The image that was taken over is no longer there."""

    reason = Reason.IMAGE_DELETED


class AdoptionRefusedError(CloudError):
    """The image is not one to take over."""

    reason = Reason.ADOPTION_REFUSED


class RevisionFailedError(CloudError):
    """The image cannot take the place of another, which goes on serving."""

    reason = Reason.REVISION_FAILED


_ERRORS: tuple[type[CloudError], ...] = (
    ImageNotFoundError,
    ImageDeletedError,
    AdoptionRefusedError,
)


def candidate(resource: CloudImage, glance: Glance, standing: Standing) -> GlanceImage | None:
    """Return the image to take over; None: it is made from the source instead.

    Raises:
        ImageNotFoundError: There is no such image.
        ImageDeletedError: There was.
        AdoptionRefusedError: It is not one to take over.
        RevisionFailedError: Any of these, and an image of an earlier spec goes on serving.
        CloudError: Glance does not answer.
    """
    if resource.spec.adopt is None:
        return None
    image = glance.get(resource.spec.adopt.id.lower())
    if image is None:
        if adoption.makes_up_for_it(resource):
            return None
        raise _error(resource, standing, *adoption.gone(resource, resource.spec.adopt.id.lower()))
    if why := adoption.refusal(resource, image, glance.project_id):
        raise _error(resource, standing, Reason.ADOPTION_REFUSED, why)
    return image


def take_over(
    resource: CloudImage, glance: Glance, standing: Standing, image: GlanceImage
) -> Standing:
    """Mark the image as the resource's, and return how things stand then.

    Raises:
        CloudError: Glance does not answer, or refuses.
    """
    image = glance.patch(image.id, adoption.marks(resource, image))
    return Standing(
        current=image,
        previous=tuple(each for each in standing.previous if each.id != image.id),
        leftovers=tuple(each for each in standing.leftovers if each.id != image.id),
    )


def _error(resource: CloudImage, standing: Standing, reason: Reason, message: str) -> CloudError:
    if revisions.serving(resource, standing):
        return RevisionFailedError(message)
    return next(each for each in _ERRORS if each.reason == reason)(message)
