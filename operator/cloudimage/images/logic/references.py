"""Resolves kernelRef and ramdiskRef to ids in the properties of an image that boots from them."""

from collections.abc import Mapping
from dataclasses import dataclass

from cloudimage.api.cloudimage import CloudImage, Image
from cloudimage.api.reasons import ConditionType
from cloudimage.controller.logic.conditions import is_true


@dataclass(frozen=True, slots=True)
class Links:
    """What the references of a spec lead to at present.

    Attributes:
        ids: Glance's ids, by the property that is to hold them.
        missing: A sentence about each that leads nowhere yet, by its property.
    """

    ids: Mapping[str, str]
    missing: Mapping[str, str]


def of(image: Image) -> dict[str, str]:
    """Return the names of the CloudImages that the spec refers to, by Glance's property."""
    given = {"kernel_id": image.kernel_ref, "ramdisk_id": image.ramdisk_ref}
    return {name: ref.name for name, ref in given.items() if ref is not None}


def image_id(resource: CloudImage) -> str | None:
    """Return the image that a reference to this CloudImage leads to; None: it is not Ready."""
    usable = resource.metadata.deletion_timestamp is None and is_true(
        resource.status.conditions, ConditionType.READY
    )
    return resource.status.image_id if usable else None


def resolve(image: Image, found: Mapping[str, CloudImage | None]) -> Links:
    """Return what the references lead to.

    Args:
        image: The part of the spec that has them.
        found: The CloudImages of their names; None: there is no such object.
    """
    ids, missing = {}, {}
    for name, target in of(image).items():
        other = found[target]
        known = image_id(other) if other else None
        if known:
            ids[name] = known
        else:
            state = "is not Ready" if other else "does not exist"
            missing[name] = f"CloudImage {target} {state}; its image is to become {name}."
    return Links(ids, missing)
