"""Where an object is, and what the answers of stores mean that the test bed's server is not."""

import base64
import hashlib

import pytest

from cloudimage.transfer.contract import Checksum, Reason
from cloudimage.transfer.source.s3 import rules
from cloudimage.transfer.source.s3.model import S3Source

SHA256 = hashlib.sha256(b"disk").digest()
MD5 = hashlib.md5(b"disk", usedforsecurity=False).hexdigest()
NOW = 1_800_000_000.0


def source(**changes: object) -> S3Source:
    return S3Source.model_validate({"bucket": "images", "key": "disk.raw", **changes})


def encoded(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


@pytest.mark.parametrize(
    ("changes", "url"),
    [
        ({}, "https://s3.us-east-1.amazonaws.com/images/disk.raw"),
        ({"path_style": False}, "https://images.s3.us-east-1.amazonaws.com/disk.raw"),
        (
            {"region": "cn-north-1", "path_style": False},
            "https://images.s3.cn-north-1.amazonaws.com.cn/disk.raw",
        ),
        # Its certificate is for one name before the host alone.
        (
            {"bucket": "images.example.org", "path_style": False},
            "https://s3.us-east-1.amazonaws.com/images.example.org/disk.raw",
        ),
        ({"endpoint": "http://store:9000"}, "http://store:9000/images/disk.raw"),
        (
            {"endpoint": "https://store:9000/", "path_style": False},
            "https://images.store:9000/disk.raw",
        ),
        (
            {"endpoint": "https://gate.example.org/s3/"},
            "https://gate.example.org/s3/images/disk.raw",
        ),
        (
            {"endpoint": "https://gate.example.org/s3", "path_style": False},
            "https://images.gate.example.org/s3/disk.raw",
        ),
        (
            {"key": "a b/c+d//ü?#%.raw"},
            "https://s3.us-east-1.amazonaws.com/images/a%20b/c%2Bd//%C3%BC%3F%23%25.raw",
        ),
        (
            {"version_id": "a+b/c="},
            "https://s3.us-east-1.amazonaws.com/images/disk.raw?versionId=a%2Bb%2Fc%3D",
        ),
    ],
)
def test_url(changes: dict[str, object], url: str) -> None:
    assert rules.object_url(source(**changes)) == url


WHOLE = {"x-amz-checksum-type": "FULL_OBJECT"}
TAG = {"ETag": f'"{MD5}"'}


@pytest.mark.parametrize(
    ("headers", "algorithm"),
    [
        ({"x-amz-checksum-sha256": encoded(SHA256), **WHOLE, **TAG}, "sha256"),
        ({"x-amz-checksum-sha256": encoded(SHA256), **TAG}, "sha256"),  # stores without the type
        (
            {
                "x-amz-checksum-sha512": encoded(hashlib.sha512(b"disk").digest()),
                "x-amz-checksum-sha1": encoded(hashlib.sha1(b"disk").digest()),  # noqa: S324 - what S3 offers
            },
            "sha512",
        ),
        ({"x-amz-checksum-crc32": "1cr70w==", **WHOLE, **TAG}, "md5"),
        ({**TAG, "x-amz-server-side-encryption": "AES256"}, "md5"),
        # Of the parts' hashes.
        ({"x-amz-checksum-sha256": encoded(SHA256), "x-amz-checksum-type": "COMPOSITE"}, None),
        ({"x-amz-checksum-sha256": f"{encoded(SHA256)}-3", "ETag": f'"{MD5}-3"'}, None),
        ({"x-amz-checksum-sha256": "not base64"}, None),
        ({"x-amz-checksum-sha256": encoded(SHA256[:20])}, None),
        # Not of the bytes as they come.
        ({**TAG, "x-amz-server-side-encryption": "aws:kms"}, None),
        ({**TAG, "x-amz-server-side-encryption": "aws:kms:dsse"}, None),
        ({**TAG, "x-amz-server-side-encryption-customer-algorithm": "AES256"}, None),
        ({"ETag": f'W/"{MD5}"'}, None),
        ({"ETag": '"5d41402a"'}, None),
        ({}, None),
    ],
)
def test_checksum(headers: dict[str, str], algorithm: str | None) -> None:
    found = rules.checksum_of(headers, "images")
    assert (found and found.algorithm) == algorithm
    assert found is None or found.value == hashlib.new(found.algorithm, b"disk").hexdigest()


def test_the_tag_of_a_directory_bucket_is_no_hash() -> None:
    assert rules.checksum_of(TAG, "images--use1-az4--x-s3") is None
    assert rules.checksum_of(TAG, "images") == Checksum(algorithm="md5", value=MD5)


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"x-amz-version-id": "3HL4kqt", **TAG}, "3HL4kqt"),
        ({"x-amz-version-id": "null", **TAG}, MD5),
        (TAG, MD5),
        ({}, None),
    ],
)
def test_version(headers: dict[str, str], version: str | None) -> None:
    assert rules.version_of(headers) == version


