"""How metadata differs from the spec, the smallest JSON patch that corrects it, and drift."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloudimage.api.cloudimage import (
    CloudImage,
    CloudImageSpec,
    DriftPolicy,
    ManagementPolicy,
    PropertyPolicy,
)
from cloudimage.api.image import Image
from cloudimage.api.meta import Event
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.cloud.models import GlanceImage, JsonPatch
from cloudimage.controller.logic.conditions import Draft, is_true
from cloudimage.images.logic import readiness
from cloudimage.images.logic.desired import Desired
from cloudimage.vocabulary.image import BASE_ATTRIBUTES
from cloudimage.vocabulary.marks import PREFIX, Marks

_LONGEST_VALUE = 200
"""Characters of a value in a message."""

_NEVER_OURS = ("os_glance", PREFIX)
"""Properties that begin so are not touched whatever the spec says: Glance refuses the former
(see "Useful image properties" of its administrator's guide), the latter are our marks."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of the image that is not as the spec wants it.

    Attributes:
        field: Its name in Glance.
        wanted: The value of the spec; None: it is not to be there.
        found: Glance's value; None: it is not there.
    """

    field: str
    wanted: Any
    found: Any

    @property
    def operation(self) -> Mapping[str, Any]:
        """The operation of RFC 6902 that corrects it."""
        if self.wanted is None:
            return {"op": "remove", "path": _path(self.field)}
        # "add" on a member that exists replaces it.
        op = "replace" if self.field in BASE_ATTRIBUTES else "add"
        return {"op": op, "path": _path(self.field), "value": self.wanted}


def _path(name: str) -> str:
    """Return the JSON pointer of an attribute (RFC 6901, section 3)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _wanted(resource: CloudImage) -> dict[str, Any]:
    """Return the base attributes that the spec manages."""
    image = resource.spec.image
    managed = {
        "name": image.name or resource.metadata.name,
        "owner": image.owner,
        "visibility": image.visibility,
        "protected": image.protected,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "os_hidden": image.hidden,
        "tags": None if image.tags is None else sorted(image.tags),
    }
    return {name: value for name, value in managed.items() if value is not None}


def _observed(image: GlanceImage) -> dict[str, Any]:
    return {
        "name": image.name,
        "owner": image.owner,
        "visibility": image.visibility,
        "protected": image.protected,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "os_hidden": image.hidden,
        "tags": sorted(image.tags),
    }


def differences(
    resource: CloudImage, image: GlanceImage, ids: Mapping[str, str] | None = None
) -> tuple[Difference, ...]:
    """Return how Glance's metadata differs from the spec; empty when it does not.

    Base attributes that the spec leaves out are left alone.

    Args:
        resource: The CloudImage.
        image: Its image, as Glance has it.
        ids: The properties that the spec's references lead to, as far as these are known.
    """
    return (*_attributes(resource, image), *_properties(resource, image, ids or {}))


def _attributes(resource: CloudImage, image: GlanceImage) -> Iterator[Difference]:
    observed = _observed(image)
    for name, value in _wanted(resource).items():
        if observed[name] != value:
            yield Difference(name, value, observed[name])


def _properties(
    resource: CloudImage, image: GlanceImage, ids: Mapping[str, str]
) -> Iterator[Difference]:
    wanted = {**(resource.spec.image.properties or {}), **ids}
    for name, value in sorted(wanted.items()):
        if image.properties.get(name) != value:
            yield Difference(name, value, image.properties.get(name))
    for name in sorted(_unwanted(resource.spec, image)):
        yield Difference(name, None, image.properties[name])


def _unwanted(spec: CloudImageSpec, image: GlanceImage) -> set[str]:
    """Return the names of the properties that have to go."""
    present = {name for name in image.properties if not name.startswith(_NEVER_OURS)}
    ours = present if spec.property_policy is PropertyPolicy.PURGE else set_before(image)
    return (ours & present) - _named(spec)


def _named(spec: CloudImageSpec) -> set[str]:
    """Return the properties that the spec manages, whether or not their values are known yet."""
    return set(spec.image.properties or {}) | set(references_of(spec.image))


def set_before(image: GlanceImage) -> set[str]:
    """Return the names of the properties that were set from here, as the image itself says.

    An image made before that mark existed says nothing, and keeps what it has.
    """
    try:
        names = json.loads(image.properties.get(Marks.PROPERTIES, "[]"))
    except ValueError:
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def properties_mark(spec: CloudImageSpec) -> dict[str, str]:
    """Return the mark that names the properties set from here; empty without any."""
    names = sorted(_named(spec))
    if not names:
        return {}
    return {Marks.PROPERTIES: json.dumps(names, ensure_ascii=False, separators=(",", ":"))}


def bookkeeping(resource: CloudImage, image: GlanceImage) -> JsonPatch:
    """Return the patch that makes the image name the properties set from here."""
    wanted = properties_mark(resource.spec).get(Marks.PROPERTIES)
    found = image.properties.get(Marks.PROPERTIES)
    return () if wanted == found else (Difference(Marks.PROPERTIES, wanted, found).operation,)


def lost_marks(resource: CloudImage, desired: Desired, image: GlanceImage) -> JsonPatch:
    """Return the patch that gives an image of ours the marks back that somebody took from it.

    Without them it would look like nobody's, or like one that was never finished. That it is ours,
    with the bytes of the present spec, is in the status, written after these were compared.
    """
    status = resource.status
    known = (
        resource.spec.management_policy is ManagementPolicy.MANAGED
        and status.image_id == image.id
        and status.digest == desired.content_key
        and status.synced_generation == resource.metadata.generation
        and (status.checksums or {}).get(image.hash_algo or "") == image.hash_value
    )
    wanted = marks(resource, desired, image) if known else ()
    return tuple(each for each in wanted if each["path"].removeprefix("/") not in image.properties)


def marks(resource: CloudImage, desired: Desired, image: GlanceImage) -> JsonPatch:
    """Return the patch that makes the image the resource's, as if it had been made here.

    The mark as verified holds Glance's own hash: there is no other to compare it with.
    """
    algorithm = image.hash_algo if image.hash_value else "md5"
    values = {
        Marks.UID: resource.metadata.uid,
        Marks.DIGEST: desired.content_key,
        Marks.IMAGE_ID: image.id,
        Marks.VERIFIED: f"{algorithm}:{image.hash_value or image.checksum}",
    }
    return tuple(Difference(name, value, None).operation for name, value in values.items())


def without_marks(image: GlanceImage) -> JsonPatch:
    """Return the patch that makes the image nobody's: for deletionPolicy Orphan."""
    return tuple(
        {"op": "remove", "path": _path(mark)}
        for mark in image.properties
        if mark.startswith(PREFIX)
    )


@dataclass(frozen=True, slots=True)
class Links:
    """What the references of a spec lead to at present.

    Attributes:
        ids: Glance's ids, by the property that is to hold them.
        missing: A sentence about each that leads nowhere yet, by its property.
    """

    ids: Mapping[str, str]
    missing: Mapping[str, str]


def references_of(image: Image) -> dict[str, str]:
    """Return the names of the CloudImages that the spec refers to, by Glance's property."""
    given = {"kernel_id": image.kernel_ref, "ramdisk_id": image.ramdisk_ref}
    return {name: ref.name for name, ref in given.items() if ref is not None}


def referable_id(resource: CloudImage) -> str | None:
    """Return the image that a reference to this CloudImage leads to; None: it is not Ready."""
    usable = resource.metadata.deletion_timestamp is None and is_true(
        resource.status.conditions, ConditionType.READY
    )
    return resource.status.image_id if usable else None


def resolve(image: Image, found: Mapping[str, CloudImage | None]) -> Links:
    """Return what the references lead to.

    Args:
        image: The part of the spec that has them.
        found: The CloudImages of their names; None: there is no such object.
    """
    ids, missing = {}, {}
    for name, target in references_of(image).items():
        other = found[target]
        known = referable_id(other) if other else None
        if known:
            ids[name] = known
        else:
            state = "is not Ready" if other else "does not exist"
            missing[name] = f"CloudImage {target} {state}; its image is to become {name}."
    return Links(ids, missing)


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
    differing = differences(resource, image, links.ids)
    drift = tuple(each for each in differing if _is_drift(resource, image, each))
    waiting = _waiting(image, links)
    if drift and resource.spec.drift_policy is DriftPolicy.REPORT:
        patch = tuple(each.operation for each in differing if each not in drift)
        return MetadataPlan(patch, (*waiting, _drifted(drift)))
    changes = tuple(each.operation for each in differing)
    patch = (*changes, *bookkeeping(resource, image))
    return MetadataPlan(patch, waiting, _corrected(drift) if drift else None)


def _is_drift(resource: CloudImage, image: GlanceImage, difference: Difference) -> bool:
    """Return whether somebody else brought it about: this very spec was applied to the image."""
    status = resource.status
    return (
        status.synced_generation == resource.metadata.generation
        and status.image_id == image.id
        and difference.field not in references_of(resource.spec.image)
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
