"""Which transfers that run at the same time, on the same scratch, make the same.

Each holds the lock of an empty file while it lives, so that one that was killed no longer counts.
"""

import fcntl
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

_SUFFIX: Final = ".making"
_NEW_SECONDS: Final = 60.0
"""A file that is younger may be about to be locked."""


@contextmanager
def making(folder: Path, key: str) -> Iterator[Callable[[], bool]]:
    """Say during the block that this transfer makes something.

    Args:
        folder: Shared by the transfers.
        key: The same where the same is made.

    Yields:
        What tells whether any other transfer makes the same at that moment.
    """
    for left in folder.glob(f"*{_SUFFIX}"):
        _remove_if_left(left)
    mine = folder / f"{key}.{uuid.uuid4().hex}{_SUFFIX}"
    with mine.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield lambda: any(
                path != mine and _is_held(path) for path in folder.glob(f"{key}.*{_SUFFIX}")
            )
        finally:
            mine.unlink(missing_ok=True)


def _is_held(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


def _remove_if_left(path: Path) -> None:
    with suppress(FileNotFoundError):
        if path.stat().st_mtime < time.time() - _NEW_SECONDS and not _is_held(path):
            path.unlink()
