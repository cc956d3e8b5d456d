"""Starts external programs without network: one that an image has taken over reaches nobody.

A seccomp filter is one thread's own, and what that thread starts inherits it for good. So one
thread is put under the filter and starts every program, while the others go on talking to servers.
It needs no privileges and no namespaces, so it works in a container of Kubernetes' restricted
profile, and it costs nothing for each program.
"""

import errno
import socket
import subprocess
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from cloudimage.transfer.types import Reason, TransferError

# One thread for the life of the process: the kernel takes the end of the thread that started a
# program for the end of its parent, and kills the program.
_STARTER: Final = ThreadPoolExecutor(1, "confined")


class _Thread(threading.local):
    """What is known of the current thread."""

    confined = False


_thread: Final = _Thread()


def start(
    starting: Future[subprocess.Popen[bytes]],
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
) -> None:
    """Start a program without network in a folder; its outputs are pipes, its input is closed.

    The caller has the future before anything happens, so that he can end the process even if he is
    interrupted in this very call.

    Args:
        starting: Gets the process, or the reason why there is none; once cancelled, nothing is
            started. ``TransferError`` with ``InternalError``: the kernel or libseccomp refuses the
            filter, without which no program is started. ``OSError``: it cannot be started.
        command: The program and its arguments.
        folder: Where it runs.
        environment: All of its environment.
    """
    _STARTER.submit(_fulfil, starting, command, folder, environment)


def _fulfil(
    starting: Future[subprocess.Popen[bytes]],
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
) -> None:
    if not starting.set_running_or_notify_cancel():
        return
    try:
        starting.set_result(_start(command, folder, environment))
    except BaseException as error:  # noqa: BLE001 - as an executor does: it is the caller's
        starting.set_exception(error)


def _start(
    command: Sequence[str], folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    if not _thread.confined:
        try:
            _confine_thread()
        # pyseccomp raises RuntimeError when imported without libseccomp.
        except (OSError, ImportError, RuntimeError) as error:
            raise TransferError(
                Reason.INTERNAL_ERROR,
                "external programs cannot be cut off from the network, and are not run "
                f"otherwise; seccomp with libseccomp2 is needed: {error}",
            ) from error
        _thread.confined = True
    return subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _confine_thread() -> None:
    """Take the network from this thread and all that it will start, for good.

    Raises:
        OSError: The kernel refuses.
        RuntimeError: There is no libseccomp.
    """
    import pyseccomp  # noqa: PLC0415 - slow: it looks for libseccomp, whose absence has a sentence

    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    # System calls by the numbers of another architecture (i386, x32), which the rules do not know.
    rules.set_attr(pyseccomp.Attr.ACT_BADARCH, pyseccomp.KILL_PROCESS)
    # qemu-nbd serves by a Unix socket. All else is for the network, for other machines (vsock) or
    # for the kernel (netlink).
    not_unix = pyseccomp.Arg(0, pyseccomp.NE, socket.AF_UNIX)
    for name in ("socket", "socketpair"):
        rules.add_rule(pyseccomp.ERRNO(errno.EAFNOSUPPORT), name, not_unix)
    # io_uring makes sockets past all filters. socketcall is an old way to make one, on some
    # architectures, whose arguments a filter cannot see.
    for name in ("io_uring_setup", "socketcall"):
        rules.add_rule(pyseccomp.ERRNO(errno.ENOSYS), name)
    rules.set_attr(pyseccomp.Attr.API_SYSRAWRC, 1)  # the kernel's own error, not ECANCELED
    rules.load()  # with no_new_privs, without which the kernel refuses
