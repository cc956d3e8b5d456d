"""What an image has taken over of libguestfs, whose programs start others, stays in its folder."""

import platform
import signal
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from cloudimage.transfer.tools import landlock
from cloudimage.transfer.tools.machine import Ended, Machine
from support.taken_over import (
    CALLS,
    CHANGES,
    DAEMON,
    NO_LANDLOCK,
    PROCESSES,
    READS,
    SOCKETS,
    WRITES,
    attacker,
    changed,
    gone,
    untouched,
)

MIB = 2**20
with_landlock = pytest.mark.skipif(not landlock.version(), reason="the kernel has no Landlock")
with_scopes = pytest.mark.skipif(landlock.version() < 6, reason="the kernel is older than 6.12")
on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86_64")

ALLOWED = {
    *("forks", "forks by libc", "clone", "vfork", "leaves its session", "outlives its parent"),
    *(name for name in PROCESSES if name.startswith("starts a program")),
    *("signals its parent", "signals its group", "signals all"),
    *("writes into its own folder", "writes over the image"),
    *("makes a file executable", "changes a file's times"),
    "maps a file that is read, and then writes",
}
"""What it may do, to itself and what it starts; for modes and times see docs/security.md."""
SCOPED = {
    "signals the transfer": PROCESSES["signals the transfer"],
    "tgkill": CALLS["tgkill"],
    "connects to an abstract socket": SOCKETS["connects to an abstract socket"],
}
"""Refused by Landlock's scopes alone."""
NETWORK = {
    "connects by TCP": "socket.socket(socket.AF_INET).connect(('127.0.0.1', 9))",
    "connects by IPv6": "socket.socket(socket.AF_INET6).connect(('::1', 9))",
    "sends by UDP": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('::1', 9))",
    "talks to the kernel": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "talks to its host": "socket.socket(socket.AF_VSOCK)",
    "sees frames": "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
}


def but(names: Mapping[str, object] | set[str], *tables: Mapping[str, str]) -> dict[str, str]:
    """Return the attacks of the tables but those of these names."""
    return {name: each for table in tables for name, each in table.items() if name not in names}


EACH = """
for name, attack in ATTACKS.items():
    child = os.fork()
    if not child:
        try:
            exec(attack)
        except (OSError, RuntimeError, subprocess.SubprocessError):
            os._exit(0)
        os._exit(1)
    if os.waitpid(child, 0)[1]:
        print(name, flush=True)
"""
"""Tries each in a process of its own, and names what was done."""


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    folder = tmp_path / "transfer"
    folder.mkdir()
    (folder / "source").write_text("the image")
    return Machine(folder, (), {}, memory=1024 * MIB, cpu_seconds=30, most_output=MIB, seconds=60)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "file").write_text("the user's")
    return folder


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made = changed(monkeypatch, roots=True)
    yield
    made.close()


@pytest.fixture
def old_kernel(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    made = changed(monkeypatch, NO_LANDLOCK, roots=True)
    yield
    made.close()


def attempt(machine: Machine, attack: str, outside: Path) -> list[str]:
    said: list[str] = []
    ended = machine.run(attacker(attack, outside), said.append)
    assert ended.status == 0, ended.stderr
    return said


def done(machine: Machine, attacks: dict[str, str], outside: Path) -> list[str]:
    """Return which of the attacks a program could do."""
    with untouched(outside):
        *named, last = attempt(machine, f"ATTACKS = {attacks!r}\n{EACH}", outside)
    assert (outside / "file").read_text() == "the user's"
    assert last == "DONE"
    return named


@on_x86_64
def test_processes_and_networks_on_every_kernel(
    machine: Machine, outside: Path, old_kernel: None
) -> None:
    attacks = but({*ALLOWED, *SCOPED}, PROCESSES, CALLS, NETWORK)
    assert done(machine, attacks, outside) == []


@with_landlock
def test_files_outside_its_folder(machine: Machine, outside: Path, launcher: None) -> None:
    (machine.folder / "program").write_text("#!/bin/sh\necho DONE\n")
    (machine.folder / "program").chmod(0o755)
    assert done(machine, but(ALLOWED, CHANGES, WRITES, READS), outside) == []


@with_scopes
@on_x86_64
def test_processes_and_sockets_outside(machine: Machine, outside: Path, launcher: None) -> None:
    assert done(machine, SCOPED, outside) == []


@with_landlock
def test_what_is_to_be_read_is_not_changed(machine: Machine, outside: Path, launcher: None) -> None:
    reads = {"reads a file", "reads a folder"}
    reading = replace(machine, readable=(outside,))
    assert done(reading, {name: READS[name] for name in reads}, outside) == [*reads]
    assert done(reading, but({*ALLOWED, *reads}, CHANGES, WRITES, READS), outside) == []


def test_what_libguestfs_needs_works(machine: Machine, outside: Path, launcher: None) -> None:
    """Programs, files, and a socket as qemu's."""
    works = (
        "assert subprocess.run(['/bin/echo', 'x'], stdout=subprocess.PIPE).stdout == b'x\\n'\n"
        "open('new', 'w').write('x'); os.rename('new', 'newer'); os.unlink('newer')\n"
        "server, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)\n"
        "server.bind('socket'); server.listen(); client.connect('socket')\n"
        "child = subprocess.Popen(['/bin/sleep', '60']); child.kill(); child.wait()\n"
        "assert os.getuid() != 0"
    )
    assert attempt(machine, works, outside) == ["DONE"]


def test_each_file_has_its_limit(machine: Machine, outside: Path, launcher: None) -> None:
    writes = (
        "import signal; signal.signal(25, signal.SIG_IGN)\nopen('one', 'wb').write(bytes(2**21))"
    )
    [said] = attempt(machine, writes, outside)
    assert said.startswith("refused: [Errno 27]")
    assert (machine.folder / "one").stat().st_size <= MIB


def run(machine: Machine, then: str = "") -> Ended:
    words = (sys.executable, "-B", "-c", DAEMON.format(then=then))
    return machine.run(words, lambda _: None)


def test_all_that_it_started_ends_with_it(machine: Machine, launcher: None) -> None:
    assert run(machine).status == 0
    assert gone(int((machine.folder / "pid").read_text()))


def test_all_that_it_started_ends_when_its_time_is_over(machine: Machine, launcher: None) -> None:
    ended = run(replace(machine, seconds=3), "time.sleep(1000)")
    assert (ended.status, ended.late) == (-signal.SIGKILL, True)
    assert gone(int((machine.folder / "pid").read_text()))
