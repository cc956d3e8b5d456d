"""What an answer says about itself: its content decides, and anything unrequested is reported."""

import gzip
import hashlib
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.http.model import HttpSource
from support.fake_glance import TransferBench
from support.fetching import CONTENT, RIGHT, transfer
from support.hostile_server import Hostile, answer
from support.transfer_images import MIB, make, raw_disk

PAGE = "Content-Type: text/html; charset=utf-8"
TEXT = b"<p>Log in, please.</p>"


def refusal(source: HttpSource, folder: Path) -> TransferError:
    with pytest.raises(TransferError) as caught:
        transfer(source, folder)
    return caught.value


def sha256(content: bytes) -> Checksum:
    return Checksum(algorithm="sha256", value=hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize("checksum", [None, RIGHT])
def test_a_file_that_is_labelled_as_a_page(tmp_path: Path, checksum: Checksum | None) -> None:
    """As a server with another default type than application/octet-stream has it."""
    with Hostile(answer(CONTENT, PAGE)) as server:
        source = HttpSource(url=server.url(), checksum=checksum)
        assert transfer(source, tmp_path).size == len(CONTENT)


def test_text_that_is_labelled_as_a_page(tmp_path: Path) -> None:
    with Hostile(answer(TEXT, PAGE)) as server:
        error = refusal(HttpSource(url=server.url()), tmp_path)
        assert error.reason is Reason.SOURCE_NOT_AN_IMAGE
        assert transfer(HttpSource(url=server.url(), checksum=sha256(TEXT)), tmp_path)


@pytest.mark.parametrize(
    "page", [b"\xef\xbb\xbf<!DOCTYPE html>\n<p>", b"<?xml version='1.0'?><Error/>"]
)
@pytest.mark.parametrize("label", [PAGE, "Content-Type: application/octet-stream"])
def test_a_page_however_it_is_labelled(tmp_path: Path, page: bytes, label: str) -> None:
    with Hostile(answer(page, label)) as server:
        error = refusal(HttpSource(url=server.url(), checksum=RIGHT), tmp_path)
    assert error.reason is Reason.SOURCE_NOT_AN_IMAGE
    assert "web page" in error.message


@pytest.mark.parametrize("label", ["gzip", "x-gzip", "br"])
def test_what_was_compressed_on_the_way_is_told(tmp_path: Path, label: str) -> None:
    with Hostile(answer(gzip.compress(CONTENT), f"Content-Encoding: {label}")) as server:
        error = refusal(HttpSource(url=server.url(), checksum=RIGHT), tmp_path)
    assert error.reason is Reason.CHECKSUM_MISMATCH
    assert f"Content-Encoding: {label}" in error.message


def test_a_compressed_file_may_be_labelled_so(tmp_path: Path) -> None:
    """Apache's ``AddEncoding x-gzip .gz``: the label is of the file, and so is the checksum."""
    body = gzip.compress(CONTENT)
    with Hostile(answer(body, "Content-Encoding: x-gzip")) as server:
        source = HttpSource(url=server.url(), checksum=sha256(body))
        assert transfer(source, tmp_path).size == len(body)


def qcow2(folder: Path) -> bytes:
    raw_disk(folder / "disk.raw", 4 * MIB)
    make(folder / "disk.raw", folder / "disk.qcow2", "qcow2")
    return (folder / "disk.qcow2").read_bytes()


@pytest.mark.parametrize(("label", "good"), [("gzip", True), ("br", False), ("deflate", False)])
def test_without_a_checksum_an_encoding_that_cannot_be_a_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str, *, good: bool
) -> None:
    (tmp_path / "scratch").mkdir()
    bench = TransferBench(tmp_path / "scratch", monkeypatch)
    image = qcow2(tmp_path)
    body = gzip.compress(image) if good else b"\x1b\xff\x07" + image[::-1]
    with Hostile(answer(body, f"Content-Encoding: {label}")) as server:
        source = {"type": "http", "url": server.url()}
        if good:
            assert bench.run(source, "qcow2").size == len(image)
            return
        with pytest.raises(TransferError) as caught:
            bench.run(source, "qcow2")
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert f"Content-Encoding: {label}" in caught.value.message


def test_the_label_is_shown_as_text_only(tmp_path: Path) -> None:
    label = "x" * 300
    with Hostile(answer(CONTENT[::-1], f"Content-Encoding: {label}\x1b[31m")) as server:
        error = refusal(HttpSource(url=server.url(), checksum=RIGHT), tmp_path)
    assert error.message.isprintable()
    assert label not in error.message
