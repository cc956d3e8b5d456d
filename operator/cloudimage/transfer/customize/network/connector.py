"""Connects a guest's connection, which qemu gives as standard input, with the proxy's socket.

qemu's user network starts one for each connection. It imports nothing of ours, to start fast.
"""

import os
import socket
import sys
import threading
from contextlib import suppress
from typing import Final

_PIECE: Final = 64 * 2**10
_LINGER_SECONDS: Final = 5.0
"""For the guest to hang up as well, so that it gets all that was sent."""


def main() -> None:
    """Copy both ways until the proxy hangs up."""
    guest = socket.socket(fileno=0)
    with socket.socket(socket.AF_UNIX) as proxy:
        proxy.connect(sys.argv[1])
        asking = threading.Thread(target=_copy, args=(guest, proxy), daemon=True)
        asking.start()
        _copy(proxy, guest)
        asking.join(_LINGER_SECONDS)
    os._exit(0)  # whatever the other one waits for


def _copy(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while piece := one.recv(_PIECE):
            other.sendall(piece)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main()
