"""What an image's bytes depend on, and the transfer that would make them."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from cloudimage.api.cloudimage import CloudImage, CloudImageSpec, Import
from cloudimage.api.source import Checksum, HttpSource
from cloudimage.reconcile import burning, metadata
from cloudimage.transfer import types as transfer

_HEADER_PREFIX = "header."


@dataclass(frozen=True)
class SourceTexts:
    """What the source's references lead to; it holds secrets, hence no repr.

    Attributes:
        auth: What the server wants to see.
        ca_certificate: PEM text.
        keyring: ASCII-armored public keys.
    """

    auth: transfer.HttpAuth | None = field(default=None, repr=False)
    ca_certificate: str | None = field(default=None, repr=False)
    keyring: str | None = field(default=None, repr=False)


def http_auth(secret: Mapping[str, str]) -> transfer.HttpAuth:
    """Return what the source's server wants to see, out of the keys of its Secret."""
    headers = {
        key.removeprefix(_HEADER_PREFIX): value.strip()
        for key, value in secret.items()
        if key.startswith(_HEADER_PREFIX)
    }
    # `kubectl create secret --from-file` keeps the file's last newline, which no header may have.
    username, password, token = (
        secret[key].rstrip("\r\n") if key in secret else None
        for key in ("username", "password", "token")
    )
    return transfer.HttpAuth(username=username, password=password, bearer=token, headers=headers)


def checksum(source: HttpSource) -> transfer.Checksum | None:
    """Return the checksum that the spec itself gives, by whichever algorithm."""
    given = source.checksum.to_json() if source.checksum else {}
    return next(
        (
            transfer.Checksum.model_validate({"algorithm": name, "value": given[name].lower()})
            for name in get_args(transfer.ChecksumAlgorithm)
            if name in given
        ),
        None,
    )


def http_source(spec: CloudImageSpec) -> HttpSource:
    """Return the only kind of source there is so far.

    Raises:
        ValueError: There is none: the object only takes over an image, or it was admitted by a CRD
            that is not this operator's.
    """
    if spec.source is None or spec.source.http is None:
        raise ValueError("spec.source has no member that this operator knows; update the operator")
    return spec.source.http


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


def new_image(resource: CloudImage, name: str, secret_uid: str | None = None) -> transfer.NewImage:
    """Return the Glance image that a transfer for this resource makes.

    Args:
        resource: The CloudImage, with the status that says that the transfer starts.
        name: What the image is called until it is verified.
        secret_uid: UID of the Secret with the credentials.
    """
    image = resource.spec.image
    uid, content = resource.metadata.uid, digest(resource.spec)
    seed, lot = burning.lot_of(uid, content, resource.status.transfers_started)
    return transfer.NewImage(
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
            transfer.Marks.UID: uid,
            transfer.Marks.DIGEST: content,
            **({transfer.SECRET_MARK: secret_uid} if secret_uid else {}),
        },
    )


def source(spec: CloudImageSpec, texts: SourceTexts) -> transfer.HttpSource:
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
        sums = transfer.SumsFile(url=named.url, filename=named.filename, signature=signature)
    return transfer.HttpSource(
        url=http.url,
        mirrors=http.mirrors or (),
        checksum=checksum(http),
        sums=sums,
        signature=None if sums else signature,
        format=http.format,
        auth=texts.auth,
        ca_certificate=texts.ca_certificate,
    )


def _signature(proof: Checksum, texts: SourceTexts) -> transfer.Signature | None:
    if proof.signature is None:
        return None
    if texts.keyring is None:
        raise ValueError("unreachable: a signature's keyring is loaded before")
    return transfer.Signature(url=proof.signature.url, keyring=texts.keyring)


_UNITS = {"Mi": 2**20, "Gi": 2**30, "Ti": 2**40}


def limits(spec: CloudImageSpec, operators: transfer.Limits) -> transfer.Limits:
    """Return the limits of a transfer: the operator's, and the spec's where it is stricter."""
    if spec.image.max_size is None:
        return operators
    number, unit = spec.image.max_size[:-2], spec.image.max_size[-2:]
    largest = min(operators.max_virtual_size, int(number) * _UNITS[unit])
    return operators.model_copy(update={"max_virtual_size": largest})


def method(spec: CloudImageSpec) -> transfer.Import:
    """Return how the bytes are to go into Glance."""
    wanted = spec.import_ or Import()
    return transfer.Import(method=wanted.method, stores=tuple(sorted(wanted.stores or ())))
