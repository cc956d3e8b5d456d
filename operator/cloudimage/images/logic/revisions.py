"""Images of earlier specs: how the current one takes their place, and which of them stay."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from cloudimage.api.cloudimage import CloudImage, SourceChangePolicy
from cloudimage.api.meta import Event
from cloudimage.api.reasons import Reason
from cloudimage.api.status import CloudImageStatus, Revision, SourceStatus
from cloudimage.cloud.models import GlanceImage, JsonPatch, Usage
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Checksum
from cloudimage.vocabulary.marks import Marks

PROVISIONAL = " (in the making)"
"""End of the name that a replacement has until it is verified: nobody finds it by its own."""

_NAME_LENGTH = 255
"""Characters that Glance takes as a name (``GET /v2/schemas/image``)."""

_DATES = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S")
_MOST_LISTED = 128
_UNKNOWN = (None, None, None)
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


def archiving(
    resource: CloudImage, previous: Iterable[GlanceImage]
) -> list[tuple[GlanceImage, JsonPatch]]:
    """Return the patches that put earlier images aside, of those that are not put aside yet.

    Each is then hidden and called ``<name> (<date>)`` by the day when Glance made it, in UTC; of
    several of one day, the later ones are called by the minute or the second as well.
    """
    shown = resource.spec.image.name or resource.metadata.name
    taken: set[str] = set()
    patches: list[tuple[GlanceImage, JsonPatch]] = []
    for image in sorted(previous, key=lambda each: (each.created_at, each.id)):
        name = _archived_name(image, shown, taken)
        taken.add(name)
        wanted = {"name": (image.name, name), "os_hidden": (image.hidden, True)}
        patch = tuple(
            {"op": "replace", "path": f"/{field}", "value": value}
            for field, (present, value) in wanted.items()
            if present != value
        )
        if patch:
            patches.append((image, patch))
    return patches


def _archived_name(image: GlanceImage, shown: str, taken: Collection[str]) -> str:
    """Return the name of an earlier image; the one that it has, if that says when it was made."""
    name = (image.name or shown).removesuffix(PROVISIONAL)
    suffixes = (*(f" ({image.created_at:{form}})" for form in _DATES), f" ({image.id})")
    if name != shown:
        if name.endswith(suffixes) and name not in taken:
            return name
        for suffix in suffixes:
            name = name.removesuffix(suffix)
    return next(each for suffix in suffixes if (each := _with_suffix(name, suffix)) not in taken)


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


def pinned(resource: CloudImage, desired: Desired) -> Checksum | None:
    """Return the checksum of the file that an image of this very spec was made from, if known."""
    of_spec = (each for each in resource.status.revisions if each.digest == desired.content_key)
    found = next((each.source_checksum for each in of_spec if each.source_checksum), None)
    return None if found is None else Checksum.parse(found)


def to_be_met(resource: CloudImage, desired: Desired) -> Checksum | None:
    """Return the checksum that a source must have for its image to be made; None: any."""
    resolved = resource.status.resolved_source
    known = resolved and desired.source and resolved.selector == desired.source.followed()
    if known and resolved and resolved.checksum is not None:
        # The publisher may have gone on since it was asked: then it is asked again.
        return Checksum.parse(resolved.checksum)
    refuses = resource.spec.source_change_policy is SourceChangePolicy.REFUSE
    return pinned(resource, desired) if refuses else None


def source_changed(resource: CloudImage, desired: Desired, new: CloudImageStatus) -> Event | None:
    """Return the Event about an image that was made again from another file, if it was.

    Args:
        resource: The CloudImage, with the status of before.
        desired: What its spec wants.
        new: Its status with the image that was made.
    """
    before = pinned(resource, desired)
    made_of = new.source.checksums if new.source and new.source.checksums else {}
    if before is None or made_of.get(before.algorithm) in {None, before.value}:
        return None
    return Event(
        "Warning",
        Reason.SOURCE_CHANGED,
        f"Image {new.image_id} was not made from the same file as the one before it: its "
        f"{before.algorithm} is {made_of[before.algorithm]}, not {before.value}.",
    )


def _checksum(source: SourceStatus | None) -> str | None:
    """Return the checksum by which a source is known again."""
    known = source.checksums if source and source.checksums else {}
    algorithm = "sha256" if "sha256" in known else next(iter(sorted(known)), None)
    return algorithm and f"{algorithm}:{known[algorithm]}"


def listed(
    status: CloudImageStatus,
    desired: Desired,
    current: GlanceImage,
    previous: Sequence[PreviousImage],
) -> CloudImageStatus:
    """Return the status with its revisions, the newest first.

    Only the status remembers what an image was made from.
    """
    users = {each.image.id: each.users for each in previous}
    used_by = status.used_by
    servers = used_by.servers if used_by else None
    users[current.id] = (
        None if servers is None or used_by is None else servers + (used_by.volumes or 0)
    )
    origins = {
        each.image_id: (each.source, each.source_checksum, each.version)
        for each in status.revisions
    }
    resolved, source = status.resolved_source, status.source
    if desired.source is not None and (source or resolved):
        # What a transfer found is lost with an operator that is killed; what was asked is not.
        told = source.version if source else None
        version = resolved.version if resolved else told
        checksum = _checksum(source) or (resolved.checksum if resolved else None)
        origins.setdefault(current.id, (desired.source.location(), checksum, version))
    images = newest_first([current, *(each.image for each in previous)])
    revisions = tuple(
        Revision(
            image_id=plain(each.id),
            digest=plain(each.properties.get(Marks.DIGEST, "")),
            created=each.created_at,
            source=origins.get(each.id, _UNKNOWN)[0],
            source_checksum=origins.get(each.id, _UNKNOWN)[1],
            version=origins.get(each.id, _UNKNOWN)[2],
            current=each.id == current.id,
            users=users[each.id],
        )
        for each in images[:_MOST_LISTED]
    )
    return status.model_copy(update={"revisions": revisions})
