"""What an image's bytes depend on, and the transfer that would make them."""

import hashlib
import json

from cloudimage.api.cloudimage import Checksum, CloudImage, CloudImageSpec, HttpSource
from cloudimage.transfer import types as transfer


def checksum(source: HttpSource) -> transfer.Checksum | None:
    """Return the checksum that the spec gives, by whichever algorithm."""
    given = (source.checksum or Checksum()).to_json()
    return next(
        (
            transfer.Checksum.model_validate({"algorithm": name, "value": value.lower()})
            for name, value in given.items()
        ),
        None,
    )


def http_source(spec: CloudImageSpec) -> HttpSource:
    """Return the only kind of source there is so far; the CRD demands one.

    Raises:
        ValueError: The object was admitted by a CRD that is not this operator's.
    """
    if spec.source.http is None:
        raise ValueError("spec.source has no member that this operator knows; update the operator")
    return spec.source.http


def digest(spec: CloudImageSpec) -> str:
    """Return the digest of all that the bytes in Glance depend on.

    With a checksum the URL does not count: another mirror of the same bytes needs no new image.
    """
    source = http_source(spec)
    wanted = checksum(source)
    parts = {
        "content": f"{wanted.algorithm}:{wanted.value}" if wanted else source.url,
        "disk_format": spec.image.disk_format,
        "container_format": spec.image.container_format,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def new_image(resource: CloudImage) -> transfer.NewImage:
    """Return the Glance image that a transfer for this resource makes."""
    image = resource.spec.image
    uid, content = resource.metadata.uid, digest(resource.spec)
    return transfer.NewImage(
        id_seed=f"{uid}/{content}",
        name=image.name or resource.metadata.name,
        disk_format=image.disk_format,
        container_format=image.container_format,
        min_disk=image.min_disk_gib,
        min_ram=image.min_ram_mib,
        tags=tuple(sorted(image.tags or ())),
        properties={
            **(image.properties or {}),
            transfer.Marks.UID: uid,
            transfer.Marks.DIGEST: content,
        },
    )


def source(spec: CloudImageSpec) -> transfer.HttpSource:
    """Return the source as a transfer takes it."""
    http = http_source(spec)
    return transfer.HttpSource(url=http.url, checksum=checksum(http), format=http.format)
