"""Watches clouds for what others change, and wakes the CloudImages that it concerns."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from cloudimage.api.references import CloudCredentialsRef
from cloudimage.cloud.config import Origin
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.models import GlanceImage
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.credentials import loader
from cloudimage.images.places import Place, PlaceIndex
from cloudimage.kube import Key, Kube
from cloudimage.views.images import ImageWatch
from cloudimage.views.logic.images import ImageView
from cloudimage.views.logic.pace import BLOCKED_SECONDS, SERVERS_SECONDS
from cloudimage.views.servers import ServerWatch

logger = logging.getLogger(__name__)

STATES: Final = ("stale", "fresh")

_AWAITED_SECONDS: Final = 120.0
"""For how long objects wait for the first listing of their cloud's images, at the most."""


class Wake(Protocol):
    """Has CloudImages looked at, from any thread."""

    def __call__(self, keys: Iterable[Key], *, urgent: bool) -> None:
        """Have them looked at now; urgent ones before those of others."""


class Resume(Protocol):
    """Has CloudImages looked at in the time of a resync, from any thread."""

    def __call__(self, keys: Iterable[Key], *, compare: bool) -> None:
        """Have them looked at; ``compare``: with their cloud, although that is not due yet."""


@dataclass
class _Watches:
    """What is watched at one place, and when it is looked at next, by the monotonic clock.

    Attributes:
        origin: The credentials of the last look: by others, other images may be seen.
        is_looked_at: Its images were listed once, or could not be.
        is_relied_on: Objects may go without a look of their own, as of the last look.
    """

    images: ImageWatch
    servers: ServerWatch
    images_due: float = 0.0
    servers_due: float = 0.0
    origin: Origin | None = None
    is_looked_at: bool = False
    is_relied_on: bool = False


