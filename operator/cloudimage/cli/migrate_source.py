"""The cloud that images are migrated from, an entry of the user's own clouds.yaml."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cloudimage.access.local import LocalCloudError, find
from cloudimage.cli.errors import CommandError
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import connected
from cloudimage.cloud.errors import CloudError, ForbiddenError, NotFoundError, translated
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage, Member

MOST_IMAGES: Final = 20_000
"""Of one listing; with more, filters that Glance itself applies have to make it narrower."""

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOST_NAMED: Final = 10


@contextmanager
def opened(cloud: str) -> Iterator[Glance]:
    """Log in to a cloud and hand out its Glance.

    Args:
        cloud: Name of an entry of the user's clouds.yaml.

    Raises:
        CommandError: There is no such cloud, or it does not answer or refuses the credentials; also
            whatever it fails at in the block.
    """
    # It would warn beside the sentence that says the same.
    logging.getLogger("keystoneauth").setLevel(logging.ERROR)
    try:
        options, ca_certificate = find(cloud)
    except LocalCloudError as error:
        raise CommandError(f"{error}. Check --from-cloud and your clouds.yaml.") from error
    try:
        with connected(CloudConfig(options, ca_certificate)) as connection:
            with translated("logging in"):
                project_id = connection.session.get_project_id()
            yield Glance(connection.image, project_id)
    except CloudError as error:
        said = str(error).rstrip(".")
        raise CommandError(f"The old cloud {cloud} cannot be used: {said}.") from error


def find_image(glance: Glance, image: str) -> GlanceImage:
    """Return the image of that id or name.

    Raises:
        CommandError: No image, or more than one, is found.
        CloudError: The cloud does not answer.
    """
    if _UUID.fullmatch(image) and (found := glance.get(image)):
        return found
    # "all" finds community images too; other projects' shared ones once they were accepted.
    named = glance.search({"name": image, "visibility": "all"}, _MOST_NAMED)
    if not named:
        raise CommandError(f"The old cloud has no image with the id or the name {image}.")
    if len(named) > 1:
        ids = ", ".join(each.id for each in named[:_MOST_NAMED])
        raise CommandError(f"Several images are named {image}; give the id of one of them: {ids}.")
    return named[0]


def all_images(glance: Glance) -> list[GlanceImage]:
    """Return all images that the credentials can see, hidden and offered ones too.

    Raises:
        CommandError: There are too many.
        CloudError: The cloud does not answer.
    """
    found: dict[str, GlanceImage] = {}
    for hidden in ("false", "true"):
        query = {"visibility": "all", "member_status": "all", "os_hidden": hidden}
        listed = glance.search(query, MOST_IMAGES)
        if len(listed) >= MOST_IMAGES:
            raise CommandError(
                f"The credentials can see more than {MOST_IMAGES} images: use those of one project."
            )
        found.update((each.id, each) for each in listed)
    return list(found.values())


def members_of(glance: Glance, image: GlanceImage) -> tuple[Member, ...]:
    """Return the members of an image, but for the own project; none if they are not shown.

    Raises:
        CloudError: The cloud does not answer.
    """
    if image.visibility != "shared":
        return ()
    try:
        members = glance.members(image.id)
    except (ForbiddenError, NotFoundError):
        return ()
    # Of an image that it was offered, a project sees itself alone.
    return tuple(each for each in members if each.project_id != glance.project_id)
