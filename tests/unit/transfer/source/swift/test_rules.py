"""Where an object of Swift is, and what its headers say."""

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.swift import rules
from cloudimage.transfer.source.swift.model import SwiftSource

MD5 = "8eead23c58fcbcb0629d9470a159889f"


def source(container: str = "disks", name: str = "disk.raw") -> SwiftSource:
    return SwiftSource(container=container, object=name)


@pytest.mark.parametrize(
    ("endpoint", "wanted", "url"),
    [
        ("https://s/v1/AUTH_1", source(), "https://s/v1/AUTH_1/disks/disk.raw"),
        ("https://s/v1/AUTH_1/", source("a b%"), "https://s/v1/AUTH_1/a%20b%25/disk.raw"),
        ("https://s/v1/A", source("c", "a//ü?#.raw"), "https://s/v1/A/c/a//%C3%BC%3F%23.raw"),
    ],
)
def test_url(endpoint: str, wanted: SwiftSource, url: str) -> None:
    assert rules.object_url(endpoint, wanted) == url


def test_a_cloud_without_swift() -> None:
    with pytest.raises(TransferError, match="object_store_endpoint_override") as caught:
        rules.object_url(None, source())
    assert caught.value.reason is Reason.INVALID_CREDENTIALS


@pytest.mark.parametrize(
    ("headers", "md5"),
    [
        ({"ETag": MD5}, MD5),
        ({"ETag": f'"{MD5}"'}, MD5),  # by the middleware etag-quoter
        ({"ETag": f'"{MD5}"', "X-Static-Large-Object": "True"}, None),
        ({"ETag": f'"{MD5}"', "X-Object-Manifest": "segments/disk"}, None),
        ({"ETag": f'"{MD5}-3"'}, None),
        ({"ETag": f'W/"{MD5}"'}, None),
        ({"ETag": f'{MD5}"'}, None),
        ({}, None),
    ],
)
def test_checksum(headers: dict[str, str], md5: str | None) -> None:
    found = rules.checksum_of(headers)
    assert (found and found.value) == md5


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({"ETag": MD5, "X-Object-Version-Id": "1796010291.98332"}, "1796010291.98332"),
        ({"ETag": MD5, "X-Object-Version-Id": "null"}, MD5),
        ({"ETag": f'"{MD5}"'}, MD5),
        ({}, None),
    ],
)
def test_version(headers: dict[str, str], version: str | None) -> None:
    assert rules.version_of(headers) == version


@pytest.mark.parametrize("status", [429, 500, 503, 507])
def test_what_http_says_of_it_is_enough(status: int) -> None:
    assert rules.refusal(source(), status) is None
