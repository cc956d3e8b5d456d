"""What an image's bytes depend on, and the request for the transfer that makes them."""

import hashlib
import json

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec, Import
from cloudimage.images.logic import burned_ids, metadata
from cloudimage.sources.registry import source_of
from cloudimage.transfer import contract
from cloudimage.vocabulary.marks import Marks


def digest(spec: CloudImageSpec) -> str:
    """Return the digest of all that the bytes in Glance, and where they are stored, depend on."""
    if spec.source is None and spec.adopt is not None:
        return hashlib.sha256(f"adopt:{spec.adopt.id}".encode()).hexdigest()[:32]
    parts: dict[str, object] = {
        **source_of(spec).content(),
        "disk_format": spec.image.disk_format,
        "container_format": spec.image.container_format,
    }
    # Left out where they are not set: the digest of what was made before they existed stays.
    if spec.image.compress:
        parts["compress"] = True
    if spec.import_ and spec.import_.stores:
        parts["stores"] = sorted(spec.import_.stores)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def new_image(resource: CloudImage, name: str, secret_uid: str | None = None) -> contract.NewImage:
    """Return the Glance image that a transfer for this resource makes.

    Args:
        resource: The CloudImage, with the status that says that the transfer starts.
        name: What the image is called until it is verified.
        secret_uid: UID of the Secret with the credentials.
    """
    image = resource.spec.image
    uid, content = resource.metadata.uid, digest(resource.spec)
    seed, lot = burned_ids.lot_of(uid, content, resource.status.transfers_started)
    return contract.NewImage(
        id_seed=seed,
        lot=lot,
        name=name,
        disk_format=image.disk_format,
        container_format=image.container_format,
        min_disk=image.min_disk_gib,
        min_ram=image.min_ram_mib,
        compress=image.compress is True,
        tags=tuple(sorted(image.tags or ())),
        properties={
            **(image.properties or {}),
            **metadata.properties_mark(resource.spec),
            Marks.UID: uid,
            Marks.DIGEST: content,
            **({contract.SECRET_MARK: secret_uid} if secret_uid else {}),
        },
    )


_UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def limits(spec: CloudImageSpec, operators: contract.Limits) -> contract.Limits:
    """Return the limits of a transfer: the operator's, and the spec's where it is stricter."""
    if spec.image.max_size is None:
        return operators
    number, unit = spec.image.max_size[:-2], spec.image.max_size[-2:]
    largest = min(operators.max_virtual_size, int(number) * _UNITS[unit])
    return operators.model_copy(update={"max_virtual_size": largest})


def method(spec: CloudImageSpec) -> contract.Import:
    """Return how the bytes are to go into Glance."""
    wanted = spec.import_ or Import()
    return contract.Import(method=wanted.method, stores=tuple(sorted(wanted.stores or ())))
