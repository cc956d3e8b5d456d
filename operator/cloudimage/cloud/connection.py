"""The door to a cloud: one authenticated connection, closed when done with."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import openstack

from cloudimage import __version__
from cloudimage.cloud.cinder import Cinder
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.errors import (
    ForbiddenError,
    InvalidCredentialsError,
    InvalidImageError,
    NotFoundError,
    translated,
)
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.nova import Nova
from cloudimage.cloud.types import Usage

API_TIMEOUT_SECONDS = 60
"""No answer to a request for so long means that the service is away."""


@dataclass(frozen=True)
class Cloud:
    """The services of one cloud, seen by one project's credentials."""

    glance: Glance
    nova: Nova
    cinder: Cinder

    def usage(self, image_id: str) -> Usage:
        """Return the servers and the volumes made from an image.

        Raises:
            CloudError: A service that the cloud has could not be asked.
        """
        return replace(self.nova.usage(image_id), volumes=self.cinder.volumes(image_id))


@contextmanager
def _login() -> Iterator[None]:
    """Blame the credentials for whatever Keystone refuses, be it their form or their path."""
    try:
        with translated("logging in"):
            yield
    except (InvalidImageError, ForbiddenError, NotFoundError) as error:
        raise InvalidCredentialsError(str(error)) from error


@contextmanager
def open_cloud(config: CloudConfig) -> Iterator[Cloud]:
    """Log in and yield the cloud's services.

    A connection belongs to one thread: openstacksdk's are not safe to share.

    Raises:
        CloudError: The cloud cannot be reached, or it refuses the credentials.
    """
    with ExitStack() as stack:
        options = dict(config.options)
        if config.ca_certificate:
            bundle = stack.enter_context(tempfile.NamedTemporaryFile("w", suffix=".pem"))
            bundle.write(config.ca_certificate)
            bundle.flush()
            options["cacert"] = bundle.name
        with _login():
            connection = openstack.connect(
                load_yaml_config=False,
                load_envvars=False,
                api_timeout=API_TIMEOUT_SECONDS,
                app_name="cloudimage-operator",
                app_version=__version__,
                **options,
            )
            stack.callback(connection.close)
            project_id = connection.session.get_project_id()
        with translated("finding the image service"):
            images = connection.image  # the SDK may ask the service for its versions
        yield Cloud(Glance(images, project_id), Nova(connection), Cinder(connection))
