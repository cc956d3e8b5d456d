"""Revokes what an ImageShare gave once nobody uses it, then releases the object."""

import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from cloudimage.api.cloudimage import DeletionPolicy
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.meta import Event
from cloudimage.api.reasons import ShareReason
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.attempts import Attempts
from cloudimage.controller.logic import conditions
from cloudimage.credentials.logic import guard
from cloudimage.kube import Kube
from cloudimage.shares.consumers import Consumers, reason_of
from cloudimage.shares.logic import members as sharing
from cloudimage.shares.logic import status
from cloudimage.shares.logic.status import Problem
from cloudimage.shares.members import ImageNotReadyError, NotShareableError, find_target, revoke


@dataclass(frozen=True)
class ShareDeletion:
    """One look at an ImageShare that is being deleted."""

    kube: Kube
    consumers: Consumers
    attempts: Attempts
    clouds: ConnectionPool
    locks: defaultdict[str, threading.Lock]

    def __call__(self, share: ImageShare) -> float | None:
        """Take back what may go; return the seconds after which to look again, None when done."""
        if guard.needs_no_cloud(share):
            self._release(
                share, ShareReason.TAKEN_BACK, "The object is deleted without checking the cloud."
            )
            return None
        if share.spec.deletion_policy is DeletionPolicy.ORPHAN:
            text = "The members stay, because deletionPolicy is Orphan."
            self._release(share, ShareReason.SHARED, text)
            return None
        try:
            return self._take_back(share)
        except (ImageNotReadyError, NotShareableError) as error:
            self._release(share, ShareReason.IMAGE_GONE, f"{error}. No member was revoked.")
            return None
        except CloudError as error:
            return self._blocked_by_cloud(share, error)

    def _take_back(self, share: ImageShare) -> float | None:
        target = find_target(self.kube, share)
        image_id = share.status.image_id or ""
        images = sharing.all_revisions(image_id, target.owner)
        with self.clouds.borrow(target.config) as cloud, self.locks[image_id]:
            others = self.kube.read_all(ImageShare)
            leaving = set(share.status.projects) - sharing.counted(share, others, images)
            staying = revoke(cloud, share, self.consumers, images, leaving)
        if staying:
            text = sharing.users(staying, sharing.names_of(share, {}))
            problem = Problem(ShareReason.IN_USE, text)
            new = status.deletion_blocked(share, problem, datetime.now(UTC))
            return self.attempts.blocked(share, new)
        names = ", ".join(sorted(leaving)) or "none"
        self._release(share, ShareReason.TAKEN_BACK, f"No longer members: {names}.")
        return None

    def _blocked_by_cloud(self, share: ImageShare, error: CloudError) -> float:
        """Say since when and how to let go, and come back with growing pauses."""
        reason = reason_of(error)
        said = conditions.deletion_message(share, reason, str(error), datetime.now(UTC))
        new = status.deletion_blocked(share, Problem(reason, said), datetime.now(UTC))
        return self.attempts.failed(share, new, reason, error.retry_after)

    def _release(self, share: ImageShare, reason: ShareReason, message: str) -> None:
        event = Event("Normal", reason, message)
        self.attempts.release(share, status.nothing_left(share), event)
