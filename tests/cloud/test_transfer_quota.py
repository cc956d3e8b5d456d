"""Images over Glance's quota are refused before their bytes are sent, and no others."""

from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Reason
from support.fault_proxy import Fault
from support.transfer_images import MIB, raw_disk
from support.transfer_runs import Bench, by_method, fail, succeed, through

pytestmark = pytest.mark.cloud


@pytest.fixture
def tiny(bench: Bench) -> Bench:
    """A project that may store 5 MiB, and stage 1 TiB."""
    bench.project = "tiny"
    return bench


def raw(bench: Bench, folder: Path, size: int) -> str:
    path = folder / "some.raw"
    raw_disk(path, size)
    return bench.put(path)


def refused(bench: Bench, request: dict[str, Any]) -> str:
    """Return the message for a request that must fail before an image is made."""
    counters = [Fault(method, "", "call", times=0) for method in ("PUT", "POST")]
    with through(bench, request, *counters):
        failure = fail(request, Reason.QUOTA_EXCEEDED)
    assert [each.seen for each in counters] == [0, 0]
    assert bench.images() == []
    return failure.message


@pytest.mark.parametrize("method", ["Upload", "GlanceDirect"])
def test_converted(tiny: Bench, qcow2: Path, method: str) -> None:
    request = by_method(tiny, tiny.put(qcow2), method, disk_format="raw")
    message = refused(tiny, request)
    assert "it takes 16.0 MiB of image_size_total" in message
    assert "of 5.0 MiB are used" in message
    assert tiny.fetches(qcow2) == 1


def test_straight_is_not_even_fetched(tiny: Bench, disk: Path) -> None:
    assert "16.0 MiB" in refused(tiny, by_method(tiny, tiny.put(disk), "Upload"))
    assert tiny.asked(disk) > tiny.fetches(disk) == 0


def test_each_store_counts(tiny: Bench, tmp_path: Path) -> None:
    """Glance itself would fill the second store, and only then refuse the project new images."""
    url = raw(tiny, tmp_path, 3 * MIB)
    message = refused(tiny, by_method(tiny, url, "GlanceDirect", "slow", "fast"))
    assert "it takes 6.0 MiB of image_size_total" in message


def test_what_just_fits(tiny: Bench, tmp_path: Path) -> None:
    """Glance rounds down, and so do we."""
    url = raw(tiny, tmp_path, 6 * MIB - 2**16)
    request = by_method(tiny, url, "Upload")
    sent, asked = Fault("PUT", "/file", "call", times=0), Fault("GET", "/usage", "call", times=0)
    with through(tiny, request, sent, asked):
        result = succeed(request)
    assert (sent.seen, asked.seen) == (1, 1)  # what was said before the download still holds
    assert [image.id for image in tiny.images()] == [result.image_id]


ANSWERS = [
    (403, b"forbidden"),
    (404, b"no such page"),
    (503, b"busy"),
    (200, b"<html>"),
    (200, b'{"usage": []}'),
    (200, b'{"usage": {"image_size_total": {"limit": null, "usage": 1}}}'),
    (200, b'{"usage": {}}'),  # Glance without Keystone's limits
]


@pytest.mark.parametrize(("status", "content"), ANSWERS)
def test_what_glance_does_not_say(bench: Bench, qcow2: Path, status: int, content: bytes) -> None:
    request = by_method(bench, bench.put(qcow2), "Upload", disk_format="raw")
    asked = Fault("GET", "/info/usage", "answer", 9, status=status, content=content)
    with through(bench, request, asked):
        succeed(request)
    assert asked.seen >= 1  # the SDK asks again after 503


def test_what_glance_does_not_say_it_refuses_by_itself(tiny: Bench, qcow2: Path) -> None:
    request = by_method(tiny, tiny.put(qcow2), "Upload", disk_format="raw")
    silent = Fault("GET", "/info/usage", "answer", 9, status=404)
    sent = Fault("PUT", "/file", "call", times=0)
    with through(tiny, request, silent, sent):
        message = fail(request, Reason.QUOTA_EXCEEDED).message
    assert (silent.seen, sent.seen) == (2, 1)
    assert "Glance refuses to store the image (413)" in message
    assert tiny.images() == []
