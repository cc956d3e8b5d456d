"""What would happen to the images of a CloudImage, by the operator's own decisions; asks only."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.cli.describe import how_often, progress_text
from cloudimage.cli.plan_applied import Applied
from cloudimage.cli.plan_report import Finding
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.glance import Glance
from cloudimage.cloud.models import GlanceImage, JsonPatch
from cloudimage.controller.logic.conditions import find
from cloudimage.images import adoption, lookup, rollout
from cloudimage.images.logic import (
    follow_schedule,
    metadata,
    owned_images,
    retention,
    revisions,
    schedule,
)
from cloudimage.images.logic.desired import Desired, content_of
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.owned_images import candidates, metadata_plan
from cloudimage.kube import Kube
from cloudimage.sources.base import AskedBy
from cloudimage.vocabulary.marks import Marks

_PARTS: Final = {
    "content": "its source",
    "from": "its checksum file",
    "signature": "its signature",
    "disk_format": "spec.image.diskFormat",
    "container_format": "spec.image.containerFormat",
    "compress": "spec.image.compress",
    "stores": "spec.import.stores",
}
"""What the bytes depend on, in the user's words; see :func:`content_of`."""


@dataclass(frozen=True)
class Standing:
    """How a CloudImage's images stand, as the operator's next look would find them.

    Attributes:
        owned: The images, with the adopted one as the current one.
        restored: What is given back first to the current one: marks that somebody took from it, or
            those that make an adopted one the CloudImage's.
        adopted: Whether the current one is taken over.
    """

    owned: OwnedImages
    restored: JsonPatch = ()
    adopted: bool = False


def standing(applied: Applied, desired: Desired, cloud: Cloud, kube: Kube) -> Standing:
    """Return how the images stand.

    Raises:
        CloudError: Glance does not answer, or the image of spec.adopt cannot be taken over.
    """
    resource, restored, found = applied.after, dict[str, JsonPatch](), list[GlanceImage]()
    for image in candidates(cloud.glance, resource) if applied.before else ():
        restored[image.id] = metadata.lost_marks(resource, desired, image)
        image_then = _patched(image, restored[image.id])
        if image_then.properties.get(Marks.UID) == resource.metadata.uid:
            found.append(image_then)
    owned = owned_images.classify(resource, desired, found)
    if adoption.is_wanted(resource, owned):
        image_there = adoption.candidate(resource, cloud.glance, owned, kube)
        if image_there is not None:
            marks = metadata.marks(resource, desired, image_there)
            owned = replace(owned, current=_patched(image_there, marks))
            return Standing(owned, marks, adopted=True)
    current = owned.current
    return Standing(owned, restored.get(current.id, ()) if current else ())


def _patched(image: GlanceImage, patch: JsonPatch) -> GlanceImage:
    """Return the image as it would be with marks that are added."""
    added = {str(each["path"])[1:]: str(each["value"]) for each in patch}
    return replace(image, properties={**image.properties, **added})


def kept(
    resource: CloudImage, stands: Standing, image: GlanceImage, kube: Kube
) -> Iterator[Finding]:
    """Yield what would happen to an image that has the spec's bytes already.

    Raises:
        ApiException: An object that the spec refers to cannot be read.
    """
    plan = metadata_plan(kube, resource, image)
    before, after = JsonPatch(), plan.patch
    if stands.adopted:
        yield Finding("image", "change", f"image {image.id} is taken over", {"image": image.id})
    elif old := revisions.replaced(resource, stands.owned):
        before, after = revisions.steps(resource, old, image, plan.patch)
        text = (
            f"image {image.id}, which has these bytes already, takes the place of {old.id}; "
            "nothing is fetched"
        )
        yield Finding("image", "change", text, {"image": image.id, "replaces": old.id})
    else:
        text = f"image {image.id} has the spec's bytes; nothing is fetched"
        yield Finding("image", "ok", text, {"image": image.id})
    patch = (*stands.restored, *before, *after)
    yield Finding(
        "metadata",
        "change" if patch else "ok",
        "; ".join(map(_operation, patch)) or "Glance has what the spec wants",
        {"image": image.id, "patch": [dict(each) for each in patch]},
    )
    for draft in plan.drafts:
        if draft.status == "True":
            continue
        known = draft.reason == Reason.DRIFTED
        yield Finding("metadata", "ok" if known else "unknown", draft.message)


def _operation(each: Mapping[str, Any]) -> str:
    name = str(each["path"])[1:]
    if each["op"] == "remove":
        return f"remove {name}"
    return f"{name} becomes {json.dumps(each['value'], ensure_ascii=False)}"


