"""What a file is decided to be, and what is refused, with real files of every format."""

import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.transfer.contract import DiskFormat, Limits, Reason, TransferError
from cloudimage.transfer.image.conversion import TargetFormat, convert
from cloudimage.transfer.image.inspection import inspect, is_fixed_vhd
from cloudimage.transfer.image.qemu_checks import data_end
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.tools.toolbox import Toolbox
from support.transfer_images import DISK_SIZE, MIB, make, qemu_img


@pytest.fixture
def image(tmp_path: Path) -> Path:
    return tmp_path / "source"


def look(
    path: Path,
    declared: DiskFormat | None = None,
    min_disk: int | None = None,
    limits: Limits | None = None,
) -> tuple[str, int, int]:
    tools = Toolbox(path.parent, memory=2 * 2**30, cpu_seconds=60)
    found = inspect(path, declared, min_disk, limits or Limits(), tools)
    return found.format, found.size, found.virtual_size


def refusal(
    path: Path,
    declared: DiskFormat | None = None,
    min_disk: int | None = None,
    limits: Limits | None = None,
) -> TransferError:
    with pytest.raises(TransferError) as caught:
        look(path, declared, min_disk, limits)
    return caught.value


FORMATS: list[tuple[str, str, str]] = [
    ("qcow2", "qcow2", ""),
    ("qcow2", "qcow2", "compat=0.10"),
    ("vmdk", "vmdk", ""),
    ("vmdk", "vmdk", "subformat=streamOptimized"),
    ("vdi", "vdi", ""),
    ("vhd", "vpc", "force_size=on"),
    ("vhd", "vpc", "force_size=on,subformat=fixed"),
    ("vhdx", "vhdx", ""),
]


@pytest.mark.parametrize(("name", "qemu", "options"), FORMATS)
def test_format_and_virtual_size(
    disk: Path, image: Path, name: str, qemu: str, options: str
) -> None:
    make(disk, image, qemu, options)
    assert look(image) == (name, image.stat().st_size, DISK_SIZE)


def test_compressed_qcow2(disk: Path, image: Path) -> None:
    make(disk, image, "qcow2", compress=True)
    assert look(image) == ("qcow2", image.stat().st_size, DISK_SIZE)


def test_partitioned_raw(disk: Path, image: Path) -> None:
    shutil.copy(disk, image)
    assert look(image) == ("raw", DISK_SIZE, DISK_SIZE)


def test_a_verified_disk_may_leave_out_the_empty_end_of_its_partition(
    disk: Path, image: Path
) -> None:
    """As OpenWrt publishes disks; without a checksum it may as well have been cut."""
    image.write_bytes(disk.read_bytes()[:-MIB])
    assert refusal(image).reason is Reason.SOURCE_TRUNCATED
    tools = Toolbox(image.parent, memory=2 * 2**30, cpu_seconds=60)
    found = inspect(image, None, None, Limits(), tools, verified=True)
    assert (found.format, found.size) == ("raw", DISK_SIZE - MIB)


@pytest.mark.parametrize(
    ("offset", "magic"), [(0x438, b"\x53\xef"), (0, b"XFSB"), (0x10040, b"_BHRfS_M"), (0, b"hsqs")]
)
def test_bare_file_system(image: Path, offset: int, magic: bytes) -> None:
    image.write_bytes(bytes(offset) + magic + bytes(MIB))
    assert look(image)[0] == "raw"


def iso(image: Path, boot: bytes = b"") -> None:
    block = bytearray(2048)
    block[:7] = b"\x01CD001\x01"
    struct.pack_into("<I", block, 80, 100)
    struct.pack_into("<H", block, 128, 2048)
    image.write_bytes(boot.ljust(32768, b"\0") + block + bytes(512 * 1024))


def test_iso(image: Path) -> None:
    iso(image)
    assert look(image) == ("iso", image.stat().st_size, image.stat().st_size)


def test_iso_that_boots_from_a_disk_too(disk: Path, image: Path) -> None:
    iso(image, disk.read_bytes()[:512])
    assert look(image)[0] == "iso"


def test_two_formats_at_once(image: Path) -> None:
    iso(image, b"QFI\xfb\0\0\0\3")
    assert refusal(image).reason is Reason.UNSAFE_IMAGE


