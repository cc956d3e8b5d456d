"""The door to a cloud: one authenticated connection, closed when done with."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

import openstack.config
from openstack.connection import Connection

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
from cloudimage.cloud.keystone import Keystone
from cloudimage.cloud.nova import Nova
from cloudimage.cloud.observed import ObservedSession
from cloudimage.cloud.types import Usage

API_TIMEOUT_SECONDS = 60
"""No answer to a request for so long means that the service is away."""

_NO_RETRIES = {
    f"{service}_{kind}_retries": 0
    for service in ("identity", "image", "compute")
    for kind in ("status_code", "connect")
}
"""The SDK would sleep for as long as a 503 asks, five times for Glance, with a thread of the work
queue: coming back later is the queue's part."""


@dataclass(frozen=True)
class Cloud:
    """The services of one cloud, seen by one project's credentials."""

    glance: Glance
    nova: Nova
    cinder: Cinder
    keystone: Keystone

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
        raise InvalidCredentialsError(str(error), retry_after=error.retry_after) from error


def _readable(stack: ExitStack, text: str) -> str:
    """Return a path to read the text at while the stack is open.

    It is in memory: a connection is kept for long, and a crash must leave no file behind.
    """
    file = stack.enter_context(os.fdopen(os.memfd_create("cacert"), "w"))
    file.write(text)
    file.flush()
    return f"/proc/self/fd/{file.fileno()}"


@contextmanager
def open_cloud(config: CloudConfig) -> Iterator[Cloud]:
    """Log in and yield the cloud's services.

    A connection belongs to one thread: openstacksdk's are not safe to share.

    Raises:
        CloudError: The cloud cannot be reached, or it refuses the credentials.
    """
    with ExitStack() as stack:
        options = {**config.options, **_NO_RETRIES}
        if config.ca_certificate:
            options["cacert"] = _readable(stack, config.ca_certificate)
        with _login():
            region = openstack.config.get_cloud_region(
                load_yaml_config=False,
                load_envvars=False,
                api_timeout=API_TIMEOUT_SECONDS,
                app_name="cloudimage-operator",
                app_version=__version__,
                **options,
            )
            region.set_session_constructor(ObservedSession)
            connection = Connection(config=region)
            stack.callback(connection.close)
            project_id = connection.session.get_project_id()
        with translated("finding the image service"):
            images = connection.image  # the SDK may ask the service for its versions
        yield Cloud(
            Glance(images, project_id),
            Nova(connection),
            Cinder(connection),
            Keystone(connection),
        )
