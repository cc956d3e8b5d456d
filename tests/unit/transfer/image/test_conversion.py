"""How much a conversion may write."""

from pathlib import Path
from typing import get_args

import pytest

from cloudimage.transfer.contract import Limits
from cloudimage.transfer.image.conversion import TargetFormat, convert, largest
from cloudimage.transfer.image.inspection import Inspected
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.vocabulary.image import DiskFormat
from support.transfer_images import MIB, make, raw_disk

SIZE = 64 * MIB


@pytest.fixture
def tools(tmp_path: Path) -> Toolbox:
    return Toolbox(tmp_path, Limits().tool_memory, Limits().tool_cpu_seconds)


@pytest.mark.parametrize("wanted", sorted(QEMU_FORMATS.keys() - {"raw"}))
def test_no_conversion_writes_more_than_was_reserved(tools: Toolbox, wanted: DiskFormat) -> None:
    path = tools.folder / "source"
    raw_disk(path, SIZE)
    shape: DiskFormat = "raw"
    if wanted == "qcow2":
        shape = "vmdk"
        make(path, tools.folder / "disk", shape)
        path = tools.folder / "disk"
    found = Inspected(shape, path.stat().st_size, SIZE)
    bound = largest(path.name, found, wanted, tools)
    convert(path, found, TargetFormat(wanted), tools, Meter(lambda _: None))
    written = (tools.folder / "converted").stat().st_blocks * 512
    assert written <= bound <= SIZE + 24 * MIB


def test_sparse_disk_needs_little(tools: Toolbox) -> None:
    path = tools.folder / "source"
    raw_disk(path, 4 * MIB)
    with path.open("ab") as file:
        file.truncate(10 * 2**30)
    found = Inspected("raw", 10 * 2**30, 10 * 2**30)
    assert largest(path.name, found, "vmdk", tools) < 32 * MIB


def test_what_is_not_converted_into_a_file(tools: Toolbox) -> None:
    for shape in get_args(DiskFormat):
        found = Inspected(shape, SIZE, SIZE)
        for wanted in (None, "raw", shape, "iso"):
            assert largest("source", found, wanted, tools) == 0
