"""Small images of large disks: the same data named again and again, in every format."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.image import qemu_checks
from cloudimage.transfer.image.inspection import inspect
from cloudimage.transfer.tools.toolbox import Toolbox
from support.amplified_images import compressed_qcow2, qcow2, vdi, vhd, vhdx, vmdk
from support.hostile_images import Build, converted
from support.transfer_images import MIB, raw_disk

SIZE = 8 * MIB
QEMU_IMG = shutil.which("qemu-img")


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    raw_disk(path, SIZE)
    return path


def refusal(path: Path, limits: Limits | None = None) -> TransferError:
    tools = Toolbox(path.parent, memory=2 * 2**30, cpu_seconds=60)
    with pytest.raises(TransferError) as caught:
        inspect(path, None, None, limits or Limits(max_virtual_size=8 * 2**40), tools)
    return caught.value


AMPLIFIED = {
    "qcow2": qcow2(64),
    "qcow2 of 4 TiB": qcow2(4096),
    "compressed qcow2": compressed_qcow2(64),
    "VMDK": vmdk(64),
    "streamed VMDK": vmdk(64, compressed=True),
    "VHD": vhd(64),
    "VHDX": vhdx(64),
}


@pytest.mark.parametrize("name", AMPLIFIED)
def test_amplified_image(name: str, small_disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "source"
    AMPLIFIED[name](small_disk, path)
    assert path.stat().st_size < 10 * MIB
    began = time.monotonic()
    error = refusal(path)
    assert time.monotonic() - began < 10
    assert error.reason is Reason.UNSAFE_IMAGE, error.message
    assert "again and again" in error.message


def test_amplified_vdi_is_damaged_for_its_driver(small_disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "source"
    vdi(64)(small_disk, path)
    assert refusal(path).reason is Reason.SOURCE_TRUNCATED


def test_disk_of_4_tib_is_over_the_default(small_disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "source"
    qcow2(4096)(small_disk, path)
    assert refusal(path, Limits()).reason is Reason.IMAGE_TOO_LARGE


SOUND: list[tuple[str, Build]] = [
    ("qcow2", converted("qcow2")),
    ("qcow2 of small clusters", converted("qcow2", "cluster_size=512")),
    ("qcow2 with all of its tables", converted("qcow2", "preallocation=metadata")),
    ("qcow2 with all of its data", converted("qcow2", "preallocation=full")),
    ("compressed qcow2", converted("qcow2", compress=True)),
    ("VMDK", converted("vmdk")),
    ("streamed VMDK", converted("vmdk", "subformat=streamOptimized")),
    ("VDI", converted("vdi")),
    ("static VDI", converted("vdi", "static=on")),
    ("VHD", converted("vpc", "force_size=on")),
    ("fixed VHD", converted("vpc", "subformat=fixed,force_size=on")),
    ("VHDX", converted("vhdx", "block_size=1M")),
    ("VHDX of large blocks", converted("vhdx", "block_size=256M")),
    ("fixed VHDX", converted("vhdx", "subformat=fixed")),
    ("fixed VHDX of large blocks", converted("vhdx", "subformat=fixed,block_size=256M")),
]


@pytest.mark.parametrize(("name", "build"), SOUND, ids=[name for name, _ in SOUND])
def test_sound_image(name: str, build: Build, small_disk: Path, tmp_path: Path) -> None:
    """However densely it is filled."""
    path = tmp_path / "source"
    build(small_disk, path)
    tools = Toolbox(tmp_path, memory=2 * 2**30, cpu_seconds=60)
    assert inspect(path, None, None, Limits(), tools).virtual_size % SIZE == 0


def test_nothing_but_zeros_in_tables_is_empty(small_disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "source"
    qcow2(64, 1)(small_disk, path)
    error = refusal(path)
    assert error.reason is Reason.SOURCE_NOT_AN_IMAGE
    assert "is empty" in error.message


def test_amount_of_data() -> None:
    lines = [b'{"start": 0, "length": 60, "data": true, "offset": 0}'] * 2
    assert qemu_checks.data_end(lines, 120) == (60, False)
    with pytest.raises(qemu_checks._AmplifiedError):
        qemu_checks.data_end(lines, 119)


def test_truncated_image_is_not_called_amplified() -> None:
    lines = [b'{"start": 0, "length": 60, "data": true, "offset": 60}'] * 2
    assert qemu_checks.data_end(lines, 100) == (120, False)


def test_more_pieces_than_bytes() -> None:
    lines = [b'{"start": 0, "length": 512, "data": false}'] * 101
    assert qemu_checks.data_end(lines, 101) == (0, False)
    with pytest.raises(qemu_checks._AmplifiedError):
        qemu_checks.data_end(lines, 100)


@contextmanager
def standing_still(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str) -> Iterator[None]:
    """Put a qemu-img in place that does something else than to read an image."""
    programs = folder / "bin"
    programs.mkdir()
    (programs / "qemu-img").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "qemu-img").chmod(0o755)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(programs), prepend=":")
        yield


@pytest.mark.parametrize(
    "script", ["exec sleep 60", "printf '[{ \"start\": 0,'; exec sleep 60", "exec yes '{}'"]
)
def test_inspection_ends_by_the_clock(
    script: str, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a program does that waits instead of computing, and has no use for CPU seconds."""
    path = tmp_path / "source"
    converted("qcow2")(small_disk, path)
    began = time.monotonic()
    with standing_still(monkeypatch, tmp_path, f'[ "$1" = map ] || exec {QEMU_IMG} "$@"\n{script}'):
        error = refusal(path, Limits(inspect_seconds=3))
    assert time.monotonic() - began < 20
    assert error.reason is Reason.CONVERSION_FAILED, error.message
    assert "qemu-img took too long" in error.message


@pytest.mark.parametrize(
    "output", ["x" * 10_000, "[1]", '{"data": true}', "{" * 100_000, "[" * 9999]
)
@pytest.mark.parametrize("command", ["map", "info", "check"])
def test_output_that_makes_no_sense(
    command: str, output: str, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that was taken over may write anything."""
    path = tmp_path / "source"
    converted("qcow2")(small_disk, path)
    (tmp_path / "output").write_text(output)
    script = f'[ "$1" = {command} ] || exec {QEMU_IMG} "$@"\ncat {tmp_path}/output'
    with standing_still(monkeypatch, tmp_path, script):
        tools = Toolbox(tmp_path, memory=2 * 2**30, cpu_seconds=60)
        with suppress(TransferError):
            inspect(path, None, None, Limits(), tools)
