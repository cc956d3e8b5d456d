"""The rules of S3: where an object is, and what an answer about it means; pure.

The API: "Amazon S3 API Reference", GetObject, "Error Responses", "Checking object integrity".
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

from cloudimage.http_dates import moment
from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.s3.model import S3Source

_DIGITS: Final = {"sha512": 128, "sha256": 64, "sha1": 40, "md5": 32}
"""The checksums of S3 that are of use here, the strongest first; others are no hashes."""

_CODE: Final = re.compile(rb"<Code>\s*(\w{1,64})\s*</Code>")
_REGION: Final = re.compile(rb"<Region>\s*([A-Za-z0-9_-]{1,64})\s*</Region>")
_MD5: Final = re.compile(r'"([0-9a-f]{32})"')
_DNS_BUCKET: Final = re.compile("[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_ENCRYPTED: Final = "x-amz-server-side-encryption"
_PLAIN_ENCRYPTION: Final = frozenset({"", "AES256"})
"""With these the ETag of an object that was put at once is the MD5 of its bytes."""

_EXPRESS: Final = "--x-s3"
"""The end of a directory bucket's name; its ETags are no MD5."""


def object_url(source: S3Source) -> str:
    """Return the URL of an object.

    A bucket whose name cannot be a part of a host, or would not fit the store's certificate, is in
    the path ("Virtual hosting of general purpose buckets").
    """
    suffix = "amazonaws.com.cn" if source.region.startswith("cn-") else "amazonaws.com"
    parts = urlsplit(source.endpoint or f"https://s3.{source.region}.{suffix}")
    path = parts.path.rstrip("/")
    host = parts.netloc
    if source.path_style or not _DNS_BUCKET.fullmatch(source.bucket):
        path = f"{path}/{source.bucket}"
    else:
        host = f"{source.bucket}.{host}"
    path = f"{path}/{quote(source.key, safe='/~')}"
    query = f"?versionId={quote(source.version_id, safe='~')}" if source.version_id else ""
    return f"{parts.scheme}://{host}{path}{query}"


def checksum_of(headers: Mapping[str, str], bucket: str) -> Checksum | None:
    """Return the strongest hash of the whole object that its store has, by an answer's headers.

    A hash of the parts' hashes says nothing of the bytes, nor does the ETag of an object that was
    uploaded in parts or is encrypted by a key of its own.
    """
    if headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT":
        for algorithm, digits in _DIGITS.items():
            value = _hexadecimal(headers.get(f"x-amz-checksum-{algorithm}", ""))
            if len(value) == digits:
                return Checksum.model_validate({"algorithm": algorithm, "value": value})
    tag = _MD5.fullmatch(headers.get("ETag", ""))
    customer = f"{_ENCRYPTED}-customer-algorithm" in headers
    plain = headers.get(_ENCRYPTED, "") in _PLAIN_ENCRYPTION and not customer
    if tag is None or not plain or bucket.endswith(_EXPRESS):
        return None
    return Checksum(algorithm="md5", value=tag[1])


def _hexadecimal(value: str) -> str:
    """Return a checksum header's base64 as hexadecimal digits; "" for what is not base64."""
    try:
        return base64.b64decode(value, validate=True).hex()
    except (binascii.Error, ValueError):
        return ""


def version_of(headers: Mapping[str, str]) -> str | None:
    """Return what the store calls the bytes: the version's id, else the entity tag."""
    version = headers.get("x-amz-version-id", "")
    if version not in {"", "null"}:
        return version
    return headers.get("ETag", "").strip('"') or None


def refusal(
    source: S3Source, status: int, headers: Mapping[str, str], body: bytes, now: float
) -> TransferError | None:
    """Return what a status other than success means; None: what HTTP says of it.

    Args:
        source: The object that was asked for.
        status: Of the answer.
        headers: Of the answer.
        body: Its beginning.
        now: Seconds since the epoch, by the own clock.
    """
    found = _CODE.search(body)
    code = found[1].decode() if found else ""
    if region := _other_region(status, code, headers, body, source.region):
        return TransferError(
            Reason.SOURCE_REFUSED,
            f"bucket {source.bucket} is in the region {region}, and not in {source.region}: set "
            f"spec.source.s3.region to {region}",
        )
    if headers.get("x-amz-delete-marker") == "true":
        return TransferError(
            Reason.SOURCE_NOT_FOUND,
            f"{_shown(source)} is deleted: this version is a delete marker. Give the id of another "
            "version as spec.source.s3.versionID, or upload the object again",
        )
    if status == 412:  # noqa: PLR2004  # HTTP's Precondition Failed
        return TransferError(
            Reason.SOURCE_UNREACHABLE, f"{_shown(source)} changed while it was being read"
        )
    reason, sentence = _CODES.get(code, (None, ""))
    if code == "AccessDenied":
        reason, sentence = Reason.SOURCE_REFUSED, _denied(source)
    if code == "RequestTimeTooSkewed":
        reason, sentence = Reason.SOURCE_UNREACHABLE, _skewed(headers, now)
    if reason is None:
        return None
    return TransferError(reason, f"{_shown(source)}: {sentence} ({status} {code})")


