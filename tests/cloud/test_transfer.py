"""Transfers against the real Glance, as the operator runs them: a process each."""

import base64
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudimage.transfer.types import STRICT, Failure, Marks, Reason, Result, Stage
from testbed.process import free_ports
from transfer_images import MIB, make, qemu_img, raw_disk
from transfer_keys import Signer
from transfer_runs import Bench, Transfer, fail, succeed

pytestmark = pytest.mark.cloud

SIZE = 16 * MIB
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
    assert (result.disk_format, result.size, result.virtual_size) == ("raw", SIZE, SIZE)
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
    assert result.virtual_size == SIZE
    assert bench.download(result.image_id, tmp_path / "x").read_bytes() == qcow2.read_bytes()


def test_vhdx_becomes_qcow2(bench: Bench, disk: Path, tmp_path: Path) -> None:
    source = tmp_path / "disk.vhdx"
    make(disk, source, "vhdx")
    result = succeed(bench.request(bench.put(source), disk_format="qcow2"))
    stored = bench.download(result.image_id, tmp_path / "stored")
    qemu_img("compare", "-f", "raw", "-F", "qcow2", disk, stored)


@pytest.fixture(scope="module")
def signer() -> Iterator[Signer]:
    folder = Path(tempfile.mkdtemp(prefix="g-"))
    signer = Signer.made(folder / "good")
    yield signer
    signer.stop()
    shutil.rmtree(folder)


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


Spoil = Callable[[Bench, Path, dict[str, Any]], None]


def not_found(bench: Bench, _: Path, request: dict[str, Any]) -> None:
    request["source"]["url"] = bench.sources.url("no-such-file")


def unreachable(_bench: Bench, _: Path, request: dict[str, Any]) -> None:
    request["source"]["url"] = f"http://127.0.0.1:{free_ports(1)[0]}/x.qcow2"


def web_page(bench: Bench, image: Path, request: dict[str, Any]) -> None:
    request["source"]["url"] = bench.put(image) + "?fault=html"


def cut_short(bench: Bench, image: Path, request: dict[str, Any]) -> None:
    request["source"]["url"] = bench.put(image) + "?fault=truncate&at=100000"


def wrong_checksum(_bench: Bench, _: Path, request: dict[str, Any]) -> None:
    request["source"]["checksum"] = {"algorithm": "sha256", "value": "0" * 64}


def wrong_sums(bench: Bench, _: Path, request: dict[str, Any]) -> None:
    name = request["source"]["url"].rpartition("/")[2]
    sums = f"{'0' * 64}  {name}\n".encode()
    request["source"]["sums"] = {"url": bench.sources.put(f"{bench.unique}-SUMS", sums)}


def sums_without_the_name(bench: Bench, _: Path, request: dict[str, Any]) -> None:
    name = request["source"]["url"].rpartition("/")[2]
    sums = f"{'0' * 64}  {name}.old\n".encode()
    request["source"]["sums"] = {"url": bench.sources.put(f"{bench.unique}-SUMS", sums)}


def no_sums(bench: Bench, _: Path, request: dict[str, Any]) -> None:
    request["source"]["sums"] = {"url": bench.sources.url("no-such-file")}


def foreign_signature(bench: Bench, image: Path, request: dict[str, Any]) -> None:
    folder = Path(tempfile.mkdtemp(prefix="g-"))
    ours, theirs = Signer.made(folder / "a"), Signer.made(folder / "b")
    signature = theirs.detached(image.read_bytes())
    request["source"]["signature"] = {
        "url": bench.sources.put(f"{bench.unique}.sig", signature),
        "keyring": ours.public(),
    }
    ours.stop()
    theirs.stop()
    shutil.rmtree(folder)


def no_image(bench: Bench, image: Path, _: dict[str, Any]) -> None:
    image.write_bytes(b"nothing to see here\n" * 100000)
    bench.put(image)


def published_cut(bench: Bench, image: Path, _: dict[str, Any]) -> None:
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size // 2)
    bench.put(image)


