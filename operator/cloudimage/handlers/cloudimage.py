"""Reconciles one CloudImage: observe, decide, act once, write status, say when to come back."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cloudimage import metrics
from cloudimage.api.cloudimage import CloudImage, CloudImageStatus
from cloudimage.api.meta import FINALIZER
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.types import GlanceImage, Usage
from cloudimage.halts import Point, reached
from cloudimage.handlers import credentials
from cloudimage.handlers.backoff import Backoff
from cloudimage.handlers.deletion import Deletion
from cloudimage.handlers.kube import Key, Kube, StaleError, key_of
from cloudimage.handlers.runner import ChildRunner
from cloudimage.handlers.status import StatusWriter
from cloudimage.reconcile import content, metadata, plan, status
from cloudimage.reconcile.events import Event
from cloudimage.reconcile.reasons import CREDENTIALS_REASONS, TERMINAL_REASONS, Reason
from cloudimage.settings import Settings
from cloudimage.transfer import types as transfer

logger = logging.getLogger(__name__)

_STALE_SECONDS = 0.5
_CANCELLED_SECONDS = 1.0
_SECRET_SECONDS = 10.0
_CREDENTIALS_SECONDS = 60.0
_OTHERS_REASONS = frozenset({Reason.FORBIDDEN, Reason.QUOTA_EXCEEDED})
"""Passing, but only once the cloud's administrator acts."""


