"""What Glance would refuse of the result is refused before it gets the first byte."""

from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image.glance_rules import check_result
from support.fake_glance import TransferBench
from support.glance_inputs import CHS, FIXED, GIVEN, HYBRID, MORE, OLD_PARTED, Given
from support.hostile_images import content, of
from testbed.sources import Sources


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TransferBench:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return TransferBench(scratch, monkeypatch)


@pytest.mark.parametrize("given", GIVEN.values(), ids=GIVEN)
def test_verdict(given: Given, disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "image"
    given.build(disk, path)

    def check() -> None:
        chunks = (path.read_bytes()[at : at + 2**20] for at in range(0, path.stat().st_size, 2**20))
        check_result(given.shape, given.container, lambda: chunks, converted=False)

    if given.refused is None:
        check()
    else:
        with pytest.raises(TransferError, match="Glance would refuse the image") as caught:
            check()
        assert given.refused in caught.value.message


@pytest.mark.parametrize("shape", ["qcow2", "vmdk", "vhdx"])
@pytest.mark.parametrize(("table", "words"), [(OLD_PARTED, CHS), (HYBRID, MORE)])
def test_table_in_a_converted_disk(
    shape: str,
    table: bytes,
    words: str,
    bench: TransferBench,
    sources: Sources,
    unique: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "image"
    of(content(table), shape)(path, path)
    source = {"type": "http", "url": sources.put(unique, path)}
    with pytest.raises(TransferError, match="refuse the converted image as raw") as caught:
        bench.run(source, "raw")
    assert caught.value.reason is Reason.UNSAFE_IMAGE
    assert words in caught.value.message
    assert bench.glance.posts == 0
    assert bench.run(source, "vdi").disk_format == "vdi"


@pytest.mark.parametrize("wanted", [None, "vhd"])
def test_fixed_vhd_that_is_kept(
    wanted: str | None,
    bench: TransferBench,
    sources: Sources,
    unique: str,
    disk: Path,
    tmp_path: Path,
) -> None:
    path = tmp_path / "image"
    FIXED(disk, path)
    source = {"type": "http", "url": sources.put(unique, path)}
    with pytest.raises(TransferError, match=r"spec\.image\.diskFormat") as caught:
        bench.run(source, wanted)
    assert caught.value.reason is Reason.UNSUPPORTED_FORMAT
    assert bench.glance.posts == 0
    assert bench.run(source, "raw").disk_format == "raw"
    assert bench.glance.stored == disk.read_bytes()
