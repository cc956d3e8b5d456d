"""Processes of the test bed: started apart from the caller, found again and stopped by anyone."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

STOP_SECONDS = 10.0


class NotReadyError(RuntimeError):
    """A server of the test bed died or did not answer in time; the message ends with its log."""


@dataclass(frozen=True)
class Service:
    """One server of the test bed, known to every process that shares its folder.

    Attributes:
        name: The file name of its pid record and its log.
        folder: The part's own state folder; it gets ``run/`` and ``log/``.
    """

    name: str
    folder: Path

    @property
    def log(self) -> Path:
        """The file that takes standard output and error."""
        return self.folder / "log" / f"{self.name}.log"

    @property
    def _record(self) -> Path:
        return self.folder / "run" / f"{self.name}.json"

    def start(self, command: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
        """Start the server in a session of its own, so that it outlives the caller."""
        for path in (self.log, self._record):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [str(word) for word in command],
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        born = psutil.Process(child.pid).create_time()
        self._record.write_text(json.dumps({"pid": child.pid, "born": born}))

    def process(self) -> psutil.Process | None:
        """Return the running process; a recycled pid is told apart by its birth time."""
        try:
            record = json.loads(self._record.read_text())
            process = psutil.Process(record["pid"])
            same = abs(process.create_time() - record["born"]) < 1
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    def stop(self) -> None:
        """Stop the server and its children: politely, then by force. Not running is fine."""
        process = self.process()
        if process is not None:
            family = [process, *process.children(recursive=True)]
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
            _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
            for survivor in alive:
                with contextlib.suppress(psutil.NoSuchProcess):
                    survivor.kill()
            psutil.wait_procs(alive, timeout=STOP_SECONDS)
        self._record.unlink(missing_ok=True)

    def wait(self, ready: Callable[[], bool], seconds: float = 60.0) -> None:
        """Wait until ``ready()``.

        Raises:
            NotReadyError: The process ended first, or the time was over.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self.process() is None:
                raise NotReadyError(f"{self.name} ended at its start:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise NotReadyError(f"{self.name} is not ready after {seconds} s:\n{self.tail()}")
            time.sleep(0.1)

    def tail(self, lines: int = 20) -> str:
        """Return the last lines of the log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on; taken together, so all differ."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def answers(url: str) -> bool:
    """Tell whether an HTTP server answers at the URL, whatever the status."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
