"""Objects of a real server's buckets, put there by Amazon's own client."""

import datetime as dt
import hashlib
import json
import random
import re
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
from requests_aws4auth import aws4auth  # type: ignore[import-untyped]

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Checksum,
    Limits,
    NewImage,
    Reason,
    Stage,
    TransferError,
    UrlPolicy,
)
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.source.http import client as http_client
from cloudimage.transfer.source.http.objects import ObjectReader
from cloudimage.transfer.source.s3 import model
from cloudimage.transfer.source.s3.model import S3Source
from cloudimage.transfer.source.s3.reader import open_s3
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify.verification import Expected
from support.fetching import resolver
from support.hostile_server import Hostile, answer
from support.transfer_images import raw_disk
from testbed.buckets import OWNER, REGION, STRANGER, Buckets, Key

SIZE = 20 * 2**20
"""Three parts of the client's."""

LIMITS = Limits(stall_seconds=5)
NEW = NewImage(id_seed="x", name="x")


@pytest.fixture(scope="module")
def bucket(buckets: Buckets) -> str:
    """A bucket without versions."""
    name = f"plain-{random.SystemRandom().randrange(2**40):x}"
    buckets.make(name)
    return name


@pytest.fixture(scope="module")
def versioned(buckets: Buckets) -> str:
    """A bucket with versions."""
    name = f"versions-{random.SystemRandom().randrange(2**40):x}"
    buckets.make(name, versions=True)
    return name


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partitioned raw disk whose end has something in it."""
    path = tmp_path_factory.mktemp("raw") / "disk.raw"
    raw_disk(path, SIZE)
    return path


@pytest.fixture(scope="module")
def whole(buckets: Buckets, bucket: str, raw: Path) -> str:
    """The disk as an object that was put at once, with a SHA-256."""
    buckets.put(bucket, "whole.raw", raw, "--checksum-algorithm", "SHA256")
    return "whole.raw"


@pytest.fixture(scope="module")
def in_parts(buckets: Buckets, bucket: str, raw: Path) -> str:
    """The disk as an object that was put in parts."""
    buckets.put_in_parts(bucket, "parts.raw", raw)
    return "parts.raw"


def source(buckets: Buckets, bucket: str, key: str, who: Key | None = OWNER) -> S3Source:
    keys = {model.ACCESS_KEY_ID: who.id, model.SECRET_ACCESS_KEY: who.secret} if who else {}
    return S3Source(
        endpoint=buckets.endpoint,
        region=REGION,
        bucket=bucket,
        key=key,
        signed=who is not None,
        keys=keys,
    )


def changed(source: S3Source, **changes: object) -> S3Source:
    return source.model_copy(update=changes)


class Run:
    """Reads sources as transfers do that have a cache in common."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = Cache(folder / "cache", LIMITS, shared=True)

    def read(
        self,
        wanted: S3Source,
        then: Callable[[ObjectReader], object] = lambda _: None,
        policy: UrlPolicy = UNRESTRICTED,
    ) -> tuple[Expected, Fetched]:
        """Look at a source, do what the test wants, then fetch it."""
        folder = self.folder / "run"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        meter = Meter(lambda _: None)
        meter.start(Stage.FETCHING)
        tools = Toolbox(folder, LIMITS.tool_memory, LIMITS.tool_cpu_seconds)
        context = Context(folder, self.cache, LIMITS, policy, meter, tools)
        with open_s3(wanted, context) as reader:
            expected = reader.expect()
            then(reader)
            return expected, reader.fetch(folder / "source")

    def refusal(
        self,
        wanted: S3Source,
        then: Callable[[ObjectReader], object] = lambda _: None,
        policy: UrlPolicy = UNRESTRICTED,
    ) -> TransferError:
        """Return why a source cannot be read."""
        with pytest.raises(TransferError) as caught:
            self.read(wanted, then, policy)
        return caught.value


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


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
    from cloudimage.transfer.source.s3.signing import _Signer  # noqa: PLC0415

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
    error = run.refusal(changed(wanted, version_id=f"{first[:-1]}0"))
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


@pytest.mark.parametrize(
    ("who", "reason", "words"),
    [
        (STRANGER, Reason.SOURCE_REFUSED, "needs the right s3:GetObject"),
        (None, Reason.SOURCE_REFUSED, "Name a Secret with an access key"),
        (Key("AKNOBODY", "x"), Reason.INVALID_CREDENTIALS, "does not take the access key"),
        (Key(OWNER.id, "wrong"), Reason.INVALID_CREDENTIALS, "the signature is wrong"),
    ],
)
def test_who_has_no_right(
    buckets: Buckets,
    bucket: str,
    raw: Path,
    whole: str,
    run: Run,
    who: Key | None,
    reason: Reason,
    words: str,
) -> None:
    error = run.refusal(source(buckets, bucket, whole, who))
    assert error.reason is reason
    assert words in error.message
    assert OWNER.secret not in error.message


