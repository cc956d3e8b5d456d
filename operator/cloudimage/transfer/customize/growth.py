"""How the disk grows, and with it the root partition and its file system; pure.

By guestfish: virt-resize would copy the disk and give its partitions other numbers, which images
with a boot partition of a higher number (Debian's, Ubuntu's) do not survive. In place, nothing
moves: the last partition of the disk ends later.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from cloudimage.sizes import size_text

DEVICE: Final = "/dev/sda"
"""The disk, by libguestfs' own name for it."""

_SECTOR: Final = 512
_TAIL: Final = 2048
"""Sectors that stay free at the end of a GPT, a MiB: sgdisk leaves as many as there are in front of
the first partition, 34 to 2048, of which the table's backup takes 33."""
_LARGEST_MBR: Final = 2**32 * _SECTOR
_EXTENDED: Final = range(5, 1000)
"""Numbers of the partitions inside an extended one."""

_GROWERS: Final = {
    "ext2": ("e2fsck-f", "resize2fs"),
    "ext3": ("e2fsck-f", "resize2fs"),
    "ext4": ("e2fsck-f", "resize2fs"),
    "xfs": ("xfs-growfs",),
    "btrfs": ("btrfs-filesystem-resize",),
}
_MOUNTED: Final = frozenset({"xfs", "btrfs"})
_NUMBER: Final = re.compile(r"part_num: ([0-9]{1,4})")
_END: Final = re.compile(r"part_end: ([0-9]{1,18})")

_LOOK: Final = (
    *("run", ":", "echo", "roots", ":", "inspect-os"),
    *(":", "echo", "systems", ":", "list-filesystems"),
    *(":", "echo", "table", ":", "-part-get-parttype", DEVICE),
    *(":", "echo", "partitions", ":", "-part-list", DEVICE),
)


class CannotGrowError(Exception):
    """The image is of a layout that is not grown; the message says which."""


@dataclass(frozen=True)
class Place:
    """Where the root file system is.

    Attributes:
        partition: Its number; None: the disk has no partitions, but this file system.
        table: ``gpt`` or ``msdos``.
        system: Which file system.
    """

    partition: int | None
    table: str
    system: str


def look() -> tuple[str, ...]:
    """Return the commands of guestfish that say what is on the disk."""
    return _LOOK


def place_of(lines: Iterable[str]) -> Place:
    """Return where the root file system is, by the output of :func:`look`.

    Raises:
        CannotGrowError: It is missing, something is behind it, or it is in something else.
    """
    said = _sections(lines)
    roots = [each.removeprefix("btrfsvol:").strip() for each in said["roots"] if each.strip()]
    if len(roots) != 1:
        raise CannotGrowError(f"the image has {len(roots) or 'no'} operating systems")
    root = roots[0]
    systems = dict(each.rpartition(": ")[::2] for each in said["systems"])
    system = systems.get(root) or systems.get(f"btrfsvol:{root}") or "an unknown file system"
    device = "/".join(root.split("/")[:3]) if root.startswith(DEVICE) else root
    number = _partition(device, said)
    if system not in _GROWERS:
        raise CannotGrowError(f"its root has {system}: only {', '.join(_GROWERS)} are grown")
    table = next(iter(said["table"]), "")
    return Place(number, table if number is not None else "", system)


def _partition(device: str, said: dict[str, list[str]]) -> int | None:
    if device == DEVICE:
        return None
    number = device.removeprefix(DEVICE)
    if not number.isdecimal():
        raise CannotGrowError(f"its root is in {device}, which is no partition (LVM, perhaps)")
    numbers = [int(each[1]) for line in said["partitions"] if (each := _NUMBER.search(line))]
    ends = [int(each[1]) for line in said["partitions"] if (each := _END.search(line))]
    last = max(zip(ends, numbers, strict=True), default=(0, 0))[1]
    table = next(iter(said["table"]), "")
    if table not in {"gpt", "msdos"}:
        raise CannotGrowError(f"its table of partitions is {table or 'unknown'}, not GPT or MBR")
    if int(number) != last:
        raise CannotGrowError(
            f"its root partition (number {number}) is not the last of the disk, which is number "
            f"{last}: nothing is moved"
        )
    if table == "msdos" and last in _EXTENDED:
        raise CannotGrowError(f"its root partition (number {number}) is in an extended one")
    return int(number)


def _sections(lines: Iterable[str]) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {"roots": [], "systems": [], "table": [], "partitions": []}
    current: list[str] = []
    for line in lines:
        if line in said:
            current = said[line]
        else:
            current.append(line)
    return said


def grow(place: Place, size: int) -> tuple[str, ...]:
    """Return the commands of guestfish that have the root fill a disk.

    Args:
        place: Where it is.
        size: Bytes of the disk, which has them already.

    Raises:
        CannotGrowError: The table cannot express it.
    """
    commands: list[tuple[str, ...]] = [("run",)]
    device = DEVICE
    if place.partition is not None:
        device = f"{DEVICE}{place.partition}"
        if place.table == "gpt":
            commands.append(("part-expand-gpt", DEVICE))
            end = size // _SECTOR - _TAIL - 1
        elif size > _LARGEST_MBR:
            raise CannotGrowError(f"its MBR cannot express more than {size_text(_LARGEST_MBR)}")
        else:
            end = size // _SECTOR - 1
        commands.append(("part-resize", DEVICE, str(place.partition), str(end)))
    if place.system in _MOUNTED:
        commands.append(("mount", device, "/"))
        device = "/"
    commands += [(each, device) for each in _GROWERS[place.system]]
    return tuple(word for command in commands for word in (*command, ":"))[:-1]