@dataclass
class CloudImageReconciler:
    """Brings one CloudImage's cloud nearer to its spec each time it is called.

    It is synchronous and runs in a thread of the work queue, one object at a time in each; bytes
    move in processes of their own, so that nothing here takes long.

    Attributes:
        notify: Puts a key back into the queue, from any thread.
    """

    kube: Kube
    runner: ChildRunner
    settings: Settings
    notify: Callable[[Key], None]
    backoff: Backoff = field(default_factory=Backoff)

    def __call__(self, key: Key) -> float | None:
        """Reconcile, and return the seconds after which to be called again; None: when told."""
        try:
            resource = self.kube.read(key)
            if resource is None:
                return None
            if resource.metadata.deletion_timestamp:
                return Deletion(self.kube, self.runner)(resource)
            if FINALIZER not in resource.metadata.finalizers:
                resource = self.kube.set_finalizer(resource, present=True)
                reached(Point.FINALIZER, key.name)
            return self._apply(resource)
        except StaleError:
            return _STALE_SECONDS

    def gone(self, uid: str) -> None:
        """Let go of an object that was removed, whoever took its finalizer."""
        self.runner.cancel(uid)
        self.backoff.clear(uid)

    def _apply(self, resource: CloudImage) -> float | None:
        uid = resource.metadata.uid
        moving = self.runner.view(uid)
        if moving is None:
            return self._settle(resource, None)
        if moving.cancelled or moving.digest != content.digest(resource.spec):
            self.runner.cancel(uid)
            return _CANCELLED_SECONDS
        match moving.outcome:
            case None:
                self._write(resource, status.transferring(resource, moving.progress))
                return None
            case transfer.Failure() as failure:
                delay = self._failed(resource, failure)
                self.runner.forget(uid)
                return delay
            case transfer.Result() as result:
                reached(Point.ENDED, resource.metadata.name)
                return self._settle(resource, result)

    def _settle(self, resource: CloudImage, result: transfer.Result | None) -> float | None:
        if plan.gave_up(resource):
            return None
        if wait := self._not_before(resource, result):
            return wait
        try:
            config = credentials.load(self.kube, resource)
            with open_cloud(config) as cloud:
                standing = plan.sort(
                    resource, cloud.glance.find(transfer.Marks.UID, resource.metadata.uid)
                )
                if standing.current is None:
                    self._start(resource, cloud, config, standing)
                    return None
                self._retire(cloud, standing)
                return self._keep(resource, cloud, standing.current, result)
        except CloudError as error:
            return self._troubled(resource, error)

    def _not_before(self, resource: CloudImage, result: transfer.Result | None) -> float:
        """Return the seconds until it is worth looking at the cloud again; 0: it is now."""
        due = plan.next_sync(resource, self.settings.resync_seconds)
        if due is not None and result is None:
            return max(0.0, (due - _now()).total_seconds())
        return self.backoff.remaining(resource.metadata.uid, resource.metadata.generation)

    def _keep(
        self,
        resource: CloudImage,
        cloud: Cloud,
        image: GlanceImage,
        result: transfer.Result | None,
    ) -> float:
        """Bring the image's metadata in line."""
        if patch := metadata.differences(resource, image):
            image = cloud.glance.patch(image.id, patch)
            reached(Point.PATCHED, resource.metadata.name)
        usage = _usage(cloud, image.id)
        resource = self._write(resource, status.available(resource, image, usage, result, _now()))
        if result:
            metrics.TRANSFERS.labels(Reason.AVAILABLE).inc()
            metrics.UPLOADED_BYTES.inc(result.size)
            for warning in result.warnings:
                event = Event("Warning", Reason.WEAK_CHECKSUM, warning)
                StatusWriter(self.kube).post(resource, event)
        self.runner.forget(resource.metadata.uid)
        self.backoff.clear(resource.metadata.uid)
        return self._not_before(resource, None) or self.settings.resync_seconds

    def _start(
        self, resource: CloudImage, cloud: Cloud, config: CloudConfig, standing: plan.Standing
    ) -> None:
        """Start a transfer, after the status says so: a deletion must know of it."""
        for leftover in standing.leftovers:
            cloud.glance.delete(leftover.id)
        self.runner.forget(resource.metadata.uid)
        texts = credentials.load_source(self.kube, resource)
        serving = next(iter(standing.previous), None)
        resource = self._write(resource, status.starting(resource, serving, _now()))
        reached(Point.STARTING, resource.metadata.name)
        request = transfer.TransferRequest(
            source=content.source(resource.spec, texts),
            image=content.new_image(resource),
            cloud=transfer.Cloud(config=dict(config.options), ca_certificate=config.ca_certificate),
            scratch=self.settings.scratch,
            cache=self.settings.scratch / "cache",
            method=content.method(resource.spec),
            policy=self.settings.policy,
            limits=content.limits(resource.spec, self.settings.limits),
        )
        key = key_of(resource)
        self.runner.start(
            resource.metadata.uid,
            content.digest(resource.spec),
            request,
            lambda: self.notify(key),
        )

    def _retire(self, cloud: Cloud, standing: plan.Standing) -> None:
        """Delete the images of earlier specs that nothing uses; the others wait their turn."""
        for image in (*standing.previous, *standing.leftovers):
            try:
                if not image.protected and not cloud.usage(image.id).in_use:
                    cloud.glance.delete(image.id)
            except CloudError as error:
                logger.warning("an old image stays", extra={"image": image.id, "error": str(error)})

    def _failed(self, resource: CloudImage, failure: transfer.Failure) -> float | None:
        uid, generation = resource.metadata.uid, resource.metadata.generation
        delay = None
        metrics.TRANSFERS.labels(failure.reason).inc()
        if not plan.is_terminal(resource, failure.reason):
            delay = self.backoff.failed(uid, generation, failure.retry_after)
        self._write(resource, status.failed(resource, failure, _now(), _retry_at(delay)))
        return delay

    def _troubled(self, resource: CloudImage, error: CloudError) -> float | None:
        reason = Reason(error.reason)
        delay: float | None
        if reason in {Reason.SECRET_NOT_FOUND, Reason.CONFIG_MAP_NOT_FOUND}:
            delay = _SECRET_SECONDS
        elif reason in CREDENTIALS_REASONS:
            delay = _CREDENTIALS_SECONDS
        elif reason in TERMINAL_REASONS:
            delay = None
        else:
            delay = self.backoff.failed(resource.metadata.uid, resource.metadata.generation)
        trouble = status.Trouble(
            reason,
            str(error),
            stalled=reason in CREDENTIALS_REASONS | TERMINAL_REASONS | _OTHERS_REASONS,
            retry=_retry_at(delay),
        )
        self._write(resource, status.troubled(resource, trouble, _now()))
        return delay

    def _write(self, resource: CloudImage, new: CloudImageStatus) -> CloudImage:
        return StatusWriter(self.kube).write(resource, new)


def _usage(cloud: Cloud, image_id: str) -> Usage | None:
    """Return who uses the image; None: the cloud cannot say, which must not hold up the rest."""
    try:
        return cloud.usage(image_id)
    except CloudError as error:
        logger.warning("usage is not known", extra={"image": image_id, "error": str(error)})
        return None


def _now() -> datetime:
    return datetime.now(UTC)


def _retry_at(delay: float | None) -> datetime | None:
    return None if delay is None else _now() + timedelta(seconds=delay)
