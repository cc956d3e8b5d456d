"""A proxy of customizing as a guest has it: by TCP, with a connector for each connection."""

import socket
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from cloudimage.transfer.contract import UrlPolicy
from cloudimage.transfer.customize.network import connector
from cloudimage.transfer.customize.network.proxy import Proxy
from cloudimage.transfer.customize.network.traffic import MOST_BYTES
from support.fetching import resolver
from support.hostile_server import Script

_REAL = socket.getaddrinfo


class GuestNetwork:
    """Does what qemu's user network does, at a port of loopback.

    Attributes:
        proxy: The proxy behind it.
        port: Where a guest finds it.
    """

    def __init__(self, folder: Path, policy: UrlPolicy, most_bytes: int = MOST_BYTES) -> None:
        self._path = folder / "proxy.sock"
        self.proxy = Proxy(self._path, policy, most_bytes)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def url(self) -> str:
        """Return the value of http_proxy."""
        return f"http://127.0.0.1:{self.port}"

    def say(self, text: bytes, seconds: float = 10.0) -> bytes:
        """Return all that the proxy answers to some bytes."""
        with socket.create_connection(("127.0.0.1", self.port), seconds) as connection:
            connection.sendall(text)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    def curl(self, *words: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
        """Have curl ask by the proxy."""
        command = ["curl", "--silent", "--show-error", "--max-time", "20", "--proxy", self.url]
        return subprocess.run([*command, *words], capture_output=True, check=check)

    def __enter__(self) -> Self:
        self.proxy.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        self.proxy.__exit__(kind, error, trace)

    def _accept(self) -> None:
        command = [sys.executable, "-I", "-S", connector.__file__, str(self._path)]
        while True:
            connection = None
            with suppress(OSError):
                connection, _ = self._listener.accept()
            if connection is None:
                return
            with connection:
                process = subprocess.Popen(
                    command, stdin=connection.fileno(), stdout=connection.fileno()
                )
            threading.Thread(target=process.wait, daemon=True).start()


def named(monkeypatch: pytest.MonkeyPatch, host: str, *rounds: list[str]) -> None:
    """Have a name resolve to addresses, other ones each time."""
    names = resolver(*rounds)

    def getaddrinfo(asked: str, *rest: object, **options: object) -> object:
        return (names if asked == host else _REAL)(asked, *rest, **options)  # type: ignore[arg-type]  # as socket has them

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def raw(text: bytes) -> Script:
    """Answer with some bytes."""
    return lambda connection, _: connection.sendall(text)
