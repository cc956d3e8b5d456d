"""Reconciles one ImageShare: adds, accepts and revokes image members."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from cloudimage.api.imageshare import ImageShare, ImageShareStatus
from cloudimage.api.kinds import IMAGE_SHARE
from cloudimage.api.meta import FINALIZER
from cloudimage.api.reasons import ShareReason
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, ForbiddenError, QuotaExceededError
from cloudimage.cloud.models import GlanceImage
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.backoff import Backoff
from cloudimage.controller.logic import retry
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.credentials.guard import SecretHolder
from cloudimage.kube import Key, Kube, StaleError, key_of
from cloudimage.metrics import operator as metrics
from cloudimage.settings import Settings
from cloudimage.shares.consumers import Consumers, reason_of
from cloudimage.shares.deletion import ShareDeletion
from cloudimage.shares.logic import members as sharing
from cloudimage.shares.logic import status
from cloudimage.shares.logic.status import Outcome, Problem
from cloudimage.shares.members import (
    NotShareableError,
    Resolved,
    Target,
    find_image,
    find_target,
    members_of,
    resolve,
    take_back,
)

_STALE_SECONDS = 0.5
_STAYING_SECONDS = 60.0
"""Between looks at whether somebody still uses an image that was taken out of a spec."""


class VisibilityConflictError(CloudError):
    """The image's visibility is not one that has members."""

    reason = ShareReason.VISIBILITY_CONFLICT


