"""The source server as a part of the test bed: started, found again, given files, asked."""

import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import requests

import testbed
from testbed.paths import state_dir
from testbed.process import Service, answers, bed_lock, free_ports
from testbed.sources.journal import Request

TIMEOUT_SECONDS = 30


def _default_state() -> Path:
    return state_dir() / "sources"


@dataclass(frozen=True)
class Sources:
    """An HTTP server for image files, with faults on demand.

    Attributes:
        state: All its state; `down` deletes it.
    """

    state: Path = field(default_factory=_default_state)

    @property
    def folder(self) -> Path:
        """What is served; whatever is put here can be fetched at once."""
        return self.state / "files"

    def install(self) -> None:
        """Nothing: the server is Python's own."""

    def up(self) -> None:
        """Start the server unless it runs."""
        with bed_lock(self.state):
            self.folder.mkdir(parents=True, exist_ok=True)
            if self._service.process() is None:
                self._port_file.write_text(str(free_ports(1)[0]))
                self._start()

    def down(self) -> None:
        """Stop the server and delete its files."""
        with bed_lock(self.state) as lock:
            self._service.stop()
            shutil.rmtree(self.state, ignore_errors=True)  # it may never have been up
            Path(lock.lock_file).unlink()

    def status(self) -> list[tuple[str, int | None, str]]:
        """Say which process serves where."""
        process = self._service.process()
        return [("sources", process.pid if process else None, self._base_url())]

    def put(self, name: str, content: bytes | Path) -> str:
        """Put a file in place as a whole and return its URL.

        A reader of the file that was there before goes on reading that one.
        """
        incoming = self.state / "incoming" / name
        target = self.folder / name
        for path in (incoming, target):
            path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            incoming.write_bytes(content)
        else:
            shutil.copyfile(content, incoming)
        incoming.replace(target)
        return self.url(name)

    def url(self, name: str, **query: str | float | Sequence[str]) -> str:
        """Return the URL of a file; the query is a `Wish`: ``fault="reset", at=1000``."""
        address = f"{self._base_url()}/files/{quote(name)}"
        return f"{address}?{urlencode(query, doseq=True)}" if query else address

    def requests(self, key: str) -> list[Request]:
        """Return what was asked under the key: the file's name, unless the query had one."""
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the environment is not for loopback
            address = f"{self._base_url()}/requests"
            answer = session.get(address, params={"key": key}, timeout=TIMEOUT_SECONDS)
            answer.raise_for_status()
            return [Request(**request) for request in answer.json()]

    def _start(self) -> None:
        port = self._port_file.read_text()
        module = [sys.executable, "-m", "testbed.sources.server"]
        source_root = str(Path(testbed.__file__).parents[1])
        self._service.start(
            [*module, "--folder", self.folder, "--port", port], {"PYTHONPATH": source_root}
        )
        self._service.wait(lambda: answers(self._base_url()))

    def _base_url(self) -> str:
        port = self._port_file.read_text() if self._port_file.exists() else ""
        return f"http://127.0.0.1:{port}" if port else ""

    @property
    def _port_file(self) -> Path:
        return self.state / "port"

    @property
    def _service(self) -> Service:
        return Service("sources", self.state)