def page(code: str, more: str = "") -> bytes:
    """Return an error as Amazon's documentation of S3 shows it."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>\n<Code>{code}</Code>\n'
        f"<Message>Some words</Message>\n{more}<RequestId>4442587FB7D0A2F9</RequestId>\n</Error>"
    ).encode()


@pytest.mark.parametrize(
    ("status", "headers", "body", "reason", "words"),
    [
        (
            403,
            {},
            page("InvalidObjectState", "<StorageClass>GLACIER</StorageClass>"),
            Reason.SOURCE_REFUSED,
            "archived",
        ),
        (403, {}, page("ExpiredToken"), Reason.INVALID_CREDENTIALS, "has expired"),
        (
            301,
            {"x-amz-bucket-region": "eu-west-1"},
            page("PermanentRedirect", "<Endpoint>images.s3.amazonaws.com</Endpoint>"),
            Reason.SOURCE_REFUSED,
            "set spec.source.s3.region to eu-west-1",
        ),
        (
            400,
            {},
            page("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"),
            Reason.SOURCE_REFUSED,
            "set spec.source.s3.region to eu-west-1",
        ),
        (
            403,
            {"Date": "Fri, 15 Jan 2027 07:00:00 GMT"},
            page("RequestTimeTooSkewed"),
            Reason.SOURCE_UNREACHABLE,
            "differ by 3600 s",
        ),
        (412, {}, page("PreconditionFailed"), Reason.SOURCE_UNREACHABLE, "changed while"),
        (
            404,
            {"x-amz-delete-marker": "true"},
            page("NoSuchKey"),
            Reason.SOURCE_NOT_FOUND,
            "delete marker",
        ),
        (
            405,
            {"x-amz-delete-marker": "true"},
            page("MethodNotAllowed"),
            Reason.SOURCE_NOT_FOUND,
            "delete marker",
        ),
    ],
)
def test_refusal(
    status: int, headers: dict[str, str], body: bytes, reason: Reason, words: str
) -> None:
    error = rules.refusal(source(), status, headers, body, NOW)
    assert error is not None
    assert error.reason is reason
    assert words in error.message


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (500, {}, page("InternalError")),
        (503, {}, page("SlowDown")),
        (403, {}, b"<html>of a proxy</html>"),
        (403, {}, page("<b>hm</b>")),
        # It would be of no use to be sent where one is.
        (400, {"x-amz-bucket-region": "us-east-1"}, page("InvalidRequest")),
        (400, {"x-amz-bucket-region": "no region\x1b[31m"}, page("InvalidRequest")),
        (404, {"x-amz-bucket-region": "eu-west-1"}, b""),
    ],
)
def test_what_http_says_of_it_is_enough(status: int, headers: dict[str, str], body: bytes) -> None:
    assert rules.refusal(source(), status, headers, body, NOW) is None


def test_the_rights_that_are_lacking_are_named() -> None:
    def said(**changes: object) -> str:
        error = rules.refusal(source(**changes), 403, {}, page("AccessDenied"), NOW)
        assert error is not None
        return error.message

    assert "spec.source.s3.credentialsRef" in said()
    assert "s3:GetObject," in said(signed=True)
    assert "s3:GetObjectVersion," in said(signed=True, version_id="1")
