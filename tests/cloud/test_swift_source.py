"""Objects of a real Swift as sources, put there by its own client."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudimage.access.policy import CloudPolicy
from cloudimage.transfer.contract import Checksum, Reason, UrlPolicy
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.look import look
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.request import LookRequest
from support.fault_proxy import Fault, FaultProxy
from support.transfer_images import DISK_SIZE
from support.transfer_runs import Bench, checksum, fail, succeed
from testbed.openstack import OpenStack
from testbed.openstack.swift import Swift

pytestmark = pytest.mark.cloud

OTHER = "consumer"
SEGMENT = DISK_SIZE // 4

Row = dict[str, Any]


@pytest.fixture(scope="module")
def swift(openstack: OpenStack) -> Swift:
    """The cloud's object store, running."""
    store = Swift(openstack)
    store.up()
    return store


@pytest.fixture
def asked(bench: Bench, swift: Swift) -> Callable[..., Row]:
    """Return a request for an object of another project, in a cloud whose options may differ."""

    def request(name: str, options: Row | None = None, project: str = OTHER, **image: Any) -> Row:
        cloud = bench.openstack.cloud(project) | (options or {})
        source = {
            "type": "swift",
            "container": bench.unique,
            "object": name,
            "cloud_name": "old",
            "clouds_yaml": json.dumps({"clouds": {"old": cloud}}),
        }
        return bench.request("", **image) | {"source": source}

    return request


@pytest.fixture
def put(bench: Bench, swift: Swift) -> Callable[..., None]:
    """Put a file as an object of the test's container."""

    def put(path: Path, name: str, *options: str) -> None:
        swift.put(OTHER, bench.unique, path, "--object-name", name, *options)

    return put


def stored(bench: Bench, image_id: str) -> bytes:
    return bench.download(image_id, bench.scratch.parent / "stored").read_bytes()


def test_a_raw_object_goes_into_glance_without_a_disk(
    bench: Bench, put: Callable[..., None], asked: Callable[..., Row], disk: Path
) -> None:
    put(disk, "a b/ü+.raw")
    # A URL policy that allows no address here: a cloud's policy decides.
    limits = {"stall_seconds": 5, "max_scratch": 1}
    policy = UrlPolicy().model_dump()
    result = succeed(asked("a b/ü+.raw") | {"limits": limits, "policy": policy})
    assert stored(bench, result.image_id) == disk.read_bytes()
    assert (result.source.format, result.source.verified_by) == ("raw", "md5")
    assert result.source.checksums["md5"] == checksum(disk, "md5")["value"]
    assert result.source.version == checksum(disk, "md5")["value"]
    assert "only by md5" in result.warnings[0]


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_an_object_in_segments_is_joined_by_swift(
    bench: Bench,
    swift: Swift,
    put: Callable[..., None],
    asked: Callable[..., Row],
    disk: Path,
    kind: str,
) -> None:
    option = "--use-slo" if kind == "static" else "--use-dlo"
    put(disk, "large.raw", "--segment-size", str(SEGMENT), option)
    assert ("X-Static-Large-Object" in swift.client(OTHER, "stat", bench.unique, "large.raw")) is (
        kind == "static"
    )
    result = succeed(asked("large.raw"))
    assert stored(bench, result.image_id) == disk.read_bytes()
    assert result.source.verified_by is None
    assert "no hash of the whole object" in result.warnings[0]


