"""Boot tests of images: the state that outlives a look, and their end; see spec.bootTest."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.models import TestServer
from cloudimage.controller.backoff import Backoff
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.images.boot_logins import BootLogins
from cloudimage.images.boot_turns import BootTurns
from cloudimage.images.logic import boot_test_state
from cloudimage.kube import Key

logger = logging.getLogger(__name__)


@dataclass
class BootTesting:
    """The boot tests of an operator."""

    status: StatusWriter
    turns: BootTurns
    logins: BootLogins
    notify: Callable[[Key], None]
    backoff: Backoff = field(default_factory=Backoff)
    _read: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def console_read(self, uid: str, server_id: str, now: datetime) -> datetime | None:
        """Remember that a server's console is read; return when this process did before."""
        known, before = self._read.get(uid, ("", now))
        self._read[uid] = (server_id, now)
        return before if known == server_id else None

    def end(self, resource: CloudImage, cloud: Cloud) -> bool:
        """Take away what tests of an object have left; return whether nothing is left.

        Raises:
            CloudError: Nova could not be asked.
        """
        uid, state = resource.metadata.uid, resource.status.boot_test
        self.logins.forget(uid)
        servers = found(cloud, resource, state)
        for each in servers:
            cloud.boot_servers.delete(each.id)
        cloud.boot_servers.delete_keys(uid)
        if not servers:
            self.turns.release(uid)
        return not servers

    def give_way(self, resource: CloudImage, cloud: Cloud) -> None:
        """Take away what is left of a test, as far as that goes: another image is to be made.

        What is left then is taken away once that image is there.
        """
        if boot_test_state.is_clear(resource.status.boot_test):
            return
        try:
            self.end(resource, cloud)
        except CloudError as error:
            logger.warning("a boot test is not ended yet", extra={"error": str(error)})

    def gone(self, uid: str) -> None:
        """Forget an object that was removed."""
        self.turns.release(uid)
        self.logins.forget(uid)
        self.backoff.clear(uid)
        self._read.pop(uid, None)

    def stop(self) -> None:
        """Begin no login from now on."""
        self.logins.stop()


def found(
    cloud: Cloud, resource: CloudImage, state: BootTestStatus | None
) -> tuple[TestServer, ...]:
    """Return the servers of an object's tests.

    Nova may leave one out of a list that it is just building; one that is known is asked for.

    Raises:
        CloudError: Nova could not be asked.
    """
    servers = cloud.boot_servers.find(resource.metadata.uid)
    known = state.server_id if state else None
    if known is not None and all(each.id != known for each in servers):
        server = cloud.boot_servers.read(known)
        return (*servers, server) if server else servers
    return servers
