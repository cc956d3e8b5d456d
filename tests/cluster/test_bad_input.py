"""Bad input: a clear reason where a user looks, and nothing left behind in Glance or on disk."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.hostile_images import mbr
from support.namespaces import Namespace, condition_of, images_of, wait_until
from testbed.images import disk, sha256_of
from testbed.openstack import OpenStack
from testbed.process import free_ports
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


@dataclass(frozen=True)
class Bad:
    """One bad input and what it must lead to.

    Attributes:
        reason: Of the condition Stalled.
        words: Parts of its message.
        query: How the source server misbehaves.
        content: What it serves instead of the good image.
        spec: Parts of the spec that differ from a good one.
        proven: Whether the spec has the checksum of what is served.
    """

    reason: str
    words: tuple[str, ...]
    query: dict[str, Any] = field(default_factory=dict)
    content: bytes | None = None
    spec: dict[str, Any] = field(default_factory=dict)
    proven: bool = True


CASES = {
    "404": Bad("SourceNotFound", ("404", "Retried at"), {"status": 404}),
    "503": Bad("SourceUnreachable", ("503", "Retried at"), {"status": 503}),
    "html": Bad("SourceNotAnImage", ("web page", "Retried at"), {"fault": "html"}),
    "truncated": Bad("SourceTruncated", ("Retried at",), {"fault": "truncate", "at": 100_000}),
    "checksum": Bad(
        "ChecksumMismatch",
        ("0" * 64, "Retried at"),
        spec={"source": {"http": {"checksum": {"sha256": "0" * 64}}}},
    ),
    "not an image": Bad(
        "SourceNotAnImage",
        ("raw", "until the spec changes"),
        content=b"neither disk nor image\n" * 4096,
    ),
    "not an image, and unproven": Bad(
        "SourceNotAnImage",
        ("raw", "Retried at"),
        content=b"neither disk nor image\n" * 4096,
        proven=False,
    ),
    "empty": Bad("SourceNotAnImage", ("empty", "Retried at"), content=b""),
    "LUKS": Bad(
        "UnsupportedFormat",
        ("encrypted (LUKS)", "until the spec changes"),
        content=(b"LUKS\xba\xbe\0\1" + b"aes".ljust(32, b"\0")).ljust(2**20, b"\1"),
    ),
    "MBR, cut": Bad(
        "SourceTruncated",
        ("reach to byte 4194304", "Retried at"),
        content=mbr((0x80, 0x83, 2048, 6144)).ljust(2**20, b"\0"),
        proven=False,  # a checksum would prove it whole, as publishers have it
    ),
    "over minDiskGiB": Bad(
        "ImageTooLarge", ("GiB",), spec={"image": {"minDiskGiB": 1, "diskFormat": "raw"}}
    ),
    "quota": Bad(
        "QuotaExceeded",
        ("of image_size_total", "Retried at"),
        spec={
            "cloudCredentialsRef": {"secretName": "openstack", "cloudName": "tiny"},
            "image": {"diskFormat": "raw"},
        },
    ),
    "public": Bad(
        "Forbidden",
        ("may not make an image with visibility public",),
        spec={"image": {"visibility": "public"}},
    ),
}


@pytest.fixture(scope="session")
def large_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 of 2 GiB virtual size with 6 MiB of data."""
    path = tmp_path_factory.mktemp("images") / "large.qcow2"
    return disk(path, "qcow2", virtual_size=2 << 30, data_bytes=6 << 20)


@pytest.mark.parametrize("bad", CASES.values(), ids=CASES.keys())
def test_a_bad_spec_or_source_stalls_with_its_reason_and_leaves_nothing(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    large_disk: Path,
    unique: str,
    bad: Bad,
) -> None:
    content = large_disk if bad.content is None else bad.content
    sources.put(unique, content)
    digest = sha256_of(large_disk) if bad.content is None else _sha256(bad.content)
    http: dict[str, Any] = {"url": sources.url(unique, **bad.query)}
    if bad.proven:
        http["checksum"] = {"sha256": digest}
    spec = dict(bad.spec)
    http |= spec.pop("source", {}).get("http", {})
    namespace.create(unique, "https://unused.example", source={"http": http}, **spec)
    stalled = namespace.wait_condition(unique, "Stalled", reason=bad.reason)
    message = (condition_of(stalled, "Stalled") or ("", "", ""))[2]
    for words in bad.words:
        assert words in message
    assert condition_of(stalled, "Ready") == ("False", bad.reason, message)
    # The condition comes first, the Event right after it.
    assert wait_until(lambda: ("Warning", bad.reason) in namespace.events(unique), 10)
    cloud = spec.get("cloudCredentialsRef", {}).get("cloudName", "images")
    left = images_of(openstack.connect(cloud), stalled.metadata.uid)
    if bad.reason == "Forbidden":
        # The bytes are good; only who may see them is in question.
        assert [each["visibility"] for each in left] == ["private"]
    else:
        assert left == []
    namespace.delete(unique)
    namespace.wait_gone(unique)
    assert images_of(openstack.connect(cloud), stalled.metadata.uid) == []


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_unreachable_host_is_named_and_tried_again(namespace: Namespace, unique: str) -> None:
    [port] = free_ports(1)
    namespace.create(unique, f"http://127.0.0.1:{port}/image.qcow2")
    stalled = namespace.wait_condition(unique, "Stalled", reason="SourceUnreachable")
    message = (condition_of(stalled, "Stalled") or ("", "", ""))[2]
    assert "127.0.0.1" in message
    assert "Retried at" in message
    namespace.delete(unique)
    namespace.wait_gone(unique)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"status": 404}, "SourceNotFound"),
        ({"fault": "html"}, "SourceNotAnImage"),
        ({"fault": "truncate", "at": 100_000}, "SourceTruncated"),
    ],
)
def test_a_source_that_comes_back_is_fetched_without_a_change_of_the_spec(
    namespace: Namespace,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
    query: dict[str, Any],
    reason: str,
) -> None:
    sources.put(unique, qcow2_disk)
    # Each attempt looks at a source before it fetches it, and resumes five times.
    url = sources.url(unique, **query, times=7 if "at" in query else 2, key=unique)
    namespace.create(unique, url, sha256_of(qcow2_disk))
    namespace.wait_condition(unique, "Stalled", reason=reason)
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)


