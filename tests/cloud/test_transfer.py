"""Transfers against the real Glance, as the operator runs them: a process each."""

import hashlib
import json
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Failure, Reason, Result, Stage
from cloudimage.vocabulary.marks import Marks
from support.transfer_images import DISK_SIZE, MIB, make, qemu_img, raw_disk
from support.transfer_keys import Signer
from support.transfer_runs import Bench, Transfer, fail, succeed

pytestmark = pytest.mark.cloud

QEMU = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "vhd": "vpc", "vhdx": "vhdx"}
OPTIONS = {"vhd": "force_size=on"}


def test_qcow2_becomes_raw(bench: Bench, disk: Path, qcow2: Path) -> None:
    request = bench.request(
        bench.put(qcow2),
        disk_format="raw",
        min_disk=3,
        min_ram=512,
        tags=["a", "b"],
        properties={"os_distro": "debian", Marks.UID: "some-uid"},
    )
    sha512 = hashlib.sha512(qcow2.read_bytes()).hexdigest()
    request["source"]["checksum"] = {"algorithm": "sha512", "value": sha512}
    result = succeed(request)
    content = disk.read_bytes()
    stored_hash = hashlib.sha512(content).hexdigest()
    assert (result.disk_format, result.size, result.virtual_size) == ("raw", DISK_SIZE, DISK_SIZE)
    assert (result.hash_algo, result.hash_value) == ("sha512", stored_hash)
    assert result.source.format == "qcow2"
    assert result.source.size == qcow2.stat().st_size
    assert result.source.checksums["sha512"] == sha512
    (image,) = bench.images()
    assert image.id == result.image_id
    assert (image.status, image.visibility, image.is_hidden) == ("active", "private", True)
    assert (image.min_disk, image.min_ram, set(image.tags)) == (3, 512, {"a", "b"})
    assert image.os_distro == "debian"
    assert image.properties[Marks.UID] == "some-uid"
    assert image.properties[Marks.IMAGE_ID] == image.id
    assert image.properties[Marks.VERIFIED] == f"sha512:{stored_hash}"
    assert bench.download(image.id, bench.scratch.parent / "down").read_bytes() == content


@pytest.mark.parametrize("shape", QEMU)
@pytest.mark.parametrize("direction", ["to raw", "from raw"])
def test_formats(bench: Bench, disk: Path, tmp_path: Path, shape: str, direction: str) -> None:
    source = tmp_path / f"disk.{shape}"
    made, wanted = (shape, "raw") if direction == "to raw" else ("raw", shape)
    make(disk, source, QEMU[made], OPTIONS.get(made, ""))
    result = succeed(bench.request(bench.put(source), disk_format=wanted))
    assert (result.source.format, result.disk_format) == (made, wanted)
    stored = bench.download(result.image_id, tmp_path / "stored")
    qemu_img("compare", "-f", "raw", "-F", QEMU[wanted], disk, stored)
    (image,) = bench.images()
    assert image.disk_format == wanted
    assert result.size == stored.stat().st_size


@pytest.mark.parametrize("compress", [True, False])
def test_compressed_qcow2(bench: Bench, disk: Path, tmp_path: Path, *, compress: bool) -> None:
    request = bench.request(bench.put(disk), disk_format="qcow2", compress=compress)
    stored = bench.download(succeed(request).image_id, tmp_path / "stored")
    qemu_img("compare", "-f", "raw", "-F", "qcow2", disk, stored)
    command = ["qemu-img", "check", "--output=json", "-f", "qcow2", str(stored)]
    report = json.loads(subprocess.check_output(command))
    assert (report.get("compressed-clusters", 0) > 0) is compress


@pytest.mark.parametrize("wanted", [None, "qcow2"])
def test_kept_format_keeps_its_bytes(
    bench: Bench, qcow2: Path, tmp_path: Path, wanted: str | None
) -> None:
    result = succeed(bench.request(bench.put(qcow2), disk_format=wanted, compress=True))
    assert result.virtual_size == DISK_SIZE
    assert bench.download(result.image_id, tmp_path / "x").read_bytes() == qcow2.read_bytes()