@dataclass
class ImageShareReconciler:
    """Brings the members of one image nearer to an ImageShare's spec each time it is called.

    Attributes:
        image_changed: Has a CloudImage looked at again, from any thread.
    """

    kube: Kube
    clouds: ConnectionPool
    secrets: SecretHolder
    settings: Settings
    image_changed: Callable[[Key], None]
    backoff: Backoff = field(default_factory=Backoff)
    _awakened: set[Key] = field(default_factory=set)
    _locks: defaultdict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock)
    )

    def look_again(self, key: Key) -> None:
        """Have the next call compare the object with Glance before that is due; from any thread."""
        self._awakened.add(key)

    def __call__(self, key: Key) -> float | None:
        """Reconcile, and return the seconds after which to be called again; None: when told."""
        try:
            share = self.kube.read(ImageShare, key)
            if share is None:
                self.secrets.gone((ImageShare, key))
                metrics.OBJECTS.gone(IMAGE_SHARE.plural, key)
                self._awakened.discard(key)
                return None
            self.secrets.seen(share)
            if share.metadata.deletion_timestamp:
                return self._deletion(share)
            if FINALIZER not in share.metadata.finalizers:
                share = self.kube.set_finalizer(share, present=True)
            return self._settle(share)
        except StaleError:
            self.look_again(key)
            return _STALE_SECONDS

    def gone(self, uid: str) -> None:
        """Forget an object that was removed."""
        self.backoff.clear(uid)

    @property
    def _deletion(self) -> ShareDeletion:
        return ShareDeletion(
            self.kube, self._consumers, self.backoff, self.clouds, self.secrets, self._locks
        )

    @property
    def _consumers(self) -> Consumers:
        return Consumers(self.kube, self.clouds)

    def _settle(self, share: ImageShare) -> float:
        value = retry.asked(share)
        if value is not None:
            self.backoff.clear(share.metadata.uid)
            share = self._write(share, status.retrying(share, value, _now()))
        if wait := self._not_before(share):
            return wait
        try:
            target = find_target(self.kube, share)
            if target.owner is None:
                share = self.secrets.record(share)
            with self.clouds.borrow(target.config) as cloud:
                image = self._prepared(share, cloud, target)
                resolved = self._resolved(cloud, share, target)
                with self._locks[image.id]:
                    return self._share(share, cloud, target, image, resolved)
        except CloudError as error:
            return self._troubled(share, error)

    def _not_before(self, share: ImageShare) -> float:
        """Return the seconds until it is worth looking at the cloud again; 0: it is now."""
        awakened = key_of(share) in self._awakened
        self._awakened.discard(key_of(share))
        due = sharing.due(share, self.settings.resync_seconds, _now())
        if due is not None and not awakened:
            return max(0.0, (due - _now()).total_seconds())
        if awakened:
            return 0.0
        return self.backoff.remaining(share.metadata.uid, share.metadata.generation)

    def _prepared(self, share: ImageShare, cloud: Cloud, target: Target) -> GlanceImage:
        """Return the image, with a visibility that has members."""
        image = find_image(cloud.glance, share, target.owner)
        if not target.is_permitted:
            return image
        if text := sharing.conflict(image, target.owner):
            raise VisibilityConflictError(text)
        if target.owner is None or not sharing.is_made_shared(image, target.owner):
            return image
        change = {"op": "replace", "path": "/visibility", "value": "shared"}
        image = cloud.glance.patch(image.id, (change,))
        self.image_changed(key_of(target.owner))
        return image

    def _resolved(self, cloud: Cloud, share: ImageShare, target: Target) -> Resolved:
        """Return the projects that get the image: none where it may not be shared any more."""
        if target.is_permitted:
            return resolve(cloud, share, self._consumers)
        return Resolved({}, ())

    def _share(
        self,
        share: ImageShare,
        cloud: Cloud,
        target: Target,
        image: GlanceImage,
        resolved: Resolved,
    ) -> float:
        share = self._recorded(share, image, resolved)
        members = members_of(cloud.glance, image.id)
        changes = sharing.changes(share, resolved.wanted, members, certain=not resolved.problems)
        problem = self._add(cloud, image, changes.add) or next(iter(resolved.problems), None)
        staying = self._take(share, cloud, target, image, changes.take)
        if changes.add or changes.take:
            members = members_of(cloud.glance, image.id)
        asked = sharing.to_accept_for(resolved.wanted, members)
        refused = self._consumers.accept(share, image.id, asked)
        if asked:
            members = members_of(cloud.glance, image.id)
        if not target.is_permitted:
            problem = _not_shareable(share)
        outcome = Outcome(
            image=image,
            wanted=resolved.wanted,
            members=members,
            kept=frozenset(share.status.projects) - set(changes.take) | staying.keys(),
            problem=problem,
            acceptance=refused,
            staying=sharing.users(staying, sharing.names_of(share, resolved.wanted))
            if staying
            else None,
        )
        return self._settled(share, outcome)

    def _recorded(self, share: ImageShare, image: GlanceImage, resolved: Resolved) -> ImageShare:
        """Write down who is about to get the image."""
        projects = sharing.recorded(share, resolved.wanted)
        if projects == share.status.projects and image.id == share.status.image_id:
            return share
        return self._write(share, status.about_to(share, image.id, projects, _now()))

    def _add(self, cloud: Cloud, image: GlanceImage, projects: tuple[str, ...]) -> Problem | None:
        """Make projects members; return why not all of them."""
        try:
            for project in projects:
                cloud.glance.add_member(image.id, project)
        except QuotaExceededError as error:
            return Problem(ShareReason.MEMBER_QUOTA_EXCEEDED, str(error))
        except ForbiddenError as error:
            if image.owner == cloud.glance.project_id:
                return Problem(reason_of(error), str(error))
            text = (
                f"Image {image.id} belongs to project {image.owner}, and the credentials are of "
                f"project {cloud.glance.project_id}: only the owner and administrators share it"
            )
            return Problem(ShareReason.NOT_OWNER, text)
        return None

    def _take(
        self,
        share: ImageShare,
        cloud: Cloud,
        target: Target,
        image: GlanceImage,
        projects: tuple[str, ...],
    ) -> sharing.Staying:
        if not projects:
            return {}
        images = sharing.images_of(image.id, target.owner)
        others = self.kube.read_all(ImageShare)
        leaving = set(projects) - sharing.counted(share, others, images)
        return take_back(cloud, share, self._consumers, images, leaving)

    def _settled(self, share: ImageShare, outcome: Outcome) -> float:
        now, period = _now(), self.settings.resync_seconds
        new = status.looked(share, outcome, now)
        if not status.is_news(share.status, new, period):
            new = share.status
        share = self._write(share, new)
        uid = share.metadata.uid
        problem = outcome.problem or outcome.acceptance
        if problem is None:
            self.backoff.clear(uid)
            return _STAYING_SECONDS if outcome.staying else sharing.next_look(share, period, now)
        return self._after_failure(share, problem.reason, None)

    def _troubled(self, share: ImageShare, error: CloudError) -> float:
        problem = Problem(reason_of(error), str(error))
        self._write(share, status.troubled(share, problem, _now()))
        return self._after_failure(share, problem.reason, error.retry_after)

    def _after_failure(self, share: ImageShare, reason: str, asked: float | None) -> float:
        uid, generation = share.metadata.uid, share.metadata.generation
        again = self.backoff.after_failure(uid, generation, retry.pauses(reason), asked)
        self.backoff.remember(uid, again)
        metrics.FAILURES.labels(IMAGE_SHARE.plural, reason).inc()
        return again.pause

    def _write(self, share: ImageShare, new: ImageShareStatus) -> ImageShare:
        return StatusWriter(self.kube).write(share, new)


def _not_shareable(share: ImageShare) -> Problem:
    text = (
        f"The spec.shareableFrom.namespaces of CloudImage {sharing.image_text(share)} does not "
        f"name {share.metadata.namespace} any more"
    )
    return Problem(NotShareableError.reason, text)


def _now() -> datetime:
    return datetime.now(UTC)
