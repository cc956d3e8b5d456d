"""Images of earlier specs: how the current one takes their place, and which of them stay."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.status import CloudImageStatus, Revision
from cloudimage.cloud.models import GlanceImage, JsonPatch, Usage
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.plaintext import plain
from cloudimage.vocabulary.marks import Marks

PROVISIONAL = " (in the making)"
"""End of the name that a replacement has until it is verified: nobody finds it by its own."""

_NAME_LENGTH = 255
"""Characters that Glance takes as a name (``GET /v2/schemas/image``)."""

_MOST_LISTED = 128
_SHOWING = frozenset({"/name", "/os_hidden"})


@dataclass(frozen=True, slots=True)
class PreviousImage:
    """An image of an earlier spec.

    Attributes:
        users: Number of servers and volumes made from it; None: there may be some that are not
            seen.
    """

    image: GlanceImage
    users: int | None


def name_to_begin_with(resource: CloudImage, owned: OwnedImages) -> str:
    """Return the name of a new image while it is made: another than that of one it replaces."""
    name = resource.spec.image.name or resource.metadata.name
    return _with_suffix(name, PROVISIONAL) if owned.previous else name


def _with_suffix(name: str, suffix: str) -> str:
    return name[: _NAME_LENGTH - len(suffix)] + suffix


def newest_first(images: Iterable[GlanceImage]) -> list[GlanceImage]:
    """Return the images by when Glance made them; the id decides between equals."""
    return sorted(images, key=lambda each: (each.created_at, each.id), reverse=True)


def replaced(resource: CloudImage, owned: OwnedImages) -> GlanceImage | None:
    """Return the earlier image whose place is yet to be taken; None: that is done.

    It is the one that the status names, which is written last of all. A status that was lost is
    made up for by what can be seen: an image that was replaced is hidden.
    """
    known = [each for each in owned.previous if each.id == resource.status.image_id]
    seen = [each for each in newest_first(owned.previous) if not each.hidden]
    return next(iter(known or seen), None)


def serving(resource: CloudImage, owned: OwnedImages) -> GlanceImage | None:
    """Return the earlier image that serves while a new one is made, if one can."""
    image = replaced(resource, owned)
    return image if image and image.status == "active" else None


def archiving(resource: CloudImage, image: GlanceImage) -> JsonPatch:
    """Return the patch that puts an earlier image aside as ``<name> (<date>)``; empty when it is.

    The date is the day when Glance made the image, in UTC.
    """
    shown = resource.spec.image.name or resource.metadata.name
    suffix = f" ({image.created_at:%Y-%m-%d})"
    name = (image.name or shown).removesuffix(PROVISIONAL)
    if not name.endswith(suffix) or name == shown:
        name = _with_suffix(name, suffix)
    wanted = {"name": (image.name, name), "os_hidden": (image.hidden, True)}
    return tuple(
        {"op": "replace", "path": f"/{field}", "value": value}
        for field, (present, value) in wanted.items()
        if present != value
    )


def steps(
    resource: CloudImage, old: GlanceImage, new: GlanceImage, differences: JsonPatch
) -> tuple[JsonPatch, JsonPatch]:
    """Return what is changed of the new image before the old one is put aside, and after that.

    What Glance may refuse comes before: the old image then stays in use.

    Args:
        resource: The CloudImage.
        old: The image that served.
        new: The image that takes its place.
        differences: What the spec wants to be changed of the new one.
    """
    before = [each for each in differences if each["path"] not in _SHOWING]
    if resource.spec.image.visibility is None and new.visibility != old.visibility:
        before.append({"op": "replace", "path": "/visibility", "value": old.visibility})
    return tuple(before), tuple(each for each in differences if each["path"] in _SHOWING)


def users_seen(usage: Usage | None, *, offered: bool) -> int | None:
    """Return the number of servers and volumes made from an image; None: there may be more.

    Args:
        usage: Who uses it; None: the cloud did not say.
        offered: Other projects can use it.
    """
    if usage is None or usage.scope == "Refused":
        return None
    if usage.scope == "OwnProject" and offered and not usage.in_use:
        return None
    return len(usage.servers) + len(usage.volumes or ())


def surplus(resource: CloudImage, previous: Iterable[PreviousImage]) -> tuple[GlanceImage, ...]:
    """Return the earlier images to delete: unused ones beyond spec.revisionHistoryLimit.

    A protected one stays, as it does when the CloudImage is deleted, until spec.image.protected
    is false: somebody else may have protected it.
    """
    unused = newest_first(each.image for each in previous if each.users == 0)
    return tuple(
        each
        for each in unused[resource.spec.revision_history_limit :]
        if not each.protected or resource.spec.image.protected is False
    )


def listed(
    status: CloudImageStatus, current: GlanceImage, previous: Sequence[PreviousImage]
) -> CloudImageStatus:
    """Return the status with its revisions, the newest first."""
    users = {each.image.id: each.users for each in previous}
    used_by = status.used_by
    servers = used_by.servers if used_by else None
    users[current.id] = (
        None if servers is None or used_by is None else servers + (used_by.volumes or 0)
    )
    images = newest_first([current, *(each.image for each in previous)])
    revisions = tuple(
        Revision(
            image_id=plain(each.id),
            digest=plain(each.properties.get(Marks.DIGEST, "")),
            created=each.created_at,
            current=each.id == current.id,
            users=users[each.id],
        )
        for each in images[:_MOST_LISTED]
    )
    return status.model_copy(update={"revisions": revisions})