def backing_file(bench: Bench, image: Path, _: dict[str, Any]) -> None:
    image.unlink()
    qemu_img("create", "-q", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", "-u", image, "1M")
    bench.put(image)


def too_large(bench: Bench, image: Path, request: dict[str, Any]) -> None:
    qemu_img("resize", "-q", "-f", "qcow2", image, "2G")
    bench.put(image)
    request["image"]["min_disk"] = 1


def to_iso(_bench: Bench, _: Path, request: dict[str, Any]) -> None:
    request["image"]["disk_format"] = "iso"


def no_cloud(_bench: Bench, _: Path, request: dict[str, Any]) -> None:
    auth = request["cloud"]["config"]["auth"]
    request["cloud"]["config"]["auth"] = {
        **auth,
        "auth_url": f"http://127.0.0.1:{free_ports(1)[0]}/v3",
    }


def wrong_password(_bench: Bench, _: Path, request: dict[str, Any]) -> None:
    auth = request["cloud"]["config"]["auth"]
    request["cloud"]["config"]["auth"] = {**auth, "application_credential_secret": "wrong"}


def no_region(_bench: Bench, _: Path, request: dict[str, Any]) -> None:
    request["cloud"]["config"]["region_name"] = "nowhere"


def wrong_container(_bench: Bench, _: Path, request: dict[str, Any]) -> None:
    request["image"]["container_format"] = "shoebox"


def quota(bench: Bench, _: Path, request: dict[str, Any]) -> None:
    bench.project = "tiny"  # 5 MiB
    request["cloud"]["config"] = bench.openstack.cloud("tiny")


@pytest.mark.parametrize(
    ("spoil", "reason", "words"),
    [
        (not_found, Reason.SOURCE_NOT_FOUND, "404"),
        (unreachable, Reason.SOURCE_UNREACHABLE, "refused"),
        (web_page, Reason.SOURCE_NOT_AN_IMAGE, "web page"),
        (cut_short, Reason.SOURCE_TRUNCATED, "100000 of"),
        (wrong_checksum, Reason.CHECKSUM_MISMATCH, "0" * 64),
        (wrong_sums, Reason.CHECKSUM_MISMATCH, "0" * 64),
        (sums_without_the_name, Reason.SUMS_FILE_INVALID, ".old"),
        (no_sums, Reason.SOURCE_NOT_FOUND, "404"),
        (foreign_signature, Reason.SIGNATURE_INVALID, "not in the keyring"),
        (no_image, Reason.SOURCE_NOT_AN_IMAGE, "declare"),
        (published_cut, Reason.SOURCE_TRUNCATED, "qcow2"),
        (backing_file, Reason.UNSAFE_IMAGE, "backing"),
        (too_large, Reason.IMAGE_TOO_LARGE, "2.00 GiB"),
        (to_iso, Reason.UNSUPPORTED_FORMAT, "iso"),
        (no_cloud, Reason.CLOUD_UNREACHABLE, ""),
        (wrong_password, Reason.INVALID_CREDENTIALS, ""),
        (no_region, Reason.CLOUD_ERROR, "nowhere"),
        (wrong_container, Reason.INVALID_IMAGE, "shoebox"),
        (quota, Reason.QUOTA_EXCEEDED, "image_size_total"),
    ],
)
def test_failures_leave_nothing(
    bench: Bench, qcow2: Path, spoil: Spoil, reason: Reason, words: str
) -> None:
    request = bench.request(bench.put(qcow2), disk_format="raw")
    spoil(bench, qcow2, request)
    failure = fail(request, reason)
    assert words in failure.message
    assert "<" not in failure.message
    assert bench.images() == []


def test_damage_found_while_streaming_never_becomes_an_image(bench: Bench, tmp_path: Path) -> None:
    disk, damaged = tmp_path / "text.raw", tmp_path / "text.qcow2"
    disk.write_bytes(base64.b64encode(random.Random(1).randbytes(SIZE)))  # noqa: S311
    make(disk, damaged, "qcow2", compress=True)
    with damaged.open("r+b") as file:
        file.seek(damaged.stat().st_size * 3 // 4)
        file.write(b"\xff" * 2 * 65536)  # a cluster begins here, with no valid block of deflate
    request = bench.request(bench.put(damaged), disk_format="raw")
    request["source"]["format"] = "qcow2"
    failure = fail(request, Reason.CONVERSION_FAILED)
    assert failure.stage is Stage.UPLOADING
    assert "Input/output error" in failure.message
    assert bench.images() == []


def test_quota_of_a_stream_that_is_cut_by_glance(bench: Bench, tmp_path: Path) -> None:
    """Glance answers before it reads and closes: that must not end as a broken pipe."""
    path = tmp_path / "big.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", path, "1G")
    bench.project = "tiny"
    fail(bench.request(bench.put(path), disk_format="raw"), Reason.QUOTA_EXCEEDED)
    assert bench.images() == []


@pytest.fixture
def long_upload(bench: Bench, qcow2: Path) -> Iterator[Transfer]:
    """A transfer that has sent some of 8 GiB to Glance."""
    qemu_img("resize", "-q", "-f", "qcow2", qcow2, "8G")
    transfer = Transfer(bench.request(bench.put(qcow2), disk_format="raw"))
    transfer.until(Stage.UPLOADING, 10 * MIB)
    yield transfer
    transfer.process.kill()


def tools_of(transfer: Transfer) -> list[psutil.Process]:
    tools = psutil.Process(transfer.process.pid).children(recursive=True)
    assert {tool.name() for tool in tools} == {"qemu-nbd"}
    return tools


def test_killed_transfer_takes_its_tools_along(bench: Bench, long_upload: Transfer) -> None:
    tools = tools_of(long_upload)
    long_upload.process.kill()
    _, alive = psutil.wait_procs(tools, timeout=5)
    assert alive == []
    assert all(image.status != "active" for image in bench.images())
    for leftover in bench.scratch.iterdir():  # nobody was left to remove it
        for path in leftover.iterdir():
            path.unlink()
        leftover.rmdir()


def test_end_of_the_operator_ends_an_upload(bench: Bench, long_upload: Transfer) -> None:
    tools = tools_of(long_upload)
    began = time.monotonic()
    long_upload.stdin.close()
    outcome = long_upload.end()
    assert isinstance(outcome, Failure)
    assert (outcome.reason, outcome.stage) == (Reason.INTERRUPTED, Stage.UPLOADING)
    assert time.monotonic() - began < 10
    assert psutil.wait_procs(tools, timeout=5)[1] == []
    assert bench.images() == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_a_download(bench: Bench, qcow2: Path, number: signal.Signals) -> None:
    url = bench.put(qcow2) + "?rate=200000"
    transfer = Transfer(bench.request(url))
    transfer.until(Stage.FETCHING, 1)
    os.kill(transfer.process.pid, number)
    outcome = transfer.end()
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.INTERRUPTED
    assert bench.images() == []


def test_signal_while_the_source_stalls(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2) + "?fault=stall&at=100000&seconds=60")
    request["limits"]["stall_seconds"] = 60
    transfer = Transfer(request)
    transfer.until(Stage.FETCHING)
    time.sleep(0.5)
    began = time.monotonic()
    transfer.process.terminate()
    outcome = transfer.end()
    assert isinstance(outcome, Failure)
    assert outcome.reason is Reason.INTERRUPTED
    assert time.monotonic() - began < 3


