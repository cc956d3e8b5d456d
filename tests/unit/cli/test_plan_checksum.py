"""What ``cloudimage plan`` says of what proves the bytes."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.cli.plan_transfer import _checksum
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import Checksum
from cloudimage.transfer.verify.verification import Expected
from support.resources import SHA256, cloud_image

FOUND = Expected(Checksum(algorithm="sha256", value=SHA256))


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"s3": {"bucket": "images", "key": "x"}}, "which the bucket has"),
        ({"swift": {"container": "images", "object": "x"}}, "which the source's Swift has"),
        ({"glance": {"name": "x"}}, "which the source's Glance has"),
        ({"s3": {"bucket": "images", "key": "x", "checksum": {"sha256": SHA256}}}, "in the spec"),
        ({"http": {"url": "http://x/y", "checksum": {"sha256": SHA256}}}, "in the spec"),
        (
            {"http": {"url": "http://x/y", "checksum": {"from": {"url": "http://x/SUMS"}}}},
            "from the checksum file",
        ),
    ],
)
def test_who_says_what_the_bytes_hash_to(source: dict[str, Any], words: str) -> None:
    spec = CloudImageSpec.model_validate(cloud_image().spec.to_json() | {"source": source})
    assert _checksum(FOUND, source_of(spec)).text == f"sha256:{SHA256}, {words}"
