"""Who becomes a member of an image, who no longer is one, and what may be shared at all."""

import re
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cloudimage.api.cloudimage import CloudImage, ManagementPolicy
from cloudimage.api.imageshare import ImageShare, MemberPolicy
from cloudimage.api.reasons import ShareCondition
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.cloud.models import GlanceImage, Member, Project, Server
from cloudimage.controller.logic.conditions import find, is_true
from cloudimage.vocabulary.marks import Marks

UsersByProject = Mapping[str, Sequence[Server]]
"""Servers by the id of their project, for whose sake the image stays with it."""

_SOONEST_SECONDS = 15.0
_TURN_SECONDS = 30.0
"""Between two looks at a place where something is expected of several."""
_MOST_NAMED = 5
_DOMAIN_SECONDS = 300.0
"""Keystone tells nobody of new projects, so those of a domain are listed now and then."""


@dataclass(frozen=True, slots=True)
class WantedProject:
    """A project that the spec names, with the credentials that accept for it, if it gives any."""

    project: Project
    accept_with: CloudCredentialsRef | None


def target(share: ImageShare) -> tuple[str, str] | None:
    """Return namespace and name of the CloudImage that is shared; None: none is for the image."""
    ref = share.spec.image_ref
    return None if ref is None else (ref.namespace or share.metadata.namespace, ref.name)


def refers_to(share: ImageShare, image: CloudImage) -> bool:
    """Return whether the share is one of that CloudImage, and may be or once was."""
    named = target(share) == (image.metadata.namespace, image.metadata.name)
    return named and (is_permitted(share, image) or bool(share.status.projects))


def is_permitted(share: ImageShare, image: CloudImage) -> bool:
    """Return whether the CloudImage lets the share's namespace share it."""
    namespace = share.metadata.namespace
    own = image.metadata.namespace == namespace
    return own or namespace in image.spec.shareable_from.namespaces


def state(image: CloudImage) -> Hashable:
    """Return what its shares have to hear of when it changes."""
    return (
        image.status.image_id,
        image.metadata.deletion_timestamp is not None,
        image.spec.image.visibility,
        image.spec.shareable_from.namespaces,
    )


def image_text(share: ImageShare) -> str:
    """Return the image as the spec names it."""
    if share.spec.image is not None:
        return share.spec.image.name or share.spec.image.id or ""
    namespace, name = target(share) or ("", "")
    return name if namespace == share.metadata.namespace else f"{namespace}/{name}"


def keeper(image: GlanceImage) -> str | None:
    """Return the UID of the CloudImage that keeps an image; None: none does, by its marks."""
    ours = image.properties.get(Marks.IMAGE_ID) == image.id
    return image.properties.get(Marks.UID) if ours else None


def keeper_text(name: str | None) -> str:
    """Return what to share instead of an image that a CloudImage keeps.

    Args:
        name: The CloudImage's, if it is in the share's namespace; None: in another one, or in
            another cluster, about which nothing more is said.
    """
    if name is None:
        return (
            "A CloudImage keeps this image. Its revisions will not be shared: to follow them, "
            "share the CloudImage by imageRef."
        )
    return (
        f"CloudImage {name} keeps this image. Its revisions will not be shared: to follow them, "
        f"create an ImageShare with imageRef.name {name} instead."
    )


_USUAL_ID = re.compile(r"[0-9a-f]{32}")


def unchecked_text(wanted: Mapping[str, WantedProject]) -> str | None:
    """Return which projects are taken to be there without Keystone's word; None: none is."""
    ids = [key for key, each in wanted.items() if not each.project.is_checked]
    if not ids:
        return None
    unusual = [each for each in ids if not _USUAL_ID.fullmatch(each)]
    # Those that are likely to be wrong come first.
    named = sorted(ids, key=lambda each: each not in unusual)[:_MOST_NAMED]
    more = f" and {len(ids) - len(named)} more" if len(ids) > len(named) else ""
    text = (
        f"Not checked, because the credentials may not look projects up: whether there is a "
        f"project {', '.join(named)}{more}."
    )
    if unusual:
        text += (
            f" {unusual[0]} does not look like a project's id, which most often has 32 digits of "
            "0-9 and a-f, without dashes."
        )
    return text


def _declared(owner: CloudImage | None) -> str | None:
    """Return the visibility that somebody declared in a manifest."""
    if owner is None or owner.spec.management_policy is ManagementPolicy.UNMANAGED:
        return None
    return owner.spec.image.visibility


def is_made_shared(image: GlanceImage, owner: CloudImage | None) -> bool:
    """Return whether the image's visibility becomes shared: its CloudImage leaves that open."""
    managed = owner is not None and owner.spec.management_policy is ManagementPolicy.MANAGED
    return managed and image.visibility == "private" and _declared(owner) in {None, "shared"}


