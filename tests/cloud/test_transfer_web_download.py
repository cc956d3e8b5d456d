"""Glance fetches the source itself; what it fetched is verified."""

from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, Result, Stage
from cloudimage.vocabulary.marks import Marks
from support.transfer_images import DISK_SIZE, qemu_img
from support.transfer_runs import Bench, Transfer, by_method, checksum, fail, succeed, unliked

pytestmark = pytest.mark.cloud


@pytest.mark.parametrize("algorithm", ["sha512", "md5", None])
def test_bytes_are_proven(bench: Bench, qcow2: Path, algorithm: str | None) -> None:
    request = by_method(bench, bench.put(qcow2), "WebDownload", "slow", disk_format="qcow2")
    if algorithm:
        request["source"]["checksum"] = checksum(qcow2, algorithm)
    result = succeed(request)
    assert (result.method, result.disk_format) == ("WebDownload", "qcow2")
    assert (result.size, result.virtual_size) == (qcow2.stat().st_size, DISK_SIZE)
    assert result.source.checksums == {"sha512": checksum(qcow2, "sha512")["value"]}
    assert ["forged" in each for each in result.warnings] == [True] * (algorithm == "md5")
    assert result.source.size == result.source.actual_size == qcow2.stat().st_size
    assert bench.stores(result.image_id) == {"slow"}
    (asked,) = bench.sources.requests(f"{bench.unique}-{qcow2.name}")
    assert "cloudimage" not in asked.headers.get("user-agent", "")
    (image,) = bench.images()
    assert image.properties[Marks.VERIFIED] == f"sha512:{result.hash_value}"


@pytest.mark.parametrize("algorithm", ["sha512", "md5"])
def test_other_bytes(bench: Bench, disk: Path, qcow2: Path, algorithm: str) -> None:
    request = by_method(bench, bench.put(qcow2), "WebDownload", disk_format="qcow2")
    request["source"]["checksum"] = checksum(disk, algorithm)
    fail(request, Reason.CHECKSUM_MISMATCH)
    assert bench.images() == []


def test_checksum_that_glance_cannot_prove(bench: Bench, qcow2: Path) -> None:
    request = by_method(bench, bench.put(qcow2), "WebDownload", disk_format="qcow2")
    request["source"]["checksum"] = checksum(qcow2, "sha256")
    assert "sha256" in fail(request, Reason.METHOD_UNAVAILABLE).message
    assert bench.asked(qcow2) == 0


def test_format_that_nobody_says(bench: Bench, qcow2: Path) -> None:
    request = by_method(bench, bench.put(qcow2), "WebDownload")
    assert "format" in fail(request, Reason.METHOD_UNAVAILABLE).message


def test_file_that_is_not_there(bench: Bench) -> None:
    url = bench.sources.url(f"{bench.unique}-nothing")
    request = by_method(bench, url, "WebDownload", disk_format="raw")
    failure = fail(request, Reason.SOURCE_NOT_FOUND)
    assert "Glance could not store the image" in failure.message
    assert "answered 404" in failure.message
    assert bench.images() == []


@pytest.mark.parametrize("told", ["vmdk", "vhd", "vdi"])
def test_format_that_the_file_does_not_have(bench: Bench, qcow2: Path, told: str) -> None:
    """Glance itself says "Task failed due to Internal Error" for each."""
    request = by_method(bench, bench.put(qcow2), "WebDownload", disk_format=told)
    message = fail(request, Reason.METHOD_UNAVAILABLE).message
    assert "Glance expects a" in message
    assert "but it is qcow2" in message
    assert "method Upload" in message
    assert bench.images() == []


def test_raw_that_is_said_to_be_qcow2(bench: Bench, disk: Path) -> None:
    request = by_method(bench, bench.put(disk), "WebDownload", disk_format="qcow2")
    fail(request, Reason.METHOD_UNAVAILABLE)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("fault=html", Reason.SOURCE_NOT_AN_IMAGE),
        ("status=403", Reason.SOURCE_REFUSED),
        ("status=404", Reason.SOURCE_NOT_FOUND),
    ],
)
def test_source_that_glance_cannot_use(
    bench: Bench, qcow2: Path, query: str, reason: Reason
) -> None:
    url = f"{bench.put(qcow2)}?{query}"
    failure = fail(by_method(bench, url, "WebDownload", disk_format="qcow2"), reason)
    assert failure.stage is Stage.FETCHING
    assert bench.images() == []


def test_host_that_glance_does_not_like(bench: Bench, disk: Path) -> None:
    url = unliked(bench.put(disk)) + "?key=secret"
    request = by_method(bench, url, "WebDownload", disk_format="raw")
    failure = fail(request, Reason.METHOD_UNAVAILABLE)
    assert "import_filtering_opts" in failure.message
    assert "secret" not in failure.message
    assert bench.images() == []


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", "127.0.0.1 has the address 127.0.0.1, which is not public"),
        ("localhost", "localhost has the address "),
        ("nobody.invalid", "cannot be resolved here"),
        ("127%2e0.0.1", "not a plain"),
    ],
)
def test_host_that_the_policy_refuses(bench: Bench, disk: Path, host: str, words: str) -> None:
    url = bench.put(disk).replace("127.0.0.1", host)
    request = by_method(bench, url, "WebDownload", disk_format="raw")
    request["policy"] = {"allow_networks": []}
    assert words in fail(request, Reason.METHOD_UNAVAILABLE).message
    assert bench.asked(disk) == 0


def test_host_that_the_policy_allows(bench: Bench, disk: Path) -> None:
    request = by_method(bench, bench.put(disk), "WebDownload", disk_format="raw")
    request["policy"] = {"allow_networks": ["127.0.0.0/8"]}
    assert succeed(request).method == "WebDownload"


def test_web_page(bench: Bench, disk: Path) -> None:
    request = by_method(bench, bench.put(disk) + "?fault=html", "WebDownload", disk_format="raw")
    fail(request, Reason.SOURCE_NOT_AN_IMAGE)
    assert bench.images() == []


@pytest.mark.parametrize("declared", ["qcow2", "raw"])
def test_unsafe_image(bench: Bench, tmp_path: Path, declared: str) -> None:
    """Glance may be the first to say no."""
    path = tmp_path / "unsafe.qcow2"
    words = ["-F", "raw", "-b", "/etc/passwd", "-u"]
    qemu_img("create", "-q", "-f", "qcow2", *words, path, "1M")
    request = by_method(bench, bench.put(path), "WebDownload", disk_format=declared)
    outcome = Transfer(request).end()
    assert not isinstance(outcome, Result)
    assert outcome.reason in {Reason.UNSAFE_IMAGE, Reason.METHOD_UNAVAILABLE}
    assert bench.images() == []


def test_too_large(bench: Bench, qcow2: Path) -> None:
    request = by_method(bench, bench.put(qcow2), "WebDownload", disk_format="qcow2")
    request["limits"]["max_virtual_size"] = DISK_SIZE - 1
    fail(request, Reason.IMAGE_TOO_LARGE)
    assert bench.images() == []
