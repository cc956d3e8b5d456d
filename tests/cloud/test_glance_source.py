"""An image of another project's Glance as a source: the real one, and roads to it that fail."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cloudimage.transfer.contract import Reason
from support.fault_proxy import Fault, FaultProxy
from support.openstack_actions import make_image
from support.transfer_images import DISK_SIZE
from support.transfer_runs import Bench, checksum, fail, succeed

pytestmark = pytest.mark.cloud

OTHER = "consumer"
"""The project that has the source; its private images are nobody else's."""

Put = Callable[..., str]
Row = dict[str, Any]


@pytest.fixture
def put(bench: Bench) -> Iterator[Put]:
    """Make a private image of the other project, and return its id."""
    other, made = bench.openstack.connect(OTHER), []

    def image(path: Path | None, shape: str = "raw", **attributes: Any) -> str:
        content = None if path is None else path.read_bytes()
        wanted = {"disk_format": shape, "visibility": "private", **attributes}
        made.append(make_image(other, content, **wanted).id)
        return str(made[-1])

    yield image
    admin = bench.openstack.connect("admin")
    for each in made:
        admin.image.delete_image(each, ignore_missing=True)


@pytest.fixture
def asked(bench: Bench) -> Callable[..., Row]:
    """Return a request for an image of the other project, in a cloud whose options may differ."""

    def request(image_id: str, options: Row | None = None, **image: Any) -> Row:
        cloud = bench.openstack.cloud(OTHER) | (options or {})
        source = {
            "type": "glance",
            "id": image_id,
            "cloud_name": "old",
            "clouds_yaml": json.dumps({"clouds": {"old": cloud}}),
        }
        return bench.request("", **image) | {"source": source}

    return request


def before(bench: Bench, *faults: Fault) -> FaultProxy:
    """Return a proxy before the source's Glance, for ``image_endpoint_override``."""
    session: Any = bench.openstack.connect(OTHER).session
    return FaultProxy(session.get_endpoint(service_type="image"), *faults)


def test_a_raw_image_goes_from_glance_to_glance_without_a_disk(
    bench: Bench, put: Put, asked: Callable[..., Row], disk: Path, tmp_path: Path
) -> None:
    request = asked(put(disk)) | {"limits": {"stall_seconds": 5, "max_scratch": 1}}
    result = succeed(request)
    assert bench.download(result.image_id, tmp_path / "x").read_bytes() == disk.read_bytes()
    assert (result.source.format, result.source.size) == ("raw", DISK_SIZE)
    assert result.source.verified_by == "sha512"
    assert result.source.checksums["sha512"] == checksum(disk, "sha512")["value"]


@pytest.mark.parametrize("wanted", [None, "raw"])
def test_a_qcow2_is_kept_or_converted(
    bench: Bench, put: Put, asked: Callable[..., Row], qcow2: Path, disk: Path, wanted: str | None
) -> None:
    result = succeed(asked(put(qcow2, "qcow2"), disk_format=wanted))
    stored = bench.download(result.image_id, bench.scratch.parent / "x")
    assert stored.read_bytes() == (disk if wanted else qcow2).read_bytes()
    assert result.source.verified_by == "sha512"


def test_an_image_of_the_clouds_own_project(bench: Bench, disk: Path) -> None:
    own = bench.connection()
    image = make_image(own, disk.read_bytes(), visibility="private")
    try:
        request = bench.request("") | {"source": {"type": "glance", "id": image.id}}
        assert succeed(request).hash_value == checksum(disk, "sha512")["value"]
    finally:
        own.image.delete_image(image.id)


