"""Disks that grow for real, with what is on them, as other programs see it afterwards."""

import os
import subprocess
from pathlib import Path

import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.customize import model
from support.customizing import Bench, Guest
from support.guests import CLEAN, Kind, Table, disk, file_system, tree
from testbed import packages
from testbed.images.libguestfs import small_debian

GIB = 2**30
MIB = 2**20
GROWN = model.GrowRoot(gib=2)
GUEST = {**CLEAN, "etc/fstab": "", "bin": Path("usr/bin"), "usr/bin/sh": "", "usr/bin/bash": ""}

pytestmark = [
    pytest.mark.timeout(1800),
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="mmdebstrap and the packages need root"),
]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    packages.ensure("customize")


def run(*words: object, stdin: str = "") -> str:
    command = list(map(str, words))
    done = subprocess.run(command, capture_output=True, text=True, input=stdin, check=False)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


def bench(folder: Path, raw: Path) -> Bench:
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, folder / "source")
    return Bench(folder)


def table_of(raw: Path) -> list[str]:
    """Return the partitions, but not where they end."""
    lines = run("/usr/sbin/sfdisk", "--dump", raw).splitlines()
    told = [each.partition(": ")[2] for each in lines if each.startswith(str(raw))]
    return [
        ",".join(part for part in each.split(",") if not part.strip().startswith("size="))
        for each in told
    ]


def test_a_real_debian_as_its_cloud_images_are_laid_out(folder: Path, tmp_path: Path) -> None:
    """The root is number 1, and the last on the disk; a later step has the room."""
    root, raw = tmp_path / "root", tmp_path / "raw"
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", small_debian(), root)
    raw.touch()
    os.truncate(raw, root.stat().st_size + 8 * MIB)
    layout = (
        "label: gpt\nfirst-lba: 34\n"
        "14: start=2048, size=6144, type=21686148-6449-6E6F-744E-656564454649\n"
        f"1: start=8192, size={root.stat().st_size // 512}, type=linux, name=root\n"
    )
    run("/usr/sbin/sfdisk", "--quiet", raw, stdin=layout)
    run("dd", f"if={root}", f"of={raw}", "bs=1M", "seek=4", "conv=notrunc,sparse")
    root.unlink()
    before = table_of(raw)
    room = model.Run(files={"text": "set -e; df -B1 --output=size / | tail -n 1 > /opt/size"})
    made = bench(folder, raw).run(GROWN, room)
    assert [(each.step, each.result) for each in made.results] == [
        ("growRoot", "Succeeded"),
        ("run", "Succeeded"),
    ]
    assert made.found.virtual_size == 2 * GIB
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", made.path, raw)
    assert raw.stat().st_size == 2 * GIB
    assert table_of(raw) == before
    assert "No errors detected" in run("/usr/sbin/sfdisk", "--verify", raw)
    run("dd", f"if={raw}", f"of={root}", "bs=1M", "skip=4", "conv=sparse")
    guest = Guest(root)
    guest.check()
    assert int(guest.text("/opt/size")) > 1.8 * GIB


@pytest.mark.parametrize(
    ("kind", "table"), [("btrfs", "dos"), ("xfs", "gpt"), ("ext4", "none")], ids=str
)
def test_every_file_system_fills_its_disk(
    folder: Path, tmp_path: Path, kind: Kind, table: Table
) -> None:
    system = file_system(tmp_path / "system", kind, tree(tmp_path / "guest", GUEST))
    raw = disk(tmp_path / "raw", table, system)
    made = bench(folder, raw).run(GROWN)
    assert made.found.virtual_size == 2 * GIB
    run("qemu-img", "convert", "-f", "qcow2", "-O", "raw", made.path, raw)
    start = 0 if table == "none" else MIB
    part = tmp_path / "part"
    run("dd", f"if={raw}", f"of={part}", "bs=1M", f"skip={start // MIB}", "conv=sparse")
    os.truncate(part, 2 * GIB - start)
    if kind == "btrfs":
        said = run("btrfs", "inspect-internal", "dump-super", part)
        sizes = [line.split()[1] for line in said.splitlines() if line.startswith("total_bytes")]
        (size,) = map(int, sizes)
        run("btrfs", "check", part)
    elif kind == "xfs":
        said = run("/usr/sbin/xfs_db", "-r", "-c", "sb 0", "-c", "p dblocks blocksize", part)
        blocks, length = (int(line.split()[-1]) for line in said.splitlines())
        size = blocks * length
        run("/usr/sbin/xfs_repair", "-n", "-f", part)
    else:
        Guest(part).check()
        said = run("/usr/sbin/dumpe2fs", "-h", part)
        facts = dict(each.partition(":")[::2] for each in said.splitlines())
        size = int(facts["Block count"]) * int(facts["Block size"])
    assert 0 <= 2 * GIB - start - size < 3 * MIB


def test_a_root_that_is_not_the_last_is_left_alone(folder: Path, tmp_path: Path) -> None:
    root = file_system(tmp_path / "root", "ext4", tree(tmp_path / "guest", GUEST))
    other = file_system(tmp_path / "other", "vfat", tree(tmp_path / "empty", {"a": "b"}))
    raw = disk(tmp_path / "raw", "gpt", root, other)
    with pytest.raises(TransferError, match="is not the last of the disk") as caught:
        bench(folder, raw).run(GROWN, model.HostnameReset())
    assert caught.value.reason is Reason.CUSTOMIZE_FAILED
    assert [each.result for each in caught.value.customize] == ["Failed", "NotRun"]
