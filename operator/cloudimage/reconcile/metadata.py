"""Metadata of an image: what differs from the spec, as the smallest JSON patch."""

from collections.abc import Iterator, Mapping
from typing import Any

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.types import GlanceImage, JsonPatch
from cloudimage.transfer.types import Marks


def _path(name: str) -> str:
    """Return the JSON pointer of an attribute (RFC 6901, section 3)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _wanted(resource: CloudImage) -> dict[str, Any]:
    """Return the base attributes that the spec manages; the shown image is never hidden."""
    image = resource.spec.image
    managed = {
        "name": image.name or resource.metadata.name,
        "visibility": image.visibility,
        "protected": image.protected,
        "min_disk": image.min_disk_gib,
        "min_ram": image.min_ram_mib,
        "os_hidden": False,
    }
    return {name: value for name, value in managed.items() if value is not None}


def _observed(image: GlanceImage) -> dict[str, Any]:
    return {
        "name": image.name,
        "visibility": image.visibility,
        "protected": image.protected,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "os_hidden": image.hidden,
    }


def differences(resource: CloudImage, image: GlanceImage) -> JsonPatch:
    """Return the patch that makes Glance's metadata equal to the spec; empty when it is.

    Fields and properties that the spec leaves out are left alone.
    """
    return tuple(_operations(resource, image))


def _operations(resource: CloudImage, image: GlanceImage) -> Iterator[Mapping[str, Any]]:
    observed = _observed(image)
    for name, value in _wanted(resource).items():
        if observed[name] != value:
            yield {"op": "replace", "path": _path(name), "value": value}
    tags = resource.spec.image.tags
    if tags is not None and tags != image.tags:
        yield {"op": "replace", "path": "/tags", "value": sorted(tags)}
    for name, value in sorted((resource.spec.image.properties or {}).items()):
        if image.properties.get(name) != value:
            # RFC 6902: "add" on a member that exists replaces it.
            yield {"op": "add", "path": _path(name), "value": value}


def without_marks(image: GlanceImage) -> JsonPatch:
    """Return the patch that makes the image nobody's: for deletionPolicy Orphan."""
    return tuple(
        {"op": "remove", "path": _path(mark)} for mark in Marks if mark in image.properties
    )
