"""Layers as tar, buildah and attackers make them, and the disk that is taken out of them."""

import io
import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.image.expansion import extract
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.source.oci.layers import DiskInLayers
from cloudimage.transfer.tools.toolbox import Toolbox
from support.packed import zstd
from testbed.oci_images import layer

MIB = 2**20
DISK = b"QFI\xfb" + random.Random(4).randbytes(700_000) + bytes(2 * MIB) + b"end"
LIMITS = Limits(max_expanded=50_000_000)
WHERE = "quay.io/a:1"

Entry = tuple[str, bytes | None]


def tar(*entries: Entry | tarfile.TarInfo) -> bytes:
    """Return a layer of files by their names; without bytes it is a folder."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for each in entries:
            if isinstance(each, tarfile.TarInfo):
                archive.addfile(each)
                continue
            header = tarfile.TarInfo(each[0])
            header.size = len(each[1] or b"")
            header.type = tarfile.DIRTYPE if each[1] is None else tarfile.REGTYPE
            archive.addfile(header, io.BytesIO(each[1] or b""))
    return buffer.getvalue()


def link(name: str, to: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, to
    return header


def taken(
    folder: Path, *layers: bytes, path: str | None = None, limits: Limits = LIMITS
) -> bytes | None:
    """Return the disk of layers, which are given from the topmost down, as the reader does it."""
    folder.mkdir(exist_ok=True)
    disk, target = DiskInLayers(path, WHERE), folder / "disk"
    tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
    cache, meter = Cache(folder / "cache", limits, shared=False), Meter(lambda _: None)
    for content in layers:
        (folder / "layer").write_bytes(content)
        out = folder / "taken"
        extract(folder / "layer", out, disk.take, limits, tools, meter, cache)
        if out.exists():
            out.replace(target)
    assert not (folder / "layer").exists()
    disk.check()
    return target.read_bytes()


def refused(folder: Path, *layers: bytes, reason: Reason, path: str | None = None) -> str:
    with pytest.raises(TransferError) as caught:
        taken(folder, *layers, path=path)
    assert caught.value.reason is reason
    return caught.value.message


def packed(folder: Path, compression: str | None, *flags: str) -> bytes:
    (folder / "disk.img").write_bytes(DISK)
    files = {"disk/debian.qcow2": folder / "disk.img"}
    return layer(folder, files, compression, *flags).read_bytes()  # type: ignore[arg-type]  # test data


@pytest.mark.parametrize(
    "flags", [(), ("--format=oldgnu",), ("--format=v7",), ("--format=posix",), ("--sparse",)]
)
@pytest.mark.parametrize("compression", ["gzip", "zstd", None])
def test_the_disk_of_a_layer(tmp_path: Path, compression: str, flags: tuple[str, ...]) -> None:
    content = packed(tmp_path, compression, *flags)
    assert taken(tmp_path / "run", content) == DISK


def test_zeros_take_no_space(tmp_path: Path) -> None:
    assert taken(tmp_path / "run", packed(tmp_path, "gzip")) == DISK
    status = (tmp_path / "run" / "disk").stat()
    assert status.st_blocks * 512 < len(DISK) - MIB


def test_zstd_in_frames_and_with_skippable_ones(tmp_path: Path) -> None:
    content = packed(tmp_path, None)
    half = len(content) // 2
    chunked = zstd(content[:half]) + b"\x50\x2a\x4d\x18\x04\x00\x00\x00more" + zstd(content[half:])
    assert taken(tmp_path / "run", chunked) == DISK


@pytest.mark.parametrize(
    "name", ["disk/a.img", "./disk/a.img", "/disk/a.img", "disk//a", "disk/no-suffix"]
)
def test_the_only_file_in_disk_whatever_its_name(tmp_path: Path, name: str) -> None:
    others = [("etc/passwd", b"root"), ("disk/README.md", b"Read me."), ("disk/sub/b.img", b"x")]
    assert taken(tmp_path, tar(("disk/", None), *others, (name, DISK))) == DISK


@pytest.mark.parametrize("path", ["/opt/images/a.img", "opt/images/a.img", "./opt/images//a.img"])
def test_a_path_names_any_file(tmp_path: Path, path: str) -> None:
    both = tar(("opt/images/a.img", DISK), ("disk/b.img", b"other"), link("opt/c", "images/a.img"))
    assert taken(tmp_path, both, path=path) == DISK


UPPER: dict[str, tuple[bytes, ...]] = {
    "a file above it": (tar(("disk/a.img", DISK)), tar(("disk/a.img", b"old"))),
    "a file that was removed": (tar(("disk/.wh.old.img", b""), ("disk/a.img", DISK)),
                                tar(("disk/old.img", b"old"))),
    "a folder that was emptied": (tar(("disk/.wh..wh..opq", b""), ("disk/a.img", DISK)),
                                  tar(("disk/old.img", b"old"))),
    "a folder that was removed": (tar((".wh.disk", b"")), tar(("disk/old.img", b"old"))),
    "a root that was emptied": (tar((".wh..wh..opq", b"")), tar(("disk/old.img", b"old"))),
    "a link in its place": (tar(link("disk", "images")), tar(("disk/old.img", b"old"))),
}  # fmt: skip


@pytest.mark.parametrize("name", UPPER)
def test_what_upper_layers_hide_is_not_there(tmp_path: Path, name: str) -> None:
    layers = UPPER[name]
    if name in {"a folder that was removed", "a root that was emptied", "a link in its place"}:
        assert "no disk in /disk" in refused(tmp_path, *layers, reason=Reason.SOURCE_NOT_AN_IMAGE)
        layers = (tar(("disk/a.img", DISK)), *layers)
    assert taken(tmp_path, *layers) == DISK


def test_a_whiteout_hides_nothing_of_its_own_layer(tmp_path: Path) -> None:
    assert taken(tmp_path, tar(("disk/a.img", DISK), ("disk/.wh.a.img", b""))) == DISK


@pytest.mark.parametrize(
    "layers",
    [
        (tar(("disk/a.img", DISK), ("disk/b.img", b"x")),),
        (tar(("disk/a.img", DISK)), tar(("disk/b.img", b"x"))),
    ],
    ids=["in one layer", "in two"],
)
def test_several_disks_are_named(tmp_path: Path, layers: tuple[bytes, ...]) -> None:
    said = refused(tmp_path, *layers, reason=Reason.SOURCE_NOT_AN_IMAGE)
    assert "several disks (/disk/a.img, /disk/b.img): give the path" in said
    assert taken(tmp_path, *layers, path="/disk/b.img") == b"x"


EMPTY_TAR = bytes(10240)


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ((), "no disk in /disk"),
        ((EMPTY_TAR,), "no disk in /disk"),
        ((tar(("etc/passwd", b"root")),), "no disk in /disk"),
        ((tar(("disk/README.md", b"x")),), "only /disk/README.md, which is no image"),
        ((tar(("images/disk/a.img", b"x")),), "no disk in /disk"),
        ((tar(link("disk/a.img", "/images/a.img")),), "no disk in /disk"),
        ((tar(("disk/a.img", b"")),), "is empty"),
        ((b"",), "cannot be expanded"),
        ((b"not a tar" * 100,), "cannot be expanded"),
        ((tar(("disk/a.img", DISK))[:300_000],), "cannot be expanded"),
    ],
)
def test_a_layer_without_a_disk(tmp_path: Path, layers: tuple[bytes, ...], said: str) -> None:
    assert said in refused(tmp_path, *layers, reason=Reason.SOURCE_NOT_AN_IMAGE)


def test_a_path_that_is_not_there_or_no_file(tmp_path: Path) -> None:
    layers = tar(("disk", None), ("disk/a.img", b"x"), link("b.img", "/disk/a.img"))
    absent = refused(tmp_path, layers, reason=Reason.SOURCE_NOT_FOUND, path="/disk/c.img")
    assert "no file /disk/c.img" in absent
    linked = refused(tmp_path, layers, reason=Reason.SOURCE_NOT_AN_IMAGE, path="b.img")
    assert "/b.img of quay.io/a:1 leads to /disk/a.img" in linked
    folder = refused(tmp_path, layers, reason=Reason.SOURCE_NOT_AN_IMAGE, path="/disk")
    assert "is a folder" in folder


HOSTILE: dict[str, Callable[[], bytes]] = {
    "a way out": lambda: tar(("../../etc/passwd", b"x"), ("disk/a.img", DISK)),
    "a way out in the middle": lambda: tar(("disk/../../a.img", DISK)),
    "the disk twice": lambda: tar(("disk/a.img", DISK), ("./disk/a.img", b"x")),
    "a disk in gzip in a layer": lambda: tar(("disk/a.img", b"\x1f\x8b\x08" + DISK)),
    "more files than any": lambda: tar(("x", None)) [:512] * (2**18 + 2) + EMPTY_TAR,
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_layers_that_are_made_to_do_harm(tmp_path: Path, name: str) -> None:
    assert "not safe" in refused(tmp_path, HOSTILE[name](), reason=Reason.UNSAFE_IMAGE)


def bomb(folder: Path, name: str) -> bytes:
    """Return a layer with a file of 200 MB of zeros, which zstd makes to next to nothing."""
    path = folder / "zeros"
    with path.open("wb") as file:
        file.truncate(200_000_000)
    return layer(folder, {name: path}, "zstd").read_bytes()


@pytest.mark.parametrize("name", ["disk/a.img", "other"])
def test_a_bomb_is_refused_as_the_disk_and_beside_it(tmp_path: Path, name: str) -> None:
    content = bomb(tmp_path, name)
    assert len(content) < 100_000
    assert "limit" in refused(tmp_path / "run", content, reason=Reason.IMAGE_TOO_LARGE)


def test_a_header_that_is_endless_is_not_read_into_memory(tmp_path: Path) -> None:
    header = tarfile.TarInfo("././@LongLink")
    header.type, header.size = tarfile.GNUTYPE_LONGNAME, 4 * MIB
    long = header.tobuf(tarfile.GNU_FORMAT) + b"a" * (4 * MIB) + tar(("disk/a.img", DISK))
    said = refused(tmp_path, long, reason=Reason.SOURCE_NOT_AN_IMAGE)
    assert "headers are too long" in said


def test_many_files_beside_the_disk_are_no_fault(tmp_path: Path) -> None:
    """As of a whole operating system below it: more than the bound of one header."""
    many = tar(*((f"usr/share/{number}", None) for number in range(5000)), ("disk/a.img", DISK))
    assert taken(tmp_path, many) == DISK
