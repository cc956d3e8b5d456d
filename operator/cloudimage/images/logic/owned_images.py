"""Sorts the images of a CloudImage: the current one, earlier ones, leftovers."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Event
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import Draft
from cloudimage.images.logic.desired import Desired
from cloudimage.vocabulary.marks import Marks

PROVISIONAL: Final = " (in the making)"
"""End of the name that an image has until it is verified, and has passed its boot test where that
is required: nobody finds it by its own."""


@dataclass(frozen=True, slots=True)
class OwnedImages:
    """The Glance images that belong to a CloudImage, sorted by what they are good for.

    Attributes:
        current: Complete, verified, with the bytes that the spec wants.
        previous: Complete and verified, but with the bytes of an earlier spec.
        leftovers: Never finished: of a transfer that was cut off, or not yet used when the spec
            came to want other bytes.
    """

    current: GlanceImage | None
    previous: tuple[GlanceImage, ...]
    leftovers: tuple[GlanceImage, ...]

    @property
    def all(self) -> tuple[GlanceImage, ...]:
        """Every image of the CloudImage."""
        return (*((self.current,) if self.current else ()), *self.previous, *self.leftovers)

    def untested(self, resource: CloudImage) -> tuple[GlanceImage, ...]:
        """Return the current image if it was never used, since it has not passed its boot test."""
        image = self.current
        return () if image is None or _has_served(resource, image) else (image,)


def classify(resource: CloudImage, desired: Desired, found: Iterable[GlanceImage]) -> OwnedImages:
    """Sort what Glance listed under the CloudImage's UID.

    A snapshot inherits the marks of the image its server was booted from; it is told apart by the
    mark that repeats the image's own id.
    """
    ours = [each for each in found if each.properties.get(Marks.IMAGE_ID) == each.id]
    complete = [each for each in ours if _complete(each)]
    matching = sorted(
        (each for each in complete if each.properties.get(Marks.DIGEST) == desired.content_key),
        # More than one is left by two operators at once: the one that users know stays.
        key=lambda each: (each.id != resource.status.image_id, each.id),
    )
    current = matching[0] if matching else None
    return OwnedImages(
        current=current,
        previous=tuple(
            each for each in complete if each is not current and _has_served(resource, each)
        ),
        leftovers=tuple(
            each
            for each in ours
            if each is not current and not (_complete(each) and _has_served(resource, each))
        ),
    )


def has_provisional_name(image: GlanceImage) -> bool:
    """Return whether an image is called as one that has not taken its place yet."""
    return (image.name or "").endswith(PROVISIONAL)


def was_promoted(resource: CloudImage, image: GlanceImage) -> bool:
    """Return whether an image has taken its place, so that others may rely on it."""
    return resource.status.image_id == image.id or not has_provisional_name(image)


def _has_served(resource: CloudImage, image: GlanceImage) -> bool:
    """Return whether an image has taken its place, unless it was to be boot tested first.

    One that has passed, and not taken its place before other bytes were wanted, was so too.
    """
    return was_promoted(resource, image) or Marks.BOOTED not in image.properties


def _complete(image: GlanceImage) -> bool:
    """Return whether the transfer came to its end: the mark is set after the last comparison.

    "deactivated" is an administrator's doing with a complete image.
    """
    return image.status in {"active", "deactivated"} and Marks.VERIFIED in image.properties


def name_draft(image: GlanceImage, namesakes: Iterable[GlanceImage]) -> Draft:
    """Return the condition NameUnique.

    Args:
        image: The current image.
        namesakes: What Glance lists by its name; the image itself may be among them.
    """
    others = [f"{each.id} (project {each.owner})" for each in namesakes if each.id != image.id]
    if not others:
        message = "No other image that the credentials can see has its name."
        return Draft(ConditionType.NAME_UNIQUE, "True", Reason.UNIQUE, message)
    message = (
        f"Other images are called {image.name} as well: {', '.join(others)}. Whoever looks for the "
        "name finds several."
    )
    return Draft(ConditionType.NAME_UNIQUE, "False", Reason.NAME_NOT_UNIQUE, message)


def deletion_event(resource: CloudImage, owned: OwnedImages) -> Event | None:
    """Return the Event that says so, if the image of this very spec went without our doing."""
    status = resource.status
    if (
        status.image_id is None
        or status.synced_generation != resource.metadata.generation
        or any(each.id == status.image_id for each in owned.all)
    ):
        return None
    message = f"Image {status.image_id} was deleted in Glance; it is being made again."
    return Event("Warning", Reason.IMAGE_DELETED, message)
