"""Objects of a real server's buckets, put there by Amazon's own client."""

import hashlib
import random
from pathlib import Path

import pytest

from cloudimage.transfer.contract import (
    Checksum,
    NewImage,
    Reason,
)
from cloudimage.transfer.source.http.objects import ObjectReader
from cloudimage.transfer.source.s3 import model
from cloudimage.transfer.source.s3.model import S3Source
from support.bucket_reads import SIZE, Run, changed, sha256, source
from support.hostile_server import Hostile, answer
from testbed.buckets import REGION, STRANGER, Buckets

NEW = NewImage(id_seed="x", name="x")


def test_an_object_that_was_put_at_once_is_proved_by_its_tag(
    buckets: Buckets, bucket: str, raw: Path, run: Run
) -> None:
    said = buckets.put(bucket, "disk.raw", raw)
    expected, fetched = run.read(source(buckets, bucket, "disk.raw"))
    md5 = hashlib.md5(raw.read_bytes(), usedforsecurity=False).hexdigest()
    assert expected.checksum == Checksum(algorithm="md5", value=md5)
    assert expected.version == said["ETag"].strip('"')
    assert "only by md5" in expected.warnings[0]
    assert fetched.checksums == {"md5": md5, "sha256": sha256(raw)}


def test_a_sha256_of_the_whole_object_goes_before_its_tag(
    buckets: Buckets, bucket: str, raw: Path, whole: str, run: Run
) -> None:
    expected, _ = run.read(source(buckets, bucket, whole))
    assert expected.checksum == Checksum(algorithm="sha256", value=sha256(raw))
    assert expected.warnings == ()


@pytest.mark.parametrize("options", [(), ("--checksum-algorithm", "SHA256")])
def test_an_object_in_parts_has_no_hash(
    buckets: Buckets, bucket: str, raw: Path, run: Run, options: tuple[str, ...]
) -> None:
    buckets.put_in_parts(bucket, "hashless.raw", raw, *options)
    expected, fetched = run.read(source(buckets, bucket, "hashless.raw"))
    assert expected.checksum is None
    assert "in parts" in expected.warnings[0]
    assert expected.version is not None
    assert expected.version.endswith("-3")
    assert fetched.checksums == {"sha256": sha256(raw)}


def test_the_checksum_of_the_spec_counts(
    buckets: Buckets, bucket: str, raw: Path, in_parts: str, run: Run
) -> None:
    wanted = source(buckets, bucket, in_parts)
    right = Checksum(algorithm="sha256", value=sha256(raw))
    expected, _ = run.read(changed(wanted, checksum=right))
    assert (expected.checksum, expected.warnings) == (right, ())
    wrong = Checksum(algorithm="sha256", value="0" * 64)
    assert run.refusal(changed(wanted, checksum=wrong)).reason is Reason.CHECKSUM_MISMATCH


KEYS = ["a b/c+d,e;f=g&h~(i)!'*$@:ü.raw", "%41%2F%20.raw", ".hidden/..two/...raw", "日本/🎉"]


def test_the_signature_is_right_for_any_key(
    buckets: Buckets, bucket: str, tmp_path: Path, run: Run
) -> None:
    for key in KEYS:
        path = tmp_path / "any" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(random.Random(key).randbytes(5000))
    buckets.put_in_parts(bucket, "any", tmp_path / "any", "--recursive")
    for key in KEYS:
        _, fetched = run.read(source(buckets, bucket, f"any/{key}"))
        assert fetched.checksums["sha256"] == sha256(tmp_path / "any" / key)


