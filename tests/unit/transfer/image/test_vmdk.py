"""VMDKs of other writers than qemu; oslo.utils and qemu-img are asked too."""

from pathlib import Path

import pytest
from oslo_utils.imageutils import format_inspector

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.image.conversion import TargetFormat, convert
from cloudimage.transfer.image.inspection import inspect
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.tools.toolbox import Toolbox
from support import vmdk_writers
from support.transfer_images import qemu_img


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


def arrived(source: Path) -> bytes:
    """Return the bytes that Glance would get as raw."""
    tools = Toolbox(source.parent, memory=2 * 2**30, cpu_seconds=60)
    found = inspect(source, None, None, Limits(), tools)
    assert found.format == "vmdk"
    payload = convert(source, found, TargetFormat("raw"), tools, Meter(lambda _: None))
    return b"".join(payload.open())


@pytest.mark.parametrize("writer", vmdk_writers.WRITERS)
def test_the_whole_disk_arrives(writer: str, disk: Path, source: Path) -> None:
    vmdk_writers.write(disk, source, vmdk_writers.WRITERS[writer])
    qemu_img("compare", "-f", "raw", "-F", "vmdk", disk, source)
    format_inspector.detect_file_format(str(source)).safety_check()
    assert arrived(source) == disk.read_bytes()


@pytest.mark.parametrize(
    "name",
    ["/usr/obj/build/disk.vmdk", "a/b", "nbd:127.0.0.1:9", "C:\\disk.vmdk", "a\nRW 1 FLAT b"],
)
def test_a_name_that_leads_elsewhere_is_refused(name: str, disk: Path, source: Path) -> None:
    vmdk_writers.write(disk, source, vmdk_writers.MKIMG.replace('""', f'"{name}"'))
    with pytest.raises(TransferError) as caught:
        arrived(source)
    assert caught.value.reason is Reason.UNSAFE_IMAGE


def test_a_parent_is_refused_whatever_the_extent_is_called(disk: Path, source: Path) -> None:
    descriptor = vmdk_writers.MKIMG.replace("ffffffff", "00000001")
    vmdk_writers.write(disk, source, descriptor)
    with pytest.raises(TransferError, match="parent") as caught:
        arrived(source)
    assert caught.value.reason is Reason.UNSAFE_IMAGE
