"""Places, that is clouds as Secrets lead to them, and which CloudImages are at each of them."""

import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from cloudimage.api.cloudimage import CloudImage
from cloudimage.controller.logic.fairness import Tenants
from cloudimage.kube import Key


class Place(NamedTuple):
    """Where to look: a cloud, as a Secret leads to it."""

    namespace: str
    secret: str
    cloud: str

    @classmethod
    def of(cls, resource: CloudImage) -> "Place":
        """Return where the images of a CloudImage are."""
        ref = resource.spec.cloud_credentials_ref
        return cls(resource.metadata.namespace, ref.secret_name, ref.cloud_name)

    @property
    def tenants(self) -> Tenants:
        """On whose account it is looked at."""
        return (self.namespace, (self.namespace, self.secret))


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is known of a CloudImage.

    Attributes:
        images: Ids of its images, as its status has them.
        servers: Ids of servers that use its image, as far as its status names them.
    """

    place: Place
    uid: str
    images: frozenset[str]
    servers: frozenset[str]
    is_deleted: bool

    @classmethod
    def of(cls, resource: CloudImage) -> "_Entry":
        status = resource.status
        images = {each.image_id for each in status.revisions} | {status.image_id}
        sample = status.used_by.sample if status.used_by else ()
        return cls(
            Place.of(resource),
            resource.metadata.uid,
            frozenset(filter(None, images)),
            frozenset(each.id for each in sample),
            resource.metadata.deletion_timestamp is not None,
        )


@dataclass
class PlaceIndex:
    """Which CloudImages are where, as the watch of the Kubernetes API has shown them.

    The event loop writes it, any thread reads it.
    """

    _entries: dict[Key, _Entry] = field(default_factory=dict)
    _places: dict[Place, dict[Key, _Entry]] = field(default_factory=dict)
    _expected: dict[str, set[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, uids: Iterable[tuple[str, str]]) -> None:
        """Record the namespaces and UIDs of objects that are there and will be shown.

        At a restart the first listing of a cloud would else be about the first few of them.
        """
        with self._lock:
            for namespace, uid in uids:
                self._expected.setdefault(namespace, set()).add(uid)

    def update(self, key: Key, resource: CloudImage | None) -> None:
        """Record an object; None: it is gone, or not understood."""
        with self._lock:
            if known := self._entries.pop(key, None):
                self._places[known.place].pop(key)
                if not self._places[known.place]:
                    del self._places[known.place]
            if resource is not None:
                self._expected.get(key.namespace, set()).discard(resource.metadata.uid)
                entry = self._entries[key] = _Entry.of(resource)
                self._places.setdefault(entry.place, {})[key] = entry

    def place_of(self, key: Key) -> Place | None:
        """Return where a CloudImage is; None: it was not shown yet, or is gone."""
        entry = self._entries.get(key)
        return entry.place if entry else None

    def is_empty(self, place: Place) -> bool:
        """Return whether no CloudImage is there."""
        return place not in self._places

    def count(self, place: Place) -> int:
        """Return how many CloudImages are there."""
        return len(self._places.get(place, ()))

    def keys(self, place: Place) -> list[Key]:
        """Return the CloudImages that are there."""
        return self._where(place, lambda _: True)

    def uids(self, place: Place) -> frozenset[str]:
        """Return the UIDs of the CloudImages that are there, or may be: some were not shown yet."""
        with self._lock:
            known = frozenset(each.uid for each in self._places.get(place, {}).values())
            return known | self._expected.get(place.namespace, set())

    def with_uids(self, place: Place, uids: Collection[str]) -> list[Key]:
        """Return the CloudImages with these UIDs."""
        return self._where(place, lambda each: each.uid in uids)

    def used_by(self, place: Place, images: Collection[str], servers: Collection[str]) -> list[Key]:
        """Return the CloudImages that have one of these images, or that one of these servers used.

        A server that was rebuilt from another image concerns both.
        """
        return self._where(
            place,
            lambda each: not (each.images.isdisjoint(images) and each.servers.isdisjoint(servers)),
        )

    def deleted(self, place: Place) -> list[Key]:
        """Return the CloudImages that are to go."""
        return self._where(place, lambda each: each.is_deleted)

    def _where(self, place: Place, fits: Callable[[_Entry], bool]) -> list[Key]:
        with self._lock:
            entries = list(self._places.get(place, {}).items())
        return [key for key, each in entries if fits(each)]
