"""Reads a guest's files with grub-fstest: GRUB's own drivers of file systems, as a program.

One program reads partition tables, LVM, ext2 to ext4, XFS, Btrfs, FAT and more, without mounting
anything; docs/decisions/0023 compares it with others. It is meant for tests of those drivers, so
its output is for people. What it says of an image is what the image has it say: only a list of
devices whose names are of a known form is believed, and the names of files are only ever used as
paths inside the same device.
"""

import os
import re
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.tools.toolbox import Toolbox, ToolError

MOST_READ: Final = 2**20
"""Bytes of one file; files of this kind have some kilobytes."""

_PROGRAMS: Final = ("grub-fstest", "grub2-fstest")
"""Of Debian, and of Fedora and SUSE."""
_MOST_VOLUMES: Final = 64
_ENDED: Final = frozenset({-signal.SIGXCPU, -signal.SIGKILL})
"""By a limit of time, or by the kernel for want of memory: neither says anything of the image."""
_LONGEST_PATH: Final = 4096
_LONGEST_NAME: Final = 255
_VOLUME: Final = re.compile(
    rb"^\t?(?:Device|Partition) ((?:loop0|lvm/|md/)[\w,/.+-]*): Filesystem type (\S+?)[ ,]"
    rb"(?:- Label `(?P<label>.*?)')?(?:.*UUID (?P<uuid>[\w-]+))?",
    re.MULTILINE | re.ASCII,
)
_ENTRY: Final = re.compile(rb"^(DIR|\d+) *(?:\d{14,} )?(.+)$", re.MULTILINE)
_MARKER: Final = "(proc)"
"""A device of GRUB's own, whose line stands between the listings of two folders."""
_MARKED: Final = re.compile(rb"^Device proc: Filesystem type procfs.*\n", re.MULTILINE)
_BATCH_LENGTH: Final = 8192
_ABSENT: Final = re.compile(
    r"(?:not found|not a directory|not a regular file|too deep nesting of symlinks)\.?$"
)


class UnreadableError(Exception):
    """A file system is damaged, or has something that the program does not know."""


@dataclass(frozen=True, slots=True)
class Volume:
    """A part of a disk with a file system on it.

    Attributes:
        device: What GRUB calls it, such as ``loop0,gpt1`` or ``lvm/vg0-root``.
        kind: What GRUB calls its file system.
        label: The file system's label, or empty.
        uuid: The file system's, or empty.
    """

    device: str
    kind: str
    label: str = ""
    uuid: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """A member of a folder.

    Attributes:
        size: Bytes of a file; None for a folder.
    """

    name: str
    size: int | None


class Disk:
    """The file systems on a raw disk."""

    def __init__(self, name: str, tools: Toolbox) -> None:
        """Remember the disk.

        Args:
            name: Of its file, in the toolbox's folder.
            tools: To run the program, which wants to see that there is a folder ``/``.
        """
        self._name = name
        self._tools = tools
        self._program = next(filter(shutil.which, _PROGRAMS), _PROGRAMS[0])

    def volumes(self) -> tuple[Volume, ...]:
        """Return the file systems on it, in the order of the disk.

        Raises:
            UnreadableError: The disk cannot be read.
            TransferError: The program is missing, takes too long, or was ended.
        """
        found = [
            Volume(
                os.fsdecode(match[1]),
                os.fsdecode(match[2]),
                os.fsdecode(match["label"] or b""),
                os.fsdecode(match["uuid"] or b""),
            )
            for match in _VOLUME.finditer(self._run("ls", "-l"))
        ]
        return tuple(found[:_MOST_VOLUMES])

    def read(self, device: str, path: str, most: int = MOST_READ + 1) -> bytes | None:
        """Return the first bytes of a file; or None if there is no such file.

        Symbolic links lead to files of the same file system only, a few of them at the most.

        Raises:
            UnreadableError: It cannot be read.
            TransferError: As for :meth:`volumes`.
        """
        if not _is_path(path):
            return None
        try:
            return self._run("cat", f"({device}){path}", options=("-n", str(most)))[:most]
        except _AbsentError:
            return None

    def listings(self, places: Iterable[tuple[str, str]]) -> list[tuple[Entry, ...] | None]:
        """Return what is in folders, with files that can be opened; None: there is no such folder.

        Args:
            places: A device and a path for each.

        Raises:
            UnreadableError: One cannot be read to its end.
            TransferError: As for :meth:`volumes`.
        """
        places = tuple(places)
        names = [f"({device}){path.rstrip('/')}/" for device, path in places if _is_path(path)]
        try:
            found = iter(list(self._listed(names)))
        except _AbsentError:
            if len(places) > 1:
                raise
            return [None]
        return [next(found) if _is_path(path) else None for _, path in places]

    def _listed(self, names: Iterable[str]) -> Iterator[tuple[Entry, ...] | None]:
        for batch in _batches(names):
            words = [word for name in batch for word in (name, _MARKER)]
            *listed, rest = _MARKED.split(self._run("ls", "-l", "-a", *words))
            if len(listed) != len(batch) or rest.strip():
                raise UnreadableError("the listing of its folders is invalid")
            yield from map(_entries, listed)

    def _run(self, *words: str, options: tuple[str, ...] = ()) -> bytes:
        try:
            return self._tools.run(self._program, *options, self._name, "--", *words)
        except ToolError as error:
            if error.status > 0 and _ABSENT.search(error.message):
                raise _AbsentError from error
            if error.status in _ENDED:
                raise TransferError(
                    Reason.CONVERSION_FAILED, f"the image cannot be looked into: {error.message}"
                ) from error
            raise UnreadableError(
                error.message.removeprefix(f"{self._program}: error: ")
            ) from error


class _AbsentError(UnreadableError):
    """There is no file of that name."""


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield names, as many at once as one program may be given."""
    batch: list[str] = []
    for name in names:
        batch.append(name)
        if sum(map(len, batch)) > _BATCH_LENGTH:
            yield batch
            batch = []
    if batch:
        yield batch


def _entries(output: bytes) -> tuple[Entry, ...] | None:
    """Return what a listing has; nothing is written for a folder that is not there."""
    if not output:
        return None
    if output != b"\n" and not output.endswith(b"\n\n"):  # the only sign of a failure
        raise UnreadableError("a folder cannot be read to its end")
    found = []
    for match in _ENTRY.finditer(output):
        size, name = match[1], os.fsdecode(match[2])
        if size == b"DIR":
            found.append(Entry(name.removesuffix("/"), None))
        else:
            found.append(Entry(name, int(size)))
    return tuple(each for each in found if each.name not in {".", ".."})


def _is_path(path: str) -> bool:
    """Return whether a path can be one: names in an image are whatever somebody wrote there."""
    encoded = os.fsencode(path)
    short = len(encoded) <= _LONGEST_PATH and max(map(len, encoded.split(b"/"))) <= _LONGEST_NAME
    return short and path.startswith("/") and "\0" not in path