@dataclass
class CloudWatcher:
    """Looks at one place each time it is called, as long as a CloudImage is there.

    Attributes:
        wake: Has CloudImages looked at now.
        resume: Has CloudImages looked at one after the other: their cloud is no longer watched, or
            their credentials are others.
        left: Called with a place that no longer has a CloudImage.
        clock: Seconds, never going back.
    """

    kube: Kube
    clouds: ConnectionPool
    index: PlaceIndex
    wake: Wake
    resume: Resume
    left: Callable[[Place], None]
    clock: Callable[[], float] = time.monotonic
    _watches: dict[Place, _Watches] = field(default_factory=dict)
    _awaited_until: float | None = None

    def __call__(self, place: Place) -> float | None:
        """Look, and return the seconds after which to look again; None: nothing is left there."""
        if self.index.is_empty(place):
            self._watches.pop(place, None)
            self.left(place)
            return None
        watches = self._watches.get(place)
        if watches is None:
            watches = _Watches(ImageWatch(clock=self.clock), ServerWatch(clock=self.clock))
            self._watches[place] = watches
        try:
            self._look(place, watches)
        finally:
            watches.is_looked_at = True
            self._rely(place, watches)
        due = min(watches.images_due, self._servers_due(place, watches)) - self.clock()
        fresh = watches.images.fresh_for
        return max(0.0, min(due, fresh) if fresh > 0 else due)

    def images(self, place: Place) -> ImageView | None:
        """Return the images as they were listed not long ago; None: that is not known."""
        watches = self._watches.get(place)
        return watches.images.view if watches and watches.images.fresh_for > 0 else None

    def count(self, place: Place) -> int:
        """Return how many CloudImages are there."""
        return self.index.count(place)

    def is_awaited(self, place: Place) -> bool:
        """Return whether the first listing of its images is about to be there.

        That is so only for a while after the first object asks: at a restart.
        """
        if self._awaited_until is None:
            self._awaited_until = self.clock() + _AWAITED_SECONDS
        watches = self._watches.get(place)
        looked_at = watches is not None and watches.is_looked_at
        return not looked_at and self.clock() < self._awaited_until

    def know(self, place: Place, image: GlanceImage) -> None:
        """Record how an image is now: what was changed of it until then is no news."""
        if watches := self._watches.get(place):
            watches.images.know(image)

    def watches_servers(self, place: Place) -> bool:
        """Return whether the end of a server wakes the CloudImages that wait for it."""
        watches = self._watches.get(place)
        return watches is not None and watches.servers.is_fresh

    def may_have_orphans(self, place: Place, seconds: float) -> bool:
        """Return whether images may be there without a CloudImage.

        Also where that is not known, as all images were not listed in so many seconds.
        """
        watches = self._watches.get(place)
        if watches is None or watches.images.whole_for > seconds:
            return True
        return watches.images.may_have_orphans(self.index.uids(place))

    def numbers(self) -> dict[str, float]:
        """Return how many places are watched, by whether objects rely on it."""
        looked_at = [each for each in list(self._watches.values()) if each.is_looked_at]
        counted = Counter(STATES[each.images.fresh_for > 0] for each in looked_at)
        return {state: float(counted[state]) for state in STATES}

    def _look(self, place: Place, watches: _Watches) -> None:
        """Look at the images and at the servers, of which one may fail without the other."""
        now = self.clock()
        if now >= watches.images_due:
            try:
                with self._opened(place) as (cloud, origin):
                    self._look_at_images(place, watches, cloud, origin)
            except CloudError as error:
                # The CloudImages of the place say it; this is no reason of its own.
                logger.debug("a view is not renewed: %s", error, extra=place._asdict())
                watches.images.missed()
            watches.images_due = self.clock() + watches.images.next_look().delay
        if now >= self._servers_due(place, watches):
            watches.servers_due = now + SERVERS_SECONDS
            try:
                with self._opened(place) as (cloud, _):
                    self._look_at_servers(place, watches, cloud)
            except CloudError as error:
                logger.debug("servers are not watched: %s", error, extra=place._asdict())

    @contextmanager
    def _opened(self, place: Place) -> Iterator[tuple[Cloud, Origin | None]]:
        ref = CloudCredentialsRef(secret_name=place.secret, cloud_name=place.cloud)
        config = loader.load_other(self.kube, place.namespace, ref)
        with self.clouds.borrow(config) as cloud:
            yield cloud, config.origin

    def _look_at_images(
        self, place: Place, watches: _Watches, cloud: Cloud, origin: Origin | None
    ) -> None:
        whole = origin != watches.origin or watches.images.next_look().is_whole
        secret = origin.secret_uid if origin else None
        uids = self.index.uids(place)
        difference = watches.images.look(cloud.glance, uids, secret, is_whole=whole)
        if watches.origin not in {None, origin}:
            self.resume(self.index.keys(place), compare=True)
        watches.origin = origin
        self.wake(self.index.with_uids(place, difference.uids), urgent=False)

    def _look_at_servers(self, place: Place, watches: _Watches, cloud: Cloud) -> None:
        seen, blocked = watches.servers.look(cloud.nova), set(self.index.deleted(place))
        concerned = set(self.index.used_by(place, seen.images, seen.servers))
        if seen.others_gone:
            concerned |= blocked
        self.wake(concerned & blocked, urgent=True)
        self.wake(concerned - blocked, urgent=False)

    def _servers_due(self, place: Place, watches: _Watches) -> float:
        """Return when Nova is asked next: sooner while a deletion may wait for a server."""
        sooner = SERVERS_SECONDS - BLOCKED_SECONDS if self.index.deleted(place) else 0.0
        return watches.servers_due - sooner

    def _rely(self, place: Place, watches: _Watches) -> None:
        """Have objects look themselves, from when the view can no longer be relied on."""
        before, watches.is_relied_on = watches.is_relied_on, watches.images.fresh_for > 0
        if before and not watches.is_relied_on:
            logger.info("a cloud's images are no longer listed", extra=place._asdict())
            self.resume(self.index.keys(place), compare=False)
