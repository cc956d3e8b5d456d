"""Starts the external programs of a transfer, from a process that has nothing they could take.

It is a process of its own since what a program is to lose it must lose after the last fork: the
right to start another one. A thread of the transfer could not take that from it in time, and code
between fork and exec is safe only where there is one thread. So this process forks, takes from the
fork what :mod:`.seccomp` and :mod:`.landlock` take, and that becomes the program.

Its standard input is one end of a socket pair without a name, whose other end the transfer holds.
A request is an :class:`Order` as JSON with descriptors: the program's standard output and error,
its leash, a pipe to report on, and perhaps a socket that listens. When the transfer lets go of the
leash the program is killed; when the program has ended, the leash tells its exit status. When the
connection ends, so does everything.
"""

import fcntl
import json
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Self

from cloudimage.transfer import prctl
from cloudimage.transfer.tools import landlock, seccomp
from cloudimage.transfer.tools.landlock import Right

STATUS: Final = struct.Struct("id")
"""How an exit status, negative after a signal, and the CPU seconds are sent."""

MOST: Final = 64 * 2**10
"""Bytes of a request, and of a report."""

_LISTEN_FD: Final = 3  # sd_listen_fds(3)
_THREADS: Final = 4096
"""Of all the user's processes together: the kernel counts them on the whole machine, including
those of other containers, so a small number would keep qemu from its threads."""

_XCPU_SECONDS: Final = 5
"""Between the signal that the CPU time is over, which a program may catch, and its end."""

CODE: Final = (
    "/bin",
    "/sbin",
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/nix/store",
    "/gnu/store",
    "/etc/ld.so.cache",
    "/etc/gcrypt",
)
"""Programs, their libraries, and how the loader finds them."""

_BESIDE: Final = ("lib", "lib64", "share", "pyvenv.cfg")
"""The same, beside a folder ``bin`` that is not the system's."""

_FACTS: Final = (
    "/dev/random",
    "/dev/urandom",
    "/dev/zero",
    "/proc/cpuinfo",
    "/proc/filesystems",
    "/proc/meminfo",
    "/proc/self",
    "/proc/stat",
    "/proc/sys/kernel/osrelease",
    "/proc/sys/vm/overcommit_memory",
    "/sys/devices/system/cpu",
)
"""What libc and the programs ask of the machine."""

_SPAWNERS_FACTS: Final = ("/etc/passwd", "/etc/group", "/etc/nsswitch.conf", "/proc/sys/vm")
_OWN_FOLDER: Final = (
    Right.READ_FILE
    | Right.READ_DIR
    | Right.WRITE_FILE
    | Right.TRUNCATE
    | Right.REMOVE_DIR
    | Right.REMOVE_FILE
    | Right.MAKE_DIR
    | Right.MAKE_REG
    | Right.MAKE_SOCK
    | Right.MAKE_SYM
    | Right.REFER
)
"""What a program may do in its folder that starts others; run what is in it is not among that."""


@dataclass(frozen=True)
class Order:
    """A program to start.

    Attributes:
        program: Its file.
        words: Its arguments, its name first.
        folder: Where it runs, and all that it may read besides code.
        environment: All of its environment.
        memory: Bytes of address space.
        cpu_seconds: CPU seconds.
        output: The one file in the folder that it may write to; it is there. None: no file.
        most_output: Bytes that this file may come to.
        serves: Whether it gets a listening socket, as systemd passes them.
        lists_folders: Whether it may see the names in every folder, though not read their files.
        spawns: Whether it may start other programs, and make files in the folder, each of
            ``most_output`` bytes at the most. All of them end with it.
        readable: What it may read besides, with ``spawns``.
        programs: Files besides the system's that may be run, with ``spawns``.
        loops: Whether it makes connections to itself, with ``spawns``: of TCP by IPv4, and, where
            the kernel has Landlock for that, to the ports that the kernel itself gives out.
    """

    program: str
    words: tuple[str, ...]
    folder: str
    environment: Mapping[str, str]
    memory: int
    cpu_seconds: int
    output: str | None = None
    most_output: int = 0
    serves: bool = False
    lists_folders: bool = False
    spawns: bool = False
    readable: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    loops: bool = False

    @property
    def kind(self) -> seccomp.Kind:
        """Which system calls it gets."""
        writes = self.spawns or self.output is not None
        return seccomp.Kind(self.serves, writes, spawns=self.spawns, loops=self.loops)

    def to_json(self) -> bytes:
        """Return it as it is sent."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Return what was sent."""
        return cls(**json.loads(text))


