"""Finds out which bytes a source means, and asks it again as spec.follow says."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Event
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud
from cloudimage.controller.logic.conditions import find
from cloudimage.controller.reconciler import now
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.controller.tenants import tenants_of
from cloudimage.credentials import loader
from cloudimage.credentials.lending import lend
from cloudimage.failpoints import Point, failpoint
from cloudimage.images import resolution
from cloudimage.images.logic import follow_schedule, follow_status, schedule, transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.kube import Key, Kube, key_of
from cloudimage.metrics import operator as metrics
from cloudimage.runners.looks import Looks
from cloudimage.settings import Settings
from cloudimage.sources.base import AskedBy, SpecSource
from cloudimage.transfer import contract
from cloudimage.transfer.request import LookRequest


@dataclass(frozen=True)
class Meaning:
    """Which bytes a source means, as far as that is known.

    Attributes:
        resource: The CloudImage, with what is written of it.
        desired: What it wants, with what was found.
        failure: Why it is not known at all.
        pending: A look at the source runs that has to end before anything can be made.
        failed: No image can be made of it, for good: nothing is done until it means other bytes.
    """

    resource: CloudImage
    desired: Desired
    failure: contract.Failure | None = None
    pending: bool = False

    @property
    def failed(self) -> bool:
        """Whether no image can be made of it, for good."""
        return schedule.needs_no_look(self.resource, self.desired)

    @property
    def is_open(self) -> bool:
        """Whether nothing can be made yet."""
        return self.failure is not None or self.pending or self.failed


@dataclass
class Following:
    """Asks sources which bytes they mean."""

    kube: Kube
    looks: Looks
    settings: Settings
    status: StatusWriter
    notify: Callable[[Key], None]

    def is_answered(self, uid: str) -> bool:
        """Return whether a look of an object has ended and was not taken yet."""
        look = self.looks.view(uid)
        return look is not None and look.outcome is not None

    def resolve(
        self,
        resource: CloudImage,
        desired: Desired,
        cloud: Cloud,
        config: CloudConfig,
        opened: resolution.Opener,
    ) -> Meaning:
        """Learn which bytes the source means, where that is not known or due to be asked again.

        Args:
            resource: The CloudImage.
            desired: What it wants, with what was found before.
            cloud: Its own.
            config: Of that.
            opened: Opens another cloud.

        Raises:
            CloudError: A source in a cloud cannot be looked up, and never was.
        """
        source = desired.source
        selector = source.followed() if source else None
        fixed = source.why_fixed() if source else _NO_SOURCE
        resource = self._written(resource, follow_status.prepared(resource, now(), fixed=fixed))
        if source is None or selector is None:
            return Meaning(resource, desired)
        before = resource.status.resolved_source
        known = before if before and before.selector == selector else None
        serves = _serves(resource, desired)
        if not follow_schedule.is_to_ask(resource, source, known, now(), serves=serves):
            return Meaning(resource, desired)
        looked: ResolvedSource | contract.Failure | Event | None
        match source.asked_by():
            case AskedBy.OPERATOR:
                looked = resolution.look_up(resource, desired, cloud, opened)
            case AskedBy.CLOCK:
                looked = follow_schedule.snapshot_due(resource, source, known, now())
            case AskedBy.LOOK:
                looked = self._looked(resource, source, selector, config)
        return self._told(resource, desired, source, known, looked)

    def until_due(self, resource: CloudImage, desired: Desired) -> float | None:
        """Return the seconds until the source of what has failed for good is asked again.

        Returns:
            None: It is not, or a look runs, at whose end the object is queued.
        """
        source, look = desired.source, self.looks.view(resource.metadata.uid)
        if look is not None:
            return None if look.outcome is None else 0.0
        if source is None or source.followed() is None:
            return None
        return follow_schedule.until_check(resource, now())

    def _looked(
        self, resource: CloudImage, source: SpecSource, selector: str, config: CloudConfig
    ) -> ResolvedSource | contract.Failure | None:
        """Return what a look has found; None: one runs."""
        uid = resource.metadata.uid
        look = self.looks.view(uid)
        if look is not None and look.selector != selector:
            self.looks.forget(uid)
            look = None
        if look is None:
            self._start(resource, source, selector, config)
            return None
        match look.outcome:
            case contract.Latest() as latest:
                self.looks.forget(uid)
                return follow_status.found_by_look(resource, source, latest)
            case contract.Failure() as failure:
                self.looks.forget(uid)
                return failure
            case None:
                return None

    def _start(
        self, resource: CloudImage, source: SpecSource, selector: str, config: CloudConfig
    ) -> None:
        settings, key = self.settings, key_of(resource)
        texts = loader.load_texts(
            self.kube,
            resource.metadata.namespace,
            source.references(),
            hosts_demanded=settings.auth_needs_hosts,
        )
        request = LookRequest(
            source=source.unresolved().with_texts(texts),
            cloud=lend(config),
            scratch=settings.scratch,
            cache=settings.scratch / "cache",
            list_age=follow_schedule.list_age(resource),
            policy=settings.policy,
            cloud_policy=settings.cloud_policy,
            limits=transfer_request.limits(resource.spec, settings.limits),
        )
        uid = resource.metadata.uid
        self.looks.start(uid, selector, request, lambda: self.notify(key), tenants_of(resource))

    def _told(
        self,
        resource: CloudImage,
        desired: Desired,
        source: SpecSource,
        known: ResolvedSource | None,
        looked: ResolvedSource | contract.Failure | Event | None,
    ) -> Meaning:
        """Write down what a source has said, and return what is meant then."""
        must_know = known is None and not _serves(resource, desired)
        if looked is None:
            return Meaning(resource, desired, pending=must_know or _is_overtaken(resource))
        if isinstance(looked, Event) and resource.spec.follow is None:
            self.status.record_event(resource, looked)
            return Meaning(resource, desired)
        if isinstance(looked, contract.Failure | Event):
            reason = Reason(looked.reason)
            new = follow_status.unanswered(resource, reason, looked.message, now())
            resource = self._checked(resource, new)
            failure = looked if isinstance(looked, contract.Failure) and must_know else None
            return Meaning(resource, desired, failure=failure)
        new = follow_status.answered(resource, source, known, looked, now())
        resource = self._checked(resource, new)
        failpoint(Point.RESOLVED, resource.metadata.name)
        return Meaning(resource, Desired.of(resource.spec, resource.status.resolved_source))

    def _checked(self, resource: CloudImage, new: CloudImageStatus) -> CloudImage:
        """Write down what a check has come to, and count it."""
        resource = self._written(resource, new)
        told = find(new.conditions, ConditionType.FOLLOWING)
        if told is not None and resource.spec.follow is not None:
            metrics.FOLLOW_CHECKS.labels(told.reason).inc()
        return resource

    def _written(self, resource: CloudImage, new: CloudImageStatus) -> CloudImage:
        return self.status.write(resource, new)


_NO_SOURCE: Final = "Without a source there is nothing to follow."


def _is_overtaken(resource: CloudImage) -> bool:
    """Return whether the publisher may have gone on from what was to be made: then ask first."""
    follow = resource.status.follow
    if follow is None or follow.next_check_time is not None:
        return False
    return resource.status.image_id is None or follow.previous is not None


def _serves(resource: CloudImage, desired: Desired) -> bool:
    """Return whether an image serves that the spec means if nothing more is known of its source."""
    source, status = desired.source, resource.status
    by_itself = source is not None and source.selector() is None
    return by_itself and status.image_id is not None and status.digest == desired.content_key