def test_vhdx_becomes_qcow2(bench: Bench, disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "disk.vhdx"
    make(disk, source, "vhdx")
    result = succeed(bench.request(bench.put(source), disk_format="qcow2"))
    stored = bench.download(result.image_id, tmp_path / "stored")
    qemu_img("compare", "-f", "raw", "-F", "qcow2", disk, stored)


@pytest.mark.parametrize("way", ["detached", "clearsigned", "over the image"])
@pytest.mark.parametrize("algorithm", ["sha512", "md5"])
def test_sums_and_signatures(
    bench: Bench, qcow2: Path, signer: Signer, way: str, algorithm: str
) -> None:
    url = bench.put(qcow2)
    value = hashlib.new(algorithm, qcow2.read_bytes(), usedforsecurity=False).hexdigest()
    text = f"{value}  {url.rpartition('/')[2]}\n".encode()
    signed = qcow2.read_bytes() if way == "over the image" else text
    published = signer.clearsigned(text) if way == "clearsigned" else text
    sums: dict[str, Any] = {"url": bench.sources.put(f"{bench.unique}-SUMS", published)}
    signature: dict[str, Any] = {"keyring": signer.public()}
    if way != "clearsigned":
        name = f"{bench.unique}.sig"
        signature["url"] = bench.sources.put(name, signer.detached(signed))
    request = bench.request(url)
    (request["source"] if way == "over the image" else sums)["signature"] = signature
    request["source"]["sums"] = sums
    result = succeed(request)
    assert result.source.checksums[algorithm] == value
    assert bool(result.warnings) == (algorithm == "md5" and way != "over the image")


def test_checksum_that_can_be_forged_is_warned_of(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2))
    value = hashlib.md5(qcow2.read_bytes(), usedforsecurity=False).hexdigest()
    request["source"]["checksum"] = {"algorithm": "md5", "value": value}
    (warning,) = succeed(request).warnings
    assert "md5" in warning


def test_id_of_a_deleted_image_is_not_tried_for_ever(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2))
    first = succeed(request)
    api: Any = bench.connection().image
    api.delete_image(first.image_id)
    second = succeed(request)
    assert second.image_id != first.image_id
    assert [image.id for image in bench.images()] == [second.image_id]


def test_image_in_a_compressed_archive(bench: Bench, disk: Path, tmp_path: Path) -> None:
    archive = tmp_path / "disk.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(disk, "disk.raw")
    request = bench.request(bench.put(archive))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    request["source"]["checksum"] = {"algorithm": "sha256", "value": sha256}
    result = succeed(request)
    assert (result.source.format, result.source.size) == ("raw", archive.stat().st_size)
    assert (result.source.actual_size, result.source.virtual_size) == (DISK_SIZE, DISK_SIZE)
    assert result.source.checksums == {"sha256": sha256}
    assert (result.disk_format, result.size) == ("raw", DISK_SIZE)
    stored = bench.download(result.image_id, tmp_path / "stored")
    assert stored.read_bytes() == disk.read_bytes()


def test_forbidden_address(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2))
    del request["policy"]  # the public internet
    failure = fail(request, Reason.SOURCE_REFUSED)
    assert "127.0.0.1" in failure.message
    assert bench.images() == []


@pytest.fixture
def large(tmp_path: Path) -> Path:
    path = tmp_path / "large.raw"
    raw_disk(path, 64 * MIB)
    return path


def raw_request(bench: Bench, path: Path, **query: Any) -> dict[str, Any]:
    bench.put(path)
    request = bench.request(bench.sources.url(f"{bench.unique}-{path.name}", **query))
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    request["source"]["checksum"] = {"algorithm": "sha256", "value": sha256}
    return request


def test_raw_touches_no_disk(bench: Bench, large: Path, tmp_path: Path) -> None:
    request = raw_request(bench, large, rate=20_000_000, fault="reset", at=30_000_000)
    transfer = Transfer(request)
    transfer.until(Stage.UPLOADING, 10 * MIB)
    written = sum(path.stat().st_size for path in bench.scratch.rglob("*") if path.is_file())
    assert written < MIB
    result = transfer.end()
    assert isinstance(result, Result), result
    assert result.source.checksums["sha256"] == hashlib.sha256(large.read_bytes()).hexdigest()
    assert bench.download(result.image_id, tmp_path / "x").read_bytes() == large.read_bytes()
    statuses = [each.status for each in bench.sources.requests(f"{bench.unique}-{large.name}")]
    assert statuses[-3:] == [200, 206, 206]


def test_raw_with_a_wrong_checksum_never_turns_active(bench: Bench, large: Path) -> None:
    request = raw_request(bench, large, rate=40_000_000)
    request["source"]["checksum"]["value"] = "0" * 64
    transfer = Transfer(request)
    transfer.until(Stage.UPLOADING, 10 * MIB)
    assert {image.status for image in bench.images()} <= {"queued", "saving"}
    failure = transfer.end()
    assert isinstance(failure, Failure)
    assert (failure.reason, failure.stage) == (Reason.CHECKSUM_MISMATCH, Stage.UPLOADING)
    assert bench.images() == []