class _Running(NamedTuple):
    pid: int
    leash: int


def serve(connection: socket.socket) -> None:
    """Start programs until the transfer is gone, and end them all then.

    Args:
        connection: To the transfer.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # they are the transfer's, which ends this one
        signal.signal(number, signal.SIG_IGN)
    os.umask(0o077)
    os.setpriority(os.PRIO_PROCESS, 0, max(prctl.NICENESS, os.getpriority(os.PRIO_PROCESS, 0)))
    prctl.adopt_orphans()
    programs = _Programs(connection)
    with suppress(EOFError):
        while True:
            programs.attend()
    prctl.end_children()


class _Programs:
    """The running tools, and the messages about and to them."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self._running: dict[int, _Running] = {}  # by its pidfd
        self._leashes: dict[int, int] = {}  # the pidfd, by the leash
        self._filters = _filters()

    def attend(self) -> None:
        """Wait for something to happen, and deal with it.

        Raises:
            EOFError: The transfer is gone.
        """
        for descriptor, _ in self._poll.poll():
            if descriptor == self._connection.fileno():
                self._start(*_received(self._connection))
            elif descriptor in self._running:
                self._has_ended(descriptor)
            elif descriptor in self._leashes:
                # Let go of, perhaps before the process has become a program.
                self._poll.unregister(descriptor)
                signal.pidfd_send_signal(self._leashes.pop(descriptor), signal.SIGKILL)

    def _start(self, order: Order, ends: list[int]) -> None:
        stdout, stderr, leash, report, *listener = ends
        parent = os.getpid()
        if not isinstance(self._filters, str):
            self._filters.prepare(order.kind)  # once, and not in each fork
        pid = os.fork()
        if not pid:
            _become(order, (stdout, stderr, report), listener, parent, self._filters)
        for each in (stdout, stderr, report, *listener):
            os.close(each)
        handle = os.pidfd_open(pid)
        self._running[handle] = _Running(pid, leash)
        self._leashes[leash] = handle
        for each in (handle, leash):
            self._poll.register(each, select.POLLIN)

    def _has_ended(self, handle: int) -> None:
        ended = self._running.pop(handle)
        self._poll.unregister(handle)
        if self._leashes.pop(ended.leash, None) is not None:
            self._poll.unregister(ended.leash)
        _, status, usage = os.wait4(ended.pid, 0)
        cpu_seconds = usage.ru_utime + usage.ru_stime  # with those of what it waited for
        os.close(handle)
        with suppress(OSError), socket.socket(fileno=ended.leash) as leash:  # nobody may be there
            told = STATUS.pack(os.waitstatus_to_exitcode(status), cpu_seconds)
            leash.send(told, socket.MSG_NOSIGNAL)
        # It cannot have started any, but that is not all that we rely on.
        prctl.end_children(but=[each.pid for each in self._running.values()])


def _received(connection: socket.socket) -> tuple[Order, list[int]]:
    """Return what is to be started, and its descriptors.

    Raises:
        EOFError: The transfer is gone.
    """
    try:
        text, ends, *_ = socket.recv_fds(connection, MOST, 5)
    except ConnectionError:
        text, ends = b"", []
    if not ends:
        raise EOFError
    for each in ends:
        fcntl.fcntl(each, fcntl.F_SETFD, fcntl.FD_CLOEXEC)  # recv_fds() heeds no flags
    return Order.from_json(text), ends


def _filters() -> seccomp.Filters | str:
    """Return the filters, or why they are missing."""
    try:
        return seccomp.Filters()
    # pyseccomp raises RuntimeError when imported without libseccomp.
    except (OSError, ImportError, RuntimeError) as error:
        return str(error)


