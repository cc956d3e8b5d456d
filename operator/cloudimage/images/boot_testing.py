"""Boot tests of images: the state that outlives a look, and their end; see spec.bootTest."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Event
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, CloudUnreachableError, ForbiddenError
from cloudimage.cloud.models import TestServer
from cloudimage.controller.backoff import Backoff
from cloudimage.controller.reconciler import now
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.images.boot_logins import BootLogins
from cloudimage.images.boot_turns import BootTurns
from cloudimage.images.logic import boot_test_state, boot_test_status
from cloudimage.images.logic.boot_test import NOT_RUNNING
from cloudimage.kube import Key

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of the tests of an object.

    Attributes:
        servers: Ids of servers that Nova has yet to delete.
        error: What kept the operator from taking everything away.
    """

    servers: tuple[str, ...] = ()
    error: CloudError | None = None

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is left: who may not list servers or key pairs has made none."""
        return not self.servers and (self.error is None or isinstance(self.error, ForbiddenError))

    @property
    def is_unknown(self) -> bool:
        """Whether Nova is away, so that it may do later what it was asked to."""
        return isinstance(self.error, CloudUnreachableError)

    @property
    def message(self) -> str:
        """What a person has to know of it."""
        named = "".join(f" {each}" for each in self.servers)
        why = str(self.error).rstrip(". ") if self.error else "Nova has not deleted it in time"
        return f"A server{named} of the boot test may be left: {why}. Delete it by hand."


@dataclass
class BootTesting:
    """The boot tests of an operator.

    Attributes:
        ended: UIDs of objects that are deleted, whose tests were ended as far as that goes.
    """

    status: StatusWriter
    turns: BootTurns
    logins: BootLogins
    notify: Callable[[Key], None]
    backoff: Backoff = field(default_factory=Backoff)
    ended: set[str] = field(default_factory=set)
    _left: dict[tuple[str, bool], tuple[list[str], datetime]] = field(default_factory=dict)
    _abandoned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _read: dict[str, tuple[str, datetime]] = field(default_factory=dict)

    def console_read(self, uid: str, server_id: str, now: datetime) -> datetime | None:
        """Remember that a server's console is read; return when this process did before."""
        known, before = self._read.get(uid, ("", now))
        self._read[uid] = (server_id, now)
        return before if known == server_id else None

    def end(self, resource: CloudImage, cloud: Cloud) -> Left:
        """Take away what tests of an object have left, as far as that goes; return what stays."""
        uid, state = resource.metadata.uid, resource.status.boot_test
        known = state.server_id if state else None
        self.logins.forget(uid)
        try:
            servers = found(cloud, resource, state)
        except CloudError as error:
            return Left((known,) if known else (), error)
        failed = deleted(cloud, servers)
        try:
            cloud.boot_servers.delete_keys(uid)
        except CloudError as error:
            failed = failed or error
        left = Left(tuple(each.id for each in servers if each.status not in NOT_RUNNING), failed)
        if left.is_nothing:
            self.turns.release(uid)
        return left

    def waited(self, uid: str, left: Left) -> timedelta:
        """Return for how long the same has been left, as far as this process has seen."""
        if left.is_nothing:
            self._forget_left(uid)
            return timedelta()
        key, servers = (uid, left.is_unknown), sorted(left.servers)
        known, since = self._left.get(key, (servers, now()))
        if known != servers:
            since = now()
        self._left[key] = (servers, since)
        return now() - since

    def _forget_left(self, uid: str) -> None:
        for is_unknown in (False, True):
            self._left.pop((uid, is_unknown), None)

    def clear(
        self, resource: CloudImage, cloud: Cloud, state: BootTestStatus
    ) -> tuple[BootTestStatus, CloudError | None]:
        """Take away what a test that is over has left; return how it stands then, and what failed.

        It is waited for two minutes at most: a server that Nova does not delete holds up nothing.
        A Nova that is away is asked again for an hour.
        """
        left = self.end(resource, cloud)
        waited = self.waited(resource.metadata.uid, left)
        if left.is_nothing:
            return state.model_copy(update={"cleanup": None, "server_id": None}), None
        if boot_test_state.has_waited(state, now()):
            self.turns.release(resource.metadata.uid)
        outage, end = boot_test_state.LONGEST_OUTAGE, boot_test_state.LONGEST_END
        if waited < (outage if left.is_unknown else end):
            return state.model_copy(update={"cleanup": "Pending"}), left.error
        self.abandon(resource, left)
        server_id = left.servers[0] if left.servers else None
        return state.model_copy(update={"cleanup": "Abandoned", "server_id": server_id}), None

    def abandon(self, resource: CloudImage, left: Left) -> None:
        """Say, once, what nothing waits for any longer."""
        uid = resource.metadata.uid
        if self._abandoned.get(uid) != left.servers:
            self._abandoned[uid] = left.servers
            self.status.record_event(resource, Event("Warning", "ServerLeft", left.message))

    def abandoned(self, uid: str) -> tuple[str, ...]:
        """Return the ids of servers of an object's tests that Nova has not deleted in time."""
        return self._abandoned.get(uid, ())

    def give_way(self, resource: CloudImage, cloud: Cloud) -> CloudImage:
        """Take away what is left of a test, as far as that goes: another image is to be made.

        What is left then is taken away at the next look.

        Raises:
            StaleError: The object changed since it was read.
        """
        self.turns.release(resource.metadata.uid)
        state = resource.status.boot_test
        if state is None or boot_test_state.is_clear(state):
            return resource
        state, error = self.clear(resource, cloud, boot_test_state.ended(state, now()))
        if error is not None:
            logger.warning("a boot test is not ended yet", extra={"error": str(error)})
        left = None if boot_test_state.is_clear(state) else state
        return self.status.write(resource, boot_test_status.without(resource, left))

    def gone(self, uid: str) -> None:
        """Forget an object that was removed."""
        self.ended.discard(uid)
        self._forget_left(uid)
        self._abandoned.pop(uid, None)
        self.turns.release(uid)
        self.logins.forget(uid)
        self.backoff.clear(uid)
        self._read.pop(uid, None)

    def stop(self) -> None:
        """Begin no login from now on."""
        self.logins.stop()


def deleted(cloud: Cloud, servers: Iterable[TestServer]) -> CloudError | None:
    """Have Nova delete servers; return what failed first, while others were tried all the same."""
    failed = None
    for each in servers:
        try:
            cloud.boot_servers.delete(each.id)
        except CloudError as error:
            # One that is deleted already is only kept for a while by Nova.
            failed = failed or (error if each.status not in NOT_RUNNING else None)
    return failed


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