def conflict(image: GlanceImage, owner: CloudImage | None) -> str | None:
    """Return why the image cannot have members, if it cannot: only a shared one has."""
    declared = _declared(owner)
    if declared not in {None, "shared"}:
        return (
            f"The CloudImage's spec.image.visibility is {declared}, but only an image with "
            "visibility shared can have members. Set it to shared, or omit it."
        )
    if image.visibility == "shared" or is_made_shared(image, owner):
        return None
    return (
        f"Image {image.id} has visibility {image.visibility}, but only an image with visibility "
        "shared can have members. To change that, its owner runs: openstack image set --shared "
        f"{image.id}"
    )


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of the projects to add as members of the image, and of those to revoke."""

    add: tuple[str, ...]
    take: tuple[str, ...]


def changes(
    share: ImageShare, wanted: Collection[str], present: Collection[str], *, certain: bool
) -> Changes:
    """Decide which members to add, and which to revoke unless another ImageShare names them.

    Args:
        share: The ImageShare.
        wanted: Ids of the projects that its spec names.
        present: Ids of the projects that are members.
        certain: All that the spec names was found. Else nobody loses the image: one of those may
            be a project that was renamed.
    """
    # Those too that are no members of this image: they may be of an earlier revision.
    take = set(share.status.projects) - set(wanted)
    if share.spec.member_policy is MemberPolicy.EXACT:
        take |= set(present) - set(wanted)
    return Changes(
        add=tuple(each for each in wanted if each not in present),
        take=tuple(sorted(take)) if certain else (),
    )


def to_accept_for(
    wanted: Mapping[str, WantedProject], members: Mapping[str, Member]
) -> dict[str, CloudCredentialsRef]:
    """Return the projects that have not said anything yet, with the credentials that may."""
    return {
        project: each.accept_with
        for project, each in wanted.items()
        if each.accept_with is not None
        and project in members
        and members[project].status == "pending"
    }


def counted(share: ImageShare, others: Iterable[ImageShare], images: Collection[str]) -> set[str]:
    """Return the ids of the projects that other ImageShares give one of these images to.

    One that is being deleted does not count: of two that are deleted together one must revoke.
    """
    return {
        project
        for other in others
        if other.metadata.uid != share.metadata.uid
        and other.metadata.deletion_timestamp is None
        and other.status.image_id in images
        for project in other.status.projects
    }


def recorded(share: ImageShare, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return what status.projects has to be before Glance is asked: a crash forgets nothing."""
    return tuple(dict.fromkeys((*share.status.projects, *wanted)))


def all_revisions(image_id: str, owner: CloudImage | None) -> tuple[str, ...]:
    """Return the images that may have members of ours: the present one, and earlier revisions."""
    earlier = owner.status.revisions if owner else ()
    return tuple(dict.fromkeys((image_id, *(each.image_id for each in earlier))))


def users(staying: UsersByProject, names: Mapping[str, str]) -> str:
    """Return who still uses an image, in a sentence.

    Args:
        staying: Who.
        names: Projects' names by id, as far as they are known.
    """
    projects = "; ".join(
        f"project {names.get(project, project)}: "
        + ", ".join(f"{each.name} ({each.id})" for each in servers[:_MOST_NAMED])
        for project, servers in list(staying.items())[:_MOST_NAMED]
    )
    more = len(staying) - _MOST_NAMED
    rest = f"; and {more} more projects" if more > 0 else ""
    return f"Members are revoked once their servers no longer use the image: {projects}{rest}."


def next_look(share: ImageShare, period: float, now: datetime, beside: int = 1) -> float:
    """Return the seconds until Glance is worth another look.

    Nobody tells us when a consumer accepts: soon after it was asked to, that is looked for often.

    Args:
        share: The ImageShare.
        period: Seconds between looks at one where nothing is expected.
        now: The present.
        beside: How many there are at the same place, which take turns: many ask its cloud as
            often as a few do.
    """
    soonest = period
    if any(each.domain and not each.name for each in share.spec.projects):
        soonest = min(soonest, _DOMAIN_SECONDS)
    pending = [
        (now - each.since).total_seconds()
        for each in share.status.members
        if each.status == "pending" and each.since is not None
    ]
    if pending:
        soonest = min(soonest, max(_SOONEST_SECONDS, min(pending) / 10))
    return min(period, max(soonest, _TURN_SECONDS * (beside - 1)))


def due(share: ImageShare, pause: float) -> datetime | None:
    """Return when a settled share is due to be compared with Glance; None: it is not settled.

    The time of the last comparison is in the status, so a restart wakes nothing before its time.

    Args:
        share: The ImageShare.
        pause: Seconds between two comparisons.
    """
    status = share.status
    settled = (
        status.observed_generation == share.metadata.generation
        and is_true(status.conditions, ShareCondition.READY)
        and find(status.conditions, ShareCondition.RECONCILING) is None
        and find(status.conditions, ShareCondition.STALLED) is None
    )
    if not settled or status.last_sync_time is None:
        return None
    return status.last_sync_time + timedelta(seconds=pause)


def names_of(share: ImageShare, wanted: Mapping[str, WantedProject]) -> dict[str, str]:
    """Return the names of projects by their id, as far as they are or were known."""
    known = {each.project_id: each.project_name for each in share.status.members}
    now = {key: each.project.name for key, each in wanted.items()}
    return {key: name for key, name in (known | now).items() if name}


def by_project(members: Iterable[Member]) -> dict[str, Member]:
    """Return members by the id of their project."""
    return {each.project_id: each for each in members}
