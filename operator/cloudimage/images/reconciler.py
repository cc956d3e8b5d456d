"""Reconciles one CloudImage: observe, decide, act once, write the status, say when to come back."""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cloudimage.api.cloudimage import CloudImage, ManagementPolicy
from cloudimage.api.names import FINALIZER
from cloudimage.api.reasons import ABSENT_REASONS, CREDENTIALS_REASONS, TERMINAL_REASONS, Reason
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.api.status import CloudImageStatus, UploadStatus
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, ConflictError
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.logic import retry
from cloudimage.controller.reconciler import Reconciler, now
from cloudimage.credentials import loader
from cloudimage.failpoints import Point, failpoint
from cloudimage.images import (
    adoption,
    lookup,
    resolution,
    rollout,
    snapshots,
    starting,
)
from cloudimage.images.boot_testing import BootTesting
from cloudimage.images.burned_ids import burn
from cloudimage.images.deletion import Deletion
from cloudimage.images.following import Following, Meaning
from cloudimage.images.keeping import Keeping, Kept
from cloudimage.images.logic import (
    available_status,
    boot_test_state,
    boot_test_status,
    burned_ids,
    follow_status,
    owned_images,
    revisions,
    schedule,
    status,
    uploads,
)
from cloudimage.images.logic.desired import Desired
from cloudimage.images.owned_images import images_of
from cloudimage.images.resync import Resync
from cloudimage.kube import Key, key_of
from cloudimage.runners.base import Runner
from cloudimage.settings import Settings
from cloudimage.sources.customize import references_of
from cloudimage.transfer import contract

_CANCELLED_SECONDS = 1.0
_OTHERS_REASONS = frozenset(
    {
        Reason.FORBIDDEN,
        Reason.QUOTA_EXCEEDED,
        Reason.REVISION_FAILED,
        Reason.SOURCE_NOT_FOUND,
        Reason.SOURCE_AMBIGUOUS,
    }
)
"""Passing, but only once somebody acts."""


