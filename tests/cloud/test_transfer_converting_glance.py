"""A Glance whose plugin image_conversion is on, and which may be stopped."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, Result, Stage
from support.fault_proxy import Fault
from support.transfer_images import DISK_SIZE, MIB, make, qemu_img
from support.transfer_runs import (
    Bench,
    Transfer,
    bench_of,
    by_method,
    checksum,
    fail,
    succeed,
    through,
)
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("converting glance")]


@pytest.fixture(scope="module")
def converting_bed() -> Iterator[OpenStack]:
    """An OpenStack whose Glance converts imports to raw, and may be stopped."""
    parent = Path(tempfile.mkdtemp(prefix="testbed-"))
    parent.chmod(0o755)  # PostgreSQL's user must be able to enter it
    bed = OpenStack(parent / "openstack", glance_plugins=("image_conversion",))
    bed.up()
    yield bed
    bed.down()
    shutil.rmtree(parent)


@pytest.fixture
def converting(
    converting_bed: OpenStack, sources: Sources, tmp_path: Path, unique: str
) -> Iterator[Bench]:
    with bench_of(converting_bed, sources, tmp_path, unique) as bench:
        yield bench


def test_conversion_is_proven(converting: Bench, disk: Path, qcow2: Path) -> None:
    url = converting.put(qcow2)
    result = succeed(by_method(converting, url, "GlanceDirect", "slow", disk_format="raw"))
    assert (result.method, result.disk_format) == ("GlanceDirect", "raw")
    assert (result.size, result.source.format) == (DISK_SIZE, "qcow2")
    assert result.hash_value == checksum(disk, "sha512")["value"]
    assert converting.stores(result.image_id) == {"slow"}


def test_conversion_that_nobody_wanted(converting: Bench, qcow2: Path) -> None:
    request = by_method(converting, converting.put(qcow2), "GlanceDirect")
    failure = fail(request, Reason.METHOD_UNAVAILABLE)
    assert "converts the image to raw instead of qcow2" in failure.message
    assert converting.images() == []


def test_auto_uploads_what_an_import_would_convert(converting: Bench, qcow2: Path) -> None:
    converting.project = "admin"
    result = succeed(by_method(converting, converting.put(qcow2), "Auto", "slow", "fast"))
    assert (result.method, result.disk_format) == ("Upload", "qcow2")
    assert "GlanceDirect failed" in result.method_reason
    assert converting.stores(result.image_id) == {"slow", "fast"}


def test_web_download_converted(converting: Bench, qcow2: Path) -> None:
    request = by_method(converting, converting.put(qcow2), "WebDownload", disk_format="raw")
    request["source"]["format"] = "qcow2"
    result = succeed(request)
    assert (result.disk_format, result.size, result.virtual_size) == ("raw", DISK_SIZE, DISK_SIZE)
    assert (result.source.format, result.source.checksums) == ("qcow2", {})
    assert (result.source.size, result.source.actual_size) == (None, None)
    assert result.source.virtual_size == DISK_SIZE


def test_checksum_rules_a_converted_web_download_out(converting: Bench, qcow2: Path) -> None:
    request = by_method(converting, converting.put(qcow2), "WebDownload", disk_format="raw")
    request["source"] |= {"format": "qcow2", "checksum": checksum(qcow2, "sha512")}
    fail(request, Reason.METHOD_UNAVAILABLE)


def test_damage_that_glances_conversion_finds(
    converting: Bench, disk: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.qcow2"
    make(disk, path, "qcow2")
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    request = by_method(converting, converting.put(path), "GlanceDirect", disk_format="raw")
    fail(request, Reason.SOURCE_TRUNCATED)
    assert converting.images() == []


def test_quota_of_the_staging_area(converting: Bench, disk: Path) -> None:
    converting.project = "tiny"
    converting.openstack.set_quota("tiny", "image_stage_total", 1)
    request = by_method(converting, converting.put(disk), "GlanceDirect")
    staged = Fault("PUT", "/stage", "call", times=0)
    with through(converting, request, staged):
        failure = fail(request, Reason.QUOTA_EXCEEDED)
    assert "16.0 MiB of image_stage_total, of which 0 bytes of 1.0 MiB are used" in failure.message
    assert staged.seen == 0
    assert converting.images() == []


@pytest.mark.slow
def test_glance_restarts_in_the_middle(converting: Bench, qcow2: Path) -> None:
    qemu_img("resize", "-q", "-f", "qcow2", qcow2, "1G")
    request = by_method(converting, converting.put(qcow2), "Upload", disk_format="raw")
    transfer = Transfer(request)
    transfer.until(Stage.UPLOADING, 10 * MIB)
    restart(converting.openstack)
    outcome = transfer.end()
    assert isinstance(outcome, Result), outcome
    assert [image.id for image in converting.images()] == [outcome.image_id]
    assert converting.fetches(qcow2) == 1


def restart(bed: OpenStack) -> None:
    bed.stop_service("glance")
    bed.start_service("glance")
