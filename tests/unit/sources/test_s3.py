"""spec.source.s3: what its bytes depend on, and who sees its Secret."""

from typing import Any

import pytest
from pydantic import ValidationError

from cloudimage.api.sources.s3 import S3Source
from cloudimage.sources.s3 import S3SpecSource
from cloudimage.transfer.source.s3.model import KEYS

OBJECT: dict[str, Any] = {"bucket": "images", "key": "disk.raw"}
SHA256 = "ab" * 32


def source(**more: Any) -> S3SpecSource:
    return S3SpecSource(S3Source.model_validate({**OBJECT, **more}))


def test_the_secret_is_for_the_store_alone() -> None:
    more = {"endpoint": "https://store.example.org:9000", "credentialsRef": {"secretName": "b"}}
    wanted = source(**more)
    [reference] = wanted.references()
    assert (reference.kind, reference.target) == ("Secret", "b")
    assert reference.urls == ("https://store.example.org:9000/images/disk.raw",)
    secret = {"AWS_ACCESS_KEY_ID": "me", "AWS_SECRET_ACCESS_KEY": "sesame", "other": "x"}
    request = wanted.request().with_texts({KEYS: secret})
    assert request.keys == {name: secret[name] for name in secret if name != "other"}
    assert "sesame" not in repr(request)
    assert "sesame" not in repr(request.access_key())


def test_a_certificate_is_read_from_its_reference() -> None:
    [reference] = source(caCertificate={"configMap": {"name": "ca", "key": "ca.crt"}}).references()
    assert (reference.kind, reference.target, reference.key) == ("ConfigMap", "ca", "ca.crt")
    texts = {reference.name: {"text": "PEM"}}
    assert source().request().with_texts(texts).ca_certificate == "PEM"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({}, {"credentialsRef": {"secretName": "b"}}, True),
        ({}, {"region": "us-east-1"}, True),
        ({}, {"addressingStyle": "Path"}, True),
        ({}, {"region": "eu-west-1"}, False),
        ({}, {"endpoint": "https://store.example.org"}, False),
        ({}, {"key": "other.raw"}, False),
        ({}, {"versionID": "1"}, False),
        ({"versionID": "1"}, {"versionID": "2"}, False),
        ({"checksum": {"sha256": SHA256}}, {"checksum": {"sha256": SHA256.upper()}}, True),
        (
            {"checksum": {"sha256": SHA256}, "versionID": "1"},
            {"checksum": {"sha256": SHA256}},
            True,
        ),
        ({"checksum": {"sha256": SHA256}}, {"checksum": {"sha256": "cd" * 32}}, False),
        ({}, {"checksum": {"sha256": SHA256}}, False),
    ],
)
def test_what_its_bytes_depend_on(one: dict[str, Any], other: dict[str, Any], same: bool) -> None:
    assert (source(**one).content() == source(**other).content()) is same


def test_who_proves_the_bytes() -> None:
    assert source().proof().teller == "the bucket"
    assert not source().proof().lasting  # another object may take its place
    assert source(versionID="3HL4kqtJlcpXroDTDmJ").proof().lasting
    assert source(checksum={"sha512": "AB" * 64}).proof().lasting
    proof = source(checksum={"sha512": "AB" * 64}).proof()
    assert proof.teller is None
    assert proof.checksum is not None
    assert (proof.checksum.algorithm, proof.checksum.value) == ("sha512", "ab" * 64)


def test_amazons_own_store_has_the_bucket_in_its_host() -> None:
    assert source(region="eu-west-1").location() == (
        "https://images.s3.eu-west-1.amazonaws.com/disk.raw"
    )
    assert source(endpoint="http://store:1").location() == "http://store:1/images/disk.raw"


@pytest.mark.parametrize(
    "more",
    [
        {"key": key}
        for key in ("a", "a/b", "/a//b/", ".a/..b/...", "a./b..", "ü b", "a.b.c", "x" * 1024)
    ]
    + [{"bucket": name} for name in ("abc", "My.Old_Bucket", "a-b", "images--use1-az4--x-s3")],
)
def test_what_a_store_may_have(more: dict[str, Any]) -> None:
    assert source(**more).location()


@pytest.mark.parametrize(
    "more",
    [
        {"key": key}
        for key in ("", ".", "..", "a/../b", "./a", "a/.", "a/b/..", "a\n", "\x00", "x" * 1025)
    ]
    + [{"bucket": name} for name in ("", "a", "a/b", "-ab", "ab?", "ä" * 3)]
    + [
        {"endpoint": url}
        for url in ("store:9000", "ftp://store", "https://me:pw@store", "https://store/?a=b")
    ]
    + [
        {"region": "eu west"},
        {"versionID": ""},
        {"versionID": "a b"},
        {"checksum": {"sha256": "xyz"}},
        {"addressingStyle": "Virtual"},
    ],
)
def test_what_no_store_has(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        source(**more)


def test_a_long_key_that_is_refused_takes_no_time() -> None:
    with pytest.raises(ValidationError):
        source(key="a" * 1000 + "/..")
