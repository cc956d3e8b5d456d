"""``cloudimage save``: an image of Glance as a file, verified by Glance's hash.

Without a conversion the bytes are only read; with one they are fetched, inspected and converted by
the transfer's own stages, with each program confined.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from cloudimage.access.policy import OPEN
from cloudimage.cli.by_hand import bars, refused, workplace
from cloudimage.cli.errors import CommandError
from cloudimage.cli.output import say
from cloudimage.cli.part_file import PartFile, check_free, part_of, usual_mode
from cloudimage.plaintext import plain
from cloudimage.sizes import size_text
from cloudimage.transfer import contract
from cloudimage.transfer.contract import Stage, TransferError
from cloudimage.transfer.examination import Wanted as File
from cloudimage.transfer.examination import examine
from cloudimage.transfer.image.conversion import TargetFormat, convert, largest
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache, telling_when_full
from cloudimage.transfer.source.base import Context
from cloudimage.transfer.source.glance.client import SourceGlance
from cloudimage.transfer.source.glance.download import ImageBytes
from cloudimage.transfer.source.glance.model import GlanceSource
from cloudimage.transfer.source.glance.rules import ShownImage, size_and_format
from cloudimage.transfer.source.hashes import Hashes
from cloudimage.transfer.source.registry import open_source
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.vocabulary.image import DiskFormat

STDOUT: Final = "-"


@dataclass(frozen=True)
class Wanted:
    """What to save, and where to.

    Attributes:
        image_id: The image in Glance.
        cloud: Which cloud has it.
        place: The path of a file, or ``-`` for standard output.
        format: What the file is to be; None: what the image is.
        force: Whether a file that is there may be replaced.
        scratch: Where files go that are converted; None: a folder of the user's own.
        max_scratch: Bytes that they may take.
    """

    image_id: str
    cloud: contract.Cloud
    place: str
    format: DiskFormat | None
    force: bool
    scratch: Path | None
    max_scratch: int


def check_place(place: str, *, force: bool) -> None:
    """Refuse a place that nothing can be saved to, before anything is asked for.

    Raises:
        CommandError: With a sentence.
    """
    if place != STDOUT:
        check_free(Path(place), force=force)
    elif sys.stdout.isatty():
        raise CommandError("An image is nothing for a terminal: redirect the output, or give FILE.")


def run(wanted: Wanted) -> int:
    """Save the image, and say what the file is; return the exit status."""
    limits = contract.Limits(max_scratch=wanted.max_scratch)
    console, mode = Console(stderr=True), usual_mode()
    saved = ""
    with (
        refused(console) as outcome,
        workplace(wanted.scratch, limits) as (folder, cache, _),
        bars(console) as show,
        telling_when_full(),
    ):
        tools = Toolbox(folder, limits.tool_memory, limits.tool_cpu_seconds)
        kept = Cache(cache, limits, shared=True)
        policies = contract.UNRESTRICTED, Meter(show), tools, wanted.cloud, OPEN
        saved = _Saving(wanted, Context(folder, kept, limits, *policies), console, mode).run()
    if saved and wanted.place != STDOUT:
        say(saved)
    return outcome.status


@dataclass(frozen=True)
class _Saving:
    """One image on its way to a file.

    Attributes:
        mode: Of the file.
    """

    wanted: Wanted
    context: Context
    console: Console
    mode: int

    def run(self) -> str:
        """Save the image; return what the file is, as a sentence.

        Raises:
            CommandError: The file cannot be written.
            TransferError: The image cannot be had, or not be converted.
        """
        wanted, context = self.wanted, self.context
        glance = SourceGlance(wanted.cloud, OPEN, context.limits, context.folder)
        image = glance.show(wanted.image_id)
        size, shape = size_and_format(image, context.limits)
        if image.expected is None:
            self._warn(
                "Glance has no hash of the image's bytes, as of one that its store made as a copy: "
                "their size alone is compared"
            )
        content = ImageBytes(glance, image.id, size, context.limits)
        if wanted.format in {None, shape}:
            what = self._kept(content, image)
            return f"{wanted.place}: {shape}, {size_text(size)}, {what}"
        size = self._converted(wanted.format)
        return f"{wanted.place}: {wanted.format}, {size_text(size)}, converted from {shape}"

    def _kept(self, content: ImageBytes, image: ShownImage) -> str:
        """Save the bytes as they are; return what proved them."""
        hashes = Hashes(image.expected)
        if self.wanted.place == STDOUT:
            self.context.meter.start(Stage.FETCHING, content.size)
            _print(self._checked(content.pieces(), hashes))
        else:
            with part_of(Path(self.wanted.place), image.id, self.mode) as part:
                self._received(part, content, image)
                part.finish(force=self.wanted.force)
        proof = image.expected
        return f"matches Glance's {proof.algorithm}" if proof else "of the right size"

    def _received(self, part: PartFile, content: ImageBytes, image: ShownImage) -> None:
        """Bring the part to its end; begin again where what was there of it is wrong."""
        meter = self.context.meter
        meter.start(Stage.FETCHING, content.size)
        hashes, there = Hashes(image.expected), part.size()
        if 0 < there <= content.size:
            hashes.update_from(part.path, meter)
        part.begin(hashes.size)
        for piece in self._counted(content.pieces(hashes.size), hashes):
            part.write(piece)
        if there and not hashes.are_right():
            part.begin(0)
            hashes = Hashes(image.expected)
            for piece in self._counted(content.pieces(), hashes):
                part.write(piece)
        try:
            hashes.check()
        except TransferError:
            part.begin(0)
            raise

    def _counted(self, pieces: Iterable[bytes], hashes: Hashes) -> Iterator[bytes]:
        for piece in pieces:
            hashes.update(piece)
            yield piece
            self.context.meter.count(hashes.size)

    def _checked(self, pieces: Iterable[bytes], hashes: Hashes) -> Iterator[bytes]:
        """Yield the bytes, the last of them only once all are known to be right.

        Raises:
            TransferError: ``ChecksumMismatch``.
        """
        held = b""
        for piece in self._counted(pieces, hashes):
            if held:
                yield held
            held = piece
        hashes.check()
        yield held

    def _converted(self, shape: DiskFormat | None) -> int:
        """Save the image in another format; return the bytes of the file."""
        context, tools, meter = self.context, self.context.tools, self.context.meter
        with open_source(GlanceSource(id=self.wanted.image_id), context) as source:
            expected = source.expect()
            with source.discarding():
                file = File(declared=expected.format)
                examined = examine(source.fetch, expected, file, context)
                for each in examined.left_out:
                    self._warn(each)
                if most := largest(examined.path.name, examined.found, shape, tools):
                    context.cache.reserve(context.folder / "converted", most)
                target = TargetFormat(shape)
                payload = convert(examined.path, examined.found, target, tools, meter)
        meter.start(Stage.CONVERTING, payload.size)
        with closing(payload.open()) as chunks:
            self._write(self._counted(chunks, Hashes(None)), shape)
        return payload.size

    def _write(self, chunks: Iterator[bytes], shape: DiskFormat | None) -> None:
        if self.wanted.place == STDOUT:
            _print(chunks)
            return
        key = f"{self.wanted.image_id}.{shape}"
        with part_of(Path(self.wanted.place), key, self.mode) as part:
            part.begin(0)  # the source is what is kept of a conversion that was broken off
            try:
                for chunk in chunks:
                    part.write(chunk)
                part.finish(force=self.wanted.force)
            except BaseException:
                part.begin(0)
                raise

    def _warn(self, sentence: str) -> None:
        self.console.print(plain(sentence), style="yellow", markup=False, soft_wrap=True)


def _print(chunks: Iterable[bytes]) -> None:
    """Write bytes to standard output.

    Raises:
        CommandError: Who reads it has gone, or its disk is full.
    """
    out = sys.stdout.fileno()
    try:
        for chunk in chunks:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(out, rest) :]
    except OSError as error:
        raise CommandError(f"Standard output cannot be written: {error.strerror}.") from error