def test_empty(image: Path) -> None:
    image.touch()
    assert refusal(image).reason is Reason.SOURCE_NOT_AN_IMAGE


def test_any_bytes_are_no_image(image: Path) -> None:
    image.write_bytes(b"some text, or an error of some server\n" * 10000)
    error = refusal(image)
    assert error.reason is Reason.SOURCE_NOT_AN_IMAGE
    assert "declare the source's format as raw" in error.message


def test_any_bytes_declared_as_raw(image: Path) -> None:
    image.write_bytes(b"some text" * 10000)
    assert look(image, "raw") == ("raw", 90000, 90000)


@pytest.mark.parametrize("declared", ["ami", "aki", "ari", "ploop"])
def test_shapeless_formats(image: Path, declared: DiskFormat) -> None:
    image.write_bytes(b"a kernel" * 10000)
    assert look(image, declared)[0] == declared


def test_compressed_file_is_told(image: Path) -> None:
    image.write_bytes(b"\xfd7zXZ\x00" + bytes(100000))
    error = refusal(image)
    assert error.reason is Reason.SOURCE_NOT_AN_IMAGE
    assert "xz" in error.message


@pytest.mark.parametrize("declared", ["raw", "vmdk", "iso", "aki"])
def test_qcow2_declared_as_something_else(disk: Path, image: Path, declared: DiskFormat) -> None:
    make(disk, image, "qcow2")
    error = refusal(image, declared)
    assert error.reason is Reason.UNSAFE_IMAGE
    assert f"declared as {declared}, but it is qcow2" in error.message


def test_raw_declared_as_qcow2(disk: Path, image: Path) -> None:
    shutil.copy(disk, image)
    assert refusal(image, "qcow2").reason is Reason.UNSAFE_IMAGE


