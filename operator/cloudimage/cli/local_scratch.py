"""Folders of one user for transfers by hand, on a machine that others also use."""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import Reason, TransferError

_PREFIX: Final = "hand-"  # not the operator's, which sweeps its own by their name alone


def default_scratch() -> Path:
    """Return the user's own folder by the XDG Base Directory Specification."""
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))  # by that, a relative one does not count
    return (base if base.is_absolute() else Path.home() / ".cache") / "cloudimage"


def private(folder: Path) -> Path:
    """Return the folder, made if need be, that nobody but the user has access to.

    Raises:
        TransferError: ``InvalidRequest``; it is another's, open to others, or cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise TransferError(
            Reason.INVALID_REQUEST, f"{folder} cannot be created: {error.strerror}"
        ) from error
    found = folder.lstat()  # of a link itself: who made it may turn it elsewhere
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & 0o077:
        raise TransferError(
            Reason.INVALID_REQUEST,
            f"{folder} must be a folder that you own, with mode 0700; choose another with "
            "--scratch",
        )
    return folder


@contextmanager
def run_folder(scratch: Path, cache: Path) -> Iterator[Path]:
    """Make a folder for one run in the scratch, and remove what killed runs left there.

    A run holds its folder by a lock, which is gone with the process.

    Args:
        scratch: Where to.
        cache: A private folder in it; one run at a time holds it to look around.
    """
    with ExitStack() as stack:
        with _held(cache):  # or another run might sweep the new folder before it is held
            _sweep(scratch)
            # Another command may sweep the same folder and have deleted a file of it.
            made = tempfile.TemporaryDirectory(
                prefix=_PREFIX, dir=scratch, ignore_cleanup_errors=True
            )
            folder = Path(stack.enter_context(made))
            stack.enter_context(_held(folder))
        yield folder


def _sweep(scratch: Path) -> None:
    for folder in scratch.glob(f"{_PREFIX}*"):
        with suppress(OSError), _held(folder, wait=False):
            shutil.rmtree(folder, ignore_errors=True)  # likewise


@contextmanager
def _held(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a folder against other runs.

    Raises:
        OSError: Another holds it and we do not wait, or it is not there, or not ours.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        yield
    finally:
        os.close(descriptor)
