"""What to do about metadata that differs from the spec: apply it, restore it, or report it."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from cloudimage.api.cloudimage import CloudImage, DriftPolicy, ManagementPolicy
from cloudimage.api.meta import Event
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.cloud.models import GlanceImage, JsonPatch
from cloudimage.controller.logic.conditions import Draft
from cloudimage.images.logic import metadata, readiness, references
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.metadata import Difference
from cloudimage.images.logic.references import Links
from cloudimage.vocabulary.marks import Marks

_LONGEST_VALUE = 200
"""Characters of a value in a message."""


@dataclass(frozen=True, slots=True)
class MetadataPlan:
    """What an image's metadata needs.

    Attributes:
        patch: For Glance; empty: nothing is to be changed.
        drafts: Conditions that differ from those of an image that matches the spec.
        event: What is worth an Event once the patch was made.
    """

    patch: JsonPatch
    drafts: tuple[Draft, ...] = ()
    event: Event | None = None


def plan_metadata(resource: CloudImage, image: GlanceImage, links: Links) -> MetadataPlan:
    """Decide what to do about the metadata of the image.

    What a reference leads to is put in place under every policy: it changes with another
    CloudImage, and not by somebody's hand in Glance.
    """
    differing = metadata.differences(resource, image, links.ids)
    drift = tuple(each for each in differing if _is_drift(resource, image, each))
    waiting = _waiting(image, links)
    if drift and resource.spec.drift_policy is DriftPolicy.REPORT:
        patch = tuple(each.operation for each in differing if each not in drift)
        return MetadataPlan(patch, (*waiting, _drifted(drift)))
    changes = tuple(each.operation for each in differing)
    patch = (*changes, *metadata.bookkeeping(resource, image))
    return MetadataPlan(patch, waiting, _corrected(drift) if drift else None)


def deletion(resource: CloudImage, found: Iterable[GlanceImage]) -> Event | None:
    """Return the Event that says so, if the image of this very spec went without our doing."""
    status = resource.status
    if (
        status.image_id is None
        or status.synced_generation != resource.metadata.generation
        or any(each.id == status.image_id for each in found)
    ):
        return None
    message = f"Image {status.image_id} was deleted in Glance; it is being made again."
    return Event("Warning", Reason.IMAGE_DELETED, message)


def lost_marks(resource: CloudImage, desired: Desired, image: GlanceImage) -> JsonPatch:
    """Return the patch that gives an image of ours the marks back that somebody took from it.

    Without them it would look like nobody's, or like one that was never finished. That it is ours,
    with the bytes of the present spec, is in the status, written after these were compared.
    """
    status = resource.status
    verified = f"{image.hash_algo}:{image.hash_value}"
    known = (
        resource.spec.management_policy is ManagementPolicy.MANAGED
        and status.image_id == image.id
        and status.synced_generation == resource.metadata.generation
        and (status.checksums or {}).get(image.hash_algo or "") == image.hash_value
    )
    marks = {
        Marks.UID: resource.metadata.uid,
        Marks.DIGEST: desired.content_key,
        Marks.IMAGE_ID: image.id,
        Marks.VERIFIED: verified,
    }
    lost = [name for name in marks if name not in image.properties] if known else []
    return tuple(metadata.Difference(name, marks[name], None).operation for name in lost)


def _is_drift(resource: CloudImage, image: GlanceImage, difference: Difference) -> bool:
    """Return whether somebody else brought it about: this very spec was applied to the image."""
    status = resource.status
    return (
        status.synced_generation == resource.metadata.generation
        and status.image_id == image.id
        and difference.field not in references.of(resource.spec.image)
    )


def _waiting(image: GlanceImage, links: Links) -> tuple[Draft, ...]:
    """Return the conditions while a reference leads nowhere.

    An image that has the property from before goes on being usable.
    """
    if not links.missing:
        return ()
    message = " ".join((*links.missing.values(), "This continues automatically."))
    synced = Draft(ConditionType.SYNCED, "False", Reason.REFERENCE_NOT_READY, message)
    usable = links.missing.keys() <= image.properties.keys()
    if usable or image.status != "active":
        return (synced,)
    return (readiness.refused(Reason.REFERENCE_NOT_READY, message), synced)


def _drifted(drift: tuple[Difference, ...]) -> Draft:
    advice = "Nothing was changed, because spec.driftPolicy is Report."
    return Draft(ConditionType.SYNCED, "False", Reason.DRIFTED, f"{_described(drift)} {advice}")


def _corrected(drift: tuple[Difference, ...]) -> Event:
    return Event("Normal", Reason.DRIFT_CORRECTED, f"{_described(drift)} The operator restored it.")


def _described(drift: tuple[Difference, ...]) -> str:
    return f"In Glance {'; '.join(_difference(each) for each in drift)}."


def _difference(each: Difference) -> str:
    if each.wanted is None:
        return f"{each.field} is {_text(each.found)} but should not be set"
    found = "missing" if each.found is None else _text(each.found)
    return f"{each.field} is {found} instead of {_text(each.wanted)}"


def _text(value: Any) -> str:  # noqa: ANN401  # any JSON value of Glance's
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."