def test_a_public_bucket_needs_no_key(buckets: Buckets, bucket: str, raw: Path, run: Run) -> None:
    buckets.put(bucket, "public/disk.raw", raw)
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{bucket}/public/*",
            }
        ],
    }
    buckets.aws("s3api", "put-bucket-policy", "--bucket", bucket, "--policy", json.dumps(policy))
    _, fetched = run.read(source(buckets, bucket, "public/disk.raw", None))
    assert fetched.checksums["sha256"] == sha256(raw)


def test_what_is_not_there(buckets: Buckets, bucket: str, run: Run) -> None:
    wanted = source(buckets, bucket, "gone")
    for changes, words in (
        ({}, "no such object"),
        ({"bucket": "no-such-bucket-here"}, "no such bucket"),
    ):
        error = run.refusal(changed(wanted, **changes))
        assert error.reason is Reason.SOURCE_NOT_FOUND
        assert words in error.message


def test_another_region_is_named(buckets: Buckets, bucket: str, run: Run) -> None:
    error = run.refusal(changed(source(buckets, bucket, "x"), region="us-west-2"))
    assert error.reason is Reason.SOURCE_REFUSED
    assert f"set spec.source.s3.region to {REGION}" in error.message


def test_a_clock_that_is_wrong_is_named(
    buckets: Buckets, bucket: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Self:
            return super().now(tz) - dt.timedelta(hours=1)

    of_the_library = SimpleNamespace(datetime=Late, timezone=dt.timezone)
    monkeypatch.setattr(aws4auth, "datetime", of_the_library)
    error = run.refusal(source(buckets, bucket, "x"))
    assert "Set the clocks" in error.message
    assert error.reason is Reason.SOURCE_UNREACHABLE


def test_the_bucket_as_a_part_of_the_host(
    buckets: Buckets,
    bucket: str,
    raw: Path,
    in_parts: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver(["127.0.0.1"]))
    endpoint = buckets.endpoint.replace("127.0.0.1", "localhost")
    wanted = changed(source(buckets, bucket, in_parts), endpoint=endpoint, path_style=False)
    assert run.read(wanted)[1].checksums["sha256"] == sha256(raw)


def test_tls_by_a_certificate_of_its_own(
    buckets: Buckets, bucket: str, raw: Path, in_parts: str, run: Run
) -> None:
    wanted = changed(source(buckets, bucket, in_parts), endpoint=buckets.secure_endpoint)
    assert "TLS certificate is not trusted" in run.refusal(wanted).message
    trusting = changed(wanted, ca_certificate=buckets.authority.read_text())
    assert run.read(trusting)[1].checksums["sha256"] == sha256(raw)


def test_the_url_policy_is_kept(buckets: Buckets, bucket: str, run: Run) -> None:
    error = run.refusal(source(buckets, bucket, "x"), policy=UrlPolicy())
    assert error.reason is Reason.SOURCE_REFUSED
    assert "urlPolicy.allowNetworks" in error.message


def test_a_connection_that_breaks_is_resumed_where_it_broke(
    buckets: Buckets,
    bucket: str,
    raw: Path,
    in_parts: str,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each read fails now and then, as one of a bad network does."""
    reads, broken, real = 0, [], http_client.Client.read

    def read(self: http_client.Client, response: object, most: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads % 40 == 0:
            broken.append(reads)
            raise ConnectionResetError
        return real(self, response, most)  # type: ignore[arg-type]

    monkeypatch.setattr(http_client.Client, "read", read)
    assert run.read(source(buckets, bucket, in_parts))[1].checksums == {"sha256": sha256(raw)}
    assert broken


def test_requests_are_signed_for_the_session_that_a_token_is_of(run: Run) -> None:
    with Hostile(answer(b"x" * 600, 'ETag: "1"')) as server:
        keys = {
            model.ACCESS_KEY_ID: "me",
            model.SECRET_ACCESS_KEY: "secret\n",
            model.SESSION_TOKEN: "for a while",
        }
        run.read(S3Source(endpoint=server.url(""), bucket="b", key="k", signed=True, keys=keys))
        heads = [head.decode() for head in server.requests]
    for head in heads:
        assert "x-amz-security-token: for a while\r\n" in head
        assert re.search(r"SignedHeaders=[^,]*x-amz-security-token", head)
        assert "secret" not in head
    assert "If-Match" not in heads[0]
    assert 'If-Match: "1"\r\n' in heads[1]


@pytest.mark.parametrize("tag", ["x" * 5000, '"a\x07b"', '"a b"', "\xe4"])
def test_a_tag_that_no_store_has_is_neither_shown_nor_sent(run: Run, tag: str) -> None:
    headers = (f"ETag: {tag}", f"x-amz-version-id: {tag}")
    with Hostile(answer(b"x" * 600, *headers)) as server:
        wanted = S3Source(endpoint=server.url(""), bucket="b", key="k")
        assert run.read(wanted)[0].version is None
        assert not any(b"If-Match" in head for head in server.requests)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "has no key AWS_ACCESS_KEY_ID"),
        ({model.ACCESS_KEY_ID: "me"}, "has no key AWS_SECRET_ACCESS_KEY"),
        ({model.ACCESS_KEY_ID: "me", model.SECRET_ACCESS_KEY: " \n"}, "AWS_SECRET_ACCESS_KEY"),
        ({model.ACCESS_KEY_ID: "m\ne", model.SECRET_ACCESS_KEY: "x"}, "not printable"),
    ],
)
def test_a_secret_that_is_of_no_use(run: Run, keys: dict[str, str], words: str) -> None:
    wanted = S3Source(endpoint="http://127.0.0.1:1", bucket="b", key="k", signed=True, keys=keys)
    error = run.refusal(wanted)
    assert error.reason is Reason.INVALID_CREDENTIALS
    assert words in error.message
