"""Earlier images of a CloudImage, and what is done to them."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.models import GlanceImage, JsonPatch
from cloudimage.vocabulary.marks import Marks
from support.resources import NOW, cloud_image, glance_image

EARLIER = cloud_image(http={"checksum": {"sha256": "00" * 32}})
DATED = "debian-12 (2026-01-02)"
DAY = timedelta(days=1)
WHOLE = {
    "keep": 1,
    "visibleFor": "60d",
    "then": "Hidden",
    "deprecateAfter": "90d",
    "deleteUnusedAfter": "365d",
}


def aged(resource: CloudImage, **spec: Any) -> CloudImage:
    """Return the object with a retention."""
    return cloud_image(retention=spec, status=resource.status.to_json())


def old(number: int = 1, **changes: Any) -> GlanceImage:
    """Return an image of an earlier spec, made that many days ago."""
    image_id = f"{number:08}-0000-4000-8000-000000000000"
    return glance_image(
        EARLIER, id=image_id, **{"created_at": NOW - timedelta(days=number), **changes}
    )


def replaced(days: float, number: int = 1, **changes: Any) -> GlanceImage:
    """Return an earlier image that was replaced so many days ago."""
    mark = {Marks.REPLACED: (NOW - timedelta(days=days)).isoformat()}
    return old(number, **{"name": f"old {number}", **changes}, properties=mark)


def applied(image: GlanceImage, patch: JsonPatch) -> GlanceImage:
    """Return the image as Glance has it after a patch."""
    names = {"os_hidden": "hidden"}
    properties = dict(image.properties)
    changes: dict[str, Any] = {}
    for each in patch:
        name = each["path"].removeprefix("/")
        if each["op"] == "remove":
            del properties[name]
        elif name in {"name", "os_hidden", "visibility", "tags"}:
            value = each["value"]
            changes[names.get(name, name)] = frozenset(value) if name == "tags" else value
        else:
            properties[name] = each["value"]
    return replace(image, properties=properties, **changes)


def values(patch: JsonPatch) -> Mapping[str, Any]:
    return {each["path"]: each.get("value") for each in patch}
