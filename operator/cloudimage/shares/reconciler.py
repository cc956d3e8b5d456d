"""Reconciles one ImageShare: adds, accepts and revokes image members."""

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare, ImageShareStatus
from cloudimage.api.reasons import ShareReason
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, ForbiddenError, QuotaExceededError
from cloudimage.cloud.models import GlanceImage
from cloudimage.cloud.pool import ConnectionPool
from cloudimage.controller.reconciler import Reconciler, now
from cloudimage.kube import Key, key_of
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
    revoke,
)

_TURN_SECONDS = 400.0
"""Between two looks at one place: Glance lists members only image by image."""

_STAYING_SECONDS = 60.0
"""Between looks at whether somebody still uses an image that was taken out of a spec."""


class VisibilityConflictError(CloudError):
    """The image's visibility is not one that has members."""

    reason = ShareReason.VISIBILITY_CONFLICT


@dataclass
class ImageShareReconciler(Reconciler[ImageShare]):
    """Brings the members of one image nearer to an ImageShare's spec each time it is called.

    Attributes:
        image_changed: Has a CloudImage reconciled again, from any thread.
        beside: Returns how many ImageShares are at the place of one, itself included.
    """

    model: type[ImageShare] = field(default=ImageShare, init=False)
    settings: Settings
    clouds: ConnectionPool
    consumers: Consumers
    image_changed: Callable[[Key], None]
    beside: Callable[[Key], int]
    _locks: defaultdict[str, threading.Lock] = field(
        default_factory=lambda: defaultdict(threading.Lock), init=False
    )

    def delete(self, resource: ImageShare) -> float | None:
        """Revoke what may be revoked; return the seconds until the next look, None when done."""
        return ShareDeletion(self.kube, self.consumers, self.attempts, self.clouds, self._locks)(
            resource
        )

    def rest(self, resource: ImageShare) -> float:
        """Return the seconds for which an object may be left alone, by its status."""
        due = sharing.due(resource, self._pause(resource, now()))
        return 0.0 if due is None else max(0.0, (due - now()).total_seconds())

    def reconcile(self, resource: ImageShare) -> float:
        """Do the next step towards the spec; return the seconds until the next look."""
        return self._settle(self.retried(self.held(resource)))

    def retrying(self, resource: ImageShare, value: str, now: datetime) -> ImageShareStatus:
        """Return the status once the value of the annotation for a retry is acted on."""
        self.clouds.forgive(resource.metadata.namespace)
        return status.retrying(resource, value, now)

    def _settle(self, share: ImageShare) -> float:
        if wait := self._not_before(share):
            return wait
        try:
            target = find_target(self.kube, share)
            if target.owner is None:
                share = self.guard.record(share)
            with self.clouds.borrow(target.config) as cloud:
                image = self._prepared(share, cloud, target)
                resolved = self._resolved(cloud, share, target, image)
                with self._locks[image.id]:
                    return self._share(share, cloud, target, image, resolved)
        except CloudError as error:
            return self._blocked_by_cloud(share, error)

    def _not_before(self, share: ImageShare) -> float:
        """Return the seconds until it is worth looking at the cloud again; 0 for now."""
        due = sharing.due(share, self._pause(share, now()))
        return 0.0 if self.is_awakened(share) else self.wait(share, due)

    def _pause(self, share: ImageShare, moment: datetime) -> float:
        """Return the seconds between two looks at a share as it stands."""
        beside = self.beside(key_of(share))
        return sharing.next_look(share, self._period(share), moment, beside)

    def _period(self, share: ImageShare) -> float:
        """Return the seconds between two looks at a share that waits for nothing."""
        often = self.settings.unwatched_seconds
        if self.settings.resync_seconds <= often:
            return often  # somebody wants it that often
        return max(often, _TURN_SECONDS * self.beside(key_of(share)))

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

    def _resolved(
        self, cloud: Cloud, share: ImageShare, target: Target, image: GlanceImage
    ) -> Resolved:
        """Return the projects that get the image: none if it may no longer be shared."""
        if target.is_permitted:
            return resolve(cloud, share, self.consumers, image)
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
        refused = self.consumers.accept(share, image.id, asked)
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
            keeper=self._keeper(share, target, image),
        )
        return self._settled(share, outcome)

    def _keeper(self, share: ImageShare, target: Target, image: GlanceImage) -> str | None:
        """Return what to share instead of an image of Glance that a CloudImage keeps."""
        uid = sharing.keeper(image) if target.owner is None else None
        if uid is None:
            return None
        here = self.kube.read_all(CloudImage, (share.metadata.namespace,))
        found = next((each.metadata.name for each in here if each.metadata.uid == uid), None)
        return sharing.keeper_text(found)

    def _recorded(self, share: ImageShare, image: GlanceImage, resolved: Resolved) -> ImageShare:
        """Write down who is about to get the image."""
        projects = sharing.recorded(share, resolved.wanted)
        if projects == share.status.projects and image.id == share.status.image_id:
            return share
        return self.write(share, status.sharing_started(share, image.id, projects, now()))

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
                f"Image {image.id} belongs to project {image.owner}, but the credentials belong to "
                f"project {cloud.glance.project_id}: only the owner and administrators can share it"
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
    ) -> sharing.UsersByProject:
        if not projects:
            return {}
        images = sharing.all_revisions(image.id, target.owner)
        others = self.kube.read_all(ImageShare)
        leaving = set(projects) - sharing.counted(share, others, images)
        return revoke(cloud, share, self.consumers, images, leaving)

    def _settled(self, share: ImageShare, outcome: Outcome) -> float:
        moment, period = now(), self._period(share)
        new = status.synced(share, outcome, moment)
        if not status.worth_writing(share.status, new, period):
            new = share.status
        share = self.write(share, new)
        problem = outcome.problem or outcome.acceptance
        if problem is None:
            self.attempts.backoff.clear(share.metadata.uid)
            return _STAYING_SECONDS if outcome.staying else self._pause(share, moment)
        return self.attempts.failed_in_part(share, problem.reason)

    def _blocked_by_cloud(self, share: ImageShare, error: CloudError) -> float:
        problem = Problem(reason_of(error), str(error))
        new = status.blocked_by_cloud(share, problem, now())
        return self.attempts.failed(share, new, problem.reason, error.retry_after)


def _not_shareable(share: ImageShare) -> Problem:
    text = (
        f"The spec.shareableFrom.namespaces of CloudImage {sharing.image_text(share)} no longer "
        f"lists {share.metadata.namespace}"
    )
    return Problem(NotShareableError.reason, text)