def test_request_that_is_none(bench: Bench) -> None:
    request = bench.request("http://127.0.0.1/x")
    request["cloud"] = {"password": "secret"}
    failure = fail(request, Reason.INVALID_REQUEST)
    assert "cloud.config" in failure.message
    assert "secret" not in failure.message


def test_image_in_a_compressed_archive(bench: Bench, disk: Path, tmp_path: Path) -> None:
    archive = tmp_path / "disk.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(disk, "disk.raw")
    request = bench.request(bench.put(archive))
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    request["source"]["checksum"] = {"algorithm": "sha256", "value": sha256}
    result = succeed(request)
    assert (result.source.format, result.source.size) == ("raw", archive.stat().st_size)
    assert (result.source.actual_size, result.source.virtual_size) == (SIZE, SIZE)
    assert result.source.checksums == {"sha256": sha256}
    assert (result.disk_format, result.size) == ("raw", SIZE)
    stored = bench.download(result.image_id, tmp_path / "stored")
    assert stored.read_bytes() == disk.read_bytes()


def test_forbidden_address(bench: Bench, qcow2: Path) -> None:
    request = bench.request(bench.put(qcow2))
    request["policy"] = STRICT.model_dump()
    failure = fail(request, Reason.SOURCE_REFUSED)
    assert "127.0.0.1" in failure.message
    assert bench.images() == []


def test_cloud_that_fails_does_not_cost_the_download(
    bench: Bench, qcow2: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "scratch-cache"
    request = bench.request(bench.put(qcow2), disk_format="raw") | {
        "cache": str(cache),
        # Auto would ask the cloud what it offers, and fail before the download.
        "method": {"method": "Upload"},
    }
    good = dict(request["cloud"]["config"])
    no_cloud(bench, qcow2, request)
    fail(request, Reason.CLOUD_UNREACHABLE)
    request["cloud"]["config"] = good
    succeed(request)
    statuses = [each.status for each in bench.sources.requests(f"{bench.unique}-{qcow2.name}")]
    assert [each for each in statuses if each != 206] == [200, 304]


def test_bytes_that_are_no_good_are_not_kept(bench: Bench, qcow2: Path, tmp_path: Path) -> None:
    cache = tmp_path / "scratch-cache"
    request = bench.request(bench.put(qcow2)) | {"cache": str(cache)}
    published_cut(bench, qcow2, request)
    fail(request, Reason.SOURCE_TRUNCATED)
    assert list(cache.iterdir()) == []


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
