"""Finds the image that an Unmanaged CloudImage names."""

from collections.abc import Sequence

from cloudimage.api.cloudimage import CloudImage, Import
from cloudimage.api.references import ImageFilter
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.errors import AmbiguousError, ImageNotFoundError

MOST_ASKED = 20
"""Images asked for by a filter: enough to say what a filter that is too wide finds."""

_MOST_NAMED = 3


def query(wanted: ImageFilter) -> dict[str, str | list[str]]:
    """Return the filter as parameters of ``GET /v2/images`` (Image API v2, "List images").

    Hidden images are left out: their owner says that newer ones take their place. Glance itself
    leaves out others' community images unless asked for a visibility; of an owner that is named
    they are meant.
    """
    visibility = wanted.visibility or ("all" if wanted.owner else None)
    given = {"name": wanted.name, "visibility": visibility, "owner": wanted.owner}
    present = {key: value for key, value in given.items() if value is not None}
    # Glance wants each tag as a parameter of its own; all of them must be there.
    return {**present, "tag": sorted(wanted.tags)} if wanted.tags else {**present}


def fits(wanted: ImageFilter, image: GlanceImage) -> bool:
    """Return whether a listed image is meant: Glance reads a name that begins with in: as many."""
    return wanted.name in {None, image.name}


def none_found(wanted: Import) -> str:
    """Return the sentence about an image that is not there."""
    if wanted.id is not None:
        return f"These credentials cannot see an image {wanted.id}."
    return (
        "No image that these credentials can see matches spec.import.filter. Other projects' "
        "community images are considered only if the filter gives visibility community or their "
        "owner."
    )


def several_found(images: Sequence[GlanceImage]) -> str:
    """Return the sentence about a filter that more than one image fits."""
    named = ", ".join(each.id for each in images[:_MOST_NAMED])
    return (
        f"Several images match spec.import.filter: {named}{', ...' * (len(images) > _MOST_NAMED)}. "
        "Make the filter narrower, or give spec.import.id."
    )


def find(resource: CloudImage, glance: Glance) -> GlanceImage:
    """Return the image that spec.import names, of whatever project.

    Raises:
        ImageNotFoundError: There is no such image (yet).
        AmbiguousError: The filter fits several.
        CloudError: Glance does not answer.
    """
    wanted = resource.spec.import_ or Import()
    found = _candidates(wanted, glance)
    if not found:
        raise ImageNotFoundError(none_found(wanted))
    if len(found) > 1:
        raise AmbiguousError(several_found(found))
    return found[0]


def _candidates(wanted: Import, glance: Glance) -> list[GlanceImage]:
    if wanted.id is not None:
        image = glance.get(wanted.id.lower())
        return [image] if image else []
    if wanted.filter is None:
        return []
    listed = glance.search(query(wanted.filter), MOST_ASKED)
    return [each for each in listed if fits(wanted.filter, each)]