def test_a_qcow2_is_converted_and_proved_by_the_checksum_of_the_spec(
    bench: Bench, put: Callable[..., None], asked: Callable[..., Row], qcow2: Path, disk: Path
) -> None:
    put(qcow2, "disk.qcow2", "--segment-size", str(qcow2.stat().st_size // 3))
    request = asked("disk.qcow2", disk_format="raw")
    request["source"]["checksum"] = checksum(qcow2, "sha512")
    result = succeed(request)
    assert stored(bench, result.image_id) == disk.read_bytes()
    assert (result.source.verified_by, result.warnings) == ("sha512", ())
    request["source"]["checksum"] = {"algorithm": "sha512", "value": "0" * 128}
    request["image"]["id_seed"] = f"{bench.unique}-wrong"
    fail(request, Reason.CHECKSUM_MISMATCH)


def test_an_object_of_the_clouds_own_project(bench: Bench, swift: Swift, qcow2: Path) -> None:
    swift.put(bench.project, bench.unique, qcow2, "--object-name", "own")
    source = {"type": "swift", "container": bench.unique, "object": "own"}
    result = succeed(bench.request("") | {"source": source})
    assert result.hash_value == checksum(qcow2, "sha512")["value"]


@pytest.mark.parametrize("name", ["whole/file", "segments/file"])
def test_a_token_that_ends_in_the_middle_is_renewed_and_the_rest_is_asked_for(
    bench: Bench,
    swift: Swift,
    put: Callable[..., None],
    asked: Callable[..., Row],
    qcow2: Path,
    name: str,
) -> None:
    size = qcow2.stat().st_size
    put(qcow2, name, *(("--segment-size", str(size // 3)) if name.startswith("seg") else ()))

    def spend(token: str) -> None:
        proxy.spent[token] = 0

    cut = Fault("GET", "/file", "cut answer", at=size * 3 // 4, call=spend, times=9)
    with FaultProxy(swift.url, cut) as proxy:
        endpoint = f"{proxy.url}/v1/AUTH_%(project_id)s"
        request = asked(name, {"object_store_endpoint_override": endpoint})
        result = succeed(request)
    assert result.hash_value == checksum(qcow2, "sha512")["value"]
    assert set(proxy.spent.values()) == {1}, "Swift refused each old token once"
    assert proxy.ranges[-1] == f"bytes={cut.at}-", "the rest alone was asked for"


def test_what_is_not_there_and_who_has_no_right(
    bench: Bench, swift: Swift, put: Callable[..., None], asked: Callable[..., Row], qcow2: Path
) -> None:
    missing = fail(asked("nothing"), Reason.SOURCE_NOT_FOUND)
    assert "no such object in this region" in missing.message

    # The endpoint of the other project, which this one's token does not open.
    put(qcow2, "private")
    endpoint = f"{swift.url}/v1/AUTH_{bench.openstack.project_id(OTHER)}"
    foreign = {"object_store_endpoint_override": endpoint}
    refused = fail(asked("private", foreign, project="images"), Reason.SOURCE_REFUSED)
    assert "X-Container-Read" in refused.message
    swift.client(
        OTHER, "post", bench.unique, "--read-acl", f"{bench.openstack.project_id('images')}:*"
    )
    assert succeed(asked("private", foreign, project="images")).image_id


def test_a_segment_that_is_missing_is_named(
    bench: Bench, swift: Swift, put: Callable[..., None], asked: Callable[..., Row], disk: Path
) -> None:
    put(disk, "holes.raw", "--segment-size", str(SEGMENT), "--use-slo")
    segments = swift.client(OTHER, "list", f"{bench.unique}_segments").split()
    swift.client(OTHER, "delete", f"{bench.unique}_segments", segments[2])
    failure = fail(asked("holes.raw"), Reason.SOURCE_NOT_FOUND)
    assert "a segment of it is missing" in failure.message
    assert bench.images() == []


def test_an_object_that_has_expired(
    put: Callable[..., None], asked: Callable[..., Row], qcow2: Path
) -> None:
    put(qcow2, "short", "--header", "X-Delete-After: 1")
    time.sleep(1.5)
    failure = fail(asked("short"), Reason.SOURCE_NOT_FOUND)
    assert "has expired" in failure.message


def test_the_cloud_policy_decides(
    put: Callable[..., None], asked: Callable[..., Row], qcow2: Path, bench: Bench
) -> None:
    put(qcow2, "policy")
    other = {"object_store_endpoint_override": "http://169.254.169.254/v1/AUTH_%(project_id)s"}
    policy = CloudPolicy(allow_networks=("127.0.0.1/32",)).model_dump()
    failure = fail(asked("policy", other) | {"cloud_policy": policy}, Reason.CLOUD_REFUSED)
    assert "cloudPolicy" in failure.message
    assert "169.254.169.254" in failure.message
    assert succeed(asked("policy") | {"cloud_policy": policy}).image_id


def test_a_cloud_without_swift_and_wrong_credentials(
    asked: Callable[..., Row], bench: Bench
) -> None:
    fail(asked("x", {"region_name": "Elsewhere"}), Reason.INVALID_CREDENTIALS)
    login = bench.openstack.cloud(OTHER)["auth"] | {"application_credential_secret": "wrong"}
    wrong = fail(asked("x", {"auth": login}), Reason.INVALID_CREDENTIALS)
    assert "the source cloud" in wrong.message


def test_a_look_tells_the_version_and_a_transfer_refuses_another(
    bench: Bench, put: Callable[..., None], asked: Callable[..., Row], disk: Path, tmp_path: Path
) -> None:
    put(disk, "moving.raw")
    request = asked("moving.raw")
    names = ("source", "cloud", "scratch", "limits", "policy", "cloud_policy")
    looked = {name: request[name] for name in names} | {"cache": tmp_path / "cache"}
    latest = look(LookRequest.model_validate(looked), Meter(lambda _: None), Interrupts())
    assert latest.version == checksum(disk, "md5")["value"]
    assert latest.checksum == Checksum.model_validate(checksum(disk, "md5"))

    other = tmp_path / "other"
    other.write_bytes(bytes(1024))
    put(other, "moving.raw")
    failed = fail(request | {"version": latest.version}, Reason.SOURCE_CHANGED)
    assert f"and not {latest.version} any longer" in failed.message
    assert bench.images() == []
