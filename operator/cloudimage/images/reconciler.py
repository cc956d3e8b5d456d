"""Reconciles one CloudImage: observe, decide, act once, write the status, say when to come back."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial

from cloudimage.api.cloudimage import CloudImage, ManagementPolicy
from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.api.meta import FINALIZER, Event
from cloudimage.api.reasons import ABSENT_REASONS, CREDENTIALS_REASONS, TERMINAL_REASONS, Reason
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.models import GlanceImage
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.backoff import Backoff, Failures
from cloudimage.controller.logic import retry
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.credentials import loader
from cloudimage.credentials.guard import SecretHolder
from cloudimage.failpoints import Point, reached
from cloudimage.images import adoption, lookup, rollout
from cloudimage.images import adoption as adopting
from cloudimage.images.acceptances import Acceptances
from cloudimage.images.burned_ids import burn
from cloudimage.images.deletion import Deletion
from cloudimage.images.logic import (
    available_status,
    burned_ids,
    drift,
    owned_images,
    revisions,
    schedule,
    status,
    transfer_request,
)
from cloudimage.images.owned_images import images_of, upkeep_of
from cloudimage.kube import Key, Kube, StaleError, key_of
from cloudimage.metrics import operator as metrics
from cloudimage.runners.base import Runner
from cloudimage.settings import Settings
from cloudimage.shares.consumers import Consumers
from cloudimage.transfer import contract

_STALE_SECONDS = 0.5
_CANCELLED_SECONDS = 1.0
_OTHERS_REASONS = frozenset({Reason.FORBIDDEN, Reason.QUOTA_EXCEEDED, Reason.REVISION_FAILED})
"""Passing, but only once somebody acts."""


@dataclass
class CloudImageReconciler:
    """Brings one CloudImage's cloud nearer to its spec each time it is called.

    It is synchronous and runs in a thread of the work queue, one object at a time in each; bytes
    move in processes of their own, so that nothing here takes long.

    Attributes:
        notify: Puts a key back into the queue, from any thread.
    """

    kube: Kube
    runner: Runner
    settings: Settings
    notify: Callable[[Key], None]
    backoff: Backoff = field(default_factory=Backoff)
    clouds: ConnectionPool = field(init=False)
    secrets: SecretHolder = field(init=False)
    _awakened: set[Key] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.secrets = SecretHolder(self.kube)
        policy = self.settings.cloud_policy
        self.clouds = ConnectionPool(connect=partial(open_cloud, policy=policy))

    def look_again(self, key: Key) -> None:
        """Have the next call compare the object with Glance before that is due; from any thread."""
        self._awakened.add(key)

    def __call__(self, key: Key) -> float | None:
        """Reconcile, and return the seconds after which to be called again; None: when told."""
        try:
            resource = self.kube.read(CloudImage, key)
            if resource is None:
                self.secrets.gone((CloudImage, key))
                metrics.OBJECTS.gone(CLOUD_IMAGE.plural, key)
                self._awakened.discard(key)
                return None
            self.secrets.seen(resource)
            if resource.metadata.deletion_timestamp:
                return self._deletion(resource)
            if resource.spec.management_policy is ManagementPolicy.UNMANAGED:
                return self._observe(resource)
            if FINALIZER not in resource.metadata.finalizers:
                resource = self.kube.set_finalizer(resource, present=True)
                reached(Point.FINALIZER, key.name)
            return self._apply(resource)
        except StaleError:
            self.look_again(key)
            return _STALE_SECONDS

    @property
    def _deletion(self) -> Deletion:
        return Deletion(self.kube, self.runner, self.backoff, self.clouds, self.secrets)

    def gone(self, uid: str) -> None:
        """Let go of an object that was removed, whoever took its finalizer."""
        self.runner.cancel(uid)
        self.backoff.clear(uid)

    def _apply(self, resource: CloudImage) -> float | None:
        uid = resource.metadata.uid
        moving = self.runner.view(uid)
        if moving is None:
            return self._settle(resource, None)
        if moving.cancelled or moving.digest != transfer_request.digest(resource.spec):
            self.runner.cancel(uid)
            return _CANCELLED_SECONDS
        match moving.outcome:
            case None:
                self._write(resource, status.transferring(resource, moving.progress))
                return None
            case contract.Failure() if schedule.was_edited(resource):
                self.runner.forget(uid)
                return self._settle(resource, None)
            case contract.Failure() as failure:
                delay = self._failed(resource, failure)
                self.runner.forget(uid)
                return delay
            case contract.Result() as result:
                reached(Point.ENDED, resource.metadata.name)
                return self._settle(resource, result)

    def _settle(self, resource: CloudImage, result: contract.Result | None) -> float | None:
        resource = self._acted_on_retry(resource)
        if schedule.gave_up(resource):
            return None
        awakened = self._is_awakened(key_of(resource))
        if wait := self._not_before(resource, at_once=result is not None or awakened):
            return wait
        try:
            config = loader.load(self.kube, resource)
            resource = self.secrets.record(resource)
            with self.clouds.borrow(config) as cloud:
                standing = owned_images.sort(resource, images_of(cloud, resource))
                if adoption.is_wanted(resource, standing):
                    resource, standing = self._adopt(resource, cloud, standing)
                self._burn(resource, cloud, standing)
                if standing.current is None:
                    self._start(resource, cloud, config, standing)
                    return None
                return self._keep(resource, cloud, standing, standing.current, result)
        except CloudError as error:
            return self._troubled(resource, error)

    def _burn(self, resource: CloudImage, cloud: Cloud, standing: owned_images.Standing) -> None:
        """Settle what an earlier transfer may have left under way, before it is forgotten."""
        digest, starts = transfer_request.digest(resource.spec), standing.current is None
        if lot := burned_ids.to_settle_first(resource, digest, starts=starts):
            burn(resource, lot, cloud.glance, {image.id for image in standing.all})

    def _acted_on_retry(self, resource: CloudImage) -> CloudImage:
        """Forget what failed when the annotation asks for another try; each value counts once."""
        value = retry.asked(resource)
        if value is None:
            return resource
        self.backoff.clear(resource.metadata.uid)
        return self._write(resource, status.retrying(resource, value, _now()))

    def _observe(self, resource: CloudImage) -> float | None:
        """Show an image that is not ours; it is only looked at."""
        resource = self._acted_on_retry(resource)
        if wait := self._not_before(resource):
            return wait
        try:
            with self.clouds.borrow(loader.load(self.kube, resource)) as cloud:
                image = lookup.find(resource, cloud.glance)
                usage = rollout.usage_of(cloud, image.id)
        except CloudError as error:
            return self._troubled(resource, error)
        resource = self._write(resource, available_status.observed(resource, image, usage, _now()))
        if image.status != "active":
            again = self._after_failure(resource, Reason.IMAGE_NOT_FOUND, None)
            return self._remember(resource, again)
        self.backoff.clear(resource.metadata.uid)
        return self._not_before(resource) or self.settings.resync_seconds

    def _adopt(
        self, resource: CloudImage, cloud: Cloud, standing: owned_images.Standing
    ) -> tuple[CloudImage, owned_images.Standing]:
        """Take over the image of spec.adopt, after the status says so: a deletion must know."""
        image = adopting.candidate(resource, cloud.glance, standing)
        if image is None:
            return resource, standing
        resource = self._write(resource, status.adopting(resource, _now()))
        return resource, adopting.take_over(resource, cloud.glance, standing, image)

    def _is_awakened(self, key: Key) -> bool:
        """Tell whether to look again, and forget it: what comes after this asks for another."""
        awakened = key in self._awakened
        self._awakened.discard(key)
        return awakened

    def _not_before(self, resource: CloudImage, *, at_once: bool = False) -> float:
        """Return the seconds until it is worth looking at the cloud again; 0: it is now.

        ``at_once``: whether the object is due or not; after a failure it waits all the same.
        """
        due = schedule.next_sync(resource, self.settings.resync_seconds)
        if due is not None and not at_once:
            return max(0.0, (due - _now()).total_seconds())
        return self.backoff.remaining(resource.metadata.uid, resource.metadata.generation)

    def _keep(
        self,
        resource: CloudImage,
        cloud: Cloud,
        standing: owned_images.Standing,
        image: GlanceImage,
        result: contract.Result | None,
    ) -> float:
        """Bring the image's metadata in line, and what came before it out of its way."""
        upkeep = upkeep_of(self.kube, resource, image)
        successor = rollout.prepare(resource, cloud.glance, standing, image, upkeep.patch)
        Acceptances(Consumers(self.kube, self.clouds)).carry_over(resource, cloud.glance, successor)
        image = rollout.promote(resource, cloud.glance, standing, successor)
        if upkeep.patch:
            reached(Point.PATCHED, resource.metadata.name)
        if upkeep.event:
            StatusWriter(self.kube).post(resource, upkeep.event)
        usage = rollout.usage_of(cloud, image.id)
        olds = rollout.look(cloud, standing.previous)
        new = available_status.available(resource, image, usage, result, _now(), *upkeep.drafts)
        resource = self._write(resource, revisions.listed(new, image, olds))
        olds = rollout.retire(resource, cloud, standing, olds)
        resource = self._write(resource, revisions.listed(resource.status, image, olds))
        if result:
            for warning in result.warnings:
                event = Event("Warning", Reason.WEAK_CHECKSUM, warning)
                StatusWriter(self.kube).post(resource, event)
        self.runner.forget(resource.metadata.uid)
        self.backoff.clear(resource.metadata.uid)
        return self._not_before(resource) or self.settings.resync_seconds

    def _start(
        self,
        resource: CloudImage,
        cloud: Cloud,
        config: CloudConfig,
        standing: owned_images.Standing,
    ) -> None:
        """Start a transfer, after the status says so: a deletion must know of it."""
        for leftover in standing.leftovers:
            cloud.glance.delete(leftover.id)
        self.runner.forget(resource.metadata.uid)
        demanded = self.settings.auth_needs_hosts
        texts = loader.load_source(self.kube, resource, hosts_demanded=demanded)
        serving = revisions.serving(resource, standing)
        deleted = drift.deletion(resource, standing.all)
        resource = self._write(resource, status.starting(resource, serving, _now()))
        if deleted:
            StatusWriter(self.kube).post(resource, deleted)
        reached(Point.STARTING, resource.metadata.name)
        request = contract.TransferRequest(
            source=transfer_request.source(resource.spec, texts),
            image=transfer_request.new_image(
                resource,
                revisions.name_to_begin_with(resource, standing),
                config.origin.secret_uid if config.origin else None,
            ),
            cloud=contract.Cloud(config=dict(config.options), ca_certificate=config.ca_certificate),
            scratch=self.settings.scratch,
            cache=self.settings.scratch / "cache",
            method=transfer_request.method(resource.spec),
            policy=self.settings.policy,
            cloud_policy=self.settings.cloud_policy,
            limits=transfer_request.limits(resource.spec, self.settings.limits),
        )
        key = key_of(resource)
        self.runner.start(
            resource.metadata.uid,
            transfer_request.digest(resource.spec),
            request,
            lambda: self.notify(key),
            resource,
        )

    def _failed(self, resource: CloudImage, failure: contract.Failure) -> float | None:
        reason = Reason(failure.reason)
        again = None
        if not schedule.is_terminal(resource, reason):
            again = self._after_failure(resource, reason, failure.retry_after)
        retry_at = _now() + timedelta(seconds=again.pause) if again else None
        self._write(resource, status.failed(resource, failure, _now(), retry_at))
        metrics.FAILURES.labels(CLOUD_IMAGE.plural, reason).inc()
        return self._remember(resource, again)

    def _troubled(self, resource: CloudImage, error: CloudError) -> float | None:
        reason = Reason(error.reason)
        again = None
        if reason not in TERMINAL_REASONS:
            again = self._after_failure(resource, reason, error.retry_after)
        trouble = status.Trouble(
            reason,
            str(error),
            stalled=reason
            in CREDENTIALS_REASONS | TERMINAL_REASONS | ABSENT_REASONS | _OTHERS_REASONS,
            pauses=again.pauses if again else None,
        )
        self._write(resource, status.troubled(resource, trouble, _now()))
        metrics.FAILURES.labels(CLOUD_IMAGE.plural, reason).inc()
        return self._remember(resource, again)

    def _after_failure(self, resource: CloudImage, reason: Reason, asked: float | None) -> Failures:
        uid, generation = resource.metadata.uid, resource.metadata.generation
        return self.backoff.after_failure(uid, generation, retry.pauses(reason), asked)

    def _remember(self, resource: CloudImage, again: Failures | None) -> float | None:
        """Count a failure once its status is written: one that comes too late is told again."""
        if again is None:
            return None
        self.backoff.remember(resource.metadata.uid, again)
        return again.pause

    def _write(self, resource: CloudImage, new: CloudImageStatus) -> CloudImage:
        return StatusWriter(self.kube).write(resource, new)


def _now() -> datetime:
    return datetime.now(UTC)
