"""What every kind does when a try fails, when a deletion has to wait, and when an object may go."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from cloudimage.api.kinds import kind_of
from cloudimage.api.meta import Event, Resource, ResourceStatus
from cloudimage.controller.backoff import Backoff, Failures
from cloudimage.controller.logic import retry
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.kube import Key, Kube, R
from cloudimage.metrics import operator as metrics

_BLOCKED_SECONDS = 12.0
"""With its jitter well under the 30 s within which an object goes after its last user."""


class Guard(Protocol):
    """Keeps the Secrets that objects need, so that they can be deleted."""

    def observe(self, resource: Resource) -> None:
        """Record what the object needs now."""

    def forget(self, model: type[Resource], key: Key) -> None:
        """Release what an object needed that is gone."""

    def record(self, resource: R) -> R:
        """Write down which Secret is held for the object, and release the one before it."""

    def release(self, resource: Resource, then: Callable[[], object]) -> None:
        """Release all that the object ever needed, then do what makes that true."""


@dataclass
class Attempts:
    """Reports what came of a try, counts it, and says when the next one is due."""

    kube: Kube
    guard: Guard
    backoff: Backoff = field(default_factory=Backoff)
    status: StatusWriter = field(init=False)

    def __post_init__(self) -> None:
        self.status = StatusWriter(self.kube)

    def failed(
        self,
        resource: Resource,
        new: ResourceStatus | Callable[[float], ResourceStatus],
        reason: str,
        asked: float | None = None,
    ) -> float:
        """Report a failure, then count it; return the seconds until the next try.

        In this order: where the status comes too late (`StaleError`), the object is reconciled
        again, and the failure must not count twice.

        Args:
            resource: The object.
            new: Its status, or what makes it from the seconds until the next try.
            reason: Of the failure.
            asked: Seconds that a server asked for.

        Raises:
            StaleError: The object changed since it was read.
        """
        again = self._next(resource, reason, asked)
        self.status.write(resource, new(again.pause) if callable(new) else new)
        self._count(resource, reason)
        return self._remember(resource, again)

    def failed_for_good(self, resource: Resource, new: ResourceStatus, reason: str) -> None:
        """Report a failure that the same spec would meet again.

        Raises:
            StaleError: The object changed since it was read.
        """
        self.status.write(resource, new)
        self._count(resource, reason)

    def failed_in_part(self, resource: Resource, reason: str) -> float:
        """Count a failure that the status already tells; return the seconds until the next try."""
        self._count(resource, reason)
        return self.come_back(resource, reason)

    def come_back(self, resource: Resource, reason: str) -> float:
        """Return the growing seconds until the next look at something that is no failure."""
        return self._remember(resource, self._next(resource, reason, None))

    def blocked(self, resource: Resource, new: ResourceStatus, pause: float | None = None) -> float:
        """Report what a deletion waits for; return the seconds until the next look.

        Args:
            resource: The object.
            new: Its status.
            pause: About so many seconds: what it waits for wakes it. None: that ends unseen.

        Raises:
            StaleError: The object changed since it was read.
        """
        self.status.write(resource, new)
        return (pause or _BLOCKED_SECONDS) * random.uniform(0.8, 1.2)  # noqa: S311  # jitter

    def release(self, resource: R, left: ResourceStatus, event: Event) -> None:
        """Let a deleted object go, of which nothing is left in the cloud.

        Args:
            resource: The object.
            left: Its status, which says so: a restart after this must not look for the Secret.
            event: What is said of it.

        Raises:
            StaleError: The object changed since it was read.
        """
        written = self.status.write(resource, left)
        self.guard.release(resource, lambda: self.kube.set_finalizer(written, present=False))
        self.status.record_event(resource, event)

    def _next(self, resource: Resource, reason: str, asked: float | None) -> Failures:
        uid, generation = resource.metadata.uid, resource.metadata.generation
        return self.backoff.after_failure(uid, generation, retry.pauses(reason), asked)

    def _remember(self, resource: Resource, again: Failures) -> float:
        self.backoff.remember(resource.metadata.uid, again)
        return again.pause

    def _count(self, resource: Resource, reason: str) -> None:
        metrics.FAILURES.labels(kind_of(type(resource)).plural, reason).inc()
