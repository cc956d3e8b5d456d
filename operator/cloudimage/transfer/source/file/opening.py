"""Opens a file in a folder whose content is others': no link leads out of it."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import Reason, TransferError

_FOLDER: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without waiting: to open a pipe would take until somebody writes to it.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextmanager
def opened(root: Path, path: str, *, claim: str | None) -> Iterator[int]:
    """Open a regular file and yield its descriptor.

    Args:
        root: The folder; it may be a link itself.
        path: The file's place in it, as :func:`.model.check_path` allows it.
        claim: The PersistentVolumeClaim that it is in, for the message.

    Raises:
        TransferError: ``SourceNotFound``, ``SourceRefused``, ``SourceNotAnImage`` or
            ``SourceUnreachable``.
    """
    where = f"{path} of PersistentVolumeClaim {claim}" if claim else str(root / path)
    *folders, name = path.split("/")
    with ExitStack() as stack:
        try:
            place = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, place)
            for each in folders:
                place = os.open(each, _FOLDER, dir_fd=place)
                stack.callback(os.close, place)
            descriptor = os.open(name, _FILE, dir_fd=place)
        except OSError as error:
            raise _refusal(error, where) from error
        stack.callback(os.close, descriptor)
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            what = "a folder" if stat.S_ISDIR(mode) else "a device, a pipe or a socket"
            raise TransferError(
                Reason.SOURCE_NOT_AN_IMAGE, f"{where} is {what}; name a regular file"
            )
        yield descriptor


def _refusal(error: OSError, where: str) -> TransferError:
    if error.errno == errno.ENOENT:
        return TransferError(Reason.SOURCE_NOT_FOUND, f"{where} does not exist")
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return TransferError(
            Reason.SOURCE_REFUSED,
            f"{where} is, or is behind, a symbolic link or a file, and no link is followed; give "
            "the path of the file itself",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return TransferError(
            Reason.SOURCE_REFUSED,
            f"{where} may not be read by the transfer, which runs as user {os.geteuid()} with the "
            f"group {os.getegid()}: change the file's owner or mode",
        )
    return unreadable(error, where)


def unreadable(error: OSError, where: str) -> TransferError:
    """Return what a failure to read means."""
    return TransferError(Reason.SOURCE_UNREACHABLE, f"{where} cannot be read: {error.strerror}")
