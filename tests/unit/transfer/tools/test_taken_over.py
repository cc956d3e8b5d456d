"""A program that an image has taken over reaches no file, process or socket but its own."""

import dataclasses
import platform
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cloudimage.transfer.tools import landlock
from cloudimage.transfer.tools.toolbox import Output, Toolbox, ToolError
from support.taken_over import (
    CALLS,
    CHANGES,
    DAEMON,
    LAUNCHER,
    NO_FILTER,
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

GIB = 2**30
with_landlock = pytest.mark.skipif(not landlock.version(), reason="the kernel has no Landlock")
on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="numbers of x86_64")


@pytest.fixture
def tools(tmp_path: Path) -> Toolbox:
    folder = tmp_path / "transfer"
    folder.mkdir()
    return Toolbox(folder, memory=GIB, cpu_seconds=30)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the user's, with a file and a Unix socket, like that of a container engine."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "file").write_text("the user's")
    return folder


@pytest.fixture(params=["as it is", "without Landlock"])
def launcher(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both on a kernel with Landlock and on one that has none, as a user without root's rights."""
    change = NO_LANDLOCK if request.param == "without Landlock" else ""
    made = changed(monkeypatch, change)
    yield request.param
    made.close()


def attempt(tools: Toolbox, attack: str, outside: Path, output: Output | None = None) -> str:
    return tools.run(*attacker(attack, outside), output=output).decode()


def refused(tools: Toolbox, attack: str, outside: Path, output: Output | None = None) -> None:
    with untouched(outside):
        assert attempt(tools, attack, outside, output).startswith("refused: ")


@pytest.mark.parametrize("name", [*PROCESSES, *SOCKETS, *CHANGES, *WRITES])
def test_program_that(name: str, tools: Toolbox, outside: Path, launcher: str) -> None:
    (tools.folder / "source").write_text("the image")
    attack = {**PROCESSES, **SOCKETS, **CHANGES, **WRITES}[name]
    refused(tools, attack, outside)
    assert {each.name for each in tools.folder.iterdir()} == {"source"}
    assert (tools.folder / "source").read_text() == "the image"
    assert (outside / "file").read_text() == "the user's"


@on_x86_64
@pytest.mark.parametrize("name", CALLS)
def test_program_that_calls(name: str, tools: Toolbox, outside: Path, launcher: str) -> None:
    refused(tools, CALLS[name], outside)


@with_landlock
@pytest.mark.parametrize("name", READS)
def test_program_that_looks(name: str, tools: Toolbox, outside: Path) -> None:
    (tools.folder / "program").write_text("#!/bin/sh\necho DONE\n")
    (tools.folder / "program").chmod(0o755)
    refused(tools, READS[name], outside)


@with_landlock
@pytest.mark.parametrize("name", [*CHANGES, *WRITES])
def test_program_with_a_file_to_write_that(name: str, tools: Toolbox, outside: Path) -> None:
    (tools.folder / "source").write_text("the image")
    refused(tools, {**CHANGES, **WRITES}[name], outside, Output("one", 2**20))
    assert {each.name for each in tools.folder.iterdir()} == {"source", "one"}


def test_what_programs_need_works(tools: Toolbox, outside: Path, launcher: str) -> None:
    """Threads, files of the folder, a signal to itself."""
    (tools.folder / "source").write_text("content")
    works = (
        "threads = [threading.Thread(target=int) for _ in range(9)]\n"
        "[each.start() for each in threads]; [each.join() for each in threads]\n"
        "assert open('source').read() == 'content'\n"
        "assert os.listdir('.') == ['source']\n"
        "assert os.listdir('/proc/self/fd')\n"
        "os.urandom(9); open('/dev/null').read()\n"
        "os.kill(mine, 0)"
    )
    assert attempt(tools, works, outside) == "DONE\n"


@with_landlock
def test_program_writes_one_file(tools: Toolbox) -> None:
    script = "open('one', 'wb').write(bytes(1000)); open('other', 'wb')"
    with pytest.raises(ToolError, match="Permission denied: 'other'"):
        tools.run(sys.executable, "-B", "-c", script, output=Output("one", 1000))
    assert (tools.folder / "one").stat().st_size == 1000


def test_program_writes_so_much(tools: Toolbox, launcher: str) -> None:
    script = "import signal; signal.signal(25, 0)\nopen('one', 'wb').write(bytes(1001))"
    with pytest.raises(ToolError, match="more than its task") as caught:
        tools.run(sys.executable, "-B", "-c", script, output=Output("one", 1000))
    assert caught.value.status == -signal.SIGXFSZ
    assert (tools.folder / "one").stat().st_size <= 1000


def test_limits(tools: Toolbox) -> None:
    script = "for each in v d t f c u; do ulimit -$each; done"
    told = tools.run("bash", "-c", script, output=Output("one", 2**20)).split()
    assert [int(each) for each in told] == [2**20, 2**20, 30, 1024, 0, 4096]


PID = Output("pid", 100)


def ends(tools: Toolbox) -> None:
    tools.run(sys.executable, "-B", "-c", DAEMON.format(then=""), output=PID)


def is_given_up(tools: Toolbox) -> None:
    script = DAEMON.format(then="time.sleep(1000)")
    command = (sys.executable, "-B", "-c", script)
    with suppress(InterruptedError), tools.stream(*command, output=PID) as output:
        assert output.readline() == b"started\n"
        raise InterruptedError


@pytest.mark.parametrize("how", [ends, is_given_up])
def test_daemon_ends_with_its_program(
    tools: Toolbox, monkeypatch: pytest.MonkeyPatch, how: Callable[[Toolbox], None]
) -> None:
    made = changed(monkeypatch, NO_LANDLOCK, NO_FILTER)
    how(tools)
    assert gone(int((tools.folder / "pid").read_text()))
    made.close()


TRANSFER = """
import os, signal, sys
from pathlib import Path
from cloudimage.transfer.tools import confinement
from cloudimage.transfer.tools.toolbox import Output, Toolbox
if sys.argv[4] == "fork":
    from cloudimage.transfer.tools import landlock, launcher, seccomp
    exec(sys.argv[3])
    confinement._LAUNCHER.fork()
else:
    confinement._LAUNCHER = confinement._Launcher((sys.executable, "-B", "-c", sys.argv[2]))
tools = Toolbox(Path(sys.argv[1]), memory=2**30, cpu_seconds=30)
with tools.stream(sys.executable, "-B", "-c", sys.argv[5], output=Output("pid", 100)) as output:
    output.readline()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("way", ["fork", "start"])
def test_daemon_ends_with_the_transfer(tools: Toolbox, way: str) -> None:
    changes = f"{NO_LANDLOCK}\n{NO_FILTER}"
    text = LAUNCHER.format(change=changes)
    daemon = DAEMON.format(then="time.sleep(1000)")
    words = [str(tools.folder), text, changes, way, daemon]
    done = subprocess.run([sys.executable, "-B", "-c", TRANSFER, *words], check=False)
    assert done.returncode == -signal.SIGKILL
    assert gone(int((tools.folder / "pid").read_text()))


@with_landlock
def test_program_that_sees_names_reads_no_file(tools: Toolbox, outside: Path) -> None:
    """As grub-fstest does, which opens ``/``; the others do not even see names."""
    lists = dataclasses.replace(tools, lists_folders=True)
    assert b"file" in lists.run("ls", str(outside)).split()
    with pytest.raises(ToolError, match="Permission denied"):
        lists.run("cat", str(outside / "file"))
    with pytest.raises(ToolError, match="Permission denied"):
        tools.run("ls", str(outside))
