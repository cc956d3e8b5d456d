"""What a program tries that an image has taken over, and what it must not come to."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from cloudimage.transfer.tools import confinement
from support.unprivileged import powerless

LAUNCHER = """
from cloudimage.transfer.tools import landlock, launcher, seccomp
{change}
launcher.main()
"""
NO_LANDLOCK = "landlock.restrict = lambda *_: False"
NO_FILTER = "seccomp.Filters.load = lambda *_, **__: None"
"""Changes to the launcher: what a kernel without Landlock has, and a program without a filter."""

TRY = """
import ctypes, os, socket, subprocess, sys, threading
mine, libc = os.getpid(), ctypes.CDLL(None, use_errno=True)
def call(number, *words):
    result = libc.syscall(number, *words)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result
outside, parent = sys.argv[1], int(sys.argv[2])
try:
    {attack}
except (OSError, RuntimeError, subprocess.SubprocessError) as error:
    print("refused:", error)
else:
    print("DONE")
"""

PROCESSES = {
    "forks": "os.fork() or os._exit(0)",
    "forks by libc": "if libc.fork() == -1: raise OSError(ctypes.get_errno(), 'no')",
    "starts a program": "subprocess.run(['/bin/true'])",
    "starts a program by posix_spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "starts a program by a shell": "if os.system('true'): raise OSError('no')",
    "signals its parent": "os.kill(os.getppid(), 0)",
    "signals the transfer": "os.kill(parent, 0)",
    "signals all": "os.kill(-1, 0)",
    "signals its group": "os.kill(0, 0)",
    "leaves its session": "os.setsid()",
    "sends a signal by a pidfd": (
        "import signal\nsignal.pidfd_send_signal(os.pidfd_open(parent), 0)"
    ),
    "has the kernel signal another one": "import fcntl\nfcntl.fcntl(0, fcntl.F_SETOWN, parent)",
    "changes limits of another one": "import resource\nresource.prlimit(parent, 7, (9, 9))",
    "changes the priority of another one": "os.setpriority(os.PRIO_PROCESS, parent, 19)",
    "outlives its parent": "if libc.prctl(1, 0): raise OSError('no')",
}
SOCKETS = {
    "connects to a Unix socket": "socket.socket(socket.AF_UNIX).connect(outside + '/socket')",
    "connects to a pair's": "socket.socketpair()",
    "makes a datagram socket": (
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', outside + '/datagrams')"
    ),
    "connects to an abstract socket": "socket.socket(socket.AF_UNIX).connect('\\0' + outside)",
    "listens": "socket.socket(socket.AF_UNIX).bind('mine')",
}
CHANGES = {
    "makes a file executable": "os.chmod(outside + '/file', 0o777)",
    "gives a file away": "os.chown(outside + '/file', 1, 1)",
    "empties a file by its path": "os.truncate(outside + '/file', 0)",
    "empties a file that it opens for reading": "os.open(outside + '/file', os.O_TRUNC)",
    "renames a file": "os.rename(outside + '/file', outside + '/other')",
    "removes a file": "os.unlink(outside + '/file')",
    "links a file": "os.link(outside + '/file', 'mine')",
    "makes a symbolic link": "os.symlink('/', outside + '/link')",
    "makes a folder": "os.mkdir(outside + '/folder')",
    "makes a pipe with a name": "os.mkfifo(outside + '/pipe')",
    "changes a file's times": "os.utime(outside + '/file', (1, 1))",
    "sets an attribute": "os.setxattr(outside + '/file', 'user.x', b'y')",
}
WRITES = {
    "writes a file": "open(outside + '/file', 'w').write('not the user\\'s')",
    "appends to a file": "open(outside + '/file', 'a').write('more')",
    "makes a file": "open(outside + '/new', 'w')",
    "makes a file that it opens for reading": "os.open(outside + '/new', os.O_CREAT)",
    "writes into its own folder": "open('new', 'w')",
    "writes over the image": "open('source', 'rb+', 0).write(b'another')",
    "writes over a file": "open(outside + '/file', 'rb+', 0).write(b'other')",
    "maps a file": (
        "import mmap\nmmap.mmap(os.open(outside + '/file', os.O_RDWR), 9)[:] = b'not yours'"
    ),
    "maps a file that is read, and then writes": (
        "import mmap\n"
        "map = mmap.mmap(os.open(outside + '/file', os.O_RDWR), 9, mmap.MAP_SHARED, mmap.PROT_READ)"
        "\nlibc.mprotect(ctypes.c_void_p(0), 4096, 3)"
    ),
    "empties a file that it has opened": "os.ftruncate(os.open(outside + '/file', os.O_RDWR), 0)",
    "takes a file's blocks": (
        "if libc.fallocate(os.open(outside + '/file', os.O_RDWR), 3, 0, ctypes.c_long(9)):\n"
        "    raise OSError('no')"
    ),
}
READS = {
    "reads a file": "open(outside + '/file').read()",
    "reads a folder": "os.listdir(outside)",
    "reads the user's home": "os.listdir(os.path.expanduser('~root'))",
    "reads another process": "open(f'/proc/{parent}/cmdline').read()",
    "runs what is in its folder": "os.execv('./program', ['program'])",
}
CALLS = {
    "ptrace": "call(101, 16, parent, 0, 0)",
    "ptrace of itself": "call(101, 0, 0, 0, 0)",
    "process_vm_readv": "call(310, parent, 0, 0, 0, 0, 0)",
    "process_vm_writev": "call(311, parent, 0, 0, 0, 0, 0)",
    "pidfd_getfd": "call(438, os.pidfd_open(parent), 0, 0)",
    "kcmp": "call(312, parent, parent, 0, 0, 0)",
    "clone3": "call(435, (ctypes.c_ulong * 11)(0, 0, 0, 0, 17), 88) or os._exit(0)",
    "clone": "call(56, 17, 0, 0, 0, 0) or os._exit(0)",
    "vfork": "call(58) or os._exit(0)",
    "clone of a namespace": "call(56, 0x10010000 | 17, 0, 0, 0, 0) or os._exit(0)",
    "rt_sigqueueinfo": "call(129, parent, 0, ctypes.create_string_buffer(128))",
    "tkill": "call(200, parent, 0)",
    "tgkill": "call(234, parent, parent, 0)",
    "keyctl": "call(250, 0, -3, 0)",
    "add_key": "call(248, b'user', b'x', b'y', 1, -3)",
    "request_key": "call(249, b'user', b'x', 0, 0)",
    "bpf": "call(321, 0, ctypes.create_string_buffer(128), 128)",
    "userfaultfd": "call(323, 1)",
    "perf_event_open": "call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
    "io_uring_setup": "call(425, 1, ctypes.create_string_buffer(120))",
    "mount": "call(165, b'x', b'/tmp', b'tmpfs', 0, 0)",
    "unshare": "call(272, 0x10000000)",
    "setns": "call(308, os.open('/proc/self/ns/net', 0), 0)",
    "chroot": "call(161, b'.')",
    "open_by_handle_at": "call(304, -100, ctypes.create_string_buffer(128), 0)",
    "memfd_create": "call(319, b'x', 0)",
    "seccomp": "call(317, 0, 0, 0)",
    "landlock_create_ruleset": "call(444, 0, 0, 1)",
    "shmget": "call(29, 0, 4096, 0o1600)",
    "mq_open": "call(240, b'x', 0o102, 0o600, 0)",
    "open_tree": "call(428, -100, b'.', 1)",
    "a call that there is not": "call(1023)",
}


def changed(
    monkeypatch: pytest.MonkeyPatch, *changes: str, roots: bool = False
) -> confinement._Launcher:
    """Have programs started by a launcher that is changed so; it has root's rights only if asked.

    As root's it makes programs that start others an ordinary user's without being told.
    """
    text = LAUNCHER.format(change="\n".join(changes))
    words = (*(() if roots else powerless()), sys.executable, "-B", "-c", text)
    made = confinement._Launcher(words)  # noqa: SLF001 - what a tool that was taken over would be
    monkeypatch.setattr(confinement, "_LAUNCHER", made)
    return made


def attacker(attack: str, outside: Path) -> tuple[str, ...]:
    """Return the words of a program that tries this, and says whether it was refused."""
    text = TRY.format(attack="\n    ".join(attack.splitlines()))
    return (sys.executable, "-B", "-c", text, str(outside), str(os.getpid()))


@contextmanager
def untouched(outside: Path) -> Iterator[None]:
    """Put sockets into a folder, all of which must be as before in the end."""

    def listing() -> dict[str, tuple[int, int, int, int]]:
        found = {each.name: each.lstat() for each in outside.iterdir()}
        return {
            name: (each.st_mode, each.st_nlink, each.st_size, each.st_mtime_ns)
            for name, each in found.items()
        }

    with (
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        server.bind(str(outside / "socket"))
        server.listen()
        datagrams.bind(str(outside / "datagrams"))
        abstract.bind(f"\0{outside}")
        abstract.listen()
        before = listing()
        yield
        assert listing() == before
        datagrams.setblocking(False)  # noqa: FBT003 - as socket has it
        with pytest.raises(BlockingIOError):
            datagrams.recv(10)
    for each in ("socket", "datagrams"):
        (outside / each).unlink()


# What a program could do if nothing kept it from starting others.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for each in (0, 1, 2): os.close(each)
        open("pid", "w").write(str(os.getpid()))
        time.sleep(1000)
    os._exit(0)
while not os.path.exists("pid") or not open("pid").read(): time.sleep(0.01)
print("started", flush=True)
{then}
"""


def gone(pid: int) -> bool:
    """Return whether a process ends within ten seconds."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        with suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                time.sleep(0.02)
                continue
        return True
    return False
