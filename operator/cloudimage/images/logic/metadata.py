"""How metadata differs from the spec, and the smallest JSON patch that corrects it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec, PropertyPolicy
from cloudimage.cloud.models import GlanceImage, JsonPatch
from cloudimage.images.logic import references
from cloudimage.transfer.contract import SECRET_MARK
from cloudimage.vocabulary.image import BASE_ATTRIBUTES
from cloudimage.vocabulary.marks import Marks

_NEVER_OURS = ("os_glance", "cloudimage_dev_")
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
    ours = present if spec.property_policy is PropertyPolicy.PURGE else _set_before(image)
    return (ours & present) - _named(spec)


def _named(spec: CloudImageSpec) -> set[str]:
    """Return the properties that the spec manages, whether or not their values are known yet."""
    return set(spec.image.properties or {}) | set(references.of(spec.image))


def _set_before(image: GlanceImage) -> set[str]:
    """Return the properties that were set from here, as the image itself says.

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


def without_marks(image: GlanceImage) -> JsonPatch:
    """Return the patch that makes the image nobody's: for deletionPolicy Orphan."""
    return tuple(
        {"op": "remove", "path": _path(mark)}
        for mark in (*Marks, SECRET_MARK)
        if mark in image.properties
    )
