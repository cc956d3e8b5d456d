"""Takes a disk out of the layers of a container image, which are tar archives; pure but for bytes.

Nothing is unpacked: names are compared, and the bytes of one file are taken. What upper layers
remove or replace is not there (OCI image spec, "Image Layer Filesystem Changeset").
"""

import tarfile
from typing import IO, Any, Final, cast

from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image.archives import (
    LARGEST_COMPANION,
    Bounded,
    Say,
    Sink,
    is_described,
    unsafe,
)

FOLDER: Final = ("disk",)
"""Where a containerDisk has its disk (https://kubevirt.io/user-guide/storage/containerdisks/)."""

_WHITEOUT: Final = ".wh."
_OPAQUE: Final = ".wh..wh..opq"
_MOST_MEMBERS: Final = 2**18
_CHUNK: Final = 256 * 2**10

Path = tuple[str, ...]


class DiskInLayers:
    """Looks through layers, from the topmost down; :meth:`take` is called with each.

    Attributes:
        found: The path of the disk in the image; None: not found yet.
    """

    def __init__(self, path: str | None, where: str) -> None:
        """Prepare.

        Args:
            path: Of the disk; None: it is the only file in ``/disk``.
            where: The image, for people.
        """
        self.found: str | None = None
        self._wanted = None if path is None else _parts(path)
        self._where = where
        self._hidden: set[Path] = set()
        self._opaque: set[Path] = set()
        self._others: list[str] = []

    @property
    def is_settled(self) -> bool:
        """Whether no lower layer can change what was found."""
        return self.found is not None and self._wanted is not None

    def take(self, content: Bounded, sink: Sink, _: Say) -> None:
        """Write the disk to a sink, if it is in this layer.

        Args:
            content: The layer, decompressed.
            sink: Takes the disk.

        Raises:
            TransferError: ``SourceNotAnImage``, ``UnsafeImage`` and those of the sink.
            Exception: One of ``archives.ERRORS``; the layer is damaged.
        """
        hidden, opaque = set[Path](), set[Path]()
        members, passed = 0, 0
        with content.headers(), tarfile.open(fileobj=content.file(), mode="r|") as archive:
            while (member := archive.next()) is not None:
                cast("Any", archive).members.clear()  # the library keeps all of them
                members += 1
                if members > _MOST_MEMBERS:
                    raise unsafe(f"a layer has over {_MOST_MEMBERS} files")
                path = _parts(member.name)
                if member.isreg() and self._is_disk(path, member):
                    self._begin(path)
                    sink.expect(member.size)
                    with content.contents():
                        sink.copy(_content(archive, member))
                elif member.isreg():
                    passed += member.size
                    sink.expect(passed)
                    _pass_over(archive, member, content)
                self._note(path, member, hidden, opaque)
                with content.contents():
                    pass  # each header has the whole bound
        self._hidden |= hidden
        self._opaque |= opaque
        with content.headers():  # what is behind the archive's end is padding, or a bomb
            while content.read(_CHUNK):
                pass

    def check(self) -> None:
        """Check that there was a disk.

        Raises:
            TransferError: ``SourceNotFound`` for a path, or ``SourceNotAnImage``.
        """
        if self.found is not None:
            return
        if self._wanted is not None:
            raise TransferError(
                Reason.SOURCE_NOT_FOUND, f"{self._where} has no file {_shown(self._wanted)}"
            )
        but = f", only {', '.join(self._others[:3])}, which is no image" if self._others else ""
        raise TransferError(
            Reason.SOURCE_NOT_AN_IMAGE,
            f"{self._where} has no disk in /disk{but}. It is no containerDisk; if its disk is "
            "elsewhere, give that as spec.source.oci.path",
        )

    def _is_disk(self, path: Path, member: tarfile.TarInfo) -> bool:
        if not self._is_relevant(path) or self._is_covered(path):
            return False
        if self._wanted is not None:
            return path == self._wanted
        if len(path) != len(FOLDER) + 1 or path[-1].startswith(_WHITEOUT):
            return False
        if member.size <= LARGEST_COMPANION and is_described(path[-1]):
            self._others.append(_shown(path))
            return False
        return True

    def _begin(self, path: Path) -> None:
        shown = _shown(path)
        if self.found is not None and self.found == shown:
            raise unsafe(f"a layer has {shown} twice")
        if self.found is not None:
            raise TransferError(
                Reason.SOURCE_NOT_AN_IMAGE,
                f"{self._where} has several disks ({self.found}, {shown}): give the path of one as "
                "spec.source.oci.path",
            )
        self.found = shown

    def _note(
        self, path: Path, member: tarfile.TarInfo, hidden: set[Path], opaque: set[Path]
    ) -> None:
        """Note what a member hides of lower layers."""
        if not path or not self._is_relevant(path):
            return
        *folder, name = path
        if name == _OPAQUE:
            opaque.add(tuple(folder))
        elif name.startswith(_WHITEOUT):
            hidden.add((*folder, name.removeprefix(_WHITEOUT)))
        elif not member.isdir():
            hidden.add(path)
        if path == self._wanted and not member.isreg() and not self._is_covered(path):
            to = f"leads to {plain(member.linkname)[:200]}" if member.linkname else "is a folder"
            raise TransferError(
                Reason.SOURCE_NOT_AN_IMAGE,
                f"{_shown(path)} of {self._where} {to}: give the path of the file itself",
            )

    def _is_relevant(self, path: Path) -> bool:
        """Return whether a path may be the disk's, or of a folder above it."""
        *folder, name = path or ("",)
        stripped = (*folder, name.removeprefix(_WHITEOUT))
        within = self._wanted or FOLDER
        above = stripped == within[: len(stripped)] or name == _OPAQUE
        return above or (self._wanted is None and tuple(folder) == FOLDER)

    def _is_covered(self, path: Path) -> bool:
        """Return whether an upper layer removes a file, or has another in its place."""
        above = [path[:length] for length in range(len(path) + 1)]
        return not self._hidden.isdisjoint(above) or not self._opaque.isdisjoint(above[:-1])


def _pass_over(archive: tarfile.TarFile, member: tarfile.TarInfo, content: Bounded) -> None:
    file = _content(archive, member)
    with content.contents():
        while file.read(_CHUNK):
            pass


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    if content is None:
        raise unsafe(f"its member {plain(member.name)[:80]!r} is not a file")
    return content


def _parts(name: str) -> Path:
    """Return the parts of a name in a layer, from its root.

    Raises:
        TransferError: ``UnsafeImage`` if it leads out of that, though nothing is unpacked.
    """
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    if ".." in parts or "\0" in name:
        raise unsafe(f"a layer's file {plain(name)[:80]!r} would be written outside of it")
    return parts


def _shown(path: Path) -> str:
    return plain("/" + "/".join(path))[:200]
