"""External programs have no network, whatever an image makes of them, and end with the transfer.

What else they do not have is in test_transfer_taken_over.py.
"""

import os
import platform
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.tools import confinement
from cloudimage.transfer.tools.toolbox import Output, Toolbox, ToolError
from support.transfer_images import MIB, make, raw_disk
from support.unprivileged import powerless

GIB = 2**30
SOCKET = "import socket, sys; socket.socket(getattr(socket, sys.argv[1]))"
SYSCALL = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
print(libc.syscall(*map(int, sys.argv[1:])), os.strerror(ctypes.get_errno()))
"""
# socket(AF_INET, SOCK_STREAM, 0) by i386's numbers, in a process of x86_64; it prints what comes.
I386 = """
import ctypes, mmap
code = bytes.fromhex("53 b867010000 bb02000000 b901000000 ba00000000 cd80 5b c3")
memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
memory.write(code)
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))())
"""
IO_URING_SETUP = 425  # on every architecture
X32 = 0x40000000
X86_64_SOCKET = 41

on_x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="an ABI of x86_64")


@pytest.fixture
def tools(tmp_path: Path) -> Toolbox:
    return Toolbox(tmp_path, memory=GIB, cpu_seconds=30)


@pytest.fixture
def image(tools: Toolbox) -> Path:
    """A small qcow2 in the folder of the tools, and ``disk``, the raw disk that is in it."""
    disk = tools.folder / "disk"
    raw_disk(disk, 8 * MIB)
    make(disk, tools.folder / "source", "qcow2")
    return tools.folder / "source"


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_VSOCK", "AF_PACKET"])
def test_no_socket_but_unix(tools: Toolbox, family: str) -> None:
    with pytest.raises(ToolError, match="Address family not supported"):
        tools.run(sys.executable, "-B", "-c", SOCKET, family)


def test_no_socket_of_bash(tools: Toolbox) -> None:
    with pytest.raises(ToolError, match="Address family not supported"):
        tools.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/1")


def test_no_io_uring(tools: Toolbox) -> None:
    output = tools.run(sys.executable, "-B", "-c", SYSCALL, str(IO_URING_SETUP), "1", "0")
    assert output == b"-1 Function not implemented\n"


@on_x86_64
def test_no_socket_by_i386(tools: Toolbox) -> None:
    command = [sys.executable, "-B", "-c", I386]
    free = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if free.returncode or int(free.stdout) < 0:
        pytest.skip("the kernel has no i386")
    with pytest.raises(ToolError) as caught:
        tools.run(*command)
    assert caught.value.status == -signal.SIGSYS


@on_x86_64
def test_no_socket_by_x32(tools: Toolbox) -> None:
    with pytest.raises(ToolError) as caught:
        tools.run(sys.executable, "-B", "-c", SYSCALL, str(X32 | X86_64_SOCKET), "2", "1", "0")
    assert caught.value.status == -signal.SIGSYS


@on_x86_64
def test_upper_half_of_the_family_does_not_count(tools: Toolbox) -> None:
    """The kernel looks at 32 bits of it only."""
    script = SYSCALL.replace("map(int, sys.argv[1:])", "map(ctypes.c_long, map(int, sys.argv[1:]))")
    family = str(2**32 + 2)
    output = tools.run(sys.executable, "-B", "-c", script, str(X86_64_SOCKET), family, "1", "0")
    assert output == b"-1 Address family not supported by protocol\n"


def test_the_transfer_itself_keeps_its_network(tools: Toolbox) -> None:
    tools.run("true")
    socket.socket(socket.AF_INET).close()
    with ThreadPoolExecutor(1) as other:
        other.submit(socket.socket, socket.AF_INET).result().close()


def test_programs_of_several_threads_at_once(tools: Toolbox) -> None:
    with ThreadPoolExecutor(4) as pool:
        outputs = pool.map(lambda number: tools.run("echo", str(number)), range(8))
        assert list(outputs) == [f"{number}\n".encode() for number in range(8)]


def test_qemu_img_converts(tools: Toolbox, image: Path) -> None:
    words = ("-f", "qcow2", "-O", "raw", image.name, "converted")
    tools.run("qemu-img", "convert", *words, output=Output("converted", 8 * MIB))
    assert (tools.folder / "converted").read_bytes() == (tools.folder / "disk").read_bytes()


def test_qemu_nbd_serves(tools: Toolbox, image: Path) -> None:
    with tools.disk(image.name, "qcow2") as disk:
        assert b"".join(disk.pieces()) == (tools.folder / "disk").read_bytes()


LAUNCHER = """
from cloudimage.transfer.tools import landlock, launcher, seccomp
{change}
launcher.main()
"""
NO_LANDLOCK = "landlock.restrict = lambda *_: False"
NO_FILTER = "seccomp.Filters.load = lambda *_, **__: None"
REFUSED = """
def load(*_, **__):
    raise OSError(22, "Invalid argument")
