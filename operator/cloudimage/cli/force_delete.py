"""What the commands that change an object say about it; pure."""

from collections.abc import Iterator

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.kinds import kind_of
from cloudimage.api.meta import Resource, plain_model
from cloudimage.api.names import GROUP
from cloudimage.cli.describe import count
from cloudimage.images.logic.boot_test_state import is_clear
from cloudimage.vocabulary.boot_test import name_prefix


def full_name(resource: Resource) -> str:
    """Return the object's name as ``kubectl -o name`` prints it."""
    return f"{kind_of(type(resource)).singular}.{GROUP}/{resource.metadata.name}"


def stays(resource: Resource) -> list[str]:
    """Return a line for each thing that stays in the cloud when the object goes by force."""
    resource = plain_model(resource)
    if isinstance(resource, CloudImage):
        return list(_images(resource))
    if isinstance(resource, ImageShare):
        return list(_members(resource))
    return []


def _images(image: CloudImage) -> Iterator[str]:
    """Yield the images: those listed, and whatever a transfer may have begun."""
    ref = image.spec.cloud_credentials_ref
    cloud = f"in cloud {ref.cloud_name} of Secret {ref.secret_name}"
    test = image.status.boot_test
    tested = (test.image_id if test else None,)
    revisions = (each.image_id for each in image.status.revisions)
    known = dict.fromkeys(each for each in (image.status.image_id, *tested, *revisions) if each)
    for image_id in known:
        yield f"image {image_id} {cloud}"
    if image.status.digest is not None and image.spec.source is not None:
        yield (
            f"any unfinished image {cloud} with the property "
            f"cloudimage_dev_uid={image.metadata.uid}"
        )
    if not is_clear(test):
        yield f"any server and key pair {cloud} called {name_prefix(image.metadata.uid)}..."
    used = image.status.used_by
    if used is not None and (used.servers or used.volumes):
        volumes = count(used.volumes or 0, "volume")
        yield f"its users: {count(used.servers or 0, 'server')}, {volumes}"


def _members(share: ImageShare) -> Iterator[str]:
    named = {each.project_id: each.project_name for each in share.status.members}
    for project in share.status.projects:
        name = f" ({named[project]})" if named.get(project) else ""
        yield f"project {project}{name} as a member of image {share.status.image_id}"
