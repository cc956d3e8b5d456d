"""What several transfers make of the same bytes is made once."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image.conversion import (
    Payload,
    TargetFormat,
    as_file,
    convert_to_file,
    largest,
    qcow2_size,
    raw_stream,
)
from cloudimage.transfer.image.growing import GrowingFile
from cloudimage.transfer.image.inspection import Inspected
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache, Note, boot_id, redacted_name
from cloudimage.transfer.tools.toolbox import Toolbox

_log = logging.getLogger(__name__)


@dataclass
class SharedConversion:
    """Converts a file for all transfers that want the same of it.

    The bytes are known by their hash: whoever asks has fetched them with credentials of its own.

    Attributes:
        sha256: Of the source file.
        others: Returns whether other transfers are making the same of the same source.
        grows: Whether a file may be read while it is written: not where several nodes have it.
    """

    cache: Cache
    sha256: str
    others: Callable[[], bool]
    grows: bool = True
    _key: str | None = field(default=None, init=False)
    _growing: GrowingFile | None = field(default=None, init=False)

    def convert(
        self, path: Path, found: Inspected, wanted: TargetFormat, tools: Toolbox, meter: Meter
    ) -> Payload | None:
        """Return the converted bytes; None: nobody else wants them, or there is no room for them.

        Raises:
            TransferError: ``ConversionFailed``.
        """
        shape, key = wanted.format, self._key_of(found, wanted)
        if shape in {None, found.format} or {shape, found.format} - QEMU_FORMATS.keys():
            return None
        if not (self.cache.holds(key) or self.others()):
            return None
        self._key = key
        try:
            if shape == "raw" and self.grows:
                return self._growing_raw(path, found, tools, key)
            return self._whole(path, found, wanted, tools, meter)
        except TransferError as error:
            if error.reason is not Reason.INSUFFICIENT_SCRATCH:
                raise
            _log.info("converted for this transfer alone: %s", error.message)
            return None

    def _growing_raw(self, path: Path, found: Inspected, tools: Toolbox, key: str) -> Payload:
        """Read what is converted while it is: the first bytes are sent at once."""
        # What is raw has holes; a qcow2 has the same data, and tables.
        most = qcow2_size(path.name, found, tools)
        source = raw_stream(path.name, found, tools)
        self._growing = GrowingFile(self.cache, key, path.with_name("shared"), source, most)
        return self._growing.begin()

    def _whole(
        self, path: Path, found: Inspected, wanted: TargetFormat, tools: Toolbox, meter: Meter
    ) -> Payload:
        """Convert into a file that others wait for; qemu does not write it from its beginning."""
        key, target = self._key_of(found, wanted), path.with_name("shared")
        shape = wanted.format or found.format
        with self.cache.entry(key) as entry:
            if entry.note() is None or not entry.data.exists():
                needed = largest(path.name, found, shape, tools)
                entry.room.reserve(needed or qcow2_size(path.name, found, tools))
                made = convert_to_file(path, found, wanted, tools, meter)
                made.replace(entry.part)
                entry.finish(Note(url=key, validator=None, total=entry.part.stat().st_size))
            entry.give(target)
        return as_file(target, shape)

    @contextmanager
    def left(self) -> Iterator[None]:
        """Remove after the block what was converted, unless others may still want it."""
        try:
            yield
        except TransferError:
            if self._growing is not None:
                self._growing.finish(self.others)  # what failed here need not fail for them
            raise
        finally:
            if self._growing is not None:
                self._growing.stop()
            if self._key is not None and not self.others():
                self.cache.remove(self._key)

    def _key_of(self, found: Inspected, wanted: TargetFormat) -> str:
        # What was not written to its end before a machine went down may end anywhere.
        where = boot_id() if self.grows else "all nodes"
        made = [self.sha256, found.format, found.size, wanted.format, wanted.compress, where]
        return redacted_name(json.dumps(["converted", *made]))
