"""Watches clouds for what others change, and wakes the CloudImages that it concerns."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.credentials import loader
from cloudimage.images.orphans import Place
from cloudimage.kube import Key, Kube
from cloudimage.views.images import ImageWatch

logger = logging.getLogger(__name__)


@dataclass
class PlaceIndex:
    """Which CloudImages are where, as the watch of the Kubernetes API has shown them.

    It is written by the event loop and read by any thread.
    """

    _places: dict[Key, tuple[Place, str]] = field(default_factory=dict)
    _keys: dict[Place, dict[str, Key]] = field(default_factory=dict)

    def update(self, key: Key, resource: CloudImage | None) -> None:
        """Record an object; None: it is gone, or not understood."""
        if known := self._places.pop(key, None):
            place, uid = known
            self._keys[place].pop(uid, None)
            if not self._keys[place]:
                del self._keys[place]
        if resource is not None:
            place, uid = Place.of(resource), resource.metadata.uid
            self._places[key] = place, uid
            self._keys.setdefault(place, {})[uid] = key

    def keys(self, place: Place) -> dict[str, Key]:
        """Return the objects of a place, by their UIDs."""
        return dict(self._keys.get(place, {}))


@dataclass
class CloudWatcher:
    """Looks at one place each time it is called, as long as a CloudImage is there.

    Attributes:
        wake: Has CloudImages looked at now; from any thread.
        left: Called with a place that no longer has a CloudImage.
    """

    kube: Kube
    clouds: ConnectionPool
    index: PlaceIndex
    wake: Callable[[Iterable[Key]], None]
    left: Callable[[Place], None]
    _watches: dict[Place, ImageWatch] = field(default_factory=dict)

    def __call__(self, place: Place) -> float | None:
        """Look, and return the seconds after which to look again; None: nothing is left there."""
        living = self.index.keys(place)
        if not living:
            self._watches.pop(place, None)
            self.left(place)
            return None
        watch = self._watches.setdefault(place, ImageWatch())
        self.wake(living[uid] for uid in self._changed(place, watch) if uid in living)
        return watch.next_look().delay

    def _changed(self, place: Place, watch: ImageWatch) -> frozenset[str]:
        ref = CloudCredentialsRef(secret_name=place.secret, cloud_name=place.cloud)
        try:
            config = loader.load_other(self.kube, place.namespace, ref)
            with self.clouds.borrow(config) as cloud:
                return watch.look(cloud.glance, is_whole=watch.next_look().is_whole).uids
        except CloudError as error:
            watch.missed()
            # The CloudImages of the place say it; this is no reason of its own.
            logger.debug("a view is not renewed: %s", error, extra=place._asdict())
            return frozenset()