def backing_file(disk: Path, image: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-b", disk, "-F", "raw", image)


def data_file(disk: Path, image: Path) -> None:
    option = f"data_file={disk.with_name('data')}"
    qemu_img("create", "-q", "-f", "qcow2", "-o", option, image, "8M")


def unknown_feature(disk: Path, image: Path) -> None:
    make(disk, image, "qcow2")
    with image.open("r+b") as file:
        file.seek(72)
        file.write(bytes([0x80]))


def vmdk_extent(disk: Path, image: Path) -> None:
    image.write_text(
        '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\n'
        f'RW 16384 FLAT "{disk}" 0\n' + "#" * 600
    )


def vmdk_extent_inside(disk: Path, image: Path) -> None:
    make(disk, image, "vmdk")
    content = image.read_bytes()
    image.write_bytes(content.replace(b'SPARSE "source"', b'SPARSE "/a/b/c"'))


def differencing_vhd(disk: Path, image: Path) -> None:
    make(disk, image, "vpc", "force_size=on")
    with image.open("r+b") as file:
        file.seek(60)
        file.write(struct.pack(">I", 4))


def qed(disk: Path, image: Path) -> None:
    make(disk, image, "qed")


@pytest.mark.parametrize(
    "build",
    [
        backing_file,
        data_file,
        unknown_feature,
        vmdk_extent,
        vmdk_extent_inside,
        differencing_vhd,
        qed,
    ],
)
def test_unsafe(disk: Path, image: Path, build: Callable[[Path, Path], None]) -> None:
    build(disk, image)
    assert refusal(image).reason is Reason.UNSAFE_IMAGE


def test_virtual_size_is_refused_before_a_tool_opens_it(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    qemu_img("create", "-q", "-f", "qcow2", image, "100T")
    monkeypatch.setenv("PATH", "")
    error = refusal(image)
    assert error.reason is Reason.IMAGE_TOO_LARGE
    assert str(100 * 2**40) in error.message


def test_min_disk(image: Path) -> None:
    qemu_img("create", "-q", "-f", "qcow2", image, "3G")
    write = ["qemu-io", "-f", "qcow2", "-c", "write 1M 64k", str(image)]
    subprocess.run(write, check=True, timeout=60, stdout=subprocess.DEVNULL)
    assert look(image, min_disk=3)[0] == "qcow2"
    assert look(image, min_disk=0)[0] == "qcow2"  # Glance's default, which is no minimum
    error = refusal(image, min_disk=2)
    assert error.reason is Reason.IMAGE_TOO_LARGE
    assert "3.0 GiB (3221225472 bytes)" in error.message
    assert "2 GiB" in error.message


def test_virtual_size_limit_is_inclusive(disk: Path, image: Path) -> None:
    make(disk, image, "qcow2")
    assert look(image, limits=Limits(max_virtual_size=DISK_SIZE))[2] == DISK_SIZE
    error = refusal(image, limits=Limits(max_virtual_size=DISK_SIZE - 1))
    assert error.reason is Reason.IMAGE_TOO_LARGE


@pytest.mark.parametrize("made", [each for each in FORMATS if "fixed" not in each[2]])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_truncated(disk: Path, image: Path, made: tuple[str, str, str], part: float) -> None:
    make(disk, image, made[1], made[2])
    with image.open("r+b") as file:
        file.truncate(int(image.stat().st_size * part))
    assert refusal(image).reason in {
        Reason.SOURCE_TRUNCATED,
        Reason.SOURCE_NOT_AN_IMAGE,
        Reason.UNSAFE_IMAGE,
    }


@pytest.mark.parametrize("qemu", ["qcow2", "vdi", "vmdk"])
def test_one_byte_short(disk: Path, image: Path, qemu: str) -> None:
    make(disk, image, qemu)
    with image.open("r+b") as file:
        file.truncate(image.stat().st_size - 1)
    assert refusal(image).reason is Reason.SOURCE_TRUNCATED


def test_compressed_data_cut_within_its_last_cluster(disk: Path, image: Path) -> None:
    """Nothing tells so but reading the data, which a conversion does in any case."""
    make(disk, image, "qcow2", compress=True)
    content = image.read_bytes().rstrip(b"\0")
    image.write_bytes(content[:-600])
    tools = Toolbox(image.parent, memory=2 * 2**30, cpu_seconds=60)
    found = inspect(image, None, None, Limits(), tools)
    assert not found.proven
    for wanted in (None, "qcow2"):
        with pytest.raises(TransferError) as caught:
            convert(image, found, TargetFormat(wanted), tools, Meter(lambda _: None))
        assert caught.value.reason is Reason.SOURCE_TRUNCATED
    payload = convert(image, found, TargetFormat("raw"), tools, Meter(lambda _: None))
    with pytest.raises(TransferError) as caught:
        sum(map(len, payload.open()))
    assert caught.value.reason is Reason.CONVERSION_FAILED


def test_corrupt_tables(disk: Path, image: Path) -> None:
    make(disk, image, "qcow2")
    with image.open("r+b") as file:
        l1_offset = struct.unpack(">Q", image.read_bytes()[40:48])[0]
        file.seek(l1_offset)
        file.write(struct.pack(">Q", 1 << 63 | 1 << 40))
    assert refusal(image).reason is Reason.SOURCE_TRUNCATED


def test_header_alone(image: Path) -> None:
    image.write_bytes(b"QFI\xfb" + struct.pack(">IQIIQ", 3, 0, 0, 16, DISK_SIZE) + bytes(480))
    assert refusal(image).reason in {Reason.SOURCE_NOT_AN_IMAGE, Reason.SOURCE_TRUNCATED}


def test_fixed_vhd_needs_a_size_that_fits() -> None:
    footer = b"conectix" + bytes(40) + (1000).to_bytes(8) + bytes(4) + (2).to_bytes(4)
    footer = footer.ljust(512, b"\0")
    assert is_fixed_vhd(footer, 1512)
    assert not is_fixed_vhd(footer, 1511)
    assert not is_fixed_vhd(footer[:-1], 1512)
    assert not is_fixed_vhd(b"x" + footer[1:], 1512)


def test_end_of_data() -> None:
    lines = [
        b'[{ "start": 0, "length": 10, "data": true, "offset": 90},\n',
        b'{ "start": 10, "length": 5, "data": false, "zero": true, "offset": 500},\n',
        b'{ "start": 15, "length": 5, "data": true, "offset": 20}]\n',
    ]
    assert data_end(lines) == (100, False)
    assert data_end([b'[{ "start": 0, "length": 10, "data": true}]']) == (0, True)
    assert data_end([b"[]\n"]) == (0, False)


def test_zlib_is_not_an_image(image: Path) -> None:
    image.write_bytes(zlib.compress(b"x" * MIB))
    assert refusal(image).reason is Reason.SOURCE_NOT_AN_IMAGE
