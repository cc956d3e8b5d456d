"""Why an object of a bucket cannot be read, and how it is reached all the same."""

import datetime as dt
import json
import re
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Self

import pytest
import requests
from requests_aws4auth import aws4auth

from cloudimage.transfer.contract import (
    Reason,
    UrlPolicy,
)
from cloudimage.transfer.source.http import client as http_client
from cloudimage.transfer.source.s3 import model
from cloudimage.transfer.source.s3.model import S3Source
from support.bucket_reads import Run, changed, sha256, source
from support.fetching import resolver
from support.hostile_server import Hostile, answer
from testbed.buckets import OWNER, REGION, STRANGER, Buckets, Key


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

    def read(self: http_client.Client, response: requests.Response, most: int) -> bytes:
        nonlocal reads
        reads += 1
        if reads % 40 == 0:
            broken.append(reads)
            raise ConnectionResetError
        return real(self, response, most)

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
