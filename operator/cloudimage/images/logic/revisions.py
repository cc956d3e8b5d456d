"""Images of earlier specs: how the current one takes their place, and what is known of each."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec, SourceChangePolicy
from cloudimage.api.meta import Event
from cloudimage.api.reasons import Reason
from cloudimage.api.status import MOST_PROJECTS, CloudImageStatus, ProjectUse, Revision
from cloudimage.cloud.models import GlanceImage, JsonPatch, Usage
from cloudimage.images.logic import effective, facts
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.facts import Facts
from cloudimage.images.logic.owned_images import PROVISIONAL, OwnedImages
from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Checksum
from cloudimage.vocabulary.marks import Marks

NAME_LENGTH = 255
"""Characters that Glance takes as a name (``GET /v2/schemas/image``)."""

_MOST_LISTED = 128
_UNKNOWN = (None, None, None, None)
_SHOWING = frozenset({"/name", "/os_hidden"})


@dataclass(frozen=True, slots=True)
class PreviousImage:
    """An image of an earlier spec.

    Attributes:
        users: Number of servers and volumes made from it; None: there may be some that are not
            seen.
        usage: Those that are seen; None: the cloud did not say.
    """

    image: GlanceImage
    users: int | None
    usage: Usage | None = None


def name_to_begin_with(resource: CloudImage, owned: OwnedImages) -> str:
    """Return the name of a new image while it is made: another than that of one it replaces.

    One that has to pass a boot test first has it until then.
    """
    name = shown_name(resource)
    provisional = bool(owned.previous) or is_tested_first(resource.spec)
    return with_suffix(name, PROVISIONAL) if provisional else name


def is_tested_first(spec: CloudImageSpec) -> bool:
    """Return whether new images of a spec are used only after they have passed a boot test."""
    return spec.boot_test is not None and spec.boot_test.required


def shown_name(resource: CloudImage) -> str:
    """Return the name of an image of which nothing is known yet."""
    return effective.applied(resource).spec.image.name or resource.metadata.name


def with_suffix(name: str, suffix: str) -> str:
    """Return a name with an end, cut to what Glance takes."""
    return name[: NAME_LENGTH - len(suffix)] + suffix


def newest_first(images: Iterable[GlanceImage]) -> list[GlanceImage]:
    """Return the images by when Glance made them; the id decides between equals."""
    return sorted(images, key=lambda each: (each.created_at, each.id), reverse=True)


def replaced(resource: CloudImage, owned: OwnedImages) -> GlanceImage | None:
    """Return the earlier image whose place is yet to be taken; None: that is done.

    It is the one that the status names, which is written last of all. A status that was lost is
    made up for by what can be seen: an image that was replaced has the mark, or is hidden.
    """
    known = [each for each in owned.previous if each.id == resource.status.image_id]
    seen = [
        each
        for each in newest_first(owned.previous)
        if not each.hidden and Marks.REPLACED not in each.properties
    ]
    return next(iter(known or seen), None)


def serving(resource: CloudImage, owned: OwnedImages) -> GlanceImage | None:
    """Return the earlier image that serves while a new one is made, if one can."""
    image = replaced(resource, owned)
    return image if image and image.status == "active" else None


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


def listed(
    status: CloudImageStatus,
    desired: Desired,
    current: GlanceImage,
    previous: Sequence[PreviousImage],
    usage: Usage | None = None,
) -> CloudImageStatus:
    """Return the status with its revisions, the newest first.

    Only the status remembers what an image was made from.

    Args:
        status: As it is to be otherwise.
        desired: What the spec wants.
        current: The image that it wants.
        previous: The earlier ones.
        usage: Who uses the current one; None: the cloud did not say.
    """
    users = {each.image.id: each.users for each in previous}
    projects = {each.image.id: _projects(each.usage) for each in previous}
    projects[current.id] = _projects(usage)
    used_by = status.used_by
    servers = used_by.servers if used_by else None
    users[current.id] = (
        None if servers is None or used_by is None else servers + (used_by.volumes or 0)
    )
    origins = {
        each.image_id: (each.source, each.source_checksum, each.version, each.built)
        for each in status.revisions
    }
    known = facts.of_source(status, desired.source, current)
    if desired.source is not None and known != Facts():
        built = known.values.get("built")
        origin = (desired.source.location(), known.checksum, known.version, built)
        origins.setdefault(current.id, origin)
    images = newest_first([current, *(each.image for each in previous)])
    revisions = tuple(
        Revision(
            image_id=plain(each.id),
            digest=plain(each.properties.get(Marks.DIGEST, "")),
            created=each.created_at,
            source=origins.get(each.id, _UNKNOWN)[0],
            source_checksum=origins.get(each.id, _UNKNOWN)[1],
            version=origins.get(each.id, _UNKNOWN)[2],
            built=origins.get(each.id, _UNKNOWN)[3],
            current=each.id == current.id,
            users=users[each.id],
            replaced=None if each.id == current.id else replaced_at(each),
            projects=projects[each.id][:MOST_PROJECTS] or None,
            other_projects=len(projects[each.id][MOST_PROJECTS:]) or None,
        )
        for each in images[:_MOST_LISTED]
    )
    return status.model_copy(update={"revisions": revisions})


def without(status: CloudImageStatus, gone: Collection[str]) -> CloudImageStatus:
    """Return the status without revisions whose images were deleted, by their ids."""
    left = tuple(each for each in status.revisions if each.image_id not in gone)
    return status.model_copy(update={"revisions": left})


def replaced_at(image: GlanceImage) -> datetime | None:
    """Return when an image was replaced, as its mark says; None: it was not, or is unreadable."""
    try:
        moment = datetime.fromisoformat(image.properties.get(Marks.REPLACED, ""))
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.timestamp() >= 0 else None


def _projects(usage: Usage | None) -> tuple[ProjectUse, ...]:
    """Return which projects use an image, those with the most first; none that is not seen."""
    if usage is None:
        return ()
    servers = Counter(each.project_id for each in usage.servers)
    volumes = Counter(each.project_id for each in usage.volumes or ())
    total = servers + volumes
    return tuple(
        ProjectUse(project_id=plain(each, 255), servers=servers[each], volumes=volumes[each])
        for each in sorted(total, key=lambda each: (-total[each], each))
    )
