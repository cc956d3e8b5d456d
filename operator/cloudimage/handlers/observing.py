"""Finds the image that an Unmanaged CloudImage means; it is only looked at."""

from cloudimage.api.cloudimage import CloudImage, Import
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.types import GlanceImage
from cloudimage.reconcile import observing
from cloudimage.reconcile.reasons import Reason


class ImageNotFoundError(CloudError):
    """No image is the one that the spec names."""

    reason = Reason.IMAGE_NOT_FOUND


class AmbiguousError(CloudError):
    """More than one image is."""

    reason = Reason.AMBIGUOUS


def find(resource: CloudImage, glance: Glance) -> GlanceImage:
    """Return the image that spec.import names, of whatever project.

    Raises:
        ImageNotFoundError: There is none (yet).
        AmbiguousError: The filter fits several.
        CloudError: Glance does not answer.
    """
    wanted = resource.spec.import_ or Import()
    found = _candidates(wanted, glance)
    if not found:
        raise ImageNotFoundError(observing.none_found(wanted))
    if len(found) > 1:
        raise AmbiguousError(observing.several_found(found))
    return found[0]


def _candidates(wanted: Import, glance: Glance) -> list[GlanceImage]:
    if wanted.id is not None:
        image = glance.get(wanted.id.lower())
        return [image] if image else []
    if wanted.filter is None:
        return []
    listed = glance.search(observing.query(wanted.filter), observing.MOST_ASKED)
    return [each for each in listed if observing.fits(wanted.filter, each)]
