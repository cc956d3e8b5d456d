"""A file of a mounted file system as a source: real files, also those that lead elsewhere."""

import hashlib
import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import ValidationError

from cloudimage.transfer.contract import (
    UNRESTRICTED,
    Checksum,
    Limits,
    NewImage,
    Reason,
    TransferError,
)
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.base import Context, Reader
from cloudimage.transfer.source.file.model import FileSource
from cloudimage.transfer.source.file.reader import open_file
from cloudimage.transfer.source.registry import open_source
from cloudimage.transfer.tools.toolbox import Toolbox
from support.transfer_images import MIB, make, raw_disk

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = NewImage(id_seed="x", name="x")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A volume with a raw disk in a folder."""
    root = tmp_path / "volume"
    (root / "disks").mkdir(parents=True)
    raw_disk(root / "disks" / "disk.raw", 8 * MIB)
    return root


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """What a transfer lends to its source."""
    folder, limits = tmp_path / "folder", Limits(max_download=32 * MIB)
    folder.mkdir()
    cache = Cache(folder, limits, shared=False)
    tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
    return Context(folder, cache, limits, UNRESTRICTED, Meter(lambda _: None), tools)


def sha256(path: Path) -> Checksum:
    return Checksum(algorithm="sha256", value=hashlib.sha256(path.read_bytes()).hexdigest())


def fetch(source: FileSource, context: Context) -> None:
    with open_source(source, context) as reader:
        reader.expect()
        reader.fetch(context.folder / "source")


def refusal(source: FileSource, context: Context) -> TransferError:
    with pytest.raises(TransferError) as caught:
        fetch(source, context)
    return caught.value


def streamed(reader: Reader, came: list[bytes]) -> None:
    stream = reader.stream(IMAGE)
    assert stream is not None
    came.extend(stream.payload.open())


def test_a_raw_file_is_read_as_it_is_asked_for_each_time(root: Path, context: Context) -> None:
    path = root / "disks" / "disk.raw"
    source = FileSource(root=root, path="disks/disk.raw", checksum=sha256(path))
    with open_source(source, context) as reader:
        assert reader.expect().checksum == source.checksum
        found = reader.look(None).found
        assert found is not None
        assert (found.format, found.virtual_size) == ("raw", 8 * MIB)
        stream = reader.stream(IMAGE)
        assert stream is not None
        for _ in range(2):  # Glance may have to be asked again
            assert b"".join(stream.payload.open()) == path.read_bytes()
            assert stream.fetched.checksums == {"sha256": source.checksum.value}  # type: ignore[union-attr]  # given
        assert reader.stream(NewImage(id_seed="x", name="x", disk_format="qcow2")) is None
    assert list(context.folder.iterdir()) == []


def test_another_is_copied_with_its_holes(root: Path, context: Context, tmp_path: Path) -> None:
    path = root / "disk.vdi"
    make(root / "disks" / "disk.raw", path, "vdi", "static=on")
    with open_source(FileSource(root=root, path="disk.vdi"), context) as reader:
        reader.expect()
        assert reader.stream(IMAGE) is None
        assert reader.look(None).found is None
        fetched = reader.fetch(context.folder / "source")
    copy = context.folder / "source"
    assert copy.read_bytes() == path.read_bytes()
    assert copy.stat().st_ino != path.stat().st_ino
    assert copy.stat().st_blocks * 512 < path.stat().st_size
    assert fetched.checksums == {"sha256": sha256(path).value}


def test_a_wrong_checksum_ends_before_the_last_byte(root: Path, context: Context) -> None:
    wrong = Checksum(algorithm="sha256", value="0" * 64)
    source, came = FileSource(root=root, path="disks/disk.raw", checksum=wrong), list[bytes]()
    assert refusal(source, context).reason is Reason.CHECKSUM_MISMATCH
    with open_file(source, context) as reader, pytest.raises(TransferError) as caught:
        streamed(reader, came)
    assert caught.value.reason is Reason.CHECKSUM_MISMATCH
    assert 0 < sum(map(len, came)) < 8 * MIB


def _other_bytes(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4 * MIB)
        file.write(b"other")


@pytest.mark.parametrize(
    "change",
    [
        lambda path: os.truncate(path, 9 * MIB),
        lambda path: os.truncate(path, 7 * MIB),
        _other_bytes,
    ],
)
def test_a_file_that_changes_meanwhile_is_refused(
    root: Path, context: Context, change: "Callable[[Path], None]"
) -> None:
    with open_file(FileSource(root=root, path="disks/disk.raw"), context) as reader:
        stream = reader.stream(IMAGE)
        assert stream is not None
        change(root / "disks" / "disk.raw")
        for read in (
            lambda: list(stream.payload.open()),
            lambda: reader.fetch(context.folder / "x"),
        ):
            with pytest.raises(TransferError, match="changed while it was being read") as caught:
                read()
            assert caught.value.reason is Reason.SOURCE_UNREACHABLE


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "a/../b", "", ".", "a//b", "./a", "a/", "a\0b"]
)
def test_a_path_stays_in_the_volume(root: Path, path: str) -> None:
    with pytest.raises(ValidationError, match="must be relative"):
        FileSource(root=root, path=path)


def test_no_link_is_followed(root: Path, context: Context) -> None:
    (root / "out").symlink_to("/etc")
    (root / "passwd").symlink_to("/etc/passwd")
    (root / "in").symlink_to("disks/disk.raw")
    for path in ("out/passwd", "passwd", "in"):
        error = refusal(FileSource(root=root, path=path, claim="build"), context)
        assert error.reason is Reason.SOURCE_REFUSED
        assert f"{path} of PersistentVolumeClaim build is, or is behind, a symb" in error.message


def test_what_is_no_regular_file_is_refused_at_once(root: Path, context: Context) -> None:
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    for path, reason in {
        "pipe": Reason.SOURCE_NOT_AN_IMAGE,
        "disks": Reason.SOURCE_NOT_AN_IMAGE,
        "socket": Reason.SOURCE_UNREACHABLE,
        "none": Reason.SOURCE_NOT_FOUND,
        "disks/disk.raw/x": Reason.SOURCE_REFUSED,
    }.items():
        assert refusal(FileSource(root=root, path=path), context).reason is reason, path


def test_a_file_that_is_too_large_is_refused_unread(root: Path, context: Context) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(33 * MIB)
    error = refusal(FileSource(root=root, path="large"), context)
    assert error.reason is Reason.IMAGE_TOO_LARGE
