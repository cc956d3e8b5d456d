"""What a source's Glance says of an image, as real ones write it, and as none should."""

from typing import Any

import pytest

from cloudimage.transfer.contract import Checksum, Limits, Reason, TransferError
from cloudimage.transfer.source.glance.rules import ShownImage, place, size_and_format

SHA512, MD5 = "ab" * 64, "cd" * 16
SHOWN = {
    "id": "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f",
    "status": "active",
    "size": 100,
    "disk_format": "qcow2",
    "container_format": "bare",
    "checksum": MD5,
    "os_hash_algo": "sha512",
    "os_hash_value": SHA512,
    "owner_specified.openstack.md5": "",
}
"""As Glance shows an image that openstacksdk made."""


def shown(**changes: Any) -> ShownImage:
    return ShownImage.model_validate(SHOWN | changes)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("sha512", SHA512)),
        ({"os_hash_value": SHA512.upper()}, ("sha512", SHA512)),
        ({"os_hash_algo": "sha256", "os_hash_value": "ef" * 32}, ("sha256", "ef" * 32)),
        ({"os_hash_algo": "sha3_512"}, ("md5", MD5)),
        ({"os_hash_algo": None, "os_hash_value": None}, ("md5", MD5)),
        ({"os_hash_value": SHA512[:-2]}, ("md5", MD5)),
        ({"os_hash_value": "x" * 128}, ("md5", MD5)),
        # A snapshot that Ceph made of another image has neither.
        ({"os_hash_algo": None, "os_hash_value": None, "checksum": None}, None),
    ],
)
def test_the_strongest_hash_that_is_known_here_proves_the_bytes(
    changes: dict[str, Any], expected: tuple[str, str] | None
) -> None:
    given = expected and Checksum.model_validate({"algorithm": expected[0], "value": expected[1]})
    assert shown(**changes).expected == given


def test_an_image_that_can_be_read() -> None:
    assert size_and_format(shown(), Limits()) == (100, "qcow2")


@pytest.mark.parametrize(
    ("changes", "reason", "said"),
    [
        ({"status": "saving"}, Reason.SOURCE_NOT_FOUND, "saving: it is not complete yet"),
        ({"status": "killed"}, Reason.SOURCE_NOT_FOUND, "killed: its bytes are lost"),
        ({"status": "deactivated"}, Reason.SOURCE_REFUSED, "reactivate"),
        ({"status": "<b>\n"}, Reason.SOURCE_NOT_FOUND, "status unknown"),
        ({"size": 0}, Reason.SOURCE_NOT_AN_IMAGE, "no bytes of its own"),
        ({"size": None}, Reason.SOURCE_NOT_AN_IMAGE, "no bytes of its own"),
        ({"size": 2**50}, Reason.IMAGE_TOO_LARGE, "download limit"),
        ({"container_format": "docker"}, Reason.UNSUPPORTED_FORMAT, "container format docker"),
        ({"disk_format": "cooked"}, Reason.UNSUPPORTED_FORMAT, "disk format cooked"),
    ],
)
def test_an_image_that_cannot_be_read_says_why(
    changes: dict[str, Any], reason: Reason, said: str
) -> None:
    with pytest.raises(TransferError, match=said) as caught:
        size_and_format(shown(**changes), Limits())
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    ("status", "content_range", "found"),
    [
        (200, None, "beginning"),
        (206, "bytes 40-99/100", "rest"),
        (206, "bytes 40-79/100", "rest"),
        # What Glance answers to a range that ends with the image.
        (206, None, "rest"),
        (206, "bytes 41-99/100", None),
        (206, "bytes 40-99/101", None),
        (206, "bytes 40-99/*", None),
        (206, "bytes 40-" + "9" * 5000 + "/100", None),
        (404, None, None),
    ],
)
def test_where_the_bytes_of_an_answer_begin(
    status: int, content_range: str | None, found: str | None
) -> None:
    assert place(status, content_range, 40, 100) == found
