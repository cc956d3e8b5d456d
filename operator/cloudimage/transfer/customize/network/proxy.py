"""The HTTP proxy of a run's virtual machine: the one thing that its network leads to.

It listens on a Unix socket in the folder of the run, outside of what the machine is confined by,
so what it may reach is decided here and not by the machine: the URL policy, at the address that is
connected to.
"""

import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cloudimage.transfer.contract import UrlPolicy
from cloudimage.transfer.customize.network.exchange import Exchange
from cloudimage.transfer.customize.network.servers import Servers
from cloudimage.transfer.customize.network.traffic import MOST_BYTES, Tally, Traffic

MOST_CONNECTIONS: Final = 32
"""At a time: package managers make up to ten, and each takes a thread here, a process there."""

_CLOSING_SECONDS: Final = 5.0
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Proxy:
    """Serves beside the block."""

    def __init__(self, path: Path, policy: UrlPolicy, most_bytes: int = MOST_BYTES) -> None:
        """Prepare.

        Args:
            path: Of the socket.
            policy: Which servers may be asked.
            most_bytes: That may be moved in all.
        """
        self._path = path
        self._policy = policy
        self._tally = Tally(most_bytes)
        self._listener = socket.socket(socket.AF_UNIX)
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, tuple[socket.socket, Servers]] = {}
        self._thread = threading.Thread(target=self._accept, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        """Begin.

        Raises:
            OSError: The socket cannot be made.
        """
        self._listener.bind(str(self._path))
        self._listener.listen(MOST_CONNECTIONS)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # close() alone would not wake accept()
        self._thread.join()
        self._listener.close()
        with suppress(OSError):  # the next run has one at the same place
            self._path.unlink()
        with self._lock:
            running = dict(self._open)
        for client, servers in running.values():
            servers.cut()
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in running:
            thread.join(_CLOSING_SECONDS)  # what is left waits for a resolver, and ends then

    @property
    def traffic(self) -> Traffic:
        """What was asked for until now."""
        return self._tally.result()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                full = len(self._open) >= MOST_CONNECTIONS
            if full:
                with client, suppress(OSError):
                    client.settimeout(0)
                    client.send(_BUSY)
                continue
            self._begin(client)

    def _begin(self, client: socket.socket) -> None:
        servers = Servers(self._policy)
        thread = threading.Thread(
            target=self._serve, args=(client, servers), name="proxied", daemon=True
        )
        with self._lock:
            self._open[thread] = client, servers
        thread.start()

    def _serve(self, client: socket.socket, servers: Servers) -> None:
        with ExitStack() as opened:
            opened.callback(self._forget)
            opened.enter_context(client)
            opened.enter_context(servers)
            Exchange(client, servers, self._tally).run()

    def _forget(self) -> None:
        with self._lock:
            self._open.pop(threading.current_thread(), None)
