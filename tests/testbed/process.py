"""Processes of the test bed: started apart from the caller, found again and stopped by anyone."""

import contextlib
import hashlib
import json
import os
import random
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock

from testbed.paths import cache_dir

STOP_SECONDS = 10.0

# Below the range the kernel takes for outgoing connections, so that nobody sits on the port of a
# server that was stopped for a while; Kubernetes' NodePorts begin above.
SERVER_PORTS = range(15_000, 30_000)


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
        """Stop the server and its family: politely, then by force. Not running is fine."""
        family = self._family()
        process = self.process()
        if process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
            kill(survivors(family))
        else:
            kill(family)
        # Collects those that are this process's own children; else they stay as zombies.
        psutil.wait_procs(family, timeout=0)
        self._record.unlink(missing_ok=True)

    def _family(self) -> list[psutil.Process]:
        """Return the server's children and all of its session, which outlives a killed server.

        The kernel gives the number of a session to no new process while the session has members,
        so a stranger under the recorded pid means that nobody is left.
        """
        try:
            record = json.loads(self._record.read_text())
        except (FileNotFoundError, ValueError):
            return []
        members = [each for each in psutil.process_iter() if _session(each.pid) == record["pid"]]
        leader = next((each for each in members if each.pid == record["pid"]), None)
        if leader is not None and abs(leader.create_time() - record["born"]) >= 1:
            return []
        process = self.process()
        children = process.children(recursive=True) if process is not None else []
        return list({*members, *children})

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


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes and wait until they are gone."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    survivors(processes)


def survivors(
    processes: Sequence[psutil.Process], seconds: float = STOP_SECONDS
) -> list[psutil.Process]:
    """Wait until the processes are gone, and return those that are not when the time is over.

    A zombie is gone: it is for its parent to collect, and pid 1 may take its time.
    """
    deadline = time.monotonic() + seconds
    while (alive := [each for each in processes if _runs(each)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return None


def bed_lock(folder: Path) -> FileLock:
    """Return the lock of the bed in the folder.

    It is in the cache because ``down`` deletes the folder. ``down`` may also delete the lock while
    it holds it: who waits for it notices, and takes a new one.
    """
    locks = cache_dir() / "locks"
    locks.mkdir(exist_ok=True)
    return FileLock(locks / hashlib.sha256(str(folder).encode()).hexdigest()[:16])


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on; taken together, so all differ."""
    ports: list[int] = []
    with contextlib.ExitStack() as stack:
        for port in random.SystemRandom().sample(SERVER_PORTS, len(SERVER_PORTS)):
            if len(ports) == count:
                break
            with contextlib.suppress(OSError):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
    return ports


def answers(url: str) -> bool:
    """Return whether an HTTP server answers at the URL, whatever the status."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
