"""The Glance images of a CloudImage, and the changes that their metadata needs."""

import logging
from dataclasses import replace

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import Draft
from cloudimage.images.logic import effective, metadata, owned_images
from cloudimage.images.logic.desired import Desired
from cloudimage.kube import Key, Kube
from cloudimage.vocabulary.marks import Marks

logger = logging.getLogger(__name__)

_MOST_NAMESAKES = 5


def images_of(cloud: Cloud, resource: CloudImage, desired: Desired) -> list[GlanceImage]:
    """Return the images that carry the resource's UID, in whichever project they are by now.

    These are the credentials' own, the one of spec.image.owner, and wherever the image of the
    status went: its id is ours, and Glance gives none a second time.

    Raises:
        CloudError: Glance could not be asked; that is never the same as "none".
    """
    found = candidates(cloud.glance, resource)
    marked = [_with_marks(cloud, resource, desired, image) for image in found]
    return [each for each in marked if each.properties.get(Marks.UID) == resource.metadata.uid]


def candidates(glance: Glance, resource: CloudImage) -> list[GlanceImage]:
    """Return the images that are the resource's by their marks, or were by its status.

    Raises:
        CloudError: Glance could not be asked.
    """
    uid, owner = resource.metadata.uid, resource.spec.image.owner
    found = glance.find(Marks.UID, uid)
    if owner not in {None, glance.project_id}:
        found += glance.find(Marks.UID, uid, owner)
    known = resource.status.image_id
    if known is not None and all(each.id != known for each in found):
        image = glance.get(known)
        found += [image] if image else []
    return found


def _with_marks(
    cloud: Cloud, resource: CloudImage, desired: Desired, image: GlanceImage
) -> GlanceImage:
    """Return the image, with the marks back that somebody took from it."""
    patch = metadata.lost_marks(resource, desired, image)
    return cloud.glance.patch(image.id, patch) if patch else image


def name_drafts(glance: Glance, image: GlanceImage) -> tuple[Draft, ...]:
    """Return the condition NameUnique; none if Glance cannot say, which must not hold up the rest.

    Hidden images are no namesakes: lists leave them out.
    """
    if image.hidden or not image.name:
        return (owned_images.name_draft(image, ()),)
    try:
        listed = glance.search({"name": image.name}, _MOST_NAMESAKES)
    except CloudError as error:
        logger.warning("namesakes are not known", extra={"image": image.id, "error": str(error)})
        return ()
    # Glance reads a name that begins with in: as several.
    namesakes = [each for each in listed if each.name == image.name]
    return (owned_images.name_draft(image, namesakes),)


def metadata_plan(kube: Kube, resource: CloudImage, image: GlanceImage) -> metadata.MetadataPlan:
    """Decide what the image's metadata needs, with a look at the objects that it refers to."""
    told = effective.drafts(resource, image)
    resource = effective.applied(resource, image)
    wanted = resource.spec.image
    namespace = resource.metadata.namespace
    found = {
        name: kube.read(CloudImage, Key(namespace, name))
        for name in metadata.references_of(wanted).values()
    }
    plan = metadata.plan_metadata(resource, image, metadata.resolve(wanted, found))
    return replace(plan, drafts=(*told, *plan.drafts))
