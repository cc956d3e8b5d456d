"""The metadata that a CloudImage copies of the image that it is made from."""

from typing import Final, cast

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec
from cloudimage.api.image import Image
from cloudimage.api.status import CopiedMetadata
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import metadata, provenance
from cloudimage.vocabulary import portable
from cloudimage.vocabulary.image import NOT_DISKS, PACKAGES, ContainerFormat

_GIB: Final = 2**30
_LARGEST: Final = 2**31 - 1
_MOST_TAGS: Final = 128
_LONGEST_TAG: Final = 255
_MOST_LEFT_OUT: Final = 256
_LIKE_DISK: Final = frozenset(map(str, NOT_DISKS))


def is_wanted(spec: CloudImageSpec) -> bool:
    """Return whether a spec wants the metadata of its source's image."""
    glance = spec.source.glance if spec.source else None
    return glance is not None and glance.copy_metadata


def source_id(resource: CloudImage) -> str | None:
    """Return the id of the image that the source means; None: it is not looked up yet."""
    glance = resource.spec.source.glance if resource.spec.source else None
    if glance is not None and glance.id is not None:
        return glance.id.lower()
    resolved = resource.status.resolved_source
    return resolved.version if resolved else None


def of(image: GlanceImage) -> CopiedMetadata:
    """Return what is copied of the source's image; it may say anything.

    A minimum disk that its own disk does not fit in is left out: it would refuse the image.
    """
    properties = portable.sort(image.properties)
    tags = [each for each in sorted(image.tags) if _is_tag(each)][:_MOST_TAGS]
    sizes = {"min_disk": image.min_disk, "min_ram": image.min_ram}
    right = {name: size for name, size in sizes.items() if 0 <= size <= _LARGEST}
    if (image.virtual_size or 0) > image.min_disk * _GIB > 0:
        del right["min_disk"]
    left = (*(sizes.keys() - right.keys()), *(["tags"] * (len(tags) < len(image.tags))))
    return CopiedMetadata(
        source=image.id,
        container_format=image.container_format,
        min_disk_gib=right.get("min_disk") or None,
        min_ram_mib=right.get("min_ram") or None,
        tags=tuple(tags),
        properties=dict(properties.kept),
        left_out=tuple(map(_shown, (*sorted(left), *properties.left_out)))[:_MOST_LEFT_OUT],
    )


def _is_tag(tag: str) -> bool:
    return 0 < len(tag) <= _LONGEST_TAG and portable.is_text(tag)


def _shown(name: str) -> str:
    """Return a name as the status may have it."""
    return name[: portable.LONGEST_NAME].encode(errors="replace").decode()


def kept(resource: CloudImage, image: GlanceImage | None) -> CopiedMetadata | None:
    """Return what an image made here has copied, for a source that cannot be asked.

    Args:
        resource: The CloudImage.
        image: Its current image, if there is one.

    Returns:
        None: nothing shows that anything was copied to it.
    """
    if image is None:
        return None
    names = metadata.set_before(image) - _own(resource.spec.image)
    names -= provenance.NAMES if resource.spec.provenance else frozenset()
    if resource.status.copied_metadata is None and not names:
        return None
    return CopiedMetadata(
        min_disk_gib=image.min_disk or None,
        min_ram_mib=image.min_ram or None,
        tags=tuple(sorted(image.tags)),
        properties={
            name: image.properties[name] for name in sorted(names) if name in image.properties
        },
    )


def _own(image: Image) -> frozenset[str]:
    """Return the names of the properties that a spec has itself."""
    return frozenset((*(image.properties or {}), *metadata.references_of(image)))


def applied(resource: CloudImage) -> CloudImage:
    """Return the CloudImage as if its spec had what was copied; what the spec itself has wins."""
    copied = resource.status.copied_metadata
    if copied is None or not is_wanted(resource.spec):
        return resource
    image = resource.spec.image
    given = dict(image.properties or {})
    extra = {name: copied.properties[name] for name in _with_room(image, copied)}
    update = {
        "container_format": _container_format(image, copied),
        "min_disk_gib": _first(image.min_disk_gib, copied.min_disk_gib),
        "min_ram_mib": _first(image.min_ram_mib, copied.min_ram_mib),
        "tags": frozenset(copied.tags) if image.tags is None else image.tags,
        "properties": {**extra, **given} or None,
    }
    spec = resource.spec.model_copy(update={"image": image.model_copy(update=update)})
    return resource.model_copy(update={"spec": spec})


def _with_room(image: Image, copied: CopiedMetadata) -> list[str]:
    """Return the names of the copied properties that there is room for beside the spec's own."""
    extra = sorted(copied.properties.keys() - _own(image))
    return extra[: max(0, portable.MOST - len(image.properties or {}))]


def _container_format(image: Image, copied: CopiedMetadata) -> ContainerFormat:
    """Return the source's, where the spec has the default and its disk format allows it."""
    found = copied.container_format
    if image.container_format != "bare" or found in {None, *PACKAGES}:
        return image.container_format
    if found not in {"ovf", *_LIKE_DISK} or (found in _LIKE_DISK and image.disk_format):
        return image.container_format
    return cast("ContainerFormat", found)


def _first(given: int | None, copied: int | None) -> int | None:
    return copied if given is None else given


def sentence(resource: CloudImage) -> str:
    """Return what was copied and what was not, for people; empty: nothing is to be."""
    copied = resource.status.copied_metadata
    if copied is None or not is_wanted(resource.spec):
        return ""
    if copied.source is None:
        return (
            "The source's image cannot be asked for its metadata: what was copied of it before "
            "stays as it is."
        )
    said = f"The metadata of image {copied.source} was copied."
    own = _own(resource.spec.image)
    if left := [each for each in copied.left_out if each not in own]:
        said += f" Left out, since it is of its own cloud, owner or server: {', '.join(left)}."
    taken = own.union(_with_room(resource.spec.image, copied))
    if full := sorted(copied.properties.keys() - taken):
        said += f" Left out, since {portable.MOST} properties are the most: {', '.join(full)}."
    return said
