"""Transfers are forked from a server: each with pipes of its own, out of reach for the others."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudimage.runners import fork_client
from cloudimage.runners.fork_client import UNKNOWN_STATUS, Forked, ForkServer
from cloudimage.transfer.forkserver import NAME
from support.unprivileged import powerless
from testbed.process import survivors

# The server itself, but for what is run in place of a transfer.
SERVER = """
import os, sys, types
from cloudimage.transfer import forkserver

def main():
{program}

sys.modules["cloudimage.transfer.worker"] = types.SimpleNamespace(main=main)
forkserver.main()
"""
DESCRIPTORS = """
    found = {}
    for each in os.listdir("/proc/self/fd"):
        try:
            found[each] = os.readlink(f"/proc/self/fd/{each}")
        except FileNotFoundError:  # that of the folder itself
            pass
"""
# It dies once, between the fork and the answer.
FORGETFUL = """
import os, pathlib, socket
mark = pathlib.Path({mark!r})
if not mark.exists():
    mark.touch()
    socket.send_fds = lambda *_: os._exit(1)
"""
UNTIL_ITS_INPUT_ENDS = (
    DESCRIPTORS
    + """
    import json
    print(json.dumps(found), flush=True)
    sys.stdin.read()
    return 0
"""
)
# What a program that an image has taken over tries, as the same user and under the filter.
REACH = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
for pid in map(int, sys.argv[1:]):
    for name in ("environ", "mem", "fd/0", "fd/1"):
        try:
            os.open(f"/proc/{pid}/{name}", os.O_RDWR if name == "mem" else os.O_RDONLY)
            print("open", pid, name)
        except PermissionError:
            pass
    if libc.syscall(438, os.pidfd_open(pid), 0, 0) >= 0:  # pidfd_getfd, on every architecture
        print("taken", pid)
    if libc.ptrace(16, pid, 0, 0) == 0:  # PTRACE_ATTACH
        print("traced", pid)
for each in os.listdir("/proc/self/fd"):
    path = f"/proc/self/fd/{each}"
    if os.path.lexists(path) and "socket:" in os.readlink(path):
        print("socket", each)
print("tried")
"""
REACHING = f"""
    from pathlib import Path
    from cloudimage.transfer.tools.toolbox import Toolbox
    folder = Path(sys.stdin.readline().strip())
    tools = Toolbox(folder, memory=2**30, cpu_seconds=30)
    pids = map(str, (os.getppid(), os.getpid()))
    print(tools.run(sys.executable, "-c", {REACH!r}, *pids).decode(), flush=True)
    return 0
"""
OPERATOR = """
import sys
from cloudimage.runners.fork_client import ForkServer
process = ForkServer().spawn()
print(process.pid, flush=True)
sys.stdin.read()
"""

Serve = Callable[[str], ForkServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Make a server whose transfers run a program instead; its servers end with the test."""
    made: list[ForkServer] = []

    def make(program: str) -> ForkServer:
        text = SERVER.format(program=textwrap.indent(textwrap.dedent(program), "    "))
        made.append(ForkServer((*powerless(), sys.executable, "-c", text)))
        return made[-1]

    yield make
    for each in made:
        each.close()


def server_of(process: Forked) -> psutil.Process:
    parent = psutil.Process(process.pid).parent()
    assert parent is not None
    return parent


def said(process: Forked) -> Any:
    return json.loads(process.stdout.readline())


def test_streams_and_status_are_those_of_a_program(serve: Serve) -> None:
    server = serve("print(sys.stdin.readline().upper(), end='', flush=True); return 7")
    for word in (b"one\n", b"two\n"):
        with server.spawn() as process:
            process.stdin.write(word)
            process.stdin.flush()
            assert process.stdout.readline() == word.upper()
            assert process.wait(10) == process.returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_status_after_a_signal_is_negative(serve: Serve, number: signal.Signals) -> None:
    with serve(UNTIL_ITS_INPUT_ENDS).spawn() as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        end = {signal.SIGTERM: process.terminate, signal.SIGKILL: process.kill}
        end[number]()
        assert process.wait(10) == -number
    process.kill()  # nothing is left to be killed


def test_those_started_at_once_hold_nothing_of_each_other(serve: Serve) -> None:
    """Else the end of one's input, or of its output, would not be seen."""
    server = serve(UNTIL_ITS_INPUT_ENDS)
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: server.spawn(), range(8)))
    assert len({server_of(each).pid for each in started}) == 1
    held = [said(each) for each in started]
    inherited = {path for each in held for number, path in each.items() if number not in "012"}
    # libffi keeps its own file open for its trampolines, where it is built so.
    assert all(Path(path).name.startswith("libffi.so") for path in inherited), inherited
    pipes = [each[number] for each in held for number in ("0", "1")]
    assert len(set(pipes)) == 16
    assert all(each.startswith("pipe:") for each in pipes)
    for process in started:
        assert process.returncode is None
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(10) == 0