seccomp.Filters.load = load
"""
NO_LIBSECCOMP = """
import ctypes.util
found = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if name == "seccomp" else found(name)
"""

Launch = Callable[..., None]


@pytest.fixture
def launch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Launch]:
    """Have programs started by a launcher that was changed."""
    made: list[confinement._Launcher] = []

    def change(*changes: str) -> None:
        text = LAUNCHER.format(change="\n".join(changes))
        made.append(confinement._Launcher((sys.executable, "-B", "-c", text)))
        monkeypatch.setattr(confinement, "_LAUNCHER", made[-1])

    yield change
    for each in made:
        each.close()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (REFUSED, "cannot be confined.*: Invalid argument"),
        (NO_LIBSECCOMP, "libseccomp2 is needed: Unable to find libseccomp"),
    ],
)
def test_nothing_runs_without_the_filter(
    tools: Toolbox, launch: Launch, change: str, words: str
) -> None:
    launch(change)
    for _ in range(2):
        with pytest.raises(TransferError, match=words) as caught:
            tools.run("touch", "ran", output=Output("other", 1))
        assert caught.value.reason is Reason.INTERNAL_ERROR
    assert not (tools.folder / "ran").exists()


def test_interrupt_while_a_program_starts(tools: Toolbox, launch: Launch) -> None:
    """What was asked for and is not ours yet is ended all the same."""
    launch(
        "from pathlib import Path",
        "import os, time",
        "become = launcher._become",
        "def slow(*words):",
        f"    Path({str(tools.folder)!r}, 'pid').write_text(str(os.getpid()))",
        "    time.sleep(0.5)",
        "    become(*words)",
        "launcher._become = slow",
    )
    tools.run("true")
    previous = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            tools.run("sleep", "100")
    finally:
        signal.signal(signal.SIGALRM, previous)
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int((tools.folder / "pid").read_text())).wait(timeout=10)


KILLED = """
import os, signal, sys
from pathlib import Path
from cloudimage.transfer.tools.toolbox import Toolbox
tools = Toolbox(Path(sys.argv[1]), memory=2**30, cpu_seconds=30)
with tools.stream("sh", "-c", "echo $$; exec sleep 100") as output:
    print(int(output.readline()), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_program_dies_with_the_transfer(tmp_path: Path) -> None:
    command = [sys.executable, "-B", "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    assert done.returncode == -signal.SIGKILL
    with suppress(psutil.NoSuchProcess):
        psutil.Process(int(done.stdout)).wait(timeout=10)


PROCESSES = [
    ("cloudimage.transfer",),
    ("cloudimage.transfer.forkserver",),
    ("cloudimage", "transfer-job"),
    ("cloudimage", "run"),
]


@pytest.mark.parametrize("words", PROCESSES, ids=" ".join)
def test_memory_is_hidden_before_anything_of_weight_is_imported(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    """Who opened it before would keep it; the environment is guarded as the memory is."""
    for name in ("pydantic", "requests", "click"):
        (tmp_path / f"{name}.py").write_text("import sys; print(flush=True); sys.stdin.read()")
    command = [*powerless(), sys.executable, "-B", "-m", *words]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n", "it was to stop at its first import"
        look = [*powerless(), "cat", f"/proc/{process.pid}/environ"]
        seen = subprocess.run(look, capture_output=True, text=True, check=False)
        process.kill()
    assert (seen.stdout, seen.returncode) == ("", 1)
    assert "Permission denied" in seen.stderr
