"""Whether a CloudImage's images may be deleted, and what blocks it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from cloudimage.api.cloudimage import CloudImage, UsageCheck
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.reasons import Reason
from cloudimage.cloud.models import GlanceImage, Server, Usage, Volume
from cloudimage.controller.logic.conditions import HOW_TO_LET_GO
from cloudimage.images.logic.status import SAMPLE_SIZE


@dataclass(frozen=True, slots=True)
class Blocker:
    """Why one image must stay."""

    reason: Reason
    message: str
    usage: Usage | None = None


def blocker(resource: CloudImage, image: GlanceImage, usage: Usage) -> Blocker | None:
    """Return why the image must not be deleted, if anything holds it."""
    if usage.in_use:
        return Blocker(Reason.IN_USE, _in_use(image, usage), usage)
    if usage.scope == "Refused" and resource.spec.usage_check is UsageCheck.REQUIRED:
        return Blocker(Reason.USAGE_UNKNOWN, _unknown(image), usage)
    if image.protected and resource.spec.image.protected is not False:
        advice = "set spec.image.protected to false to allow its deletion"
        return Blocker(Reason.PROTECTED, f"Image {image.id} is protected: {advice}.", usage)
    return None


def shared(shares: Sequence[ImageShare]) -> Blocker:
    """Return the blocker while ImageShares need the object to reach its cloud."""
    names = ", ".join(
        f"{each.metadata.namespace}/{each.metadata.name}" for each in shares[:SAMPLE_SIZE]
    )
    more = f" and {len(shares) - SAMPLE_SIZE} more" if len(shares) > SAMPLE_SIZE else ""
    text = f"The image is shared by ImageShare {names}{more}; it is deleted once they are gone."
    return Blocker(Reason.SHARED, text)


def refused(reason: Reason, words: str, usage: Usage, tests: Sequence[str] = ()) -> Blocker:
    """Return the blocker when Glance refuses to delete an image.

    A conflict is the store's: see "Delete image" in Glance's API reference. Something was cloned
    from the image that nobody shows us, such as a snapshot, or another project's volume.

    Args:
        reason: Conflict or Forbidden.
        words: Glance's own.
        usage: Who uses the image, as far as that is known.
        tests: Ids of servers of boot tests that Nova has not deleted.
    """
    said = words.rstrip(". ")
    if tests and reason is Reason.CONFLICT:
        left = f"Nova has not deleted server {', '.join(tests)} of the boot test: delete it by hand"
        return Blocker(Reason.IN_USE, f"{said}. {left}. {HOW_TO_LET_GO}", usage)
    if reason is Reason.CONFLICT:
        advice = (
            "Volumes or snapshots of other projects may be clones of it; an administrator can see "
            "those. The image is deleted once they are gone."
        )
        return Blocker(Reason.IN_USE, f"{said}. {advice} {HOW_TO_LET_GO}", usage)
    advice = "Ask the cloud's administrator for permission to delete it."
    return Blocker(reason, f"{said}. {advice} {HOW_TO_LET_GO}", usage)


def is_by_servers(blockers: Iterable[Blocker]) -> bool:
    """Return whether it is servers alone that each of the images waits for.

    Volumes end unseen, and so does what Glance's store has cloned.
    """
    return all(
        each.usage is not None and each.usage.servers and not each.usage.volumes
        for each in blockers
    )


def foremost(blockers: Sequence[Blocker]) -> Blocker:
    """Return the blocker to report: the first, with the number of the others."""
    first, others = blockers[0], len(blockers) - 1
    if not others:
        return first
    rest = "1 more image is" if others == 1 else f"{others} more images are"
    return replace(first, message=f"{first.message} {rest} also waiting.")


def _in_use(image: GlanceImage, usage: Usage) -> str:
    sentences = []
    if usage.servers:
        sight = {
            "AllProjects": "the credentials can see the servers of all projects",
            "OwnProject": "the credentials can see only their own project's servers",
            "NoCompute": "the cloud has no compute service",
            "Refused": "the compute service lists none for these credentials",
        }[usage.scope]
        users = "server uses" if len(usage.servers) == 1 else "servers use"
        sentences.append(
            f"{len(usage.servers)} {users} image {image.id}: {_named(usage.servers)}; {sight}."
        )
    if usage.volumes:
        made = "volume was" if len(usage.volumes) == 1 else "volumes were"
        sight = "only administrators can see those of other projects"
        sentences.append(
            f"{len(usage.volumes)} {made} made from image {image.id}: {_named(usage.volumes)}; "
            f"{sight}."
        )
    return " ".join(sentences)


def _unknown(image: GlanceImage) -> str:
    return (
        f"The compute service does not list servers for these credentials (401 or 403), so nobody "
        f"can say whether servers use image {image.id}. Let them list servers: an application "
        f"credential with access rules needs the rule compute, GET, /v2.1/servers/detail. Or set "
        f"spec.usageCheck to IfPermitted to delete the image without asking. {HOW_TO_LET_GO}"
    )


def _named(users: Sequence[Server] | Sequence[Volume]) -> str:
    names = (
        f"{each.name} ({each.id}, project {each.project_id}{_state(each)})"
        for each in users[:SAMPLE_SIZE]
    )
    more = f" and {len(users) - SAMPLE_SIZE} more" if len(users) > SAMPLE_SIZE else ""
    return ", ".join(names) + more


def _state(user: Server | Volume) -> str:
    return ", soft-deleted" if isinstance(user, Server) and user.is_soft_deleted else ""
