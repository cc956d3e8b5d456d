"""A scratch that the pods of Jobs share: each has a folder of its own in it, beside the cache."""

import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

CACHE: Final = "cache"
"""The folder of what all of them use."""

_PREFIX: Final = "pod-"
_LOCK: Final = "held"
_NEW_SECONDS: Final = 60.0
"""A folder that is younger may be about to be locked."""


@contextmanager
def folder_of_a_pod(scratch: Path) -> Iterator[Path]:
    """Make a folder for one transfer, and remove it after the block.

    Its lock goes with the process, on whatever node that is: the next transfer removes the folder
    of one that was killed.
    """
    for left in scratch.glob(f"{_PREFIX}*"):
        _remove_if_left(left)
    # What cannot be removed now is left to the next transfer.
    with tempfile.TemporaryDirectory(
        prefix=_PREFIX, dir=scratch, ignore_cleanup_errors=True
    ) as own:
        folder = Path(own)
        with (folder / _LOCK).open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield folder


def _remove_if_left(folder: Path) -> None:
    with suppress(FileNotFoundError):
        if folder.stat().st_mtime > time.time() - _NEW_SECONDS:
            return
        with (folder / _LOCK).open("a") as file:
            if _is_free(file):
                shutil.rmtree(folder, ignore_errors=True)


def _is_free(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
