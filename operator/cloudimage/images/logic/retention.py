"""How earlier images age: what is changed of them as time passes, and which are deleted; pure.

An image ages from the moment at which it was replaced, which is a mark on the image itself: a
restart, another operator and a restored cluster read the same.
"""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.retention import DEFAULT_NAME, NAME_PART, Retention, Then
from cloudimage.cloud.models import GlanceImage, JsonPatch
from cloudimage.durations import parse_duration
from cloudimage.images.logic import effective
from cloudimage.images.logic.owned_images import PROVISIONAL
from cloudimage.images.logic.revisions import (
    NAME_LENGTH,
    PreviousImage,
    newest_first,
    replaced_at,
    with_suffix,
)
from cloudimage.plaintext import plain
from cloudimage.vocabulary.marks import Marks

DEPRECATED: Final = "deprecated"
"""The tag of a deprecated image. Neither Glance nor SCS-0102 defines a word for it; a tag can be
listed (``--tag``), and Nova and Cinder copy none to snapshots, as they would a property."""

_DAY: Final = "%Y-%m-%d"
_FINER: Final = ("", " %H:%M", " %H:%M:%S")
"""What is added to a date until the name is one of its own."""

_PATH: Final = f"/{Marks.REPLACED}"


@dataclass(frozen=True, slots=True)
class Policy:
    """How the earlier images of one CloudImage age, counted from when each was replaced.

    Attributes:
        keep: How many unused ones stay whatever their age.
        rename: Template of their name.
        visible_for: How long they stay in lists.
        then: What comes after that.
        deprecate_after: When they get the tag; None: never.
        delete_after: When unused ones may be deleted.
    """

    keep: int
    rename: str = DEFAULT_NAME
    visible_for: timedelta = timedelta(0)
    then: Then = Then.HIDDEN
    deprecate_after: timedelta | None = None
    delete_after: timedelta = timedelta(0)


def policy_of(resource: CloudImage) -> Policy:
    """Return how earlier images age: by spec.retention, or by the simple revisionHistoryLimit."""
    given = resource.spec.retention
    if given is None:
        return Policy(keep=resource.spec.revision_history_limit)
    return _policy(given)


def _policy(given: Retention) -> Policy:
    visible, unused = (
        timedelta(0) if each is None else parse_duration(each)
        for each in (given.visible_for, given.delete_unused_after)
    )
    deprecated = given.deprecate_after
    return Policy(
        keep=given.keep,
        rename=given.rename,
        visible_for=visible,
        then=given.then,
        deprecate_after=None if deprecated is None else parse_duration(deprecated),
        delete_after=max(visible, unused),
    )


def age(image: GlanceImage, now: datetime) -> timedelta:
    """Return for how long an image has been replaced; none is younger than just replaced."""
    return max(now - (replaced_at(image) or now), timedelta(0))


def putting_aside(
    resource: CloudImage,
    current: GlanceImage | None,
    previous: Iterable[GlanceImage],
    now: datetime,
) -> list[tuple[GlanceImage, JsonPatch]]:
    """Return the patches that put earlier images aside, of those that are not put aside yet.

    One patch gives an image its name and the mark: it has both or neither, and the mark is why a
    name that somebody gave it later stays, unless it is the current image's. Without a time in the
    lists it is hidden by the same patch.

    Args:
        resource: The CloudImage.
        current: The image that takes their place; None: it is yet to be made.
        previous: All its earlier images.
        now: The present.
    """
    policy = policy_of(resource)
    shown = effective.applied(resource, current).spec.image.name or resource.metadata.name
    images = sorted(previous, key=lambda each: (each.created_at, each.id))
    done = {each.id for each in images if replaced_at(each) is not None}
    taken = {shown, *(each.name for each in images if each.id in done and each.name != shown)}
    patches: list[tuple[GlanceImage, JsonPatch]] = []
    for image in images:
        if image.id in done and image.name != shown:
            continue
        name = _name(resource, shown, image, taken)
        taken.add(name)
        changes: dict[str, Any] = {"name": name}
        mark: JsonPatch = ()
        if image.id not in done:
            moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            # "add" on a member that exists replaces it: one that cannot be read is.
            mark = ({"op": "add", "path": _PATH, "value": moment},)
            # Other steps may be refused, which must not hold up the new image.
            if _aged(policy, image, timedelta(0)).get("os_hidden"):
                changes["os_hidden"] = True
        patches.append((image, (*_operations(image, changes), *mark)))
    return patches


def _name(
    resource: CloudImage, shown: str, image: GlanceImage, taken: Collection[str | None]
) -> str:
    """Return the name of an earlier image: no other's, and not that of the current one."""
    name = (image.name or shown).removesuffix(PROVISIONAL)
    dated = tuple(f" ({image.created_at:{_DAY}{finer}})" for finer in _FINER)
    own = (*dated, f" ({image.id})")
    if name != shown:
        # One that was put aside before there was the mark has its name already.
        if name.endswith(own) and name not in taken:
            return name
        for suffix in own:
            name = name.removesuffix(suffix)
    return next(
        each
        for each in _candidates(policy_of(resource).rename, name, image, _version(resource, image))
        if each not in taken
    )


