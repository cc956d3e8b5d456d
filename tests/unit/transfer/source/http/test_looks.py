"""What the ends of a file tell, from a real server; the file itself is not fetched."""

import gzip
import os
from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import UNRESTRICTED, Limits, Reason, TransferError
from cloudimage.transfer.source.base import Ends
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.ends import HEAD_LENGTH, TAIL_LENGTH, look
from cloudimage.transfer.source.http.model import HttpSource
from support.hostile_server import Hostile, Script, answer
from support.transfer_images import MIB, make, qemu_img, raw_disk
from testbed.sources import Sources

SIZE = 64 * MIB
LIMITS = Limits(stall_seconds=2)


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    raw_disk(path, SIZE)
    return path


def ends(
    folder: Path, source: HttpSource, limits: Limits = LIMITS, min_disk: int | None = None
) -> Ends:
    with Client(source, UNRESTRICTED, limits, folder) as client:
        found = look(source, min_disk, client, folder)
    assert list(folder.iterdir()) == []
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.mark.parametrize(
    ("form", "shape", "options"),
    [
        ("qcow2", "qcow2", ()),
        ("vmdk", "vmdk", ()),
        ("vmdk", "vmdk", ("-o", "subformat=streamOptimized")),
        ("vdi", "vdi", ()),
        ("vhdx", "vhdx", ()),
        ("vpc", "vhd", ("-o", "subformat=fixed,force_size=on")),
        ("vpc", "vhd", ("-o", "subformat=dynamic,force_size=on")),
        ("raw", "raw", ()),
    ],
)
def test_each_format_by_its_ends(
    form: str,
    shape: str,
    options: tuple[str, ...],
    raw: Path,
    folder: Path,
    tmp_path: Path,
    sources: Sources,
    unique: str,
) -> None:
    path = tmp_path / "image"
    qemu_img("convert", "-O", form, *options, raw, path)
    found = ends(folder, HttpSource(url=sources.put(unique, path)))
    assert found.size == path.stat().st_size
    assert found.found is not None
    assert (found.found.format, found.found.virtual_size) == (shape, SIZE)
    most = HEAD_LENGTH + TAIL_LENGTH + MIB
    assert sum(each.sent for each in sources.requests(unique)) <= min(most, found.size + MIB)


def test_what_is_packed_is_known_only_later(folder: Path, sources: Sources, unique: str) -> None:
    content = gzip.compress(os.urandom(MIB))
    found = ends(folder, HttpSource(url=sources.put(unique, content)))
    assert (found.size, found.found) == (len(content), None)
    assert "packed (gzip)" in found.why_unknown
    ramdisk = ends(folder, HttpSource(url=sources.put(unique, content), format="ari"))
    assert ramdisk.found is not None


@pytest.mark.parametrize(
    ("wish", "sized"), [({"fault": "norange"}, True), ({"fault": ["norange", "chunked"]}, False)]
)
def test_a_server_without_ranges(
    wish: dict[str, Any], sized: bool, raw: Path, folder: Path, sources: Sources, unique: str
) -> None:
    sources.put(unique, raw)
    found = ends(folder, HttpSource(url=sources.url(unique, **wish)))
    assert (found.size, found.found) == (SIZE if sized else None, None)
    assert "no parts" in found.why_unknown


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"status": 404}, Reason.SOURCE_NOT_FOUND),
        ({"status": 403}, Reason.SOURCE_REFUSED),
        ({"status": 503}, Reason.SOURCE_UNREACHABLE),
        ({"fault": "stall", "seconds": 9}, Reason.SOURCE_UNREACHABLE),
        ({"fault": "reset", "at": 1000}, Reason.SOURCE_UNREACHABLE),
        ({"fault": "loop"}, Reason.SOURCE_REFUSED),
    ],
)
def test_servers_that_fail(
    wish: dict[str, Any], reason: Reason, raw: Path, folder: Path, sources: Sources, unique: str
) -> None:
    sources.put(unique, raw)
    with pytest.raises(TransferError) as caught:
        ends(folder, HttpSource(url=sources.url(unique, **wish)))
    assert caught.value.reason is reason


def test_a_mirror_is_asked_where_the_first_fails(
    raw: Path, folder: Path, sources: Sources, unique: str
) -> None:
    mirror = sources.put(unique, raw)
    source = HttpSource(url=sources.url(unique, status=404), mirrors=(mirror,))
    assert ends(folder, source).size == SIZE


def test_limits(raw: Path, folder: Path, tmp_path: Path, sources: Sources, unique: str) -> None:
    path = tmp_path / "image"
    make(raw, path, "qcow2")
    source = HttpSource(url=sources.put(unique, path))
    for limits in (Limits(max_download=MIB // 8), Limits(max_virtual_size=SIZE - 1)):
        with pytest.raises(TransferError) as caught:
            ends(folder, source, limits)
        assert caught.value.reason is Reason.IMAGE_TOO_LARGE
    backed = tmp_path / "backed"
    qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", "/etc/passwd", "-q", backed, str(MIB))
    with pytest.raises(TransferError, match="backing file") as caught:
        ends(folder, HttpSource(url=sources.put(unique, backed)))
    assert caught.value.reason is Reason.UNSAFE_IMAGE


def part(said: str, body: bytes = b"x" * 512, length: int = -1) -> Script:
    return answer(body, *([said] if said else []), status="206 Partial Content", length=length)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (part(""), Reason.SOURCE_UNREACHABLE),
        (part("Content-Range: bytes 5-516/9000"), Reason.SOURCE_UNREACHABLE),
        (part("Content-Range: bytes 0-511/9000"), Reason.SOURCE_UNREACHABLE),
        (part("Content-Range: bytes 0-511/*"), Reason.SOURCE_UNREACHABLE),
        (part("Content-Range: bytes 0-511/512", length=9999), Reason.SOURCE_UNREACHABLE),
        (part("Content-Range: bytes 0-511/512", length=100), Reason.SOURCE_UNREACHABLE),
        (
            part(f"Content-Range: bytes 0-4194303/{'9' * 18}", b"x" * HEAD_LENGTH),
            Reason.IMAGE_TOO_LARGE,
        ),
        (
            part("Content-Range: bytes 0-16/17", b"<html>sorry</html"),
            Reason.SOURCE_NOT_AN_IMAGE,
        ),
        (part("Content-Range: bytes 0-511/512"), Reason.SOURCE_NOT_AN_IMAGE),
    ],
)
def test_answers_that_lie(script: Script, reason: Reason, folder: Path) -> None:
    with Hostile(script) as server, pytest.raises(TransferError) as caught:
        ends(folder, HttpSource(url=server.url("/x")))
    assert caught.value.reason is reason


def test_a_file_that_changes_between_two_looks(
    raw: Path, folder: Path, sources: Sources, unique: str
) -> None:
    sources.put(unique, raw)
    with pytest.raises(TransferError, match="changed while it was being read"):
        ends(folder, HttpSource(url=sources.url(unique, fault="etag")))
