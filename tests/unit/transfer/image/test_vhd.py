"""VHDs of other writers than qemu: every byte of the disk arrives, by whichever way."""

from pathlib import Path

import pytest

from cloudimage.transfer.contract import DiskFormat, Limits, Reason, TransferError
from cloudimage.transfer.image.conversion import TargetFormat, convert, largest
from cloudimage.transfer.image.inspection import Inspected, inspect
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.tools.toolbox import Toolbox
from support.transfer_images import MIB, qemu_img, raw_disk
from support.vhd_writers import BLOCK, CREATORS, dynamic, fixed, footer, geometry

SIZE = 8 * MIB + 5 * 512
"""No geometry says this one."""

WRITERS = {"fixed": fixed, "dynamic": dynamic}


@pytest.fixture(scope="module")
def odd_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    raw_disk(path, SIZE)
    with path.open("r+b") as file:
        file.seek(SIZE - 4096)
        file.write(b"the end of the disk".ljust(4096, b"."))
    return path


def look(path: Path, declared: DiskFormat | None = None) -> tuple[Inspected, Toolbox]:
    tools = Toolbox(path.parent, memory=2 * 2**30, cpu_seconds=60)
    return inspect(path, declared, None, Limits(), tools), tools


def refusal(path: Path, declared: DiskFormat | None = None) -> TransferError:
    with pytest.raises(TransferError) as caught:
        look(path, declared)
    return caught.value


@pytest.mark.parametrize("kind", WRITERS)
@pytest.mark.parametrize("creator", CREATORS)
def test_the_whole_disk_arrives(tmp_path: Path, odd_disk: Path, creator: str, kind: str) -> None:
    path = tmp_path / "source"
    WRITERS[kind](CREATORS[creator])(odd_disk, path)
    found, tools = look(path)
    assert (found.format, found.virtual_size) == ("vhd", SIZE)
    payload = convert(path, found, TargetFormat("raw"), tools, Meter(lambda _: None))
    assert b"".join(payload.open()) == odd_disk.read_bytes()


@pytest.mark.parametrize("wanted", ["qcow2", "vmdk", "vdi", "vhdx"])
def test_the_whole_disk_is_converted(tmp_path: Path, odd_disk: Path, wanted: DiskFormat) -> None:
    path = tmp_path / "source"
    dynamic(CREATORS["VirtualBox"])(odd_disk, path)
    found, tools = look(path)
    assert largest(path.name, found, wanted, tools) > SIZE // 2
    convert(path, found, TargetFormat(wanted), tools, Meter(lambda _: None))
    back = tmp_path / "back"
    formats = ("-f", QEMU_FORMATS[wanted], "-O", "raw")
    qemu_img("convert", *formats, tmp_path / "converted", back)
    assert back.read_bytes() == odd_disk.read_bytes()


@pytest.mark.parametrize("kind", WRITERS)
def test_a_geometry_larger_than_the_disk_adds_nothing(
    tmp_path: Path, odd_disk: Path, kind: str
) -> None:
    path = tmp_path / "source"
    WRITERS[kind](CREATORS["Virtual PC"], chs=(1000, 16, 63))(odd_disk, path)
    assert look(path)[0].virtual_size == SIZE


def test_two_sizes_are_refused(tmp_path: Path, odd_disk: Path) -> None:
    """Glance reads the size at creation, qemu and Hyper-V the current one."""
    path = tmp_path / "source"
    dynamic(CREATORS["Hyper-V"], original=SIZE - MIB)(odd_disk, path)
    error = refusal(path)
    assert error.reason is Reason.UNSAFE_IMAGE
    assert f"{SIZE - MIB} bytes" in error.message
    assert f"{SIZE} bytes" in error.message


def test_two_footers_that_differ_are_refused(tmp_path: Path, odd_disk: Path) -> None:
    path = tmp_path / "source"
    dynamic(CREATORS["Hyper-V"])(odd_disk, path)
    other = footer(SIZE + BLOCK, CREATORS["Hyper-V"], kind=3)
    path.write_bytes(path.read_bytes()[:-512] + other)
    error = refusal(path)
    assert error.reason is Reason.UNSAFE_IMAGE
    assert "footer" in error.message


@pytest.mark.parametrize("size", [SIZE - 512, SIZE + 512, SIZE + MIB])
@pytest.mark.parametrize("declared", [None, "raw", "vhd"])
def test_a_fixed_one_of_another_size_than_its_footer_says(
    tmp_path: Path, odd_disk: Path, size: int, declared: DiskFormat | None
) -> None:
    """As a raw disk it would have a footer at its end, and less or more than the disk had."""
    path = tmp_path / "source"
    fixed(CREATORS["Azure"], size=size)(odd_disk, path)
    error = refusal(path, declared)
    assert error.reason is Reason.UNSAFE_IMAGE
    assert f"{size} bytes" in error.message


def test_a_message_names_the_file_and_not_how_it_is_opened(tmp_path: Path, odd_disk: Path) -> None:
    path = tmp_path / "source"
    dynamic(CREATORS["Hyper-V"])(odd_disk, path)
    data = bytearray(path.read_bytes())
    data[512:520] = b"xxxxxxxx"
    path.write_bytes(data)
    message = refusal(path).message
    assert "json" not in message
    assert "'source'" in message


@pytest.mark.parametrize(
    ("sectors", "chs"),
    [(16384, (240, 4, 17)), (16 * 63 * 1024, (1024, 16, 63)), (2**32, (65535, 16, 255))],
)
def test_geometry_of_the_specification(sectors: int, chs: tuple[int, int, int]) -> None:
    assert geometry(sectors) == chs
