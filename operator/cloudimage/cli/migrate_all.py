"""Which images of a whole project are migrated, and what they are called in Kubernetes; pure."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from cloudimage.cli import migrate
from cloudimage.cloud.models import GlanceImage
from cloudimage.sizes import quantity
from cloudimage.vocabulary.snapshots import is_snapshot

LONGEST_NAME: Final = 63
"""Characters of a name that is made here; as many as a label of Kubernetes may have."""

_SHORTEST_ID: Final = 8


@dataclass(frozen=True, slots=True)
class Filters:
    """Which images are meant; empty: any.

    Attributes:
        pattern: What their names match, with ``*``, ``?`` and ``[...]``.
        visibilities: One of these.
        owners: Ids of projects; empty: that of the credentials.
        tags: All of these.
        statuses: One of these.
        snapshots: Also those of servers.
    """

    pattern: str = ""
    visibilities: frozenset[str] = frozenset()
    owners: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    snapshots: bool = False

    def fit(self, image: GlanceImage) -> bool:
        """Return whether an image is meant; others are not even mentioned."""
        return (
            fnmatchcase(image.name or "", self.pattern or "*")
            and (not self.visibilities or image.visibility in self.visibilities)
            and (not self.owners or image.owner in self.owners)
            and self.tags <= image.tags
            and (not self.statuses or image.status in self.statuses)
        )


@dataclass(frozen=True, slots=True)
class Planned:
    """What becomes of an image.

    Attributes:
        name: Of its CloudImage; None: it is skipped.
        why: Why it is skipped, or called otherwise; empty: neither.
    """

    image: GlanceImage
    name: str | None
    why: str = ""


def plan(
    images: Iterable[GlanceImage], project_id: str | None, filters: Filters
) -> tuple[Planned, ...]:
    """Return what becomes of each image that is meant: those written first, by their names.

    Args:
        images: All that the credentials can see, in any order.
        project_id: The project of the credentials.
        filters: Which are meant.
    """
    meant = sorted((each for each in images if filters.fit(each)), key=lambda each: each.id)
    reasons = {each.id: _why_not(each, project_id, filters) for each in meant}
    named = name_all([each for each in meant if reasons[each.id] is None])
    skipped = (Planned(each, None, why) for each in meant if (why := reasons[each.id]) is not None)
    return (
        *sorted(named, key=lambda each: each.name or ""),
        *sorted(skipped, key=lambda each: (each.image.name or "", each.image.id)),
    )


def _why_not(image: GlanceImage, project_id: str | None, filters: Filters) -> str | None:
    if not filters.owners and image.owner != project_id:
        return f"it belongs to project {image.owner}: --owner {image.owner} takes it"
    if why := migrate.obstacle(image):
        return why
    if is_snapshot(image.properties) and not filters.snapshots:
        return "it is a snapshot of a server: --snapshots takes it"
    return None


def name_all(images: Iterable[GlanceImage]) -> list[Planned]:
    """Return the images with names for Kubernetes, each another one.

    The oldest image keeps a name that others have as well, so that a new image changes no name.
    """
    oldest_first = sorted(images, key=lambda each: (each.created_at, each.id))
    # What is a name of Kubernetes already is nobody else's.
    taken = {each.name: each for each in reversed(oldest_first) if each.name and _fits(each.name)}
    planned = []
    for image in oldest_first:
        if image.name and taken.get(image.name) is image:
            planned.append(Planned(image, image.name))
            continue
        base = kubernetes_name(image.name or "") or "image"
        first = taken.get(base)
        name = _free(base, image, taken) if first or not image.name else base
        taken[name] = image
        planned.append(Planned(image, name, _renamed(image, first if image.name else None)))
    return planned


def _renamed(image: GlanceImage, first: GlanceImage | None) -> str:
    if first is not None:
        return f"renamed: image {first.id} has the name"
    return "renamed: " + (
        "its own is not one of Kubernetes" if image.name else "it has no name in Glance"
    )


def _free(base: str, image: GlanceImage, taken: Iterable[str]) -> str:
    digits = image.id.lower()
    for length in range(_SHORTEST_ID, len(digits) + 1):
        end = digits[:length].strip("-")
        name = f"{base[: LONGEST_NAME - len(end) - 1].rstrip('-.')}-{end}"
        if name not in taken:
            return name
    raise ValueError("unreachable: no other image has this id")


def _fits(name: str) -> bool:
    return kubernetes_name(name) == name


def kubernetes_name(text: str) -> str:
    """Return a text as a name of an object (RFC 1123, a subdomain); empty if nothing is left."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    labels = re.sub(r"[^a-z0-9.]+", "-", ascii_text)[: 4 * LONGEST_NAME].split(".")
    name = ".".join(each for label in labels if (each := label.strip("-")))
    return name[:LONGEST_NAME].rstrip("-.")


def table(planned: Sequence[Planned], shares: Iterable[str]) -> list[list[str]]:
    """Return what becomes of the images as rows, the heading first.

    Args:
        planned: The images.
        shares: Ids of those that get an ImageShare.
    """
    shared = frozenset(shares)
    rows = [["IMAGE", "NAME", "SIZE", "STATUS", "WRITTEN AS", "NOTE"]]
    for each in planned:
        image = each.image
        written = "-"
        if each.name:
            written = each.name + " and its ImageShare" * (image.id in shared)
        note = each.why if each.name or not each.why else f"skipped: {each.why}"
        size = "" if image.size is None else quantity(image.size)
        rows.append([image.id, image.name or "", size, image.status, written, note])
    return rows
