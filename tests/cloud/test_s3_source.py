"""Objects of buckets as sources: from a real S3 server into the real Glance."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Reason
from support.transfer_runs import Bench, checksum, fail, succeed
from testbed.buckets import OWNER, REGION, STRANGER, Buckets, Key

pytestmark = pytest.mark.cloud

BUCKET = "transfers"

Row = dict[str, Any]


@pytest.fixture(scope="module")
def bucket(buckets: Buckets) -> Buckets:
    """The server, with a bucket that keeps versions."""
    buckets.make(BUCKET, versions=True)
    return buckets


@pytest.fixture
def asked(bench: Bench, bucket: Buckets) -> Callable[..., Row]:
    """Return a request for an object."""

    def request(key: str, who: Key = OWNER, **image: Any) -> Row:
        source = {
            "type": "s3",
            "endpoint": bucket.secure_endpoint,
            "region": REGION,
            "bucket": BUCKET,
            "key": key,
            "signed": True,
            "keys": {"AWS_ACCESS_KEY_ID": who.id, "AWS_SECRET_ACCESS_KEY": who.secret},
            "ca_certificate": bucket.authority.read_text(),
        }
        return bench.request("", **image) | {"source": source}

    return request


def test_a_raw_object_goes_into_glance_without_a_disk(
    bench: Bench, bucket: Buckets, asked: Callable[..., Row], disk: Path, tmp_path: Path
) -> None:
    said = bucket.put(BUCKET, "disk.raw", disk, "--checksum-algorithm", "SHA256")
    result = succeed(asked("disk.raw") | {"limits": {"stall_seconds": 5, "max_scratch": 1}})
    assert bench.download(result.image_id, tmp_path / "x").read_bytes() == disk.read_bytes()
    assert (result.source.format, result.source.verified_by) == ("raw", "sha256")
    assert result.source.checksums == {"sha256": checksum(disk, "sha256")["value"]}
    assert result.source.version == said["VersionId"]
    assert result.warnings == ()


@pytest.mark.parametrize("wanted", [None, "raw"])
def test_a_qcow2_in_parts_is_kept_or_converted(
    bench: Bench,
    bucket: Buckets,
    asked: Callable[..., Row],
    qcow2: Path,
    disk: Path,
    wanted: str | None,
) -> None:
    # In parts, however small it is.
    options = ("--bucket", BUCKET, "--key", "disk.qcow2")
    upload = bucket.aws("s3api", "create-multipart-upload", *options)["UploadId"]
    part = ("--upload-id", upload, "--part-number", "1", "--body", str(qcow2))
    tag = bucket.aws("s3api", "upload-part", *options, *part)["ETag"]
    parts = ("--multipart-upload", f"Parts=[{{ETag={tag},PartNumber=1}}]")
    bucket.aws("s3api", "complete-multipart-upload", *options, "--upload-id", upload, *parts)

    result = succeed(asked("disk.qcow2", disk_format=wanted))
    stored = bench.download(result.image_id, bench.scratch.parent / "x")
    assert stored.read_bytes() == (disk if wanted else qcow2).read_bytes()
    assert result.source.verified_by is None
    assert "no hash of the whole object" in result.warnings[0]


def test_a_checksum_of_the_spec_that_is_wrong_leaves_nothing(
    bench: Bench, bucket: Buckets, asked: Callable[..., Row], qcow2: Path
) -> None:
    bucket.put(BUCKET, "wrong.qcow2", qcow2)
    request = asked("wrong.qcow2")
    request["source"]["checksum"] = {"algorithm": "sha256", "value": "0" * 64}
    fail(request, Reason.CHECKSUM_MISMATCH)
    assert bench.images() == []


def test_no_right_leaves_nothing_and_no_secret_in_what_is_said(
    bench: Bench, bucket: Buckets, asked: Callable[..., Row], qcow2: Path
) -> None:
    bucket.put(BUCKET, "private.qcow2", qcow2)
    failure = fail(asked("private.qcow2", STRANGER), Reason.SOURCE_REFUSED)
    assert "s3:GetObject" in failure.message
    assert STRANGER.secret not in failure.model_dump_json()
    assert bench.images() == []