def _become(
    order: Order,
    ends: tuple[int, int, int],
    listener: list[int],
    parent: int,
    filters: seccomp.Filters | str,
) -> NoReturn:
    """Become the program; if that fails, report why and end."""
    report = os.dup(ends[2])
    stage = "confined"
    try:
        prctl.die_with_parent(parent)
        environment = dict(order.environment)
        report = _arrange(order, ends, listener, environment)
        _confine(order, filters)
        stage = "run"
        os.execve(order.program, order.words, environment)  # noqa: S606 - no shell is wanted
    except BaseException as error:  # noqa: BLE001 - this process must end here, whatever happened
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        os.write(report, json.dumps([stage, said]).encode()[:MOST])
    finally:
        os._exit(1)


def _arrange(
    order: Order, ends: tuple[int, int, int], listener: list[int], environment: dict[str, str]
) -> int:
    """Give the program its folder and its descriptors, and no other; return that of the report."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python and this process ignore them
    os.chdir(order.folder)
    # Away from the low numbers, which are given out now.
    kept = [_away(each) for each in (*ends, *listener)]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(kept[0], 1)
    os.dup2(kept[1], 2)
    if listener:
        os.dup2(kept[3], _LISTEN_FD)
        environment |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    return kept[2]


def _away(descriptor: int) -> int:
    """Return a copy that is not inherited, of a number that no program expects anything of."""
    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 64)


def _confine(order: Order, filters: seccomp.Filters | str) -> None:
    """Take from this process what the program is not to have, for good."""
    if isinstance(filters, str):
        raise OSError(filters)
    if order.spawns:
        prctl.be_ordinary()
    prctl.gain_no_privileges()
    landlock.restrict(_files(order), landlock.given_ports() if order.loops else ())
    _limit(resource.RLIMIT_AS, order.memory)
    _limit(resource.RLIMIT_DATA, order.memory)
    _limit(resource.RLIMIT_CPU, order.cpu_seconds, order.cpu_seconds + _XCPU_SECONDS)
    _limit(resource.RLIMIT_FSIZE, order.most_output)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NPROC, _THREADS)
    filters.load(order.kind)


def _limit(kind: int, soft: int, hard: int | None = None) -> None:
    """Set a limit, or leave the one that there is if it is stricter."""
    _, most = resource.getrlimit(kind)
    unlimited = most == resource.RLIM_INFINITY
    hard = soft if hard is None else hard
    resource.setrlimit(kind, (soft, hard) if unlimited else (min(soft, most), min(hard, most)))


def _files(order: Order) -> dict[Path, Right]:
    """Return what the program may do with which files."""
    look = Right.READ_FILE | Right.READ_DIR
    programs = {Path(order.program), Path(order.program).resolve()}
    # Where what is not the system's own, such as conda or a venv, has its code.
    prefixes = [each.parent.parent for each in programs if each.parent.name == "bin"]
    beside = [each / name for each in prefixes for name in _BESIDE]
    allowed = {
        **dict.fromkeys(map(Path, CODE), look | Right.EXECUTE),
        **dict.fromkeys([*programs, *beside], look | Right.EXECUTE),
        **dict.fromkeys(map(Path, _FACTS), look),
        Path(os.devnull): Right.READ_FILE | Right.WRITE_FILE,
        Path(order.folder): look,
    }
    if order.lists_folders:
        allowed[Path("/")] = Right.READ_DIR
    if order.spawns:
        allowed |= dict.fromkeys(map(Path, (*order.readable, *_SPAWNERS_FACTS)), look)
        allowed |= dict.fromkeys(map(Path, order.programs), look | Right.EXECUTE)
        allowed[Path(order.folder)] = _OWN_FOLDER
    if order.output is not None:
        written = Right.READ_FILE | Right.WRITE_FILE | Right.TRUNCATE
        allowed[Path(order.folder, order.output)] = written
    return allowed


def main() -> None:
    """Serve the connection that is the standard input."""
    prctl.hide_memory()
    with socket.socket(fileno=sys.stdin.fileno()) as connection:
        serve(connection)


if __name__ == "__main__":
    main()