@pytest.mark.parametrize("shape", ["raw", "qcow2"])
def test_a_token_that_ends_in_the_middle_is_renewed_and_the_rest_is_asked_for(
    bench: Bench, put: Put, asked: Callable[..., Row], disk: Path, qcow2: Path, shape: str
) -> None:
    path = {"raw": disk, "qcow2": qcow2}[shape]
    size = path.stat().st_size

    def spend(token: str) -> None:
        proxy.spent[token] = 0

    # Behind what is looked at beforehand of a raw one.
    cut = Fault("GET", "/file", "cut answer", at=size * 3 // 4, call=spend, times=9)
    with before(bench, cut) as proxy:
        request = asked(put(path, shape), {"image_endpoint_override": proxy.url})
        result = succeed(request)
    assert result.hash_value == checksum(path, "sha512")["value"]
    assert list(proxy.spent.values()) == [1], "Glance refused the old token once"
    assert proxy.ranges[-1] == f"bytes={cut.at}-{size - 1}", "the rest alone was asked for"


def test_a_store_that_reads_only_from_the_beginning_is_read_again(
    bench: Bench, put: Put, asked: Callable[..., Row], disk: Path
) -> None:
    cut = Fault("GET", "/file", "cut answer", at=DISK_SIZE // 2, times=2)
    parts = Fault("GET", "/file", "refuse parts", times=99)
    with before(bench, parts, cut) as proxy:
        result = succeed(asked(put(disk), {"image_endpoint_override": proxy.url}))
    assert result.hash_value == checksum(disk, "sha512")["value"]


@pytest.mark.parametrize("shape", ["raw", "qcow2"])
def test_bytes_of_another_hash_never_become_an_image(
    bench: Bench, put: Put, asked: Callable[..., Row], disk: Path, qcow2: Path, shape: str
) -> None:
    image_id = put({"raw": disk, "qcow2": qcow2}[shape], shape)
    told = bench.openstack.connect(OTHER).image.get(f"/images/{image_id}").json()
    lie = json.dumps(told | {"os_hash_value": "0" * 128}).encode()
    fault = Fault("GET", image_id, "answer", times=9, status=200, content=lie)
    with before(bench, fault) as proxy:
        fail(asked(image_id, {"image_endpoint_override": proxy.url}), Reason.CHECKSUM_MISMATCH)
    assert bench.images() == []


def test_what_cannot_be_read_says_why(bench: Bench, put: Put, asked: Callable[..., Row]) -> None:
    absent = str(uuid4())
    assert absent in fail(asked(absent), Reason.SOURCE_NOT_FOUND).message
    queued = fail(asked(put(None)), Reason.SOURCE_NOT_FOUND)
    assert "queued: it is not complete yet" in queued.message


def test_a_deactivated_image_is_refused(
    bench: Bench, put: Put, asked: Callable[..., Row], disk: Path
) -> None:
    image_id = put(disk)
    glance: Any = bench.openstack.connect("admin").image
    glance.deactivate_image(image_id)
    assert "reactivate" in fail(asked(image_id), Reason.SOURCE_REFUSED).message


def test_without_the_right_to_download_it_is_refused(
    bench: Bench, put: Put, asked: Callable[..., Row], qcow2: Path
) -> None:
    told = b'{"message": "You are not authorized.<br />", "code": "403 Forbidden"}'
    fault = Fault("GET", "/file", "answer", times=9, status=403, content=told)
    with before(bench, fault) as proxy:
        request = asked(put(qcow2, "qcow2"), {"image_endpoint_override": proxy.url})
        assert "download_image" in fail(request, Reason.SOURCE_REFUSED).message


def test_the_rules_for_clouds_hold_and_not_those_for_urls(
    bench: Bench, put: Put, asked: Callable[..., Row], qcow2: Path
) -> None:
    with before(bench) as proxy:
        elsewhere = proxy.url.replace("127.0.0.1", "localhost")
        request = asked(put(qcow2, "qcow2"), {"image_endpoint_override": elsewhere})
        request["cloud_policy"] = {"hosts": ["127.0.0.1"], "allow_networks": ["127.0.0.1/32"]}
        assert "cloudPolicy" in fail(request, Reason.CLOUD_REFUSED).message
    assert bench.images() == []


def test_credentials_of_no_use_say_whose_they_are(
    bench: Bench, put: Put, asked: Callable[..., Row], qcow2: Path
) -> None:
    image_id = put(qcow2, "qcow2")
    secret = "application_credential_secret"
    wrong = bench.openstack.cloud(OTHER)["auth"] | {secret: "sesame"}
    for request in (
        asked(image_id, {"auth": wrong}),
        asked(image_id, {"vendor_hook": "os:system"}),
        asked(image_id) | {"source": {"type": "glance", "id": image_id, "cloud_name": "old"}},
    ):
        message = fail(request, Reason.INVALID_CREDENTIALS).message
        assert "source cloud" in message
        assert "sesame" not in message


def test_what_came_is_not_asked_for_again_by_the_next_transfer(
    bench: Bench, put: Put, asked: Callable[..., Row], qcow2: Path, tmp_path: Path
) -> None:
    size, cache = qcow2.stat().st_size, bench.scratch.parent / "cache"
    cut = Fault("GET", "/file", "cut answer", at=size // 2)
    away = Fault("GET", "/file", "answer", status=403, times=9)
    image_id = put(qcow2, "qcow2")
    with before(bench, cut, away) as proxy:
        request = asked(image_id, {"image_endpoint_override": proxy.url})
        request |= {"cache": str(cache)}
        fail(request, Reason.SOURCE_REFUSED)
        away.times = 0
        proxy.ranges.clear()
        assert succeed(request).hash_value == checksum(qcow2, "sha512")["value"]
        assert [each.partition("-")[0] for each in proxy.ranges] == [f"bytes={size // 2}"]
        proxy.ranges.clear()
        again = request | {"image": request["image"] | {"id_seed": f"{bench.unique}-2"}}
        succeed(again)
        assert proxy.ranges == [], "the file is kept"
