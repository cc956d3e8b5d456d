"""Watches clouds for what others change, and wakes the CloudImages that it concerns."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.credentials import loader
from cloudimage.images.orphans import Place
from cloudimage.kube import Key, Kube
from cloudimage.views.images import ImageWatch
from cloudimage.views.logic.pace import BLOCKED_SECONDS, SERVERS_SECONDS
from cloudimage.views.servers import ServerWatch

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Entry:
    place: Place
    uid: str
    images: frozenset[str]
    is_deleted: bool

    @classmethod
    def of(cls, resource: CloudImage) -> "_Entry":
        status, deleted = resource.status, resource.metadata.deletion_timestamp is not None
        images = {each.image_id for each in status.revisions} | {status.image_id}
        return cls(
            Place.of(resource), resource.metadata.uid, frozenset(filter(None, images)), deleted
        )


@dataclass
class PlaceIndex:
    """Which CloudImages are where, as the watch of the Kubernetes API has shown them.

    The event loop writes it, any thread reads it.
    """

    _entries: dict[Key, _Entry] = field(default_factory=dict)
    _places: dict[Place, dict[Key, _Entry]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def update(self, key: Key, resource: CloudImage | None) -> None:
        """Record an object; None: it is gone, or not understood."""
        with self._lock:
            if known := self._entries.pop(key, None):
                self._places[known.place].pop(key)
                if not self._places[known.place]:
                    del self._places[known.place]
            if resource is not None:
                entry = self._entries[key] = _Entry.of(resource)
                self._places.setdefault(entry.place, {})[key] = entry

    def is_empty(self, place: Place) -> bool:
        """Return whether no CloudImage is there."""
        return place not in self._places

    def with_uids(self, place: Place, uids: Collection[str]) -> list[Key]:
        """Return the CloudImages with these UIDs."""
        return [key for key, each in self._of(place) if each.uid in uids]

    def with_images(self, place: Place, ids: Collection[str]) -> list[Key]:
        """Return the CloudImages that have one of these images, or had it."""
        return [key for key, each in self._of(place) if not each.images.isdisjoint(ids)]

    def deleted(self, place: Place) -> list[Key]:
        """Return the CloudImages that are to go."""
        return [key for key, each in self._of(place) if each.is_deleted]

    def _of(self, place: Place) -> list[tuple[Key, _Entry]]:
        with self._lock:
            return list(self._places.get(place, {}).items())


@dataclass
class _Watches:
    """What is watched at one place, and when it is looked at next, by the monotonic clock."""

    images: ImageWatch = field(default_factory=ImageWatch)
    servers: ServerWatch = field(default_factory=ServerWatch)
    images_due: float = 0.0
    servers_due: float = 0.0
    servers_asked: float = -SERVERS_SECONDS


@dataclass
class CloudWatcher:
    """Looks at one place each time it is called, as long as a CloudImage is there.

    Attributes:
        wake: Has CloudImages looked at now; from any thread.
        left: Called with a place that no longer has a CloudImage.
        clock: Seconds, never going back.
    """

    kube: Kube
    clouds: ConnectionPool
    index: PlaceIndex
    wake: Callable[[Iterable[Key]], None]
    left: Callable[[Place], None]
    clock: Callable[[], float] = time.monotonic
    _watches: dict[Place, _Watches] = field(default_factory=dict)

    def __call__(self, place: Place) -> float | None:
        """Look, and return the seconds after which to look again; None: nothing is left there."""
        if self.index.is_empty(place):
            self._watches.pop(place, None)
            self.left(place)
            return None
        watches = self._watches.setdefault(place, _Watches())
        ref = CloudCredentialsRef(secret_name=place.secret, cloud_name=place.cloud)
        try:
            config = loader.load_other(self.kube, place.namespace, ref)
            with self.clouds.borrow(config) as cloud:
                self._look(place, watches, cloud)
        except CloudError as error:
            watches.images.missed()
            watches.images_due = self.clock() + watches.images.next_look().delay
            watches.servers_due = watches.images_due
            # The CloudImages of the place say it; this is no reason of its own.
            logger.debug("a view is not renewed: %s", error, extra=place._asdict())
        return max(0.0, min(watches.images_due, watches.servers_due) - self.clock())

    def _look(self, place: Place, watches: _Watches, cloud: Cloud) -> None:
        if self.clock() >= watches.images_due:
            whole = watches.images.next_look().is_whole
            changed = watches.images.look(cloud.glance, is_whole=whole)
            watches.images_due = self.clock() + watches.images.next_look().delay
            self.wake(self.index.with_uids(place, changed.uids))
        blocked = self.index.deleted(place)
        pause = BLOCKED_SECONDS if blocked else SERVERS_SECONDS
        if self.clock() >= min(watches.servers_due, watches.servers_asked + pause):
            difference = watches.servers.look(cloud.nova)
            watches.servers_asked = self.clock()
            self.wake(self.index.with_images(place, difference.images))
            if difference.others_gone:
                self.wake(blocked)
        watches.servers_due = watches.servers_asked + pause
