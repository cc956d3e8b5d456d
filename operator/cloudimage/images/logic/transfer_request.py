"""What an image's bytes depend on, and the request for the transfer that makes them."""

import hashlib
import json
from typing import get_args

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec, Import, http_source
from cloudimage.api.source import Checksum, HttpSource
from cloudimage.credentials.logic.source import SourceTexts
from cloudimage.images.logic import burned_ids, metadata
from cloudimage.transfer import contract
from cloudimage.vocabulary.marks import Marks


def checksum(source: HttpSource) -> contract.Checksum | None:
    """Return the checksum that the spec itself gives, by whichever algorithm."""
    given = source.checksum.to_json() if source.checksum else {}
    return next(
        (
            contract.Checksum.model_validate({"algorithm": name, "value": given[name].lower()})
            for name in get_args(contract.ChecksumAlgorithm)
            if name in given
        ),
        None,
    )


def digest(spec: CloudImageSpec) -> str:
    """Return the digest of all that the bytes in Glance, and the stores that hold them, depend on.

    With a checksum the URL does not count: another mirror of the same bytes needs no new image.
    A signature counts: what was made without asking for it was not checked against it.
    """
    if spec.source is None and spec.adopt is not None:
        return hashlib.sha256(f"adopt:{spec.adopt.id}".encode()).hexdigest()[:32]
    source = http_source(spec)
    wanted = checksum(source)
    parts: dict[str, object] = {
        "content": f"{wanted.algorithm}:{wanted.value}" if wanted else source.url,
        "disk_format": spec.image.disk_format,
        "container_format": spec.image.container_format,
    }
    proof = source.checksum.to_json() if source.checksum else {}
    # Left out where they are not set: the digest of what was made before they existed stays.
    parts |= {name: proof[name] for name in ("from", "signature") if name in proof}
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


def source(spec: CloudImageSpec, texts: SourceTexts) -> contract.HttpSource:
    """Return the source as a transfer takes it.

    Args:
        spec: The spec.
        texts: What its references lead to.
    """
    http = http_source(spec)
    proof = http.checksum or Checksum()
    signature = _signature(proof, texts)
    sums = None
    if proof.from_ is not None:
        named = proof.from_
        sums = contract.SumsFile(url=named.url, filename=named.filename, signature=signature)
    return contract.HttpSource(
        url=http.url,
        mirrors=http.mirrors or (),
        checksum=checksum(http),
        sums=sums,
        signature=None if sums else signature,
        format=http.format,
        auth=texts.auth,
        ca_certificate=texts.ca_certificate,
    )


def _signature(proof: Checksum, texts: SourceTexts) -> contract.Signature | None:
    if proof.signature is None:
        return None
    if texts.keyring is None:
        raise ValueError("unreachable: a signature's keyring is loaded before")
    return contract.Signature(url=proof.signature.url, keyring=texts.keyring)


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
