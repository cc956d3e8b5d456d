"""Brings the current image in line with the spec, once it may be used, and what came before it."""

from dataclasses import dataclass, replace

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.reconciler import now
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.failpoints import Point, failpoint
from cloudimage.images import boot_look, publishing, retention, rollout
from cloudimage.images.boot_testing import BootTesting
from cloudimage.images.logic import (
    available_status,
    boot_test,
    boot_test_status,
    follow_status,
    lint_status,
    revisions,
)
from cloudimage.images.logic.boot_test_status import Gate
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.owned_images import metadata_plan, name_drafts
from cloudimage.shares.consumers import Consumers
from cloudimage.transfer.contract import Result


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the current image.

    Attributes:
        resource: The CloudImage, with what is written of it.
        held: The image may not be used before it has passed its boot test.
        seconds: Until the next look at its boot test; None: none is needed.
        image: The current image as it is then, where it was compared with the spec.
    """

    resource: CloudImage
    held: bool
    seconds: float | None
    image: GlanceImage | None = None


@dataclass(frozen=True)
class Keeping:
    """Keeps current images."""

    status: StatusWriter
    consumers: Consumers
    tests: BootTesting

    def __call__(  # noqa: PLR0913 - what a look found, each from elsewhere
        self,
        resource: CloudImage,
        desired: Desired,
        cloud: Cloud,
        owned: OwnedImages,
        result: Result | None,
        *,
        compared: bool = False,
    ) -> Kept:
        """Do what the current image needs: its boot test, its metadata, its place.

        Args:
            resource: The CloudImage.
            desired: What it wants.
            cloud: Its own.
            owned: How its images stand.
            result: Of the transfer that has just made the current one.
            compared: An image that is in use was compared with the spec not long ago: only its
                boot test is looked at.

        Raises:
            CloudError: The cloud does not do it.
            StaleError: The object changed since it was read.
        """
        before, image = resource, owned.current
        if image is None:
            raise ValueError("unreachable: without one a transfer is started")
        if apart := boot_test.putting_apart(resource, image, made=result is not None):
            image = cloud.glance.patch(image.id, apart)
        if result is not None:
            held = boot_test.is_held(resource, image)
            new = available_status.delivered(resource, desired, image, result, now(), held=held)
            resource = self.status.write(resource, new)
        plan = metadata_plan(self.status.kube, resource, image)
        held = boot_test.is_held(resource, image)
        tested = resource.spec.boot_test is not None
        if tested and (patch := boot_test.needed_first(plan.patch, held=held)):
            image = cloud.glance.patch(image.id, patch)
            if plan.event:
                self.status.record_event(resource, plan.event)
        lacks = boot_test_status.lacking(plan)
        gate = Gate(desired, image, revisions.serving(resource, owned), lacks)
        trial = boot_look.look(self.tests, resource, cloud, image, gate)
        if trial.held:
            self._warn(before, trial.resource, result)
            return Kept(trial.resource, held=True, seconds=trial.seconds)
        if compared and trial.image is image and resource.status.image_id == image.id:
            return Kept(trial.resource, held=False, seconds=trial.seconds)
        owned = replace(owned, current=trial.image)
        resource, image = self._used(trial.resource, desired, cloud, owned, trial.image, result)
        self._warn(before, resource, result)
        return Kept(resource, held=False, seconds=trial.seconds, image=image)

    def _used(  # noqa: PLR0913, PLR0917 - what a look found, each from elsewhere
        self,
        resource: CloudImage,
        desired: Desired,
        cloud: Cloud,
        owned: OwnedImages,
        image: GlanceImage,
        result: Result | None,
    ) -> tuple[CloudImage, GlanceImage]:
        """Have the image used: give it its place, bring it in line, and age what came before."""
        plan = metadata_plan(self.status.kube, resource, image)
        changes = plan.patch
        image = rollout.roll_out(resource, cloud.glance, owned, image, changes, self.consumers)
        if changes:
            failpoint(Point.PATCHED, resource.metadata.name)
        if plan.event:
            self.status.record_event(resource, plan.event)
        usage = rollout.usage_of(cloud, image.id)
        previous = rollout.look(cloud, owned.previous)
        drafts = (*plan.drafts, *name_drafts(cloud.glance, image))
        new = available_status.available(resource, desired, image, usage, result, now(), *drafts)
        new = follow_status.updated(resource, desired, new, now())
        changed = revisions.source_changed(resource, desired, new)
        listed = revisions.listed(new, desired, image, previous, usage)
        resource = self.status.write(resource, listed)
        if changed:
            self.status.record_event(resource, changed)
        resource = publishing.keep(self.status, resource, image, now())
        new = retention.settle(resource, cloud, owned, previous, now())
        return self.status.write(resource, new), image

    def _warn(self, before: CloudImage, resource: CloudImage, result: Result | None) -> None:
        weak = available_status.warnings(result) if result else []
        for event in (*weak, *lint_status.unchecked(before, resource)):
            self.status.record_event(resource, event)