def test_slashes_in_a_row_are_signed_as_they_are_sent(run: Run) -> None:
    """The server of the test bed keeps objects as files, so it has no such keys."""
    with Hostile(answer(b"x" * 600, 'ETag: "1"')) as server:
        wanted = S3Source(
            endpoint=server.url(""),
            bucket="images",
            key="a//b/",
            signed=True,
            keys={model.ACCESS_KEY_ID: "me", model.SECRET_ACCESS_KEY: "secret"},
        )
        run.read(wanted)
        [path] = {head.split()[1] for head in server.requests}
    assert path == b"/images/a//b/"
    from cloudimage.transfer.source.s3.signing import _Signer  # noqa: PLC0415 - botocore is slow to import

    signer = _Signer(model.AccessKey(id="me", secret="secret"), REGION)
    assert signer.amz_cano_path(path.decode()) == path.decode()


def test_a_version_is_chosen_or_told(
    buckets: Buckets, versioned: str, raw: Path, tmp_path: Path, run: Run
) -> None:
    other = tmp_path / "other.raw"
    other.write_bytes(random.Random(1).randbytes(5000))
    first = buckets.put(versioned, "disk", raw)["VersionId"]
    second = buckets.put(versioned, "disk", other)["VersionId"]
    wanted = source(buckets, versioned, "disk")
    expected, fetched = run.read(wanted)
    assert (expected.version, fetched.checksums["sha256"]) == (second, sha256(other))
    expected, fetched = run.read(changed(wanted, version_id=first))
    assert (expected.version, fetched.checksums["sha256"]) == (first, sha256(raw))
    absent = first[:-1] + ("1" if first.endswith("0") else "0")
    error = run.refusal(changed(wanted, version_id=absent))
    assert (error.reason, "no such version" in error.message) == (Reason.SOURCE_NOT_FOUND, True)

    marker = buckets.aws("s3api", "delete-object", "--bucket", versioned, "--key", "disk")
    for version in (None, marker["VersionId"]):
        error = run.refusal(changed(wanted, version_id=version))
        assert error.reason is Reason.SOURCE_NOT_FOUND
        assert "delete marker" in error.message
    assert run.read(changed(wanted, version_id=first))[0].version == first


def test_an_object_that_is_replaced_meanwhile_is_never_mixed(
    buckets: Buckets, bucket: str, raw: Path, tmp_path: Path, run: Run
) -> None:
    buckets.put_in_parts(bucket, "moving.raw", raw)
    other = tmp_path / "other.raw"
    other.write_bytes(raw.read_bytes()[:-1] + b"!")
    wanted = source(buckets, bucket, "moving.raw")

    error = run.refusal(wanted, lambda _: buckets.put_in_parts(bucket, "moving.raw", other))
    assert error.reason is Reason.SOURCE_UNREACHABLE
    assert "changed while it was being read" in error.message
    assert run.read(wanted)[1].checksums["sha256"] == sha256(other)


def test_a_raw_disk_needs_no_scratch_and_shows_its_ends(
    buckets: Buckets, bucket: str, raw: Path, whole: str, run: Run
) -> None:

    def stream(reader: ObjectReader) -> None:
        ends = reader.look(None)
        assert ends.found is not None
        assert (ends.size, ends.found.format) == (SIZE, "raw")
        streamed = reader.stream(NEW)
        assert streamed is not None
        assert b"".join(streamed.payload.open()) == raw.read_bytes()
        assert streamed.fetched.checksums == {"sha256": sha256(raw)}

    run.read(source(buckets, bucket, whole), stream)


def test_what_was_fetched_is_not_fetched_again(
    buckets: Buckets, bucket: str, raw: Path, in_parts: str, run: Run
) -> None:
    wanted = source(buckets, bucket, in_parts)
    run.read(wanted)
    kept = run.folder / "run" / "source"
    inode = kept.stat().st_ino
    run.read(wanted, lambda reader: reader.is_kept() or pytest.fail("nothing is kept"))
    assert kept.stat().st_ino == inode
    # For another key it might be another file: whoever asks proves the right to it.
    stranger = run.refusal(changed(wanted, keys=source(buckets, bucket, "", STRANGER).keys))
    assert stranger.reason is Reason.SOURCE_REFUSED
