"""Failures of transfers against the real Glance: each has its reason and leaves nothing."""

import base64
import random
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Reason, Stage
from support.transfer_images import DISK_SIZE, MIB, make, qemu_img, raw_disk
from support.transfer_keys import Signer
from support.transfer_runs import Bench, fail, succeed
from testbed.process import free_ports

pytestmark = pytest.mark.cloud


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
        (cut_short, Reason.SOURCE_TRUNCATED, "100000 bytes"),
        (wrong_checksum, Reason.CHECKSUM_MISMATCH, "0" * 64),
        (wrong_sums, Reason.CHECKSUM_MISMATCH, "0" * 64),
        (sums_without_the_name, Reason.SUMS_FILE_INVALID, ".old"),
        (no_sums, Reason.SOURCE_NOT_FOUND, "404"),
        (foreign_signature, Reason.SIGNATURE_INVALID, "not in the keyring"),
        (no_image, Reason.SOURCE_NOT_AN_IMAGE, "declare"),
        (published_cut, Reason.SOURCE_TRUNCATED, "qcow2"),
        (backing_file, Reason.UNSAFE_IMAGE, "backing"),
        (too_large, Reason.IMAGE_TOO_LARGE, "2.0 GiB"),
        (to_iso, Reason.UNSUPPORTED_FORMAT, "iso"),
        (no_cloud, Reason.CLOUD_UNREACHABLE, ""),
        (wrong_password, Reason.INVALID_CREDENTIALS, ""),
        (no_region, Reason.CLOUD_MISCONFIGURED, "nowhere"),
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
    disk.write_bytes(base64.b64encode(random.Random(1).randbytes(DISK_SIZE)))
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
    raw = tmp_path / "big.raw"
    raw_disk(raw, 2 * MIB)
    qemu_img("convert", "-f", "raw", "-O", "qcow2", raw, path)
    qemu_img("resize", "-q", path, "1G")
    bench.project = "tiny"
    fail(bench.request(bench.put(path), disk_format="raw"), Reason.QUOTA_EXCEEDED)
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
