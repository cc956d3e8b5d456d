"""Knows the uploads that were begun on this machine and killed, so that they hold up no other."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloudimage.cli.errors import CommandError

_LENGTH = 36


@dataclass(frozen=True)
class Token:
    """Who uploads.

    Attributes:
        present: This run; the image that it makes bears it.
        killed: An earlier run of this machine that did not come to its end; empty: it did.
    """

    present: str
    killed: str


@contextmanager
def token_of(folder: Path, uid: str) -> Iterator[Token]:
    """Hold the right to upload a CloudImage's file from this machine.

    The lock is gone with the process; what the file says stays when it is killed.

    Args:
        folder: Of the user's own.
        uid: The CloudImage's.

    Raises:
        CommandError: Another run has it.
    """
    path = folder / uid
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError("Another run of this command is uploading it already.") from None
        killed = os.read(descriptor, _LENGTH).decode(errors="replace")
        present = str(uuid.uuid4())
        os.pwrite(descriptor, present.encode(), 0)
        yield Token(present, killed)
        path.unlink()
    finally:
        os.close(descriptor)