def _other_region(
    status: int, code: str, headers: Mapping[str, str], body: bytes, region: str
) -> str | None:
    """Return the region that the store says the bucket is in, where it is another one."""
    if status not in {301, 307, 400} and code != "AuthorizationHeaderMalformed":
        return None
    told = _REGION.search(body)
    found = headers.get("x-amz-bucket-region") or (told[1].decode() if told else "")
    known = re.fullmatch("[A-Za-z0-9_-]{1,64}", found) is not None
    return found if known and found != region else None


def _shown(source: S3Source) -> str:
    version = f" (version {source.version_id})" if source.version_id else ""
    return f"object {source.key} of bucket {source.bucket}{version}"


def _denied(source: S3Source) -> str:
    if not source.signed:
        return (
            "the store does not give it to everyone, or has no such object. Name a Secret with an "
            "access key as spec.source.s3.credentialsRef"
        )
    action = "s3:GetObjectVersion" if source.version_id else "s3:GetObject"
    return (
        "the access key may not read it, or the bucket has no such object. It needs the right "
        f"{action}, and s3:ListBucket to learn that an object is not there; and "
        "kms:Decrypt for one that is encrypted by a key of KMS"
    )


def _skewed(headers: Mapping[str, str], now: float) -> str:
    date = moment(headers.get("Date"))
    by = f" by {abs(now - date.timestamp()):.0f} s" if date else ""
    return (
        f"the store's clock and that of the node where the transfer runs differ{by}, and a signed "
        "request is good for 15 minutes. Set the clocks"
    )


_KEY_UNKNOWN: Final = (
    "the store does not take the access key. Put a valid one into the Secret of "
    "spec.source.s3.credentialsRef"
)
_KEY_EXPIRED: Final = (
    "the session token has expired, or is not one of the access key. Renew all three keys of the "
    "Secret of spec.source.s3.credentialsRef"
)
_KEY_WRONG: Final = (
    "the signature is wrong: the secret access key in the Secret of spec.source.s3.credentialsRef "
    "is not that of the access key, or a proxy before the store changes the path or the host"
)
_ARCHIVED: Final = (
    "it is archived (for example in S3 Glacier) and cannot be read. Restore it first, for as long "
    "as the transfer takes"
)
_NO_KEY: Final = "the bucket has no such object"
_NO_VERSION: Final = "the object has no such version"
_CODES: Final[Mapping[str, tuple[Reason, str]]] = {
    "NoSuchKey": (Reason.SOURCE_NOT_FOUND, _NO_KEY),
    "NoSuchBucket": (Reason.SOURCE_NOT_FOUND, "the store has no such bucket"),
    "NoSuchVersion": (Reason.SOURCE_NOT_FOUND, _NO_VERSION),
    "InvalidArgument": (Reason.SOURCE_NOT_FOUND, f"{_NO_VERSION}, or its key is not valid"),
    "InvalidVersionId": (Reason.SOURCE_NOT_FOUND, _NO_VERSION),
    "InvalidObjectState": (Reason.SOURCE_REFUSED, _ARCHIVED),
    "InvalidAccessKeyId": (Reason.INVALID_CREDENTIALS, _KEY_UNKNOWN),
    "AccountProblem": (Reason.SOURCE_REFUSED, "the store has locked the account of the bucket"),
    "AllAccessDisabled": (Reason.SOURCE_REFUSED, "the store gives it to no one"),
    "SignatureDoesNotMatch": (Reason.INVALID_CREDENTIALS, _KEY_WRONG),
    "ExpiredToken": (Reason.INVALID_CREDENTIALS, _KEY_EXPIRED),
    "InvalidToken": (Reason.INVALID_CREDENTIALS, _KEY_EXPIRED),
    "TokenRefreshRequired": (Reason.INVALID_CREDENTIALS, _KEY_EXPIRED),
    "InvalidBucketName": (Reason.SOURCE_NOT_FOUND, "the store has no buckets of such a name"),
}
