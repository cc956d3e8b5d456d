"""The rules of Swift: where an object is, and what an answer about it means; pure.

The API: https://docs.openstack.org/api-ref/object-store/ ("Get object content and metadata"), and
https://docs.openstack.org/swift/latest/overview_large_objects.html.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.swift.model import SwiftSource

# Swift's own tags have no quotes, unless its middleware etag-quoter adds them.
_MD5: Final = re.compile(r'("?)([0-9a-f]{32})\1')


def object_url(endpoint: str | None, source: SwiftSource) -> str:
    """Return the URL of an object.

    Args:
        endpoint: Of the account, as the catalogue has it.
        source: The object.

    Raises:
        TransferError: ``InvalidCredentials`` where there is no endpoint.
    """
    if endpoint is None:
        raise TransferError(
            Reason.INVALID_CREDENTIALS,
            "the source cloud's catalogue has no object-store service for these credentials and "
            "their region; correct clouds.yaml, or set object_store_endpoint_override there",
        )
    path = f"{quote(source.container, safe='')}/{quote(source.object, safe='/~')}"
    return f"{endpoint.rstrip('/')}/{path}"


def in_segments(headers: Mapping[str, str]) -> bool:
    """Return whether an object is a large one: the server joins its segments as it sends them."""
    static = headers.get("X-Static-Large-Object", "").lower() in {"true", "1"}
    return static or "X-Object-Manifest" in headers


def checksum_of(headers: Mapping[str, str]) -> Checksum | None:
    """Return the MD5 that Swift has of an object's bytes.

    That of one in segments is of the segments' MD5s, and no hash of the bytes.
    """
    found = _MD5.fullmatch(headers.get("ETag", ""))
    if found is None or in_segments(headers):
        return None
    return Checksum(algorithm="md5", value=found[2])


def version_of(headers: Mapping[str, str]) -> str | None:
    """Return what Swift calls the bytes: the version's id, else the entity tag."""
    version = headers.get("X-Object-Version-Id", "")
    if version not in {"", "null"}:
        return version
    return headers.get("ETag", "").strip('"') or None


def refusal(source: SwiftSource, status: int) -> TransferError | None:
    """Return what a status other than success means; None: what HTTP says of it."""
    if status not in _STATUSES:
        return None
    reason, sentence = _STATUSES[status]
    where = f"object {source.object} of container {source.container}"
    return TransferError(reason, f"{where}: {sentence} ({status})")


_STATUSES: Final[Mapping[int, tuple[Reason, str]]] = {
    401: (
        Reason.INVALID_CREDENTIALS,
        "the source cloud's Swift does not take the token that its Keystone gives them",
    ),
    403: (
        Reason.SOURCE_REFUSED,
        "the credentials may not read it; their project needs the right (X-Container-Read)",
    ),
    404: (
        Reason.SOURCE_NOT_FOUND,
        "the credentials' project has no such object in this region, or it has expired",
    ),
    409: (
        Reason.SOURCE_NOT_FOUND,
        "a segment of it is missing, or was replaced. Upload the object again",
    ),
    412: (Reason.SOURCE_UNREACHABLE, "it changed while it was being read"),
}
