"""``python -m cloudimage.transfer.forkserver``: transfers are forked from it, their imports done.

Its standard input is one end of a socket pair without a name: nobody but the operator, who holds
the other end, can ask it for anything, and it ends when that end is closed. A request is three
descriptors: the transfer's standard input and output, and a pipe for its exit status. The answer is
the transfer's pid, and a descriptor of the process (pidfd) to wait for it and to signal it.
"""

import gc
import os
import select
import signal
import socket
import struct
import sys
from contextlib import suppress
from typing import Final, NamedTuple

from cloudimage.transfer.prctl import adopt_orphans, end_children, hide_memory, set_name

NAME: Final = "transfer"
"""What a forked transfer is called in ``ps``, whose command line is the server's."""

NUMBER: Final = struct.Struct("i")
"""How a pid and an exit status are sent; the status is negative after a signal."""


class _Running(NamedTuple):
    pid: int
    status: int


def serve(connection: socket.socket) -> bool:
    """Fork a transfer at each request, until the operator is gone.

    Args:
        connection: To the operator.

    Returns:
        True in each forked process, whose standard input and output are those of the request;
        False in this one, in the end.
    """
    running: dict[int, _Running] = {}  # by its pidfd
    # Unlike epoll it has no descriptor of its own, which the forked ones would have to close.
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    while True:
        for descriptor, _ in poll.poll():
            if descriptor in running:
                poll.unregister(descriptor)
                _tell(descriptor, running.pop(descriptor))
                # Of a transfer that was killed, what it has started is ours now.
                end_children(but=[each.pid for each in running.values()])
                continue
            ends = _asked(connection)
            if not ends:
                return False
            stdin, stdout, status = ends
            pid = os.fork()
            if not pid:
                _take(connection, stdin, stdout)
                _close(*ends, *running, *(each.status for each in running.values()))
                return True
            os.setpgid(pid, pid)  # so that it can be told from the others, with all it starts
            _close(stdin, stdout)
            handle = os.pidfd_open(pid)
            running[handle] = _Running(pid, status)
            poll.register(handle, select.POLLIN)
            with suppress(ConnectionError):  # the end of the connection is seen next
                socket.send_fds(connection, [NUMBER.pack(pid)], [handle])


def _asked(connection: socket.socket) -> list[int]:
    """Return the descriptors of a request; none: the operator is gone."""
    try:
        _, ends, *_ = socket.recv_fds(connection, 1, 3)
    except ConnectionError:  # gone without having read our answer
        return []
    return ends


def _tell(handle: int, ended: _Running) -> None:
    """Pass on the exit status of a process that has ended."""
    _, status = os.waitpid(ended.pid, 0)
    with suppress(BrokenPipeError):  # nobody wants to know
        os.write(ended.status, NUMBER.pack(os.waitstatus_to_exitcode(status)))
    _close(handle, ended.status)


def _take(connection: socket.socket, stdin: int, stdout: int) -> None:
    """Be a transfer: the standard input takes the place of the connection."""
    set_name(NAME)
    connection.detach()
    os.dup2(stdin, 0)
    os.dup2(stdout, 1)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def main() -> None:
    """Import all that a transfer needs, then fork transfers, and be each of them."""
    hide_memory()
    adopt_orphans()
    # At a terminal it goes to all, and the operator itself ends its transfers.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from cloudimage.transfer import worker  # noqa: PLC0415  # once the memory is hidden

    with suppress(ImportError, RuntimeError):  # a program that needs it says so
        import pyseccomp  # noqa: F401, PLC0415 - only where it can be loaded

    gc.freeze()  # what is collected later is not this: its pages stay shared
    with socket.socket(fileno=sys.stdin.fileno()) as connection:
        forked = serve(connection)
    if forked:
        # Python's own end would visit all that was imported, and so copy its pages: 45 ms.
        os._exit(worker.main())


if __name__ == "__main__":
    main()
