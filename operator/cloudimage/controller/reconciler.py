"""The reconcile loop that every kind shares: read, guard, then delete or reconcile."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Generic

from cloudimage.api.kinds import kind_of
from cloudimage.api.meta import ResourceStatus
from cloudimage.api.names import FINALIZER
from cloudimage.controller.attempts import Attempts, Guard
from cloudimage.controller.logic import retry
from cloudimage.kube import Key, Kube, R, StaleError, key_of
from cloudimage.metrics import operator as metrics

AWAITED_SECONDS: Final = 5.0
"""Between looks at what is about to be known."""

_STALE_SECONDS = 0.5


@dataclass
class Reconciler(ABC, Generic[R]):
    """Brings one object's cloud nearer to its spec each time it is called.

    It is synchronous and runs in a thread of the work queue, one object once at a time. A kind
    supplies what is its own: :meth:`reconcile`, :meth:`delete` and :meth:`retrying`.

    Attributes:
        model: The kind.
        kube: The Kubernetes API.
        attempts: Reports failures and what blocks a deletion, and says when to come back.
    """

    model: type[R]
    kube: Kube
    attempts: Attempts
    _awakened: set[Key] = field(default_factory=set, init=False)
    _listed: dict[Key, R] = field(default_factory=dict, init=False)

    @abstractmethod
    def reconcile(self, resource: R) -> float | None:
        """Do the next step for an object that is to be; return the seconds until the next look.

        Raises:
            StaleError: The object changed since it was read.
        """

    @abstractmethod
    def delete(self, resource: R) -> float | None:
        """Do the next step for an object that is to go and has our finalizer.

        Raises:
            StaleError: The object changed since it was read.
        """

    @abstractmethod
    def retrying(self, resource: R, value: str, now: datetime) -> ResourceStatus:
        """Return the status once the value of the annotation for a retry is acted on."""

    def rest(self, resource: R) -> float:  # noqa: ARG002 - a kind's own
        """Return the seconds for which an object may be left alone, by its status; 0: it may not.

        Nothing is asked for that, and nothing is changed.
        """
        return 0.0

    def saw(self, key: Key, resource: R | None) -> None:
        """Record an object as a list has it; None: it may be another by now.

        At a restart most objects need nothing, which is seen without reading each of them.
        """
        if resource is None:
            self._listed.pop(key, None)
        else:
            self._listed[key] = resource

    def __call__(self, key: Key) -> float | None:
        """Look at the object; return the seconds until the next look, None if only when told."""
        if pause := self._rests(key):
            return pause
        try:
            resource = self.kube.read(self.model, key)
            if resource is None:
                self._forget(key)
                return None
            self.guard.observe(resource)
            if not resource.metadata.deletion_timestamp:
                return self.reconcile(resource)
            return self.delete(resource) if FINALIZER in resource.metadata.finalizers else None
        except StaleError:
            self.look_again(key)
            return _STALE_SECONDS

    def _rests(self, key: Key) -> float:
        """Return the seconds for which an object may be left alone that was not read since a list.

        Where something is awaited the object is kept: a moment later the same is asked again.
        """
        resource = self._listed.get(key)
        if resource is None:
            return 0.0
        asked = key in self._awakened or retry.asked(resource) is not None
        held = FINALIZER in resource.metadata.finalizers
        idle = held and not asked and not resource.metadata.deletion_timestamp
        pause = self.rest(resource) if idle else 0.0
        if pause:
            self.guard.observe(resource)
        if not 0 < pause <= AWAITED_SECONDS:
            self._listed.pop(key, None)
        return pause

    @property
    def guard(self) -> Guard:
        """Keeps the Secrets that objects need."""
        return self.attempts.guard

    def look_again(self, key: Key) -> None:
        """Have the next call compare the object with Glance before that is due; from any thread."""
        self._awakened.add(key)

    def gone(self, uid: str) -> None:
        """Forget an object that was removed, whoever took its finalizer."""
        self.attempts.backoff.clear(uid)

    def held(self, resource: R) -> R:
        """Return the object with our finalizer."""
        if FINALIZER in resource.metadata.finalizers:
            return resource
        return self.kube.set_finalizer(resource, present=True)

    def retried(self, resource: R) -> R:
        """Forget what failed where the annotation asks for a retry; each value counts once."""
        value = retry.asked(resource)
        if value is None:
            return resource
        self.attempts.backoff.clear(resource.metadata.uid)
        return self.write(resource, self.retrying(resource, value, now()))

    def is_awakened(self, resource: R) -> bool:
        """Return whether to look again, and forget it: what comes after this asks again."""
        key = key_of(resource)
        awakened = key in self._awakened
        self._awakened.discard(key)
        return awakened

    def wait(self, resource: R, due: datetime | None, *, at_once: bool = False) -> float:
        """Return the seconds until it is worth looking at the cloud again; 0 for now.

        Args:
            resource: The object.
            due: When to reconcile it again, or None if it is not settled.
            at_once: Whether it is looked at before it is due; after a failure it waits all the
                same.
        """
        if due is not None and not at_once:
            return max(0.0, (due - now()).total_seconds())
        return self.attempts.backoff.remaining(resource.metadata.uid, resource.metadata.generation)

    def write(self, resource: R, new: ResourceStatus) -> R:
        """Write the status if it changed; return the object as it is then.

        Raises:
            StaleError: The object changed since it was read.
        """
        return self.attempts.status.write(resource, new)

    def _forget(self, key: Key) -> None:
        self.guard.forget(self.model, key)
        metrics.OBJECTS.gone(kind_of(self.model).plural, key)
        self._awakened.discard(key)
        self._listed.pop(key, None)


def now() -> datetime:
    """Return the present."""
    return datetime.now(UTC)
