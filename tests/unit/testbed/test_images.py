"""The test bed's images are what they claim to be, and the bootable one boots."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from oslo_utils.imageutils import format_inspector

from testbed import packages
from testbed.images import BOOT_MESSAGE, Format, bootable_qcow2, disk

MIB = 1 << 20
BOOT_SECONDS = 120
# What content inspection calls a format where it is not Glance's name.
INSPECTED = {"raw": "gpt"}

needs_programs = pytest.mark.skipif(
    bool(packages.missing()), reason=packages.advice(packages.missing())
)


def qemu_img(*words: str | Path) -> str:
    command = ["qemu-img", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def raw_content(path: Path, image_format: str) -> bytes:
    target = path.with_suffix(".plain")
    source = {"vhd": "vpc"}.get(image_format, image_format)
    qemu_img("convert", "-f", source, "-O", "raw", path, target)
    return target.read_bytes()


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("raw")
    return disk(folder / "disk", "raw", virtual_size=9 * MIB, data_bytes=2 * MIB).read_bytes()


def test_a_raw_disk_has_a_partition_with_data(raw: bytes) -> None:
    assert len(raw) == 9 * MIB
    assert raw[510:512] == b"\x55\xaa"
    assert int.from_bytes(raw[454:458], "little") * 512 == MIB
    assert int.from_bytes(raw[458:462], "little") * 512 == 8 * MIB
    assert raw[512:MIB] == bytes(MIB - 512)
    assert 0 not in raw[MIB : 3 * MIB]
    assert raw[3 * MIB :] == bytes(6 * MIB)


@pytest.mark.parametrize("image_format", ["qcow2", "vmdk", "vdi", "vhd", "vhdx"])
def test_every_format_holds_the_same_disk(tmp_path: Path, raw: bytes, image_format: Format) -> None:
    path = disk(tmp_path / "disk", image_format, virtual_size=9 * MIB, data_bytes=2 * MIB)
    assert raw_content(path, image_format) == raw


@pytest.mark.parametrize("image_format", get_args(Format))
def test_content_inspection_knows_every_format(tmp_path: Path, image_format: Format) -> None:
    path = disk(tmp_path / "disk", image_format)
    found = format_inspector.detect_file_format(str(path))
    assert found is not None
    assert str(found) == INSPECTED.get(image_format, image_format)
    found.safety_check()
    if image_format not in {"raw", "iso"}:  # these do not say how large they are
        assert found.virtual_size == 8 * MIB


def test_the_seed_decides_the_data(tmp_path: Path) -> None:
    one, same, other = (
        disk(tmp_path / f"disk-{number}", "raw", seed=seed).read_bytes()
        for number, seed in enumerate((1, 1, 2))
    )
    assert one == same
    assert one != other


def test_compression_shrinks_the_file(tmp_path: Path) -> None:
    plain = disk(tmp_path / "plain")
    small = disk(tmp_path / "small", compress=True)
    assert small.stat().st_size < 0.7 * plain.stat().st_size
    assert raw_content(small, "qcow2") == raw_content(plain, "qcow2")


def test_a_large_disk_takes_little_space(tmp_path: Path) -> None:
    path = disk(tmp_path / "disk", virtual_size=1 << 40, data_bytes=0)
    assert json.loads(qemu_img("info", "--output=json", path))["virtual-size"] == 1 << 40
    assert path.stat().st_size < MIB


@pytest.mark.parametrize(("virtual_size", "data_bytes"), [(MIB, 1), (2 * MIB + 1, 0)])
def test_data_that_does_not_fit_is_refused(
    tmp_path: Path, virtual_size: int, data_bytes: int
) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        disk(tmp_path / "disk", virtual_size=virtual_size, data_bytes=data_bytes)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def serial_console(tmp_path: Path) -> Iterator[Path]:
    """What the bootable image's serial console says, growing while it boots."""
    console = tmp_path / "console"
    drive = f"file={bootable_qcow2()},if=virtio,format=qcow2,snapshot=on"
    program = ("qemu-system-x86_64", "-accel", "tcg", "-m", "256", "-display", "none")
    machine = subprocess.Popen(
        [*program, "-nic", "none", "-serial", f"file:{console}", "-drive", drive]
    )
    yield console
    machine.kill()
    machine.wait()


@needs_programs
def test_the_bootable_image_boots(serial_console: Path) -> None:
    deadline = time.monotonic() + BOOT_SECONDS
    text = ""
    while BOOT_MESSAGE not in text and time.monotonic() < deadline:
        time.sleep(0.2)
        text = serial_console.read_text(errors="replace") if serial_console.exists() else ""
    assert BOOT_MESSAGE in text


@needs_programs
def test_the_bootable_image_is_small_and_made_once() -> None:
    image = bootable_qcow2()
    made = image.stat().st_mtime_ns
    assert bootable_qcow2().stat().st_mtime_ns == made
    assert image.stat().st_size < 32 * MIB
    assert str(format_inspector.detect_file_format(str(image))) == "qcow2"