def followed(resource: CloudImage, desired: Desired) -> Iterator[Finding]:
    """Yield how the image would keep up with its source, or why it would not."""
    follow, source = resource.spec.follow, desired.source
    if follow is None or source is None:
        return
    wrong = follow_schedule.problem(follow)
    if fixed := source.why_fixed():
        reason, why = Reason.NOT_FOLLOWABLE, fixed
    elif wrong is not None:
        reason, why = Reason.INVALID_SCHEDULE, wrong
    else:
        what = (
            "a snapshot is taken" if source.asked_by() is AskedBy.CLOCK else "the source is asked"
        )
        yield Finding("follow", "ok", f"{what} {how_often(follow)}")
        return
    yield Finding("follow", "error", f"{reason}: {why}", {"reason": str(reason)})


def failed_for_good(resource: CloudImage, desired: Desired) -> Iterator[Finding]:
    """Yield why nothing would be done at all, if this very spec has failed for good."""
    stalled = find(resource.status.conditions, ConditionType.STALLED)
    if stalled is None or not schedule.has_failed_for_good(resource, desired):
        return
    yield Finding(
        "image", "error", f"{stalled.reason}: {stalled.message}", {"reason": stalled.reason}
    )


def is_under_way(resource: CloudImage, desired: Desired) -> bool:
    """Return whether the operator is making this very image already, and has not failed."""
    status = resource.status
    reconciling = find(status.conditions, ConditionType.RECONCILING)
    return (
        status.digest == desired.content_key
        and status.progress is not None
        and reconciling is not None
        and (reconciling.status, reconciling.reason) == ("True", Reason.PROGRESSING)
    )


def under_way(resource: CloudImage) -> Finding:
    """Return what is said of an image that is being made."""
    return Finding("image", "ok", f"it is being made already: {progress_text(resource)}")


def made(applied: Applied, owned: OwnedImages) -> Finding:
    """Return that a new image would be made, and why."""
    serving = revisions.serving(applied.after, owned)
    why = _why(applied, owned)
    stays = f"; image {serving.id} stays in use until it is verified" if serving else ""
    data = {"new": True, "why": why, "replaces": serving.id if serving else None}
    return Finding("image", "change", f"a new image is made: {why}{stays}", data)


def _why(applied: Applied, owned: OwnedImages) -> str:
    if event := owned_images.deletion_event(applied.after, owned):
        return event.message.rstrip(".")
    both = [each for each in (applied.before, applied.after) if each is not None]
    if len(both) == 2 and all(each.spec.source for each in both):  # noqa: PLR2004  # before and after
        old, new = (content_of(each.spec, each.status.resolved_source) for each in both)
        differing = [
            name for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)
        ]
        if differing:
            return f"{', '.join(_PARTS.get(each, each) for each in differing)} changes"
    return "no image has the spec's bytes yet"


def earlier(resource: CloudImage, owned: OwnedImages, cloud: Cloud) -> Iterator[Finding]:
    """Yield what would happen to images of earlier specs, by who uses them now."""
    present = datetime.now(UTC)
    patches = retention.putting_aside(resource, owned.current, owned.previous, present)
    hidden = {image.id for image, patch in patches if any(map(_hides, patch))}
    looked = [
        replace(each, image=replace(each.image, hidden=True)) if each.image.id in hidden else each
        for each in rollout.look(cloud, owned.previous)
    ]
    surplus = retention.surplus(resource, looked, present)
    gone = {each.id for each in surplus}
    known = gone | {image.id for image, _ in patches}
    later = (each for each in owned.previous if each.id not in known)
    for image, patch in (*patches, *retention.ageing(resource, tuple(later), present)):
        text = f"image {image.id}: {'; '.join(map(_operation, patch))}"
        data = {"image": image.id, "patch": [dict(each) for each in patch]}
        yield Finding("earlier image", "change", text, data)
    kept = f"only the newest {retention.policy_of(resource).keep} unused ones are kept"
    for image in surplus:
        text = f"image {image.id} is deleted: nothing uses it, and {kept}"
        yield Finding("earlier image", "change", text, {"image": image.id, "deleted": True})


def _hides(operation: Mapping[str, object]) -> bool:
    return operation["path"] == "/os_hidden" and operation["value"] is True


def observed(resource: CloudImage, glance: Glance) -> Finding:
    """Return which image an Unmanaged CloudImage would show.

    Raises:
        CloudError: No image fits, or several do.
    """
    image = lookup.find(resource, glance)
    text = f"image {image.id} is only shown: {image.name}, {image.status}"
    return Finding("image", "ok", text, {"image": image.id})
