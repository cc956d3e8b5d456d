"""Uploads through a proxy with faults; a source in the scratch is never fetched twice."""

import re
from pathlib import Path

import pytest
import requests

from cloudimage.transfer.contract import Reason
from cloudimage.transfer.glance.image_lifecycle import image_id
from support.fault_proxy import Fault
from support.transfer_images import DISK_SIZE
from support.transfer_runs import Bench, by_method, checksum, fail, succeed, through

pytestmark = pytest.mark.cloud


@pytest.mark.parametrize(
    "fault",
    [
        Fault("PUT", "/file", "spoil token"),
        Fault("PUT", "/file", "reset", at=0),
        Fault("PUT", "/file", "reset", at=DISK_SIZE // 2, times=2),
        Fault("PUT", "/file", "lose answer"),
    ],
    ids=lambda fault: f"{fault.action}-{fault.at}",
)
def test_upload_succeeds_all_the_same(bench: Bench, qcow2: Path, fault: Fault) -> None:
    request = by_method(bench, bench.put(qcow2), "Upload", disk_format="raw")
    with through(bench, request, fault):
        result = succeed(request)
    assert fault.seen == (1 if fault.action == "lose answer" else fault.times + 1)
    assert [image.id for image in bench.images()] == [result.image_id]
    assert bench.fetches(qcow2) == 1


def test_polls_that_fail_do_not_end_an_upload(bench: Bench, qcow2: Path) -> None:
    fault = Fault("GET", image_id(bench.unique, 0), "fail", times=3)
    request = by_method(bench, bench.put(qcow2), "Upload", disk_format="raw")
    with through(bench, request, fault):
        assert succeed(request).image_id == image_id(bench.unique, 0)
    assert fault.seen == 4


def test_what_goes_straight_is_fetched_again(bench: Bench, disk: Path) -> None:
    """No disk holds what the broken PUT took."""
    fault = Fault("PUT", "/file", "reset", at=DISK_SIZE // 2)
    request = by_method(bench, bench.put(disk), "Upload")
    request["source"]["checksum"] = checksum(disk, "sha256")
    with through(bench, request, fault):
        result = succeed(request)
    assert fault.seen == 2
    assert [image.id for image in bench.images()] == [result.image_id]
    assert result.hash_value == checksum(disk, "sha512")["value"]
    assert bench.fetches(disk) == 2


@pytest.mark.parametrize("at", [DISK_SIZE // 2, DISK_SIZE])
def test_token_revoked_on_the_way(bench: Bench, qcow2: Path, at: int) -> None:
    """Glance no longer needs it, and all that comes after the last byte logs in again."""

    def revoke(token: str) -> None:
        url = f"{bench.openstack.auth_url}/auth/tokens"
        headers = {"X-Auth-Token": token, "X-Subject-Token": token}
        assert requests.delete(url, headers=headers, timeout=30).status_code == 204
        proxy.spent[token] = 0

    fault = Fault("PUT", "/file", "call", at=at, call=revoke)
    marked = Fault("PATCH", "", "call", times=0)
    request = by_method(bench, bench.put(qcow2), "Upload", disk_format="raw")
    with through(bench, request, fault, marked) as proxy:
        result = succeed(request)
    assert (fault.seen, marked.seen) == (1, 1)
    assert list(proxy.spent.values()) == [1]
    assert [image.id for image in bench.images()] == [result.image_id]
    assert bench.fetches(qcow2) == 1


def test_token_that_is_always_refused(bench: Bench, qcow2: Path) -> None:
    fault = Fault("PUT", "/file", "spoil token", times=9)
    request = by_method(bench, bench.put(qcow2), "Upload", disk_format="raw")
    with through(bench, request, fault):
        fail(request, Reason.INVALID_CREDENTIALS)
    assert fault.seen == 2
    assert bench.images() == []


@pytest.mark.parametrize("at", [0, DISK_SIZE // 2])
def test_early_refusal_and_reset(bench: Bench, qcow2: Path, at: int) -> None:
    request = by_method(bench, bench.put(qcow2), "Upload", disk_format="raw")
    with through(bench, request, Fault("PUT", "/file", "refuse", at=at, times=9)):
        failure = fail(request, Reason.FORBIDDEN)  # not Glance's quota: Glance reports that in JSON
    # A stranger's page is not reported: only OpenStack's own JSON is.
    assert "(413)" in failure.message
    assert "says the proxy" not in failure.message
    assert bench.images() == []


@pytest.mark.slow
def test_road_that_is_always_broken(bench: Bench, qcow2: Path) -> None:
    request = by_method(bench, bench.put(qcow2), "Upload", disk_format="raw")
    with through(bench, request, Fault("PUT", "/file", "reset", at=DISK_SIZE // 4, times=9)):
        failure = fail(request, Reason.UPLOAD_FAILED)
    # What the sockets' buffers took in counts as sent; then it is Glance that lost it.
    assert re.search("the connection to Glance broke|Glance dropped", failure.message)
    assert "pipe" not in failure.message.lower()
    assert bench.images() == []