@pytest.mark.parametrize("first", [b"", b"the build of yesterday"])
def test_a_mirror_in_the_middle_of_an_update_is_asked_again(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str, first: bytes
) -> None:
    url = sources.put(unique, first)
    namespace.create(unique, url, sha256_of(qcow2_disk))
    reason = "ChecksumMismatch" if first else "SourceNotAnImage"
    namespace.wait_condition(unique, "Stalled", reason=reason)
    sources.put(unique, qcow2_disk)
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)


def test_a_mended_secret_recovers_a_refused_source(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    def apply(password: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": unique},
            "stringData": {"username": "user", "password": password},
        }
        flags = ("apply", "-n", namespace.name, "-f", "-")
        namespace.cluster.run_kubectl(*flags, stdin=json.dumps(body))

    apply("wrong")
    sources.put(unique, qcow2_disk)
    http = {
        "url": sources.url(unique, auth="user:sesame-77"),
        "auth": {"secretName": unique},
        "checksum": {"sha256": sha256_of(qcow2_disk)},
    }
    namespace.create(unique, "", source={"http": http})
    namespace.wait_condition(unique, "Stalled", reason="SourceRefused")
    apply("sesame-77")
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)


def test_editing_the_spec_recovers_a_terminal_failure(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    bad = b"neither disk nor image\n" * 4096
    url = sources.put(unique, bad)
    namespace.create(unique, url, _sha256(bad))
    namespace.wait_condition(unique, "Stalled", reason="SourceNotAnImage")
    asked = len(sources.requests(unique))
    # It is not retried automatically, not even when the object is reconciled again.
    namespace.patch(unique, {"metadata": {"annotations": {"look": "again"}}})
    assert not wait_until(lambda: len(sources.requests(unique)) > asked, 12)
    sources.put(unique, qcow2_disk)
    checksum = {"sha256": sha256_of(qcow2_disk)}
    namespace.patch(unique, {"spec": {"source": {"http": {"checksum": checksum}}}})
    ready = namespace.wait_condition(unique, "Ready")
    assert condition_of(ready, "Stalled") is None
    namespace.delete(unique)


def test_a_missing_secret_is_waited_for(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    ref = {"secretName": "later", "cloudName": "images"}
    url = sources.put(unique, qcow2_disk)
    own_namespace.create(unique, url, sha256_of(qcow2_disk), cloudCredentialsRef=ref)
    stalled = own_namespace.wait_condition(unique, "Stalled", reason="SecretNotFound")
    assert "Secret later does not exist" in (condition_of(stalled, "Stalled") or "   ")[2]
    own_namespace.put_secret(openstack, "later")
    own_namespace.wait_condition(unique, "Ready")


def test_without_its_secret_an_untouched_object_goes_at_once(
    namespace: Namespace, unique: str
) -> None:
    ref = {"secretName": "never", "cloudName": "images"}
    namespace.create(unique, "http://127.0.0.1/image", cloudCredentialsRef=ref)
    namespace.wait_condition(unique, "Stalled", reason="SecretNotFound")
    namespace.delete(unique)
    namespace.wait_gone(unique, seconds=20)


def test_a_cloud_that_clouds_yaml_does_not_have(namespace: Namespace, unique: str) -> None:
    ref = {"secretName": "openstack", "cloudName": "nowhere"}
    namespace.create(unique, "http://127.0.0.1/image", cloudCredentialsRef=ref)
    stalled = namespace.wait_condition(unique, "Stalled", reason="CloudNotFound")
    assert "no cloud 'nowhere'; it has: admin, " in (condition_of(stalled, "Stalled") or "   ")[2]
    namespace.delete(unique)
    namespace.wait_gone(unique)


def test_a_wrong_password_shows_and_does_not_leak(
    own_namespace: Namespace, openstack: OpenStack, unique: str
) -> None:
    entry = openstack.cloud("images-password")
    wrong = entry | {"auth": entry["auth"] | {"password": "sesame-1234"}}
    own_namespace.put_secret(openstack, wrong=wrong)
    ref = {"secretName": "openstack", "cloudName": "wrong"}
    own_namespace.create(unique, "http://127.0.0.1/image", cloudCredentialsRef=ref)
    stalled = own_namespace.wait_condition(unique, "Stalled", reason="InvalidCredentials")
    assert "401" in (condition_of(stalled, "Stalled") or "   ")[2]
    assert "sesame-1234" not in stalled.model_dump_json() + own_namespace.operator.log()


def test_the_scratch_is_empty_after_it_all(
    own_namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(unique, qcow2_disk)
    bad = b"neither disk nor image\n" * 4096
    own_namespace.create(f"{unique}-bad", sources.put(f"{unique}-bad", bad), _sha256(bad))
    own_namespace.wait_condition(f"{unique}-bad", "Stalled", reason="SourceNotAnImage")
    own_namespace.create(f"{unique}-good", url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
    own_namespace.wait_condition(f"{unique}-good", "Ready")
    assert own_namespace.operator.leftovers() == []
    kept = own_namespace.operator.scratch / "cache"
    assert len(list(kept.glob("*.data"))) == 1, "the good source is kept for others, and only that"