def _version(resource: CloudImage, image: GlanceImage) -> str | None:
    known = (each for each in resource.status.revisions if each.image_id == image.id)
    return next((plain(each.version, NAME_LENGTH) for each in known if each.version), None)


def _candidates(template: str, name: str, image: GlanceImage, version: str | None) -> Iterator[str]:
    rendered = [_rendered(template, name, image, version, finer) for finer in _FINER]
    yield from rendered
    yield with_suffix(rendered[0], f" ({image.id})")


def _rendered(template: str, name: str, image: GlanceImage, version: str | None, finer: str) -> str:
    def put(name: str) -> str:
        def value(match: re.Match[str]) -> str:
            kind, _, form = match[0].strip("{}").partition(":")
            if kind == "name":
                return name
            if kind == "version" and version is not None:
                return version
            return image.created_at.astimezone(UTC).strftime((form or _DAY) + finer)

        return re.sub(NAME_PART, value, template)

    rest = len(put(""))
    return put(name[: max(0, NAME_LENGTH - rest)])[:NAME_LENGTH]


def ageing(
    resource: CloudImage, previous: Iterable[GlanceImage], now: datetime
) -> list[tuple[GlanceImage, JsonPatch]]:
    """Return the patches by which earlier images become what their age makes them.

    What somebody did by hand is undone where it made an image more visible than its age allows, and
    left where it made it less so: nothing here ever shows an image that is hidden.
    """
    policy = policy_of(resource)
    aged = ((each, _aged(policy, each, age(each, now))) for each in previous)
    patches = ((image, _operations(image, wanted)) for image, wanted in aged)
    return [(image, patch) for image, patch in patches if patch]


def _aged(policy: Policy, image: GlanceImage, old: timedelta) -> dict[str, Any]:
    """Return what an image of that age is to be, by Glance's names."""
    wanted: dict[str, Any] = {}
    if old >= policy.visible_for:
        # Community would open a private or shared image to everybody.
        if policy.then is Then.COMMUNITY and image.visibility in {"public", "community"}:
            wanted["visibility"] = "community"
        else:
            wanted["os_hidden"] = True
    if policy.deprecate_after is not None and old >= policy.deprecate_after:
        wanted["tags"] = sorted(image.tags | {DEPRECATED})
    return wanted


def _operations(image: GlanceImage, wanted: dict[str, Any]) -> JsonPatch:
    present = {
        "name": image.name,
        "os_hidden": image.hidden,
        "visibility": image.visibility,
        "tags": sorted(image.tags),
    }
    return tuple(
        {"op": "replace", "path": f"/{field}", "value": value}
        for field, value in wanted.items()
        if present[field] != value
    )


def revived(resource: CloudImage, image: GlanceImage, changes: JsonPatch) -> JsonPatch:
    """Return the changes of the current image, and with them what takes its age away.

    Args:
        resource: The CloudImage; it has returned to an earlier image.
        image: That image.
        changes: What else is to be changed of it.
    """
    if Marks.REPLACED not in image.properties:
        return changes
    more: list[dict[str, Any]] = [{"op": "remove", "path": _PATH}]
    if resource.spec.image.tags is None and DEPRECATED in image.tags:
        tags = sorted(image.tags - {DEPRECATED})
        more.append({"op": "replace", "path": "/tags", "value": tags})
    return (*changes, *more)


def surplus(
    resource: CloudImage, previous: Iterable[PreviousImage], now: datetime
) -> tuple[GlanceImage, ...]:
    """Return the earlier images to delete: unused, old enough, and not among those to keep.

    One that is still shown is hidden first, and deleted at a later look: users may just have chosen
    it. A protected one stays, as it does when the CloudImage is deleted, until spec.image.protected
    is false: somebody else may have protected it.
    """
    policy = policy_of(resource)
    unused = newest_first(each.image for each in previous if each.users == 0)
    return tuple(
        each
        for each in unused[policy.keep :]
        if age(each, now) >= policy.delete_after
        and (each.hidden or each.visibility == "community")
        and not is_held_by_protection(resource, each)
    )


def is_held_by_protection(resource: CloudImage, image: GlanceImage) -> bool:
    """Return whether an image is protected, and not for us to unprotect."""
    return image.protected and resource.spec.image.protected is not False


def held(
    resource: CloudImage, previous: Sequence[PreviousImage], now: datetime
) -> tuple[PreviousImage, ...]:
    """Return the earlier images that would be deleted by now if they were not used or protected.

    Those that may be used unseen are among them. The newest ones that are kept anyway are not.
    """
    policy = policy_of(resource)
    kept = {each.id for each in newest_first(each.image for each in previous)[: policy.keep]}
    return tuple(
        each
        for each in previous
        if each.image.id not in kept
        and age(each.image, now) >= policy.delete_after
        and (each.users != 0 or is_held_by_protection(resource, each.image))
    )
