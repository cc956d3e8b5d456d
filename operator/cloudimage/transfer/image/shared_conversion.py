"""What several transfers make of the same bytes is made once."""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Thread

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image.conversion import (
    Payload,
    TargetFormat,
    as_file,
    convert_to_file,
    largest,
    qcow2_size,
)
from cloudimage.transfer.image.inspection import Inspected
from cloudimage.transfer.image.qemu_formats import QEMU_FORMATS
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.scratch import Cache, Note, redacted_name
from cloudimage.transfer.tools.toolbox import Toolbox

_log = logging.getLogger(__name__)


@dataclass
class SharedConversion:
    """Converts a file for all transfers that want the same of it.

    The bytes are known by their hash: whoever asks has fetched them with credentials of its own.

    Attributes:
        sha256: Of the source file.
        others: Returns whether other transfers are making the same of the same source.
    """

    cache: Cache
    sha256: str
    others: Callable[[], bool]
    _keys: set[str] = field(default_factory=set)

    def convert(
        self, path: Path, found: Inspected, wanted: TargetFormat, tools: Toolbox, meter: Meter
    ) -> Payload | None:
        """Return the converted file; None: nobody else wants it, or there is no room to keep it.

        Raises:
            TransferError: ``ConversionFailed``.
        """
        shape, key = wanted.format, self._key(found, wanted)
        if shape in {None, found.format} or {shape, found.format} - QEMU_FORMATS.keys():
            return None
        if not (self.cache.holds(key) or self.others()):
            return None
        self._keys.add(key)
        target = path.with_name("shared")
        try:
            with self.cache.entry(key) as entry:
                if entry.note() is None or not entry.data.exists():
                    needed = largest(path.name, found, shape, tools)
                    # What is raw has holes; a qcow2 has the same data, and tables.
                    entry.room.reserve(needed or qcow2_size(path.name, found, tools))
                    made = convert_to_file(path, found, wanted, tools, meter)
                    made.replace(entry.part)
                    entry.finish(Note(url=key, validator=None, total=entry.part.stat().st_size))
                entry.give(target)
        except TransferError as error:
            if error.reason is not Reason.INSUFFICIENT_SCRATCH:
                raise
            _log.info("converted for this transfer alone: %s", error.message)
            return None
        hashed = partial(self._sha512, target, redacted_name(f"sha512 of {key}"))
        Thread(target=_tried, args=(hashed,), daemon=True).start()
        return replace(as_file(target, shape), sha512=hashed)

    def _sha512(self, path: Path, key: str) -> str:
        """Return the hash of a converted file, computed unless another transfer has done so."""
        self._keys.add(key)
        with self.cache.entry(key) as entry:
            if entry.note() is None or not entry.data.exists():
                with path.open("rb") as file:
                    entry.part.write_text(hashlib.file_digest(file, "sha512").hexdigest())
                entry.finish(Note(url=key, validator=None, total=None))
            return entry.data.read_text()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Remove after the block what was converted, unless others may still want it."""
        try:
            yield
        finally:
            if not self.others():
                for key in self._keys:
                    self.cache.remove(key)

    def _key(self, found: Inspected, wanted: TargetFormat) -> str:
        made = [self.sha256, found.format, found.size, wanted.format, wanted.compress]
        return redacted_name(json.dumps(["converted", *made]))


def _tried(compute: Callable[[], str]) -> None:
    """Compute beside the upload; whoever needs the result meets the failure again."""
    with suppress(OSError):
        compute()
