"""The manifests that copy an image from another cloud; pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args
from urllib.parse import urlsplit

from cloudimage.api.names import API_VERSION
from cloudimage.cli.errors import CommandError
from cloudimage.cli.output import yaml_of
from cloudimage.cloud.models import GlanceImage
from cloudimage.plaintext import plain
from cloudimage.sizes import size_text
from cloudimage.vocabulary.image import DiskFormat
from cloudimage.vocabulary.snapshots import server_bound

CA_KEY = "ca.crt"
_TOKEN_KEY = "header.X-Auth-Token"  # noqa: S105  # the name of a key
_NOT_TAKEN = ("os_glance", "cloudimage_dev_")
"""Beginnings of properties that are Glance's own, or marks of a CloudImage of the old cloud."""
_OF_OLD_CLOUD = (
    "kernel_id",
    "ramdisk_id",
    "cinder_encryption_key_id",
    "img_signature_certificate_uuid",
)
"""Properties whose values name things of the old cloud."""
_CONTAINERS = ("bare", "ovf", "ami", "aki", "ari")
"""What of Glance's container formats has a disk image as its file, and no archive around it."""
_HASHES = ("sha512", "sha256", "sha1", "md5")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the new CloudImage is to be.

    Attributes:
        name: Its metadata.name.
        namespace: None for the one in which the manifest is applied.
        secret: Secret with the new cloud's clouds.yaml.
        cloud: Entry in it.
        auth_secret: Secret with the old cloud's token.
        visibility: Whether the image keeps its visibility.
        owner: Whether it keeps its owner's id.
    """

    name: str
    namespace: str | None
    secret: str
    cloud: str
    auth_secret: str
    visibility: bool = False
    owner: bool = False


def check(image: GlanceImage) -> None:
    """Refuse images that the operator could not copy.

    Raises:
        CommandError: The image has no bytes, or they are not a disk image.
    """
    if image.status != "active" or not image.size:
        raise CommandError(
            f"Image {image.id} has no bytes to copy (status {image.status}, {image.size or 0} "
            "bytes); for example, an image of a volume's snapshot has none."
        )
    if image.disk_format not in get_args(DiskFormat):
        raise CommandError(f"Disk format {image.disk_format} cannot be copied.")
    if image.container_format not in _CONTAINERS:
        raise CommandError(
            f"Container format {image.container_format} cannot be copied: the file of image "
            f"{image.id} is an archive, not a disk image."
        )


def cloud_image(image: GlanceImage, wanted: Wanted, url: str, *, has_ca: bool) -> dict[str, Any]:
    """Return the CloudImage that copies an image byte for byte.

    Args:
        image: The image in the old cloud.
        wanted: What the new one is to be.
        url: Of the old cloud's image service, without its version.
        has_ca: Whether ``auth_secret`` has its certificate.
    """
    http = {
        "url": f"{url}/v2/images/{image.id}/file",
        "checksum": _checksum(image),
        # Declared, since nothing in a raw disk need say what it is; the content must agree.
        "format": image.disk_format,
        "auth": {"secretName": wanted.auth_secret},
        "caCertificate": {"secret": {"name": wanted.auth_secret, "key": CA_KEY}}
        if has_ca
        else None,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "CloudImage",
        "metadata": _metadata(wanted.name, wanted.namespace),
        "spec": {
            "cloudCredentialsRef": {"secretName": wanted.secret, "cloudName": wanted.cloud},
            "source": {"http": _set(http)},
            "image": _set(_attributes(image, wanted)),
        },
    }


def secret(wanted: Wanted, token: str, ca_certificate: str | None) -> dict[str, Any]:
    """Return the Secret by which the operator fetches the file."""
    data = {_TOKEN_KEY: token} | ({CA_KEY: ca_certificate} if ca_certificate else {})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(wanted.auth_secret, wanted.namespace),
        "stringData": data,
    }


def render(comments: Iterable[str], manifests: Iterable[Mapping[str, Any]]) -> str:
    """Return the manifests as YAML with comments above them."""
    # Plain: a line feed in a name of the old cloud would end the comment.
    head = "".join(f"# {plain(line)}".rstrip() + "\n" for line in comments)
    return head + yaml_of(manifests, width=1000)


def comments(
    image: GlanceImage,
    wanted: Wanted,
    url: str,
    expires: datetime,
    *,
    with_secret: bool,
) -> Iterator[str]:
    """Yield what the user has to know before this is applied."""
    host = urlsplit(url).hostname
    size = size_text(image.size or 0)
    yield f"Copies image {image.name or '(no name)'} ({image.id}, {size}) from {host}."
    yield f"The operator fetches it with a token that expires at {expires:%Y-%m-%d %H:%M} UTC,"
    yield "usually an hour after it was issued: the transfer must have begun by then, and one that"
    yield "is interrupted later cannot continue. If so, run this again and apply its Secret."
    if with_secret:
        yield f"Secret {wanted.auth_secret} holds that token, which may do everything your"
        yield "credentials may: keep this out of Git. Once the CloudImage is Ready, take"
        yield "spec.source.http.auth out of the spec and delete that Secret."
    else:
        yield f"Secret {wanted.auth_secret} with the token is omitted. It is printed when this"
        yield "goes into a pipe or a file: `cloudimage migrate ... | kubectl apply -f -`."
    yield f"The operator must be allowed to fetch from {host}: urlPolicy.allowNetworks of its"
    yield "chart, if that is a private address."
    if bound := server_bound(image.properties):
        yield "It is a snapshot. What says only which server it was made of is left out:"
        yield f"{', '.join(bound)}."
    if strange := [name for name in _OF_OLD_CLOUD if name in _properties(image)]:
        yield f"These properties refer to the old cloud, check them: {', '.join(strange)}."
    if not _checksum(image):
        yield "The old cloud has no checksum of it, so its bytes are not verified."


def _metadata(name: str, namespace: str | None) -> dict[str, str]:
    return {"name": name} | ({"namespace": namespace} if namespace else {})


def _attributes(image: GlanceImage, wanted: Wanted) -> dict[str, Any]:
    return {
        "name": None if image.name == wanted.name else image.name,
        "diskFormat": image.disk_format,
        "containerFormat": image.container_format,
        "visibility": image.visibility if wanted.visibility else None,
        "owner": image.owner if wanted.owner else None,
        "minDiskGiB": image.min_disk or None,
        "minRamMiB": image.min_ram or None,
        "protected": image.protected or None,
        "hidden": image.hidden or None,
        "tags": sorted(image.tags) or None,
        "properties": _properties(image) or None,
    }


def _properties(image: GlanceImage) -> dict[str, str]:
    left = server_bound(image.properties)
    kept = {
        name: text
        for name, text in image.properties.items()
        if not name.startswith(_NOT_TAKEN) and name not in left
    }
    return dict(sorted(kept.items()))


def _checksum(image: GlanceImage) -> dict[str, str] | None:
    """Return the strongest hash that the old cloud has; Glance's ``checksum`` is always MD5."""
    if image.hash_algo in _HASHES and image.hash_value:
        return {image.hash_algo: image.hash_value}
    return {"md5": image.checksum} if image.checksum else None


def _set(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
