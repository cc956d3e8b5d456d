"""The Glance images of a CloudImage, and the changes that their metadata needs."""

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import metadata
from cloudimage.images.logic.desired import Desired
from cloudimage.kube import Key, Kube
from cloudimage.vocabulary.marks import Marks


def images_of(cloud: Cloud, resource: CloudImage, desired: Desired) -> list[GlanceImage]:
    """Return the images that carry the resource's UID, in whichever project they are by now.

    These are the credentials' own, the one of spec.image.owner, and wherever the image of the
    status went: its id is ours, and Glance gives none a second time.

    Raises:
        CloudError: Glance could not be asked; that is never the same as "none".
    """
    uid, owner = resource.metadata.uid, resource.spec.image.owner
    found = cloud.glance.find(Marks.UID, uid)
    if owner not in {None, cloud.glance.project_id}:
        found += cloud.glance.find(Marks.UID, uid, owner)
    known = resource.status.image_id
    if known is not None and all(each.id != known for each in found):
        image = cloud.glance.get(known)
        found += [image] if image else []
    marked = [_with_marks(cloud, resource, desired, image) for image in found]
    return [image for image in marked if image.properties.get(Marks.UID) == uid]


def _with_marks(
    cloud: Cloud, resource: CloudImage, desired: Desired, image: GlanceImage
) -> GlanceImage:
    """Return the image, with the marks back that somebody took from it."""
    patch = metadata.lost_marks(resource, desired, image)
    return cloud.glance.patch(image.id, patch) if patch else image


def metadata_plan(kube: Kube, resource: CloudImage, image: GlanceImage) -> metadata.MetadataPlan:
    """Decide what the image's metadata needs, with a look at the objects that it refers to."""
    wanted = resource.spec.image
    namespace = resource.metadata.namespace
    found = {
        name: kube.read(CloudImage, Key(namespace, name))
        for name in metadata.references_of(wanted).values()
    }
    return metadata.plan_metadata(resource, image, metadata.resolve(wanted, found))
