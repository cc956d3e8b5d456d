"""Where the root is, by guestfish's own words, and what has it grow."""

import pytest

from cloudimage.transfer.customize.growth import CannotGrowError, Place, grow, look, place_of

GIB = 2**30
# As guestfish 1.48.6 writes it of Debian's layout: the root is number 1, and the last on the disk.
DEBIAN = """\
roots
/dev/sda1
systems
/dev/sda1: ext4
/dev/sda14: unknown
/dev/sda15: vfat
table
gpt
partitions
[0] = {
  part_num: 14
  part_start: 1048576
  part_end: 4194303
  part_size: 3145728
}
[1] = {
  part_num: 15
  part_start: 4194304
  part_end: 134217727
  part_size: 130023424
}
[2] = {
  part_num: 1
  part_start: 134217728
  part_end: 3220176895
  part_size: 3085959168
}
"""
FEDORA = DEBIAN.replace("/dev/sda1\n", "btrfsvol:/dev/sda1/root\n", 1).replace(
    "/dev/sda1: ext4", "btrfsvol:/dev/sda1/home: btrfs\nbtrfsvol:/dev/sda1/root: btrfs"
)
WHOLE = "roots\n/dev/sda\nsystems\n/dev/sda: ext4\ntable\npartitions\n"
MBR = DEBIAN.replace("gpt", "msdos").replace(": ext4", ": xfs")


def commands(text: str, size: int = 8 * GIB) -> list[str]:
    return " ".join(grow(place_of(text.splitlines()), size)).split(" : ")


def test_the_last_partition_fills_a_gpt() -> None:
    """But for a MiB, in which the backup of the table is; sectors are counted from 0."""
    assert place_of(DEBIAN.splitlines()) == Place(1, "gpt", "ext4")
    assert commands(DEBIAN) == [
        "run",
        "part-expand-gpt /dev/sda",
        f"part-resize /dev/sda 1 {8 * 2**21 - 2048 - 1}",
        "e2fsck-f /dev/sda1",
        "resize2fs /dev/sda1",
    ]


def test_the_last_partition_fills_an_mbr() -> None:
    assert commands(MBR) == [
        "run",
        f"part-resize /dev/sda 1 {8 * 2**21 - 1}",
        "mount /dev/sda1 /",
        "xfs-growfs /",
    ]


def test_a_subvolume_is_in_a_partition() -> None:
    assert place_of(FEDORA.splitlines()) == Place(1, "gpt", "btrfs")
    assert commands(FEDORA)[-2:] == ["mount /dev/sda1 /", "btrfs-filesystem-resize /"]


def test_a_disk_without_partitions() -> None:
    assert commands(WHOLE) == ["run", "e2fsck-f /dev/sda", "resize2fs /dev/sda"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the image has no operating systems"),
        (DEBIAN.replace("/dev/sda1\n", "/dev/sda1\n/dev/sda2\n", 1), "has 2 operating systems"),
        (DEBIAN.replace("/dev/sda1\n", "/dev/vg/root\n", 1), "/dev/vg/root, which is no partition"),
        (DEBIAN.replace("sda1: ext4", "sda1: ufs"), "its root has ufs: only ext2, ext3, "),
        (DEBIAN.replace("sda1: ext4", "sda1: "), "its root has an unknown file system: only"),
        (DEBIAN.replace("gpt", "sun"), "its table of partitions is sun, not GPT or MBR"),
        (
            DEBIAN.replace("part_end: 134217727", "part_end: 9134217727"),
            "(number 1) is not the last of the disk, which is number 15",
        ),
        (
            DEBIAN.replace("gpt", "msdos")
            .replace("sda1\n", "sda5\n", 1)
            .replace("sda1:", "sda5:")
            .replace("part_num: 1\n", "part_num: 5\n"),
            "(number 5) is in an extended one",
        ),
    ],
)
def test_what_is_not_grown_is_said(text: str, said: str) -> None:
    with pytest.raises(CannotGrowError) as caught:
        place_of(text.splitlines())
    assert said in str(caught.value)


def test_an_mbr_has_an_end() -> None:
    with pytest.raises(CannotGrowError, match=r"its MBR cannot express more than 2\.0 TiB"):
        commands(MBR, 2049 * GIB)
    assert commands(MBR, 2048 * GIB)[1].endswith(str(2**32 - 1))


def test_a_look_changes_nothing() -> None:
    said = " ".join(look()).split(" : ")
    assert {each.split()[0] for each in said} == {
        *("run", "echo", "inspect-os", "list-filesystems", "-part-get-parttype", "-part-list")
    }
