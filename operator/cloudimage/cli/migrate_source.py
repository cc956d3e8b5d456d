"""The cloud that an image is migrated from, an entry of the user's own clouds.yaml."""

import logging
import re
from dataclasses import dataclass, field
from datetime import datetime

from keystoneauth1.identity import BaseIdentityPlugin
from openstack.connection import Connection

from cloudimage.access.local import LocalCloudError, find
from cloudimage.cli.errors import CommandError
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import connected
from cloudimage.cloud.errors import CloudError, translated
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MOST_NAMED = 10


@dataclass(frozen=True)
class Access:
    """How a file of the old cloud's image service can be fetched; it holds a token, hence no repr.

    Attributes:
        url: Of the image service, without its version.
        token: Whoever has it may do what the credentials may.
        expires: When the token ends, in UTC.
        ca_certificate: PEM text that the service's TLS is verified with; None: public ones.
    """

    url: str
    token: str = field(repr=False)
    expires: datetime
    ca_certificate: str | None = field(default=None, repr=False)


def look_up(cloud: str, image: str) -> tuple[GlanceImage, Access]:
    """Return the image of that id or name, and how its file can be fetched.

    Args:
        cloud: Name of an entry of the user's clouds.yaml.
        image: Id or name.

    Raises:
        CommandError: There is no such cloud or image, several are named so, or the cloud does not
            answer or refuses the credentials.
    """
    try:
        return _looked_up(cloud, image)
    except CloudError as error:
        said = str(error).rstrip(".")
        raise CommandError(f"The old cloud {cloud} cannot be used: {said}.") from error


def _looked_up(cloud: str, image: str) -> tuple[GlanceImage, Access]:
    # It would warn beside the sentence that says the same.
    logging.getLogger("keystoneauth").setLevel(logging.ERROR)
    try:
        options, ca_certificate = find(cloud)
    except LocalCloudError as error:
        raise CommandError(f"{error}. Check --from-cloud and your clouds.yaml.") from error
    with connected(CloudConfig(options, ca_certificate)) as connection:
        found = _find(connection, image)
        with translated("finding the image service"):
            url = str(connection.image.get_endpoint())
            access = _identity(connection).get_access(connection.session)
        if access.auth_token is None or access.expires is None:
            raise CommandError("The old cloud gave no token to fetch the image with.")
        return found, Access(
            url=re.sub(r"/v\d+(\.\d+)?/?$", "", url).rstrip("/"),
            token=access.auth_token,
            expires=access.expires,
            ca_certificate=ca_certificate,
        )


def _find(connection: Connection, image: str) -> GlanceImage:
    with translated("logging in"):
        glance = Glance(connection.image, connection.session.get_project_id())
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


def _identity(connection: Connection) -> BaseIdentityPlugin:
    """Return what logs in at Keystone.

    Raises:
        CommandError: The cloud goes without Keystone.
    """
    plugin = connection.session.auth
    if not isinstance(plugin, BaseIdentityPlugin):
        raise CommandError("The old cloud's auth_type gives no Keystone token; use another.")
    return plugin
