"""Makes an image that is in the project already the wanted one: no byte is moved.

It is an image that was made for this very transfer, and known by its name alone until then. One
patch makes it ours and verified, so that it is one thing or the other at every moment.
"""

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

from cloudimage.failpoints import Point, failpoint
from cloudimage.transfer.contract import NewImage, Reason, Result, SourceInfo, TransferError
from cloudimage.transfer.glance.image_lifecycle import UploadContext
from cloudimage.transfer.image.inspection import check_size
from cloudimage.vocabulary.image import BASE_ATTRIBUTES, DiskFormat
from cloudimage.vocabulary.marks import Marks

_GLANCES: Final = "os_glance"
"""How properties begin that only Glance itself may change."""

_ATTRIBUTES: Final = frozenset({*BASE_ATTRIBUTES, "virtual_size"})

_log = logging.getLogger(__name__)


def keep(target: UploadContext, identifier: str) -> Result | None:
    """Make an image the wanted one, with the hash that Glance has of it.

    Returns:
        None: It has to be copied.

    Raises:
        TransferError: ``ImageTooLarge``, ``InvalidImage``, ``UploadFailed`` and the cloud's.
    """
    shown, wanted = target.glance.show(identifier), target.image
    if why := obstacle(shown, wanted):
        _log.info("image %s is copied: %s", identifier, why)
        return None
    size, virtual_size, shape = shown["size"], _virtual_size(shown) or 0, shown["disk_format"]
    check_size(virtual_size, wanted.min_disk, target.limits)
    value = shown.get("os_hash_value") or ""
    algorithm = (value and shown.get("os_hash_algo")) or ""
    verified = f"{algorithm or 'none'}:{value}"
    try:
        target.glance.patch(identifier, list(changes(shown, wanted, verified)))
    except TransferError as error:
        if error.reason is not Reason.FORBIDDEN:
            raise
        # A property, for instance, that these credentials may not take away.
        _log.warning("image %s is copied: %s", identifier, error.message)
        return None
    failpoint(Point.MARKED, wanted.name)
    info = SourceInfo(
        format=cast("DiskFormat", shape),
        size=size,
        actual_size=size,
        virtual_size=virtual_size,
        checksums={algorithm: value} if algorithm else {},
    )
    return Result(
        image_id=identifier,
        disk_format=cast("DiskFormat", shape),
        size=size,
        virtual_size=virtual_size,
        hash_algo=algorithm,
        hash_value=value,
        source=info,
        method="Snapshot",
        method_reason="Snapshot, because nothing has to be converted: no byte is moved",
    )


def obstacle(shown: Mapping[str, Any], wanted: NewImage) -> str | None:
    """Return why an image cannot become the wanted one as it is; None: it can."""
    found = shown["disk_format"], shown.get("container_format")
    if wanted.disk_format not in {None, found[0]} or found[1] != wanted.container_format:
        return f"its formats are {found[0]} and {found[1]}"
    if _virtual_size(shown) is None:
        return "Glance does not say how large its disk is"
    return None


def _virtual_size(shown: Mapping[str, Any]) -> int | None:
    found = shown.get("virtual_size")
    if found is None and shown["disk_format"] == "raw":
        found = shown["size"]
    return found if isinstance(found, int) and found > 0 else None


def changes(
    shown: Mapping[str, Any], wanted: NewImage, verified: str
) -> Iterator[Mapping[str, Any]]:
    """Yield the operations that make an image the wanted one: hidden and private, as any new one.

    What the spec leaves out of the sizes stays: they are those of the disk. All properties go that
    it does not name: Nova and Cinder copy them from wherever the server or the volume came from.

    Args:
        shown: The image, as Glance shows it.
        wanted: What it is to be.
        verified: The mark that it is complete.
    """
    attributes = {
        "name": wanted.name,
        "visibility": "private",
        "os_hidden": True,
        "tags": list(wanted.tags),
        "min_disk": wanted.min_disk,
        "min_ram": wanted.min_ram,
    }
    for name, value in attributes.items():
        if value is not None and shown.get(name) != value:
            yield {"op": "replace", "path": f"/{name}", "value": value}
    properties = {
        **wanted.properties,
        Marks.IMAGE_ID.value: shown["id"],
        Marks.VERIFIED.value: verified,
    }
    for name in sorted(shown.keys() - _ATTRIBUTES - properties.keys()):
        if not name.startswith(_GLANCES):
            yield {"op": "remove", "path": _path(name)}
    for name, value in properties.items():
        yield {"op": "add", "path": _path(name), "value": value}


def _path(name: str) -> str:
    """Return the JSON pointer of a property (RFC 6901, section 3)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