@dataclass
class CloudImageReconciler(Reconciler[CloudImage]):
    """Brings one CloudImage's cloud nearer to its spec each time it is called.

    Bytes move in processes of their own, so that nothing here takes long.

    Attributes:
        notify: Puts a key back into the queue, from any thread.
    """

    model: type[CloudImage] = field(default=CloudImage, init=False)
    runner: Runner
    following: Following
    settings: Settings
    clouds: ConnectionPool
    keeping: Keeping
    resync: Resync
    notify: Callable[[Key], None]

    @property
    def tests(self) -> BootTesting:
        """The boot tests of images."""
        return self.keeping.tests

    def delete(self, resource: CloudImage) -> float | None:
        """Delete what may go; return the seconds until the next look, None when done."""
        policy = self.settings.cloud_policy
        deletion = Deletion(
            self.kube, self.runner, self.attempts, self.clouds, policy, self.tests, self.resync
        )
        return deletion(resource)

    def rest(self, resource: CloudImage) -> float:
        """Return the seconds for which an object may be left alone, by its status and the view."""
        uid = resource.metadata.uid
        if resource.spec.management_policy is ManagementPolicy.UNMANAGED:
            return 0.0
        if self.runner.view(uid) is not None or self.following.is_answered(uid):
            return 0.0
        due = self.resync.due(resource)
        return 0.0 if due is None else max(0.0, (due - now()).total_seconds())

    def reconcile(self, resource: CloudImage) -> float | None:
        """Do the next step towards the spec; return the seconds until the next look."""
        if resource.spec.management_policy is ManagementPolicy.UNMANAGED:
            return self._observe(resource)
        if FINALIZER not in resource.metadata.finalizers:
            resource = self.held(resource)
            failpoint(Point.FINALIZER, resource.metadata.name)
        return self._apply(resource)

    def retrying(self, resource: CloudImage, value: str, now: datetime) -> CloudImageStatus:
        """Return the status once the value of the annotation for a retry is acted on."""
        self.clouds.forgive(resource.metadata.namespace)
        return status.retrying(resource, value, now)

    def gone(self, uid: str) -> None:
        """Forget an object that was removed, and end its transfer."""
        self.runner.cancel(uid)
        self.following.looks.forget(uid)
        self.tests.gone(uid)
        super().gone(uid)

    def _apply(self, resource: CloudImage) -> float | None:
        uid = resource.metadata.uid
        moving = self.runner.view(uid)
        desired = Desired.of(resource.spec, resource.status.resolved_source)
        if moving is None:
            return self._settle(resource, desired, None)
        if moving.cancelled or moving.digest != desired.content_key:
            self.runner.cancel(uid)
            return _CANCELLED_SECONDS
        match moving.outcome:
            case None:
                self.write(resource, status.transferring(resource, moving.progress))
                return None
            case contract.Failure() if schedule.spec_changed(resource):
                self.runner.forget(uid)
                return self._settle(resource, desired, None)
            case contract.Failure() as failure:
                delay = self._failed(resource, desired, failure)
                self.runner.forget(uid)
                return boot_test_state.sooner(resource, delay)
            case contract.Result() as result:
                failpoint(Point.ENDED, resource.metadata.name)
                return self._settle(resource, desired, result)

    def _settle(
        self, resource: CloudImage, desired: Desired, result: contract.Result | None
    ) -> float | None:
        asked = resource
        resource = self.retried(resource)
        failed = schedule.needs_no_look(resource, desired)
        if failed and (due := self.following.until_due(resource, desired)) != 0.0:
            return due
        awakened = self.is_awakened(resource) or self.following.is_answered(resource.metadata.uid)
        if wait := self._not_before(resource, at_once=result is not None or awakened):
            return wait
        at_rest = schedule.is_compared(resource, self.resync.period(resource), now())
        compared = at_rest and result is None and not awakened and resource is asked
        try:
            config = loader.load(self.kube, resource)
            resource = self.guard.record(resource)
            with self.clouds.borrow(config) as cloud:
                opened = self._opener(resource)
                # Written down before anything is made of it.
                meaning = self.following.resolve(resource, desired, cloud, config, opened)
                resource, desired = meaning.resource, meaning.desired
                if meaning.is_open:
                    return self._not_known(meaning)
                found = images_of(cloud, resource, desired)
                owned = owned_images.classify(resource, desired, found)
                if adoption.is_wanted(resource, owned):
                    resource, owned = self._adopt(resource, desired, cloud, owned)
                self._burn(resource, desired, cloud, owned, config)
                resource = self._copied(resource, cloud, owned)
                if owned.current is None:
                    return self._make(resource, desired, cloud, config, owned)
                kept = self.keeping(resource, desired, cloud, owned, result, compared=compared)
                return self._kept(kept, desired)
        except CloudError as error:
            return self._blocked_by_cloud(resource, error)

    def _make(
        self,
        resource: CloudImage,
        desired: Desired,
        cloud: Cloud,
        config: CloudConfig,
        owned: owned_images.OwnedImages,
    ) -> float | None:
        """Have the image made: by a person if the spec says so, else by a transfer."""
        resource = self.tests.give_way(resource, cloud)
        if schedule.is_not_to_be_made(resource, desired):
            return boot_test_state.sooner(resource, self.following.until_due(resource, desired))
        if uploads.is_awaited(desired):
            return self._await(resource, desired, cloud, config, owned)
        self._start(resource, desired, cloud, config, owned)
        return None

    def _not_known(self, meaning: Meaning) -> float | None:
        resource = meaning.resource
        if meaning.failure is not None:
            return self._failed(resource, meaning.desired, meaning.failure)
        if meaning.failed:
            return self.following.until_due(resource, meaning.desired)
        self.write(resource, status.looking(resource, now()))
        return None

    def _copied(
        self, resource: CloudImage, cloud: Cloud, owned: owned_images.OwnedImages
    ) -> CloudImage:
        """Look up what is copied of the source's metadata, and write it down before it is used."""
        opened = self._opener(resource)
        found = resolution.metadata_of(resource, owned.current, cloud, opened)
        if found == resource.status.copied_metadata:
            return resource
        return self.write(resource, status.copied(resource, found))

    def _opener(self, resource: CloudImage) -> resolution.Opener:
        """Return what opens the cloud of a source."""

        def opened(ref: CloudCredentialsRef) -> AbstractContextManager[Cloud]:
            other = loader.load_other(self.kube, resource.metadata.namespace, ref)
            return self.clouds.borrow(other)

        return opened

    def _burn(
        self,
        resource: CloudImage,
        desired: Desired,
        cloud: Cloud,
        owned: owned_images.OwnedImages,
        config: CloudConfig,
    ) -> None:
        """Settle what an earlier transfer may have left under way, before it is forgotten."""
        starts = owned.current is None and not uploads.is_awaited(desired)
        if lot := burned_ids.to_settle_first(resource, desired.content_key, starts=starts):
            burn(resource, lot, cloud.glance, {image.id for image in owned.all})
            if resource.status.digest != desired.content_key:
                policy = self.settings.cloud_policy
                snapshots.clear_left(self.kube, resource, config, policy)

    def _observe(self, resource: CloudImage) -> float | None:
        """Show an image that is not ours; it is only looked at."""
        resource = self.retried(resource)
        if wait := self._not_before(resource):
            return wait
        try:
            with self.clouds.borrow(loader.load(self.kube, resource)) as cloud:
                image = lookup.find(resource, cloud.glance)
                usage = rollout.usage_of(cloud, image.id)
        except CloudError as error:
            return self._blocked_by_cloud(resource, error)
        resource = self.write(resource, available_status.observed(resource, image, usage, now()))
        if image.status != "active":
            return self.attempts.come_back(resource, Reason.IMAGE_NOT_FOUND)
        self.attempts.backoff.clear(resource.metadata.uid)
        return self.resync.until_next_look(resource)

    def _adopt(
        self, resource: CloudImage, desired: Desired, cloud: Cloud, owned: owned_images.OwnedImages
    ) -> tuple[CloudImage, owned_images.OwnedImages]:
        """Take over the image of spec.adopt, after the status says so: a deletion must know."""
        image = adoption.candidate(resource, cloud.glance, owned, self.kube)
        if image is None:
            return resource, owned
        resource = self.write(resource, status.adopting(resource, desired, now()))
        return resource, adoption.take_over(resource, desired, cloud.glance, owned, image)

    def _not_before(self, resource: CloudImage, *, at_once: bool = False) -> float:
        return self.wait(resource, self.resync.due(resource), at_once=at_once)

    def _kept(self, kept: Kept, desired: Desired) -> float | None:
        """Return the seconds until the next look at a current image that was looked at."""
        resource, uid = kept.resource, kept.resource.metadata.uid
        self.runner.forget(uid)
        self.attempts.backoff.clear(uid)
        self.resync.know(resource, kept.image)
        if kept.held and kept.seconds is None:
            if back := boot_test_status.given_up(resource, now()):
                self.write(resource, back)
                return _CANCELLED_SECONDS
            due = self.following.until_due(resource, desired)
            # The image that serves may be deleted, and what the test lacks may come.
            period = self.settings.unwatched_seconds
            return period if due is None else min(due, period)
        due = self.resync.until_next_look(resource)
        return due if kept.seconds is None else min(due, kept.seconds)

    def _start(
        self,
        resource: CloudImage,
        desired: Desired,
        cloud: Cloud,
        config: CloudConfig,
        owned: owned_images.OwnedImages,
    ) -> None:
        """Start a transfer, after the status says so: a deletion must know of it."""
        for leftover in owned.leftovers:
            with suppress(ConflictError):  # a server of a test is being deleted; another look tries
                cloud.glance.delete(leftover.id)
        self.runner.forget(resource.metadata.uid)
        settings, key = self.settings, key_of(resource)
        demanded, needed = settings.auth_needs_hosts, references_of(resource.spec)
        texts = loader.load_texts(self.kube, key.namespace, needed, hosts_demanded=demanded)
        serving = revisions.serving(resource, owned)
        deleted = owned_images.deletion_event(resource, owned)
        resource = self.write(resource, status.starting(resource, desired, serving, now()))
        if deleted:
            self.attempts.status.record_event(resource, deleted)
        failpoint(Point.STARTING, resource.metadata.name)
        request = starting.request_for(
            resource, desired, owned, config, texts, settings, cloud.keystone.login()
        )
        self.runner.start(
            resource.metadata.uid,
            desired.content_key,
            request,
            lambda: self.notify(key),
            resource,
        )

    def _await(
        self,
        resource: CloudImage,
        desired: Desired,
        cloud: Cloud,
        config: CloudConfig,
        owned: owned_images.OwnedImages,
    ) -> float:
        """Say what is waited for, and remove uploads that were broken off."""
        self.runner.forget(resource.metadata.uid)
        for leftover in owned.leftovers:
            if not uploads.goes_on(leftover, desired, now()):
                with suppress(ConflictError):
                    cloud.glance.delete(leftover.id)
        origin = config.origin
        where = UploadStatus(
            project_id=cloud.glance.project_id, secret_uid=origin.secret_uid if origin else None
        )
        serving = revisions.serving(resource, owned)
        resource = self.write(resource, uploads.awaiting(resource, desired, serving, where, now()))
        return self.attempts.come_back(resource, Reason.AWAITING_UPLOAD)

    def _failed(
        self, resource: CloudImage, desired: Desired, failure: contract.Failure
    ) -> float | None:
        reason, followed = Reason(failure.reason), resource.spec.follow is not None
        resource = follow_status.asked_after(resource, reason)
        if schedule.is_terminal(desired, reason, failure.stage, followed=followed):
            if back := follow_status.given_up(resource, failure.message, now()):
                self.write(resource, back)
                return _CANCELLED_SECONDS
            new = status.failed(resource, failure, now(), None)
            self.attempts.failed_for_good(resource, new, reason)
            return self.following.until_due(resource, desired)

        def told(pause: float) -> CloudImageStatus:
            return status.failed(resource, failure, now(), now() + timedelta(seconds=pause))

        return self.attempts.failed(resource, told, reason, failure.retry_after)

    def _blocked_by_cloud(self, resource: CloudImage, error: CloudError) -> float | None:
        reason = Reason(error.reason)
        terminal = reason in TERMINAL_REASONS
        obstacle = status.Obstacle(
            reason,
            str(error),
            stalled=terminal or reason in CREDENTIALS_REASONS | ABSENT_REASONS | _OTHERS_REASONS,
            pauses=None if terminal else retry.pauses(reason),
        )
        new = status.blocked_by_cloud(resource, obstacle, now())
        if terminal:
            self.attempts.failed_for_good(resource, new, reason)
            return None
        return self.attempts.failed(resource, new, reason, error.retry_after)
