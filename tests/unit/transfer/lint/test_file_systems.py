"""Guests on the file systems, partition tables and formats that cloud images have."""

from pathlib import Path

import pytest

from cloudimage.transfer.findings import LintResult, Rule
from cloudimage.vocabulary.image import DiskFormat
from support.guests import CLEAN, Kind, Table, disk, file_system, tree
from support.lvm import logical_volume
from support.transfer_images import make

from .conftest import Look

ROOTS: tuple[tuple[Kind, Table], ...] = (
    *(("ext4", "gpt"), ("ext4", "dos"), ("ext4", "none"), ("ext3", "dos"), ("ext2", "dos")),
    *(("xfs", "gpt"), ("xfs", "dos"), ("btrfs", "gpt"), ("btrfs", "none")),
)
UUID = "7d2a3f8e-1b4c-4c7a-9d55-0f6e1a2b3c4d"
WITH_PASSWORD = {"etc/shadow": "root:$6$salt$hash:19000:0:99999:7:::\n"}


def rules(result: LintResult) -> list[Rule]:
    return [each.rule for each in result.findings]


@pytest.mark.parametrize(("kind", "table"), ROOTS)
def test_clean_and_not(tmp_path: Path, look: Look, kind: Kind, table: Table) -> None:
    for number, layers in enumerate([(CLEAN,), (CLEAN, WITH_PASSWORD)]):
        folder = tree(tmp_path / f"guest{number}", *layers)
        path = tmp_path / f"disk{number}"
        result = look(disk(path, table, file_system(tmp_path / "system", kind, folder)))
        assert "Debian GNU/Linux 12 (bookworm)" in result.message
        if number:
            assert rules(result) == [Rule.PASSWORD]
        else:
            assert (result.outcome, result.findings) == ("Clean", ())


def test_root_behind_a_boot_partition(tmp_path: Path, look: Look) -> None:
    """As cloud images have it: the EFI system partition, a boot partition, the root."""
    esp = file_system(tmp_path / "esp", "vfat", tree(tmp_path / "1", {"EFI/BOOT/BOOTX64.EFI": "-"}))
    boot = file_system(tmp_path / "boot", "ext4", tree(tmp_path / "2", {"vmlinuz": "-"}))
    root = file_system(tmp_path / "root", "xfs", tree(tmp_path / "3", CLEAN, WITH_PASSWORD))
    assert rules(look(disk(tmp_path / "disk", "gpt", esp, boot, root))) == [Rule.PASSWORD]


@pytest.mark.parametrize("prefix", ["root", "@", "@/.snapshots/1/snapshot"])
def test_root_in_a_folder_of_btrfs(tmp_path: Path, look: Look, prefix: str) -> None:
    """A subvolume looks like one from the top level."""
    files = {f"{prefix}/{name}": content for name, content in (CLEAN | WITH_PASSWORD).items()}
    root = file_system(tmp_path / "root", "btrfs", tree(tmp_path / "guest", files))
    assert rules(look(disk(tmp_path / "disk", "gpt", root))) == [Rule.PASSWORD]


def test_what_fstab_mounts_is_looked_at(tmp_path: Path, look: Look) -> None:
    """Homes and logs have partitions of their own, one by UUID and one by label."""
    home = tree(tmp_path / "1", {"debian/.ssh/authorized_keys": "ssh-ed25519 AAAA me\n"})
    logs = tree(tmp_path / "2", {"syslog": "booted\n"})
    first = file_system(tmp_path / "home", "ext4", home, "-U", UUID)
    second = file_system(tmp_path / "logs", "ext4", logs, "-L", "logs of it")
    fstab = f"# comment\nUUID={UUID} /home ext4 defaults 0 2\n"
    fstab += "LABEL=logs\\040of\\040it /var/log ext4 defaults 0 2\nproc /proc proc none 0 0\n"
    root = file_system(tmp_path / "r", "ext4", tree(tmp_path / "3", CLEAN, {"etc/fstab": fstab}))
    result = look(disk(tmp_path / "disk", "gpt", root, first, second))
    found = {each.rule: each.path for each in result.findings}
    assert found == {
        Rule.AUTHORIZED_KEY: "/home/debian/.ssh/authorized_keys",
        Rule.LOGS: "/var/log/syslog",
    }


def test_home_in_a_subvolume(tmp_path: Path, look: Look) -> None:
    fstab = f"UUID={UUID.upper()} /home btrfs subvol=home,compress=zstd:1 0 0\n"
    files = {f"root/{name}": content for name, content in (CLEAN | {"etc/fstab": fstab}).items()}
    files["home/debian/.zsh_history"] = "passwd\n"
    path = file_system(tmp_path / "root", "btrfs", tree(tmp_path / "guest", files), "-U", UUID)
    (finding,) = look(disk(tmp_path / "disk", "gpt", path)).findings
    assert (finding.rule, finding.path) == (Rule.HISTORY, "/home/debian/.zsh_history")


@pytest.mark.parametrize("home", ["/dev/mapper/vg0-home", "/dev/vg0/home"])
def test_root_on_lvm(tmp_path: Path, look: Look, home: str) -> None:
    """And another volume group for the homes, by either of its names."""
    fstab = {"etc/fstab": f"{home} /home ext4 defaults 0 2\n"}
    files = tree(tmp_path / "1", CLEAN, WITH_PASSWORD, fstab)
    root = logical_volume(tmp_path / "pv", file_system(tmp_path / "r", "xfs", files), "rocky")
    files = tree(tmp_path / "2", {"debian/.bash_history": "ls\n"})
    second = file_system(tmp_path / "h", "ext4", files)
    homes = logical_volume(tmp_path / "pv2", second, "vg0", "home")
    result = look(disk(tmp_path / "disk", "gpt", root, homes))
    assert rules(result) == [Rule.PASSWORD, Rule.HISTORY]


@pytest.mark.parametrize("shape", ["qcow2", "vmdk", "vdi", "vhd", "vhdx"])
def test_any_format(tmp_path: Path, look: Look, shape: DiskFormat) -> None:
    folder = tree(tmp_path / "guest", CLEAN, WITH_PASSWORD)
    raw = disk(tmp_path / "raw", "gpt", file_system(tmp_path / "system", "ext4", folder))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    options = {"vmdk": "subformat=streamOptimized", "vhd": "force_size=on"}.get(shape, "")
    qemu = "vpc" if shape == "vhd" else shape
    make(raw, scratch / "image", qemu, options, compress=shape == "qcow2")
    assert rules(look(scratch / "image", None)) == [Rule.PASSWORD]
    assert [each.name for each in scratch.iterdir()] == ["image"]
