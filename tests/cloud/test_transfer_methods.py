"""Methods and stores on the real Glance."""

import hashlib
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason
from cloudimage.vocabulary.marks import Marks
from support.fault_proxy import Fault
from support.transfer_images import DISK_SIZE
from support.transfer_runs import Bench, by_method, checksum, fail, succeed, through, unliked

pytestmark = pytest.mark.cloud


def test_one_store(bench: Bench, qcow2: Path) -> None:
    result = succeed(by_method(bench, bench.put(qcow2), "Upload", "slow"))
    assert bench.stores(result.image_id) == {"slow"}


def test_default_store(bench: Bench, qcow2: Path) -> None:
    result = succeed(by_method(bench, bench.put(qcow2), "Upload"))
    assert bench.stores(result.image_id) == {"fast"}


def test_store_that_is_not_there(bench: Bench, qcow2: Path) -> None:
    url = bench.put(qcow2)
    failure = fail(by_method(bench, url, "Upload", "fast", "tape"), Reason.INVALID_IMAGE)
    assert "store tape" in failure.message
    assert "fast, slow" in failure.message
    assert bench.asked(qcow2) == 0


def test_copies_are_for_administrators(bench: Bench, qcow2: Path) -> None:
    request = by_method(bench, bench.put(qcow2), "Upload", "slow", "fast")
    assert "copy_image" in fail(request, Reason.FORBIDDEN).message
    assert bench.images() == []


def test_an_administrator_copies(bench: Bench, qcow2: Path) -> None:
    bench.project = "admin"
    result = succeed(by_method(bench, bench.put(qcow2), "Upload", "slow", "fast"))
    assert bench.stores(result.image_id) == {"slow", "fast"}


def test_auto_fills_several_by_an_import(bench: Bench, disk: Path, qcow2: Path) -> None:
    url = bench.put(qcow2)
    result = succeed(by_method(bench, url, "Auto", "slow", "fast", disk_format="raw"))
    assert bench.stores(result.image_id) == {"slow", "fast"}
    assert result.method == "GlanceDirect"
    assert result.hash_value == hashlib.sha512(disk.read_bytes()).hexdigest()


def test_glance_direct_bytes_are_proven(bench: Bench, qcow2: Path) -> None:
    result = succeed(by_method(bench, bench.put(qcow2), "GlanceDirect", "slow"))
    assert (result.method, result.disk_format) == ("GlanceDirect", "qcow2")
    assert result.hash_value == checksum(qcow2, "sha512")["value"]
    (image,) = bench.images()
    assert image.properties[Marks.VERIFIED] == f"sha512:{result.hash_value}"
    assert image.status == "active"


def test_glance_direct_conversion_that_does_not_happen(bench: Bench, qcow2: Path) -> None:
    request = by_method(bench, bench.put(qcow2), "GlanceDirect", disk_format="raw")
    failure = fail(request, Reason.METHOD_UNAVAILABLE)
    assert "converts the image to qcow2 instead of raw" in failure.message
    assert bench.images() == []


def test_glance_direct_conversion_that_cannot_be_compared(bench: Bench, qcow2: Path) -> None:
    request = by_method(bench, bench.put(qcow2), "GlanceDirect", disk_format="vmdk")
    assert "to raw only" in fail(request, Reason.METHOD_UNAVAILABLE).message
    assert bench.images() == []


def test_glance_direct_quota_that_only_the_import_notices(bench: Bench, disk: Path) -> None:
    bench.project = "tiny"  # 5 MiB; 1 TiB may be staged
    request = by_method(bench, bench.put(disk), "GlanceDirect")
    silent = Fault("GET", "/info/usage", "lose answer", times=9)
    staged = Fault("PUT", "/stage", "call", times=0)
    with through(bench, request, silent, staged):
        failure = fail(request, Reason.QUOTA_EXCEEDED)
    # Before the download, and before the upload.
    assert (silent.seen, staged.seen) == (2, 1)
    assert "image_size_total" in failure.message
    assert bench.images() == []


def test_glance_direct_import_asked_for_twice(bench: Bench, qcow2: Path) -> None:
    """The first answer was lost; the second is 409."""
    request = by_method(bench, bench.put(qcow2), "GlanceDirect")
    with through(bench, request, Fault("POST", "/import", "twice")):
        succeed(request)
    assert len(bench.images()) == 1


def test_glance_direct_worker_that_died(bench: Bench, qcow2: Path) -> None:
    request = by_method(bench, bench.put(qcow2), "GlanceDirect")
    request["limits"]["silence_seconds"] = 2
    with through(bench, request, Fault("POST", "/import", "swallow")):
        failure = fail(request, Reason.UPLOAD_FAILED)
    assert "the image is uploading, and Glance made no progress for 2 s" in failure.message
    assert bench.images() == []


def test_glance_direct_stage_that_breaks(bench: Bench, disk: Path) -> None:
    request = by_method(bench, bench.put(disk), "GlanceDirect")
    with through(bench, request, Fault("PUT", "/stage", "reset", at=DISK_SIZE // 2)):
        succeed(request)
    assert len(bench.images()) == 1


def test_auto_bytes_to_be_converted_go_through_us(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2), disk_format="raw")
    request["source"]["checksum"] = checksum(qcow2, "sha256")
    result = succeed(request)
    assert result.method == "Upload"
    assert "sha256" in result.method_reason


def test_auto_proven_raw_bytes_do_not(bench: Bench, disk: Path) -> None:
    request = bench.request(bench.put(disk))
    request["source"] |= {"checksum": checksum(disk, "sha512"), "format": "raw"}
    result = succeed(request)
    assert result.method == "WebDownload"
    assert result.hash_value == checksum(disk, "sha512")["value"]


def test_auto_what_glance_does_not_fetch_is_uploaded(bench: Bench, disk: Path) -> None:
    request = bench.request(unliked(bench.put(disk)))
    request["source"] |= {"checksum": checksum(disk, "sha512"), "format": "raw"}
    result = succeed(request)
    assert result.method == "Upload"
    assert "import_filtering_opts" in result.method_reason
    assert len(bench.images()) == 1


def test_auto_wrong_bytes_are_no_reason_to_try_again(bench: Bench, disk: Path) -> None:
    request = bench.request(bench.put(disk))
    wrong = {"algorithm": "sha512", "value": "0" * 128}
    request["source"] |= {"checksum": wrong, "format": "raw"}
    fail(request, Reason.CHECKSUM_MISMATCH)
    assert bench.fetches(disk) == 1
    assert bench.images() == []