def test_a_server_that_died_is_started_again(serve: Serve) -> None:
    server = serve(UNTIL_ITS_INPUT_ENDS)
    with server.spawn() as earlier, server.spawn() as later:
        for each in (earlier, later):
            said(each)
        dead = server_of(earlier)
        dead.kill()
        with server.spawn() as process:
            assert server_of(process) != dead
            said(process)
            process.stdin.close()
            assert process.wait(10) == 0
        later.terminate()
        assert later.wait(10) == UNKNOWN_STATUS
        earlier.stdin.close()
        assert earlier.wait(10) == UNKNOWN_STATUS, "it goes on without its server, to its end"


def test_a_server_that_hangs_is_replaced(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(UNTIL_ITS_INPUT_ENDS)
    with server.spawn() as process:
        said(process)
        hung = server_of(process)
        hung.suspend()
        with monkeypatch.context() as patch:
            patch.setattr(fork_client, "_ANSWER_SECONDS", 0.1)
            process.kill()
            status = process.wait(10)
    assert status == UNKNOWN_STATUS
    assert server._connection is not None
    server._connection.settimeout(0.1)
    with server.spawn() as process:
        assert server_of(process) != hung
        process.kill()


def test_a_transfer_that_nobody_knows_of_shares_no_pipe(serve: Serve, tmp_path: Path) -> None:
    server = serve(UNTIL_ITS_INPUT_ENDS)
    *command, program = server.command
    server.command = (*command, FORGETFUL.format(mark=str(tmp_path / "mark")) + program)
    with server.spawn() as process:
        said(process)
        process.stdin.close()
        assert process.stdout.read() == b""
    assert (tmp_path / "mark").exists()


def test_a_server_that_cannot_start() -> None:
    server = ForkServer(("false",))
    with pytest.raises(OSError, match=r"died|Broken pipe|reset"):
        server.spawn()


def test_a_transfer_looks_like_one(serve: Serve) -> None:
    with serve(
        "print(open('/proc/self/comm').read(), end='', flush=True); return 0"
    ).spawn() as process:
        assert process.stdout.read() == f"{NAME}\n".encode()


def test_the_server_and_transfers_end_with_the_operator() -> None:
    """By kill -9: nobody gets a message, but the descriptors are closed."""
    with subprocess.Popen(
        [sys.executable, "-c", OPERATOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as operator:
        assert operator.stdout is not None
        transfer = psutil.Process(int(operator.stdout.readline()))
        server = transfer.parent()
        assert server is not None
        assert server.ppid() == operator.pid
        # Forking is safe beside no other thread only; nothing that is imported may start one.
        assert server.num_threads() == 1
        operator.kill()
    assert survivors([server, transfer]) == []


def started() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        command = ForkServer().command
        server = subprocess.Popen(command, stdin=theirs.fileno(), stderr=subprocess.PIPE)
    return server, ours


def test_the_server_ends_quietly_when_the_operator_dies_before_its_answer() -> None:
    server, connection = started()
    server.send_signal(signal.SIGSTOP)
    stdin, stdout, status = os.pipe(), os.pipe(), os.pipe()
    socket.send_fds(connection, [b"\0"], [stdin[0], stdout[1], status[1]])
    connection.close()
    for each in (*stdin, *stdout, *status):
        os.close(each)
    server.send_signal(signal.SIGCONT)
    assert server.communicate(timeout=30)[1].decode() in QUIET
    assert server.returncode == 0


def test_the_server_ends_quietly_when_its_operator_does() -> None:
    server, connection = started()
    connection.close()
    assert server.communicate(timeout=30)[1] == b""
    assert server.returncode == 0


def test_an_interrupt_at_the_terminal_does_not_reach_the_server() -> None:
    """It would meet it in the middle of its imports, with a traceback."""
    server = ForkServer()
    server._connected()
    assert server._process is not None
    assert os.getsid(server._process.pid) != os.getsid(0)
    server.close()


# What the transfer says that finds no request.
QUIET = {"", "WARNING nobody reads the events\n"}

KILLED = """
    from pathlib import Path
    from cloudimage.transfer.tools import confinement
    from cloudimage.transfer.tools.toolbox import Toolbox
    with confinement.prepared(), Toolbox(Path("/"), 2**30, 30).stream("sleep", "1000"):
        print(confinement._LAUNCHER._pid, flush=True)
        sys.stdin.readline()
        os.kill(os.getpid(), 9)
"""


def test_a_transfer_that_is_killed_leaves_nothing_behind(serve: Serve) -> None:
    """Not even a zombie, which the first process of a container would not take."""
    with serve(KILLED).spawn() as process:
        launcher = psutil.Process(said(process))
        programs = launcher.children()
        process.stdin.close()
        assert process.wait(10) == -signal.SIGKILL
    assert len(programs) == 1
    until = time.monotonic() + 10
    while any(each.is_running() for each in (launcher, *programs)):  # zombies run, to psutil
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_program_of_a_transfer_reaches_neither_it_nor_the_server(
    serve: Serve, tmp_path: Path
) -> None:
    server = serve(REACHING)
    with server.spawn() as process:
        assert server._connection is not None
        assert server._connection.getpeername() == "", "a name could be connected to"
        process.stdin.write(f"{tmp_path}\n".encode())
        process.stdin.flush()
        assert process.stdout.read().decode().split("\n") == ["tried", "", ""]
        assert process.wait(10) == 0
