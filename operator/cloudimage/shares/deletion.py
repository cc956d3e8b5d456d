"""Revokes what an ImageShare gave once nobody uses it, then releases the object."""

import random
import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from cloudimage.api.cloudimage import DeletionPolicy
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.kinds import IMAGE_SHARE
from cloudimage.api.meta import FINALIZER, Event
from cloudimage.api.reasons import ShareReason
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.backoff import Backoff
from cloudimage.controller.logic import outage, retry
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.credentials.guard import SecretHolder, name_of
from cloudimage.credentials.logic import guard
from cloudimage.kube import Kube
from cloudimage.metrics import operator as metrics
from cloudimage.shares.consumers import Consumers, reason_of
from cloudimage.shares.logic import members as sharing
from cloudimage.shares.logic import status
from cloudimage.shares.logic.status import Problem
from cloudimage.shares.members import ImageNotReadyError, NotShareableError, find_target, take_back

_BLOCKED_SECONDS = 12.0
"""With its jitter well under the 30 s within which a member goes after its last server."""


@dataclass(frozen=True)
class ShareDeletion:
    """One look at an ImageShare that is being deleted."""

    kube: Kube
    consumers: Consumers
    backoff: Backoff
    clouds: ConnectionPool
    secrets: SecretHolder
    locks: defaultdict[str, threading.Lock]

    def __call__(self, share: ImageShare) -> float | None:
        """Take back what may go; return the seconds after which to look again, None when done."""
        if FINALIZER not in share.metadata.finalizers:
            return None
        if guard.needs_no_cloud(share):
            self._release(share, ShareReason.TAKEN_BACK, "The cloud was not looked at.")
            return None
        if share.spec.deletion_policy is DeletionPolicy.ORPHAN:
            text = "The members stay, as deletionPolicy Orphan says."
            self._release(share, ShareReason.SHARED, text)
            return None
        try:
            return self._take_back(share)
        except (ImageNotReadyError, NotShareableError) as error:
            self._release(share, ShareReason.IMAGE_GONE, f"{error}. Nothing was taken back.")
            return None
        except CloudError as error:
            return self._troubled(share, error)

    def _take_back(self, share: ImageShare) -> float | None:
        target = find_target(self.kube, share)
        image_id = share.status.image_id or ""
        images = sharing.images_of(image_id, target.owner)
        with self.clouds.borrow(target.config) as cloud, self.locks[image_id]:
            others = self.kube.read_all(ImageShare)
            leaving = set(share.status.projects) - sharing.counted(share, others, images)
            staying = take_back(cloud, share, self.consumers, images, leaving)
        if staying:
            text = sharing.users(staying, sharing.names_of(share, {}))
            return self._blocked(share, Problem(ShareReason.IN_USE, text))
        names = ", ".join(sorted(leaving)) or "none"
        self._release(share, ShareReason.TAKEN_BACK, f"No member any more: {names}.")
        return None

    def _troubled(self, share: ImageShare, error: CloudError) -> float:
        """Say since when and how to let go, and come back with growing pauses."""
        reason, now = reason_of(error), datetime.now(UTC)
        self._blocked(share, Problem(reason, outage.holds_up(share, reason, str(error), now)))
        uid, generation = share.metadata.uid, share.metadata.generation
        again = self.backoff.after_failure(uid, generation, retry.pauses(reason), error.retry_after)
        self.backoff.remember(uid, again)
        metrics.FAILURES.labels(IMAGE_SHARE.plural, reason).inc()
        return again.pause

    def _blocked(self, share: ImageShare, problem: Problem) -> float:
        new = status.deletion_blocked(share, problem, datetime.now(UTC))
        StatusWriter(self.kube).write(share, new)
        return _BLOCKED_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311  # jitter

    def _release(self, share: ImageShare, reason: ShareReason, message: str) -> None:
        left = StatusWriter(self.kube).write(share, status.nothing_left(share))
        self.secrets.let_go(
            name_of(share),
            guard.named(share),
            lambda: self.kube.set_finalizer(left, present=False),
        )
        StatusWriter(self.kube).post(share, Event("Normal", reason, message))
