"""A file as HTTP sees it: its validators, and which of its bytes a request is about."""

import email.utils
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from testbed.sources import ranges
from testbed.sources.wish import Fault, Wish


@dataclass(frozen=True)
class Document:
    """The state of a file when a request for it came.

    Attributes:
        file: The file, open: what takes its place on disk is not served.
        size: Bytes.
        etag: A strong validator: other bytes, another tag.
        last_modified: The weaker one, in HTTP's format.
    """

    file: BinaryIO
    size: int
    etag: str
    last_modified: str

    @classmethod
    def open(cls, path: Path, wish: Wish) -> "Document":
        """Open the file as it is now."""
        file = path.open("rb")
        stat = os.fstat(file.fileno())
        tag = _random() if Fault.ETAG in wish.fault else _tag(stat)
        modified = email.utils.formatdate(stat.st_mtime, usegmt=True)
        return cls(file, stat.st_size, tag, modified)

    def unchanged(self, headers: Mapping[str, str]) -> bool:
        """Return whether the client already has these bytes (If-None-Match)."""
        known = headers.get("if-none-match", "")
        return self.etag in [tag.strip() for tag in known.split(",")]

    def wanted(self, headers: Mapping[str, str]) -> range | None:
        """Return the part asked for, or None for the whole file.

        Raises:
            ranges.UnsatisfiableError: The part is not in the file.
        """
        condition = headers.get("if-range", self.etag)
        if condition not in {self.etag, self.last_modified}:
            return None
        return ranges.parse(headers.get("range"), self.size)


def _tag(stat: os.stat_result) -> str:
    # The inode tells apart what was replaced within one tick of the clock.
    return f'"{stat.st_mtime_ns:x}-{stat.st_size:x}-{stat.st_ino:x}"'


def _random() -> str:
    return f'"{secrets.token_hex(8)}"'
