"""Finds a guest's root among the file systems of its disk, and what is mounted into it."""

import posixpath
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from cloudimage.transfer.lint.grub import MOST_READ, Disk, Entry, UnreadableError, Volume

RELEASES: Final = ("/etc/os-release", "/usr/lib/os-release")  # os-release(5)

_SUBVOLUMES: Final = ("/@", "/root", "/@rootfs", "/@root")
"""Where distributions have their root on Btrfs, whose top level GRUB shows."""
_NESTED: Final = (("/@/.snapshots", "/snapshot"),)
"""Snapper's: a folder whose members each have a root; the first there is."""
_DEPLOYED: Final = "/ostree/deploy"
_MOST_TRIED: Final = 16
_MOST_MOUNTS: Final = 64
_ESCAPED: Final = re.compile(r"\\([0-3][0-7]{2})")  # fstab(5): \040 is a space
_WINDOWS: Final = "/Windows/System32/"


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of a file system that becomes one of the guest's.

    Attributes:
        folder: Absolute, without a slash at the end: empty for the file system's own root.
    """

    device: str
    folder: str = ""


@dataclass(frozen=True)
class Root:
    """A guest's files by the paths that they have when it runs.

    One that cannot be read is remembered, and is as if it were not there: what else is in the guest
    is to be known all the same.

    Attributes:
        release: What its os-release says, by the names of os-release(5).
        cut: Paths of files that are larger than what is read of them.
        unreadable: Why files and folders cannot be read, by path.
    """

    disk: Disk
    place: Place
    release: Mapping[str, str]
    mounts: Mapping[str, Place] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)

    def read(self, path: str) -> str | None:
        """Return the beginning of a file as text; None if it is not there."""
        content = self._beginning(path, MOST_READ + 1)
        if content is None:
            return None
        if len(content) > MOST_READ:
            self.cut.append(path)
        return content[:MOST_READ].decode(errors="surrogateescape")

    def has(self, path: str) -> bool:
        """Return whether there is a file of that path."""
        return self._beginning(path, 1) is not None

    def listings(self, paths: Iterable[str]) -> dict[str, tuple[Entry, ...]]:
        """Return what is in folders, by their paths; nothing where there is no such folder."""
        paths = tuple(dict.fromkeys(paths))
        # Of a folder that is damaged there is as little as of one that is not there.
        all_of_them = tuple(dict.fromkeys([*paths, *map(posixpath.dirname, paths)]))
        try:
            listed = self.disk.listings(map(self._at, all_of_them))
            found = dict(zip(all_of_them, listed, strict=True))
        except UnreadableError:  # one of them
            found = {path: self._listing(path) for path in paths}
        for path in paths:
            folder, name = posixpath.split(path)
            beside = found.get(folder) or ()
            is_there = any(each.name == name and each.size is None for each in beside)
            if found[path] is None and is_there and path not in self.mounts:
                self.unreadable[path] = "nothing in it can be listed"
        return {path: found[path] or () for path in paths}

    def _listing(self, path: str) -> tuple[Entry, ...] | None:
        try:
            return self.disk.listings([self._at(path)])[0]
        except UnreadableError as error:
            self.unreadable[path] = str(error)
            return None

    def _beginning(self, path: str, most: int) -> bytes | None:
        try:
            return self.disk.read(*self._at(path), most)
        except UnreadableError as error:
            self.unreadable[path] = str(error)
            return None

    def _at(self, path: str) -> tuple[str, str]:
        for point in sorted(self.mounts, key=len, reverse=True):
            if path == point or path.startswith(f"{point}/"):
                place = self.mounts[point]
                return place.device, f"{place.folder}{path.removeprefix(point)}" or "/"
        return self.place.device, f"{self.place.folder}{path}"


def find_root(disk: Disk, volumes: Iterable[Volume]) -> Root | None:
    """Return the first root of a guest, by its os-release, or None.

    Raises:
        UnreadableError: None was found, and a file system cannot be read.
    """
    volumes = tuple(volumes)
    failures: list[UnreadableError] = []
    for volume in volumes:
        for folder in _folders(disk, volume, failures):
            for path in RELEASES:
                content = None
                with _remembered(failures):
                    content = disk.read(volume.device, f"{folder}{path}")
                if content is not None and (release := _assigned(content)):
                    root = Root(disk, Place(volume.device, folder), release)
                    return replace(root, mounts=_mounts(root, volumes))
    if failures:
        raise failures[0]
    return None


@contextmanager
def _remembered(failures: list[UnreadableError]) -> Iterator[None]:
    """Have a failure of the block remembered: what is sought may be elsewhere on the disk."""
    try:
        yield
    except UnreadableError as error:
        failures.append(error)


def is_windows(disk: Disk, volumes: Iterable[Volume]) -> bool:
    """Return whether Windows is on one of the file systems.

    Raises:
        UnreadableError: One cannot be read.
    """
    places = [(each.device, _WINDOWS) for each in volumes if each.kind == "ntfs"]
    return any(disk.listings(places))


def _folders(disk: Disk, volume: Volume, failures: list[UnreadableError]) -> Iterator[str]:
    """Yield the folders of a file system that may be a root."""
    yield ""
    if volume.kind == "btrfs":
        yield from _SUBVOLUMES
        for above, below in _NESTED:
            yield from (f"{each}{below}" for each in _members(disk, volume, above, failures))
    for system in _members(disk, volume, _DEPLOYED, failures):
        yield from _members(disk, volume, f"{system}/deploy", failures)


def _members(disk: Disk, volume: Volume, folder: str, failures: list[UnreadableError]) -> list[str]:
    """Return the folders in a folder; the first of very many."""
    found = None
    with _remembered(failures):
        (found,) = disk.listings([(volume.device, folder)])
    folders = [f"{folder}/{each.name}" for each in found or () if each.size is None]
    return folders[:_MOST_TRIED]


def _assigned(content: bytes) -> dict[str, str]:
    """Return the assignments of an os-release; none where it is something else."""
    found = {}
    for line in content.decode(errors="replace").splitlines():
        name, equals, value = line.strip().partition("=")
        if equals and re.fullmatch("[A-Z][A-Z0-9_]*", name):
            try:
                found[name] = "".join(shlex.split(value))
            except ValueError:  # a quote that is not closed
                found[name] = value
    return found


def _mounts(root: Root, volumes: tuple[Volume, ...]) -> dict[str, Place]:
    """Return what its fstab(5) mounts below its root, of what is on the same disk."""
    found: dict[str, Place] = {}
    for line in (root.read("/etc/fstab") or "").splitlines():
        fields = [_ESCAPED.sub(lambda found: chr(int(found[1], 8)), each) for each in line.split()]
        if len(fields) < 4 or fields[0].startswith("#") or len(found) >= _MOST_MOUNTS:  # noqa: PLR2004 - of its six
            continue
        what, point, _, options = fields[:4]
        volume = _volume(what, volumes)
        if volume is None or not re.fullmatch("(?:/[^/]+)+", point):
            continue
        subvolume = re.search("(?:^|,)subvol=/?([^,]+)", options)
        found[point] = Place(volume.device, f"/{subvolume[1]}" if subvolume else "")
    return found


def _volume(what: str, volumes: tuple[Volume, ...]) -> Volume | None:
    """Return the file system that the first field of fstab(5) means."""
    kind, _, name = what.partition("=")
    name = name.strip('"')
    for each in volumes:
        logical = each.device.removeprefix("lvm/")
        names = {
            "UUID": each.uuid.lower() == name.lower() != "",
            "LABEL": each.label == name != "",
            f"/dev/mapper/{logical}": each.device != logical,
            f"/dev/{logical.replace('-', '/', 1)}": each.device != logical,
        }
        if names.get(kind):
            return each
    return None
