"""The steps from a source to a file that is known, in their order: the same whoever asks."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cloudimage.failpoints import Point, failpoint
from cloudimage.transfer.contract import Checksum, Stage
from cloudimage.transfer.image.expansion import expand
from cloudimage.transfer.image.inspection import Inspected, inspect
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.hashes import Fetched
from cloudimage.transfer.verify.verification import Expected, check_pinned, verify
from cloudimage.vocabulary.image import NOT_DISKS, DiskFormat


@dataclass(frozen=True)
class Wanted:
    """What a file must be, beside what its source says.

    Attributes:
        name: Of the image that it is for.
        declared: Its format, if the user says it.
        min_disk: GiB that its disk must fit in, if any.
        pinned: Checksum of the file that the image was made from before, if any.
    """

    name: str = ""
    declared: DiskFormat | None = None
    min_disk: int | None = None
    pinned: Checksum | None = None


@dataclass(frozen=True)
class Examined:
    """A file that was verified, unpacked and inspected.

    Attributes:
        path: Where it is, unpacked.
        found: What it is.
        fetched: What came of its source.
        left_out: Sentences for the user: what of the source file is not in it.
    """

    path: Path
    found: Inspected
    fetched: Fetched
    left_out: tuple[str, ...]


def examine(
    fetch: Callable[[Path], Fetched], expected: Expected, wanted: Wanted, context: Context
) -> Examined:
    """Fetch a file, verify it, unpack and inspect it.

    Args:
        fetch: Puts the source file at a path.
        expected: What proves it.
        wanted: What it must be.
        context: The transfer's folder, limits and tools.

    Raises:
        TransferError: Those of fetching, of the proof, of unpacking and of inspection.
    """
    limits, meter, tools = context.limits, context.meter, context.tools
    path = context.folder / "source"
    left_out: list[str] = []
    fetched = fetch(path)
    failpoint(Point.FETCHED, wanted.name)
    meter.start(Stage.VERIFYING)
    check_pinned(wanted.pinned, fetched.checksums)
    verify(expected, path, tools)
    failpoint(Point.VERIFIED, wanted.name)
    if wanted.declared not in NOT_DISKS:  # a ramdisk is compressed, and stays so
        path = expand(path, limits, tools, meter, context.cache, left_out.append)
    meter.start(Stage.INSPECTING)
    proven = expected.proves_the_file
    found = inspect(path, wanted.declared, wanted.min_disk, limits, tools, verified=proven)
    failpoint(Point.INSPECTED, wanted.name)
    return Examined(path, found, fetched, tuple(left_out))
