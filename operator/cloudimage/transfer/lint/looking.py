"""Looks into an image as a transfer asks for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from cloudimage.sizes import size_text
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.findings import LintMode, LintResult
from cloudimage.transfer.image.inspection import Inspected
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.lint.grub import Disk, UnreadableError
from cloudimage.transfer.lint.roots import find_root, is_windows
from cloudimage.transfer.lint.rules import findings
from cloudimage.transfer.lint.system import gather
from cloudimage.transfer.scratch import Cache
from cloudimage.transfer.tools.toolbox import Output, Toolbox, ToolError, image

MOST_UNASKED: Final = 4 * 2**30
"""Bytes of data that are unpacked for a look that was not asked for: about half a minute's work."""

LOOK_SECONDS: Final = 120.0
"""For all reading of one image; a usual one takes two or three."""

_READER_MEMORY: Final = 512 * 2**20
_READER_CPU_SECONDS: Final = 30
_OTHERS: Final = frozenset({"freebsd", "openbsd", "netbsd", "dragonfly", "illumos", "solaris"})
"""``ID`` of systems with an os-release that are not Linux: their passwords are elsewhere."""
_NO_DISK: Final = "{} has no file systems of a guest that could be looked into"
HOW_TO_ASK: Final = "set spec.lint to Warn or Enforce to have it done"


class LintError(TransferError):
    """An image was refused for what is in it.

    Attributes:
        result: What was found.
    """

    def __init__(self, result: LintResult) -> None:
        message = f"{result.message} spec.lint is Enforce: nothing was uploaded"
        super().__init__(Reason.LINT_FAILED, message)
        self.result = result


@dataclass(frozen=True, slots=True)
class Subject:
    """A file to look into.

    Attributes:
        path: Where it is, in the toolbox's folder.
        found: What it is.
    """

    path: Path
    found: Inspected


def look_into(subject: Subject, mode: LintMode, tools: Toolbox, cache: Cache) -> LintResult | None:
    """Return what is in an image; None if nobody wants to know.

    Args:
        subject: The image as it will be in Glance.
        mode: Whether to, and whether findings are a failure.
        tools: To read it.
        cache: Has the room for a copy in which file systems can be read.

    Raises:
        LintError: ``Enforce``, and there are findings.
        TransferError: ``Enforce``, and there is no room, a program is missing or takes too long,
            or the image cannot be unpacked.
    """
    if mode == "Skip":
        return None
    try:
        result = _looked(subject, mode, tools, cache)
    except TransferError as error:
        if mode == "Enforce":
            raise
        result = LintResult.unknown("NotLookedInto", error.message)
    if mode == "Enforce" and result.outcome == "FindingsFound":
        raise LintError(result)
    return result


def unseen(mode: LintMode) -> LintResult | None:
    """Return what is known of an image whose bytes were not at hand; None: nobody asked."""
    if mode == "Skip":
        return None
    why = f"its bytes went into Glance without a file to read them from; {HOW_TO_ASK}"
    return LintResult.unknown("NotLookedInto", why)


def _looked(subject: Subject, mode: LintMode, tools: Toolbox, cache: Cache) -> LintResult:
    shape = subject.found.format
    if shape not in QEMU_FORMATS:
        return LintResult.unknown("FileSystemUnknown", _NO_DISK.format(shape))
    size = _copy_bytes(subject, tools)
    # Nobody else's file has to go for what was not asked for.
    fits = size <= MOST_UNASKED and cache.missing(_copy_of(subject), size) <= 0
    if mode == "Auto" and size and not fits:
        why = f"its {size_text(size)} of data would have to be unpacked first; {HOW_TO_ASK}"
        return LintResult.unknown("NotLookedInto", why)
    with _as_raw(subject, size, tools, cache) as name:
        return _read(name, tools)


def _read(name: str, tools: Toolbox) -> LintResult:
    """Return what is on a raw disk."""
    reader = replace(
        tools, memory=_READER_MEMORY, cpu_seconds=_READER_CPU_SECONDS, lists_folders=True
    ).within(LOOK_SECONDS)
    disk = Disk(name, reader)
    try:
        volumes = disk.volumes()
        root = find_root(disk, volumes)
        if root is not None and root.release.get("ID") not in _OTHERS:
            return LintResult.of(findings(gather(root)), root.release.get("PRETTY_NAME", "Linux"))
        if root is not None or is_windows(disk, volumes):
            name = "Windows" if root is None else root.release["ID"]
            why = f"it has {name}, for which there are no rules"
        elif volumes:
            kinds = ", ".join(dict.fromkeys(each.kind for each in volumes))
            why = f"none of its file systems ({kinds}) has an /etc/os-release"
        else:
            why = "no file system was recognised on it"
    except UnreadableError as error:
        why = f"its file system cannot be read: {error}"
    return LintResult.unknown("FileSystemUnknown", why)


def _copy_bytes(subject: Subject, tools: Toolbox) -> int:
    """Return the bytes of the copy that a look takes; 0: the file itself can be read."""
    shape = subject.found.format
    if shape == "raw":
        return 0
    opened = image(subject.path.name, QEMU_FORMATS[shape])
    try:
        measured = tools.json("qemu-img", "measure", "--output=json", "-O", "qcow2", *opened)
    except ToolError as error:
        raise _damaged(error) from error
    return int(measured["required"])


def _copy_of(subject: Subject) -> Path:
    return subject.path.with_name("looked-into")


@contextmanager
def _as_raw(subject: Subject, size: int, tools: Toolbox, cache: Cache) -> Iterator[str]:
    """Have a raw disk beside the block: the file itself, or a sparse copy of so many bytes."""
    if subject.found.format == "raw":
        yield subject.path.name
        return
    copy = _copy_of(subject)
    opened = image(subject.path.name, QEMU_FORMATS[subject.found.format])
    try:
        with cache.room(copy) as room:
            room.reserve(size)
            output = Output(copy.name, subject.found.virtual_size)
            tools.run("qemu-img", "convert", "-O", "raw", *opened, copy.name, output=output)
        yield copy.name
    except ToolError as error:
        raise _damaged(error) from error
    finally:
        copy.unlink(missing_ok=True)


def _damaged(error: ToolError) -> TransferError:
    return TransferError(
        Reason.CONVERSION_FAILED, f"the image cannot be read to its end: {error.message}"
    )
