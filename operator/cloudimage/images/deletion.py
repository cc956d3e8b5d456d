"""Deletes what a CloudImage made once nothing uses it, then releases the object."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime

from cloudimage.access.policy import CloudPolicy
from cloudimage.api.cloudimage import CloudImage, DeletionPolicy
from cloudimage.api.meta import Event
from cloudimage.api.reasons import Reason
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, ConflictError, ForbiddenError, NotFoundError
from cloudimage.cloud.models import GlanceImage
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.attempts import Attempts
from cloudimage.controller.logic import conditions
from cloudimage.credentials import loader
from cloudimage.credentials.logic import guard
from cloudimage.failpoints import Point, failpoint
from cloudimage.images import publishing, snapshots
from cloudimage.images.boot_testing import BootTesting, Left
from cloudimage.images.burned_ids import burn
from cloudimage.images.logic import (
    boot_test_state,
    burned_ids,
    deletion,
    metadata,
    owned_images,
    status,
)
from cloudimage.images.logic.desired import Desired
from cloudimage.images.owned_images import images_of
from cloudimage.images.resync import BLOCKED_SECONDS, Resync
from cloudimage.kube import Kube
from cloudimage.runners.base import Runner
from cloudimage.shares.members import shares_of

logger = logging.getLogger(__name__)

_CANCELLED_SECONDS = 1.0


@dataclass(frozen=True)
class Deletion:
    """One look at an object that is being deleted."""

    kube: Kube
    runner: Runner
    attempts: Attempts
    clouds: ConnectionPool
    policy: CloudPolicy
    tests: BootTesting
    resync: Resync

    def __call__(self, resource: CloudImage) -> float | None:
        """Delete what may go; return the seconds after which to look again, None when done."""
        if self.runner.view(resource.metadata.uid):
            self.runner.cancel(resource.metadata.uid)
            return _CANCELLED_SECONDS
        if guard.needs_no_cloud(resource):
            self._release(resource, "The object is deleted without checking the cloud.")
            return None
        if wait := self._end_test(resource):
            return wait
        if shares := shares_of(self.kube, resource):
            return self.attempts.blocked(resource, _blocked(resource, deletion.shared(shares)))
        return self._with_cloud(resource)

    def _end_test(self, resource: CloudImage) -> float | None:
        """End the boot test; return the seconds until the next look, None where that is done.

        It is waited for two minutes at most: a server that Nova does not delete holds up nothing.
        """
        uid = resource.metadata.uid
        if uid in self.tests.ended or not boot_test_state.may_be_left(resource):
            return None
        try:
            with self.clouds.borrow(loader.load(self.kube, resource)) as cloud:
                left = self.tests.end(resource, cloud)
        except CloudError as error:
            left = Left(error=error)
        waited = self.tests.waited(uid, left)
        if left.is_nothing or waited >= boot_test_state.LONGEST_END:
            self.tests.ended.add(uid)
            self.tests.turns.release(uid)
            if not left.is_nothing:
                self.tests.abandon(resource, left)
            return None
        if left.error is not None:
            return self._blocked_by_cloud(resource, left.error)
        return boot_test_state.LOOK_SECONDS

    def _with_cloud(self, resource: CloudImage) -> float | None:
        try:
            config = loader.load(self.kube, resource)
            with self.clouds.borrow(config) as cloud:
                desired = Desired.of(resource.spec, resource.status.resolved_source)
                found = images_of(cloud, resource, desired)
                owned = owned_images.classify(resource, desired, found)
                if lot := burned_ids.unsettled(resource):
                    burn(resource, lot, cloud.glance, {image.id for image in owned.all})
                if resource.spec.deletion_policy is DeletionPolicy.ORPHAN:
                    self._orphan(resource, cloud, config, owned)
                    return None
                return self._delete(resource, cloud, config, owned)
        except CloudError as error:
            return self._blocked_by_cloud(resource, error)

    def _delete(
        self,
        resource: CloudImage,
        cloud: Cloud,
        config: CloudConfig,
        owned: owned_images.OwnedImages,
    ) -> float | None:
        blockers = [
            blocker
            for image in owned.all
            if (blocker := self._delete_image(resource, cloud, image)) is not None
        ]
        if blockers:
            first = deletion.foremost(blockers)
            if first.reason is Reason.USAGE_UNKNOWN:
                return self.attempts.failed(resource, _blocked(resource, first), first.reason)
            wakes = deletion.is_by_servers(blockers) and self.resync.wakes(resource)
            pause = BLOCKED_SECONDS if wakes else None
            return self.attempts.blocked(resource, _blocked(resource, first), pause)
        self._clear(resource, config)
        failpoint(Point.DELETED, resource.metadata.name)
        names = ", ".join(each.id for each in owned.all) or "none"
        self._release(resource, f"Deleted from Glance: {names}.")
        return None

    def _delete_image(
        self, resource: CloudImage, cloud: Cloud, image: GlanceImage
    ) -> deletion.Blocker | None:
        usage = cloud.usage(image.id)
        if blocker := deletion.blocker(resource, image, usage):
            return blocker
        try:
            if image.protected:
                cloud.glance.patch(
                    image.id, ({"op": "replace", "path": "/protected", "value": False},)
                )
            cloud.glance.delete(image.id)
        except (ConflictError, ForbiddenError) as error:
            tests = self.tests.abandoned(resource.metadata.uid)
            return deletion.refused(Reason(error.reason), str(error), usage, tests)
        except NotFoundError:
            logger.info("it was already deleted", extra={"image": image.id})
        return None

    def _clear(self, resource: CloudImage, config: CloudConfig) -> None:
        """Delete what a snapshot has left, just once: it takes a connection of its own."""
        if snapshots.may_be_left(resource):
            snapshots.clear_left(self.kube, resource, config, self.policy)

    def _orphan(
        self,
        resource: CloudImage,
        cloud: Cloud,
        config: CloudConfig,
        owned: owned_images.OwnedImages,
    ) -> None:
        unused = (*owned.leftovers, *owned.untested(resource))
        for image in unused:
            cloud.glance.delete(image.id)
        kept = [each for each in owned.all if each not in unused]
        for image in kept:
            cloud.glance.patch(image.id, metadata.without_marks(image))
        self._clear(resource, config)
        names = ", ".join(each.id for each in kept) or "none"
        self._release(resource, f"Left in Glance, because deletionPolicy is Orphan: {names}.")

    def _blocked_by_cloud(self, resource: CloudImage, error: CloudError) -> float:
        """Say since when and how to let go, and come back with growing pauses."""
        reason = Reason(error.reason)
        said = conditions.deletion_message(resource, reason, str(error), datetime.now(UTC))
        new = _blocked(resource, deletion.Blocker(reason, said))
        return self.attempts.failed(resource, new, reason, error.retry_after)

    def _release(self, resource: CloudImage, message: str) -> None:
        publishing.withdraw(self.attempts.status, resource)
        event = Event("Normal", "Deleted", message)
        self.attempts.release(resource, status.nothing_left(resource), event)


def _blocked(resource: CloudImage, blocker: deletion.Blocker) -> CloudImageStatus:
    return status.deletion_blocked(
        resource, blocker.reason, blocker.message, blocker.usage, datetime.now(UTC)
    )
