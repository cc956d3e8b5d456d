"""The manifests that copy images from another cloud; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from cloudimage.api.names import API_VERSION
from cloudimage.cli.errors import CommandError
from cloudimage.cli.output import yaml_of
from cloudimage.cloud.models import GlanceImage, Member
from cloudimage.plaintext import plain
from cloudimage.sizes import size_text
from cloudimage.templates import escaped
from cloudimage.vocabulary import portable
from cloudimage.vocabulary.image import PACKAGES, ContainerFormat, DiskFormat
from cloudimage.vocabulary.snapshots import is_snapshot

_REFS: Final = {"kernel_id": "kernelRef", "ramdisk_id": "ramdiskRef"}
"""What of a spec sets a property to the id of another image."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is the same of all CloudImages that one run writes.

    Attributes:
        secret: Secret with the new cloud's clouds.yaml.
        cloud: Entry in it.
        source_secret: Secret with the old cloud's clouds.yaml.
        source_cloud: Entry in it.
        namespace: None for the one in which the manifest is applied.
        visibility: Whether images keep their visibility.
        owner: Whether they keep their owner's id.
        names: Names of the CloudImages by the ids of the old images, as far as they are written
            together.
    """

    secret: str
    cloud: str
    source_secret: str
    source_cloud: str
    namespace: str | None = None
    visibility: bool = False
    owner: bool = False
    names: Mapping[str, str] = field(default_factory=dict)


def obstacle(image: GlanceImage) -> str | None:
    """Return why the operator could not copy an image; None: it can."""
    if image.status != "active":
        return f"its status is {plain(image.status)}" + (
            ": an administrator can reactivate it" * (image.status == "deactivated")
        )
    if not image.size:
        return "it has no bytes of its own, like that of a volume's snapshot"
    if image.container_format in PACKAGES or image.container_format not in get_args(
        ContainerFormat
    ):
        return (
            f"its file is an archive, not a disk image (container format {image.container_format})"
        )
    if image.disk_format not in get_args(DiskFormat):
        return f"its disk format {image.disk_format} is not supported"
    return None


def check(image: GlanceImage) -> None:
    """Refuse an image that the operator could not copy.

    Raises:
        CommandError: It says why.
    """
    if why := obstacle(image):
        raise CommandError(plain(f"Image {image.id} cannot be copied: {why}."))


def cloud_image(image: GlanceImage, name: str, wanted: Wanted) -> dict[str, Any]:
    """Return the CloudImage that copies an image byte for byte.

    Args:
        image: The image in the old cloud.
        name: The metadata.name of the new object.
        wanted: What it is to be.
    """
    source_ref = {"secretName": wanted.source_secret, "cloudName": wanted.source_cloud}
    return {
        "apiVersion": API_VERSION,
        "kind": "CloudImage",
        "metadata": _metadata(name, wanted),
        "spec": {
            "cloudCredentialsRef": {"secretName": wanted.secret, "cloudName": wanted.cloud},
            "source": {"glance": {"cloudCredentialsRef": source_ref, "id": image.id}},
            "image": _attributes(image, name, wanted),
        },
    }


def image_share(name: str, members: Iterable[Member], wanted: Wanted) -> dict[str, Any] | None:
    """Return the ImageShare of an image's members, or None for an image without any.

    Args:
        name: Of the CloudImage, and of the ImageShare.
        members: Those of the old image.
        wanted: What the objects are to be.
    """
    ids = shared_with(members)
    if not ids:
        return None
    return {
        "apiVersion": API_VERSION,
        "kind": "ImageShare",
        "metadata": _metadata(name, wanted),
        "spec": {"imageRef": {"name": name}, "projects": [{"id": each} for each in ids]},
    }


def shared_with(members: Iterable[Member]) -> list[str]:
    """Return the ids of the projects that an image is to be shared with: but for rejections."""
    return sorted(each.project_id for each in members if each.status != "rejected")


def render(comments: Iterable[str], manifests: Iterable[Mapping[str, Any]]) -> str:
    """Return the manifests as YAML with comments above them.

    The same images give the same text.
    """
    # Plain: a line feed in a name of the old cloud would end the comment.
    head = "".join(f"# {plain(line)}".rstrip() + "\n" for line in comments)
    return head + yaml_of(manifests, width=1000)


def comments(image: GlanceImage, wanted: Wanted, cloud: str) -> Iterator[str]:
    """Yield what the user has to know before this is applied.

    Args:
        image: The image in the old cloud.
        wanted: What the new one is to be.
        cloud: What the user calls the old cloud.
    """
    size = size_text(image.size or 0)
    yield f"Copies image {image.name or '(no name)'} ({image.id}, {size}) of cloud {cloud}."
    if is_snapshot(image.properties):
        yield "It is a snapshot of a server."
    linked = _links(image, wanted)
    if left := [each for each in _sorted(image).left_out if each not in linked]:
        yield "Left out, since it names things of the old cloud or of one server or owner there:"
        yield f"{', '.join(left)}."
    if not (image.hash_value or image.checksum):
        yield "The old cloud has no hash of its bytes: they are compared by their size alone."


def _metadata(name: str, wanted: Wanted) -> dict[str, str]:
    return {"name": name} | ({"namespace": wanted.namespace} if wanted.namespace else {})


def _sorted(image: GlanceImage) -> portable.Sorted:
    return portable.sort(image.properties)


def _links(image: GlanceImage, wanted: Wanted) -> dict[str, str]:
    """Return the names of the CloudImages that properties refer to, by these properties."""
    given = ((name, image.properties.get(name, "")) for name in _REFS)
    return {name: wanted.names[target] for name, target in given if target in wanted.names}


def _attributes(image: GlanceImage, name: str, wanted: Wanted) -> dict[str, Any]:
    refs = {_REFS[each]: {"name": target} for each, target in _links(image, wanted).items()}
    kept = _sorted(image).kept
    given = {
        "name": None if image.name == name else escaped(image.name or "") or None,
        "diskFormat": image.disk_format,
        "containerFormat": image.container_format,
        "visibility": image.visibility if wanted.visibility else None,
        "owner": image.owner if wanted.owner else None,
        "minDiskGiB": image.min_disk or None,
        "minRamMiB": image.min_ram or None,
        "protected": image.protected or None,
        "hidden": image.hidden or None,
        "tags": sorted(map(escaped, image.tags)) or None,
        **refs,
        "properties": {each: escaped(value) for each, value in kept.items()} or None,
    }
    return {each: value for each, value in given.items() if value is not None}
