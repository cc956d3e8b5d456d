"""The door to a cloud: one authenticated connection, closed when done with."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial

from openstack.connection import Connection

from cloudimage.access import region
from cloudimage.access.entry import EntryRefusedError
from cloudimage.access.policy import OPEN, CloudPolicy
from cloudimage.cloud.boot_servers import BootServers
from cloudimage.cloud.catalogue import image_service
from cloudimage.cloud.cinder import Cinder
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.errors import ForbiddenError, InvalidCloudsYamlError, translated
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.keystone import Keystone
from cloudimage.cloud.login import log_in
from cloudimage.cloud.metered_session import ObservedSession
from cloudimage.cloud.models import Usage, Volume
from cloudimage.cloud.nova import Nova


@dataclass(frozen=True)
class Cloud:
    """The services of one cloud, seen by one project's credentials."""

    glance: Glance
    nova: Nova
    cinder: Cinder
    keystone: Keystone
    boot_servers: BootServers

    def usage(self, image_id: str) -> Usage:
        """Return the servers and the volumes made from an image, without those of our own tests.

        Raises:
            CloudError: A service that the cloud has could not be asked.
        """
        # The volumes first: one that is attached in between counts for once, and none is missed.
        volumes = self.cinder.volumes(image_id)
        if volumes:
            volumes = without_tests(volumes, self._volumes_of_tests(image_id))
        return replace(self.nova.usage(image_id), volumes=volumes)

    def _volumes_of_tests(self, image_id: str) -> Mapping[str, str]:
        try:
            return self.boot_servers.volumes_of_tests(image_id)
        except ForbiddenError:
            return {}


def without_tests(volumes: tuple[Volume, ...], tests: Mapping[str, str]) -> tuple[Volume, ...]:
    """Return the volumes that are more than the disk of a server which only tests an image.

    Args:
        volumes: Those made from the image.
        tests: The id of the test's server by that of its volume. One that is attached to another
            server as well is in use, whoever made it.
    """
    return tuple(
        each for each in volumes if each.id not in tests or not each.server_ids <= {tests[each.id]}
    )


def _readable(stack: ExitStack, text: str) -> str:
    """Return a path to read the text at while the stack is open.

    It is in memory: a connection is kept for long, and a crash must leave no file behind.
    """
    file = stack.enter_context(os.fdopen(os.memfd_create("cacert"), "w"))
    file.write(text)
    file.flush()
    return f"/proc/self/fd/{file.fileno()}"


@contextmanager
def connected(config: CloudConfig, policy: CloudPolicy = OPEN) -> Iterator[Connection]:
    """Yield a connection of the SDK that has logged in.

    Raises:
        CloudError: The cloud cannot be reached, or it refuses the credentials.
    """
    with ExitStack() as stack:
        certificate = config.ca_certificate
        ca_file = _readable(stack, certificate) if certificate else None
        with translated("logging in"):
            connection = _connection(config, ca_file, policy)
        stack.callback(connection.close)
        log_in(connection)
        yield connection


@contextmanager
def open_cloud(config: CloudConfig, policy: CloudPolicy = OPEN) -> Iterator[Cloud]:
    """Log in and yield the cloud's services.

    A connection belongs to one thread: openstacksdk's are not safe to share.

    Args:
        config: The credentials.
        policy: Where requests may go.

    Raises:
        CloudError: The cloud cannot be reached, or it refuses the credentials.
    """
    with connected(config, policy) as connection:
        with translated("logging in"):
            project_id = connection.session.get_project_id()
        images = image_service(connection)
        yield Cloud(
            Glance(images, project_id),
            Nova(connection),
            Cinder(connection),
            Keystone(connection),
            BootServers(connection),
        )


def _connection(config: CloudConfig, ca_file: str | None, policy: CloudPolicy) -> Connection:
    try:
        return region.connection(config.options, partial(ObservedSession, policy=policy), ca_file)
    except EntryRefusedError as error:
        raise InvalidCloudsYamlError(str(error)) from None
