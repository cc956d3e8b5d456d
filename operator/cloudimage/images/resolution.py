"""Finds the bytes that a source means which the spec names only by what may come to mean others."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Event
from cloudimage.api.references import CloudCredentialsRef, ImageFilter
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.sources.glance import GlanceSource
from cloudimage.api.status import CopiedMetadata
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, CloudUnreachableError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.errors import (
    AmbiguousSourceError,
    SourceNotFoundError,
    SourceUnreachableError,
)
from cloudimage.images import lookup
from cloudimage.images.logic import copied_metadata
from cloudimage.images.logic.desired import Desired
from cloudimage.vocabulary.marks import Marks

_MOST_NAMED = 3


Opener = Callable[[CloudCredentialsRef], AbstractContextManager[Cloud]]
"""Opens another cloud than the object's own."""


def look_up(
    resource: CloudImage, desired: Desired, cloud: Cloud, opened: Opener
) -> ResolvedSource | Event | None:
    """Look up what the source of a CloudImage means now.

    Args:
        resource: The CloudImage.
        desired: What it wants, with what was found before.
        cloud: Its own cloud.
        opened: Opens that of the source.

    Returns:
        What the selector stands for; None: nothing new; or what to say if it cannot be looked up
        now: what was found before holds then, for the source's cloud may go away.

    Raises:
        SourceNotFoundError: Nothing was found, now or before.
        AmbiguousSourceError: Several images were, and none before.
        CloudError: The cloud does not answer, or its credentials are of no use.
    """
    source = desired.source
    wanted = resource.spec.source.glance if resource.spec.source else None
    selector = source.selector() if source else None
    if selector is None or wanted is None:
        return None
    before = resource.status.resolved_source
    known = before.version if before and before.selector == selector else None
    try:
        found = _image_id(resource, wanted, cloud, opened)
    except CloudError as error:
        if known is None:
            raise
        return Event("Warning", error.reason, f"{error} The source stays image {known}.")
    followed = resource.spec.follow is not None
    if found == known and not followed:
        return None
    return ResolvedSource(selector=selector, version=found)


def _image_id(resource: CloudImage, wanted: GlanceSource, own: Cloud, opened: Opener) -> str:
    with _glance_of(wanted, own, opened) as glance:
        return _found(resource, wanted, glance)


@contextmanager
def _glance_of(wanted: GlanceSource, own: Cloud, opened: Opener) -> Iterator[Glance]:
    """Hand out the Glance of a source, whose failures say whose they are."""
    ref = wanted.cloud_credentials_ref
    if ref is None:
        yield own.glance
        return
    where = f"the source's cloud {ref.cloud_name}"
    try:
        with opened(ref) as cloud:
            yield cloud.glance
    except (SourceNotFoundError, AmbiguousSourceError):
        raise
    except CloudUnreachableError as error:
        raise SourceUnreachableError(f"{where}: {error}", retry_after=error.retry_after) from error
    except CloudError as error:
        raise type(error)(f"{where}: {error}", retry_after=error.retry_after) from error


def _found(resource: CloudImage, wanted: GlanceSource, glance: Glance) -> str:
    selected = wanted.filter or ImageFilter(name=wanted.name)
    # One that is being uploaded, or was deactivated, has no bytes to give.
    listed = glance.search({**lookup.query(selected), "status": "active"}, lookup.MOST_ASKED)
    # What was made of it, in the same project and by the same name, is not its own source.
    others = [each for each in listed if each.properties.get(Marks.UID) != resource.metadata.uid]
    found = [each.id for each in others if lookup.fits(selected, each)]
    field = "spec.source.glance." + ("filter" if wanted.filter else "name")
    if not found:
        raise SourceNotFoundError(
            f"No active image that the credentials of the source's cloud can see matches {field}."
        )
    if len(found) > 1:
        raise AmbiguousSourceError(
            f"Several active images match {field}: {', '.join(found[:_MOST_NAMED])}"
            f"{', ...' * (len(found) > _MOST_NAMED)}. Make it narrower, or give the id."
        )
    return found[0]


def metadata_of(
    resource: CloudImage, image: GlanceImage | None, cloud: Cloud, opened: Opener
) -> CopiedMetadata | None:
    """Return what a CloudImage copies of its source's metadata; None: nothing is to be copied.

    The source is asked once for each of its images: what was copied is in the status then.

    Args:
        resource: The CloudImage, with what its source means.
        image: The image made of it, if there is one.
        cloud: Its own cloud.
        opened: Opens that of the source.

    Raises:
        SourceNotFoundError: The source's image is gone, and nothing was copied of it before.
        CloudError: The source's cloud does not answer, likewise.
    """
    wanted = resource.spec.source.glance if resource.spec.source else None
    if wanted is None or not wanted.copy_metadata:
        return None
    known, image_id = resource.status.copied_metadata, copied_metadata.source_id(resource)
    if image_id is None or (known is not None and known.source == image_id):
        return known
    try:
        with _glance_of(wanted, cloud, opened) as glance:
            found = glance.get(image_id)
        if found is None:
            raise SourceNotFoundError(
                f"The credentials of the source's cloud can see no image {image_id}, whose "
                "metadata is to be copied."
            )
    except CloudError:
        before = copied_metadata.kept(resource, image)
        if before is None:
            raise
        return before
    return copied_metadata.of(found)
