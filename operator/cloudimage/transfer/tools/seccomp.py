"""Which system calls a program that parses strangers' bytes may make: a seccomp filter.

It is a list of what is allowed: what qemu's tools, decompressors and gpgv need, and the glibc and
musl of today. What is not in it does not exist for them (``ENOSYS``), so that a libc that tries
something newer falls back to what there is. It has no way to make a process, to reach another one,
to make or connect a socket, or to change a file but by writing to it. Programs that start others,
such as libguestfs', have these ways in their own folder, and sockets of Unix only: no network. With
a virtual machine that has a network they connect to themselves by TCP as well, as libslirp does for
each connection of the guest. No filter sees to whom; that is for Landlock, and for the node.
"""

import errno
import mmap
import os
import platform
import socket
from contextlib import suppress
from typing import Any, Final, NamedTuple

_FILES: Final = """
    access close close_range dup dup2 dup3 faccessat faccessat2 fadvise64
    fadvise64_64 arm_fadvise64_64 fchdir chdir fdatasync flock fstat fstat64 fstatat64
    fstatfs fstatfs64 fsync getcwd getdents getdents64 lseek _llseek lstat
    lstat64 newfstatat pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead
    readlink readlinkat readv sendfile sendfile64 splice stat stat64 statfs statfs64 statx
    sync_file_range sync_file_range2 tee umask write writev
"""
_MEMORY: Final = """
    brk get_mempolicy madvise membarrier mincore mlock mlock2 mprotect mremap msync
    munlock munmap
"""
_WAITING: Final = """
    alarm clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
    clock_nanosleep_time64 epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2
    epoll_wait eventfd eventfd2 futex futex_time64 futex_waitv getitimer gettimeofday nanosleep
    pause poll ppoll ppoll_time64 pselect6 pselect6_time64 restart_syscall _newselect select
    setitimer signalfd signalfd4 time timer_create timer_delete timer_getoverrun timer_gettime
    timer_settime timerfd_create timerfd_gettime timerfd_settime
"""
_ITSELF: Final = """
    arch_prctl capget execve exit exit_group get_robust_list get_thread_area getcpu getegid
    getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid
    getppid getpriority getrandom getresgid getresuid getrlimit getrusage getsid gettid getuid
    getuid32 pidfd_open riscv_flush_icache riscv_hwprobe rseq rt_sigaction rt_sigpending
    rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64
    sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getparam
    sched_getscheduler sched_yield set_robust_list set_thread_area set_tid_address setrlimit
    sigaltstack sigreturn sysinfo times ugetrlimit uname wait4 waitid
"""
_SERVING: Final = """
    accept accept4 getpeername getsockname getsockopt recvfrom recvmsg recvmmsg setsockopt shutdown
"""
"""With a socket that it was given; none of them reaches another one, since that is a stream."""

_SENDING: Final = {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}
"""Likewise; and which argument has the flags."""

_WRITING: Final = "copy_file_range fallocate ftruncate ftruncate64"

_SPAWNING: Final = """
    bind chmod connect fchmod fchmodat fork ftruncate getpeername kill link linkat listen mkdir
    mkdirat rename renameat renameat2 rmdir setpgid setsid symlink symlinkat tgkill truncate unlink
    unlinkat utimensat vfork
"""
"""With a folder of its own; Landlock keeps it in there, where the kernel has it."""

_THREAD: Final = 0x10000  # linux/sched.h
_NAMESPACES: Final = 0x7E020000
_PR_ALLOWED: Final = (
    2,  # PR_GET_PDEATHSIG, but not to set another one
    3,  # PR_GET_DUMPABLE
    15,  # PR_SET_NAME
    16,  # PR_GET_NAME
    23,  # PR_CAPBSET_READ
    29,  # PR_SET_TIMERSLACK
    39,  # PR_GET_NO_NEW_PRIVS
    0x53564D41,  # PR_SET_VMA
)
_PR_SPAWNING: Final = (1,)  # PR_SET_PDEATHSIG
_FCNTL_ALLOWED: Final = (*range(8), *range(12, 15), *range(36, 39), 1030, 1031, 1032)
"""Not the owner of a descriptor, whom the kernel sends signals: F_SETOWN and F_SETSIG."""
_IOCTL_ALLOWED: Final = (
    0x5401,  # TCGETS: is it a terminal?
    0x5413,  # TIOCGWINSZ
    0x541B,  # FIONREAD
    0x5421,  # FIONBIO
    0x5450,  # FIONCLEX
    0x5451,  # FIOCLEX
    0xC020660B,  # FS_IOC_FIEMAP
)
_BY_ARGUMENT: Final = (
    ("prctl", 0, _PR_ALLOWED),
    ("fcntl", 1, _FCNTL_ALLOWED),
    ("fcntl64", 1, _FCNTL_ALLOWED),
    ("ioctl", 1, _IOCTL_ALLOWED),
)
"""Calls, and which argument must have which values."""
_REFUSALS: Final = {
    errno.EAFNOSUPPORT: ("socket", "socketpair"),
    errno.EPERM: ("fork", "vfork", "ptrace", "connect", "bind", "unlink", "unlinkat", "rename"),
}
_SOCKET_TYPE: Final = 0xF  # linux/net.h; the rest are flags
_LOW: Final = 0xFFFFFFFF
_UNKNOWN: Final = -1  # __NR_SCMP_ERROR


class Kind(NamedTuple):
    """What a program does besides reading files and writing to its pipes.

    Attributes:
        serves: It answers by a socket that it was given.
        writes: It has a file to write.
        spawns: It starts other programs, which write in its folder.
        loops: They connect to themselves by TCP.
    """

    serves: bool
    writes: bool
    spawns: bool = False
    loops: bool = False


class Filters:
    """What programs may call, ready to be loaded: once for all that a process starts."""

    def __init__(self) -> None:
        """Prepare.

        Raises:
            RuntimeError, ImportError: There is no libseccomp.
        """
        import pyseccomp  # noqa: PLC0415 - it looks for libseccomp, whose absence has a sentence

        self._seccomp: Any = pyseccomp
        self._rules: dict[Kind, Any] = {}

    def prepare(self, kind: Kind) -> None:
        """Make the filter of a kind, if it is not there yet.

        Raises:
            OSError: libseccomp refuses.
        """
        if kind not in self._rules:
            self._rules[kind] = self._made(kind)

    def load(self, kind: Kind) -> None:
        """Take all other system calls from this thread and all that it becomes, for good.

        Called by the process that is about to become the program: it may signal itself.

        Raises:
            OSError: The kernel refuses.
        """
        self.prepare(kind)
        arg, rules = self._seccomp.Arg, self._rules[kind]
        if kind.spawns:
            rules.load()
            return
        for name in ("kill", "tgkill"):
            self._add(rules, self._seccomp.ALLOW, name, arg(0, self._seccomp.EQ, os.getpid()))
        rules.load()  # with no_new_privs, without which the kernel refuses

    def _made(self, kind: Kind) -> Any:  # noqa: ANN401 - pyseccomp has no types
        seccomp = self._seccomp
        rules = seccomp.SyscallFilter(seccomp.ERRNO(errno.ENOSYS))
        # By the numbers of another architecture (i386, x32), which the rules do not know.
        rules.set_attr(seccomp.Attr.ACT_BADARCH, seccomp.KILL_PROCESS)
        rules.set_attr(seccomp.Attr.API_SYSRAWRC, 1)  # the kernel's own error, not ECANCELED
        named = [_FILES, _MEMORY, _WAITING, _ITSELF]
        named += [_SERVING] * (kind.serves or kind.spawns) + [_WRITING] * kind.writes
        named += [_SPAWNING] * kind.spawns
        for name in " ".join(named).split():
            self._add(rules, seccomp.ALLOW, name)
        self._add_conditional(rules)
        if kind.serves or kind.spawns:
            self._add_sending(rules)
        if kind.spawns:
            self._add_spawning(rules, loops=kind.loops)
        else:
            self._add_thread_only(rules)
        for name, place in (("open", 1), ("openat", 2)):
            self._add_opening(rules, name, place, writes=kind.writes)
        self._add_mapping(rules, writes=kind.writes)
        # Calls that do exist, so that what they fail with has a meaning.
        if not kind.spawns:
            for number, names in _REFUSALS.items():
                for name in names:
                    self._add(rules, seccomp.ERRNO(number), name)
        return rules

    def _add_sending(self, rules: Any) -> None:  # noqa: ANN401 - as above
        """Allow to send by a connection that there is.

        TCP Fast Open also makes one, to any address, past what Landlock says of connect(2).
        """
        seccomp, arg = self._seccomp, self._seccomp.Arg
        for name, flags in _SENDING.items():
            sends = arg(flags, seccomp.MASKED_EQ, socket.MSG_FASTOPEN, 0)
            self._add(rules, seccomp.ALLOW, name, sends)

    def _add_spawning(self, rules: Any, *, loops: bool) -> None:  # noqa: ANN401 - as above
        """Allow processes without namespaces of their own, and sockets of Unix, or TCP's."""
        seccomp, arg = self._seccomp, self._seccomp.Arg
        flags = 1 if platform.machine().startswith("s390") else 0
        self._add(rules, seccomp.ALLOW, "clone", arg(flags, seccomp.MASKED_EQ, _NAMESPACES, 0))
        for name in ("socket", "socketpair"):
            self._add(rules, seccomp.ALLOW, name, arg(0, seccomp.EQ, socket.AF_UNIX))
            others = arg(0, seccomp.GT, socket.AF_INET if loops else socket.AF_UNIX)
            self._add(rules, seccomp.ERRNO(errno.EAFNOSUPPORT), name, others)
        if loops:  # of no other protocol, such as MPTCP, whose connections Landlock may not know
            stream = arg(1, seccomp.MASKED_EQ, _SOCKET_TYPE, socket.SOCK_STREAM)
            tcp = (arg(0, seccomp.EQ, socket.AF_INET), stream, arg(2, seccomp.EQ, 0))
            self._add(rules, seccomp.ALLOW, "socket", *tcp)
        for each in _PR_SPAWNING:
            self._add(rules, seccomp.ALLOW, "prctl", arg(0, seccomp.MASKED_EQ, _LOW, each))
        self._add(rules, seccomp.ERRNO(errno.EPERM), "ptrace")

    def _add_thread_only(self, rules: Any) -> None:  # noqa: ANN401 - as above
        """Allow a thread, and no process.

        The flags of clone3 are in memory, which no filter sees: to libc it does not exist, and it
        takes this one.
        """
        seccomp, arg = self._seccomp, self._seccomp.Arg
        flags = 1 if platform.machine().startswith("s390") else 0
        thread = arg(flags, seccomp.MASKED_EQ, _THREAD | _NAMESPACES, _THREAD)
        self._add(rules, seccomp.ALLOW, "clone", thread)
        process = arg(flags, seccomp.MASKED_EQ, _THREAD, 0)
        self._add(rules, seccomp.ERRNO(errno.EPERM), "clone", process)

    def _add_conditional(self, rules: Any) -> None:  # noqa: ANN401 - as above
        """Allow calls with some arguments only."""
        seccomp, arg = self._seccomp, self._seccomp.Arg
        # Else limits of other processes could be changed.
        self._add(rules, seccomp.ALLOW, "prlimit64", arg(0, seccomp.EQ, 0))
        for name, place, allowed in _BY_ARGUMENT:
            for each in allowed:
                # The kernel looks at 32 bits of it only.
                self._add(rules, seccomp.ALLOW, name, arg(place, seccomp.MASKED_EQ, _LOW, each))

    def _add_opening(self, rules: Any, name: str, place: int, *, writes: bool) -> None:  # noqa: ANN401 - libseccomp's has no type
        """Allow files to be opened; which ones is for Landlock, where the kernel has it."""
        seccomp, arg = self._seccomp, self._seccomp.Arg
        # qemu opens /dev/null for both, to see which locks there are. What else a program that has
        # no file to write opens so, it cannot change: there is RLIMIT_FSIZE, it gets no call that
        # shortens a file, and it maps none to be shared.
        changes = os.O_ACCMODE | os.O_TRUNC | os.O_CREAT
        for mode in (os.O_RDONLY, os.O_RDWR):
            self._add(rules, seccomp.ALLOW, name, arg(place, seccomp.MASKED_EQ, changes, mode))
        if writes:
            # Not with O_RDONLY: Landlock's first versions let a file be emptied that is read.
            for mode in (os.O_WRONLY, os.O_RDWR):
                opened = arg(place, seccomp.MASKED_EQ, os.O_ACCMODE, mode)
                self._add(rules, seccomp.ALLOW, name, opened)
        else:
            opened = arg(place, seccomp.MASKED_EQ, os.O_ACCMODE, os.O_WRONLY)
            self._add(rules, seccomp.ERRNO(errno.EACCES), name, opened)

    def _add_mapping(self, rules: Any, *, writes: bool) -> None:  # noqa: ANN401 - as above
        """Allow memory, and files in it that are not changed by it."""
        seccomp, arg = self._seccomp, self._seccomp.Arg
        for name in ("mmap", "mmap2"):
            if writes:
                self._add(rules, seccomp.ALLOW, name)
                continue
            kind = mmap.MAP_SHARED | mmap.MAP_PRIVATE
            private = arg(3, seccomp.MASKED_EQ, kind, mmap.MAP_PRIVATE)
            self._add(rules, seccomp.ALLOW, name, private)
            anonymous = arg(3, seccomp.MASKED_EQ, mmap.MAP_ANONYMOUS, mmap.MAP_ANONYMOUS)
            self._add(rules, seccomp.ALLOW, name, anonymous)

    def _add(self, rules: Any, action: int, name: str, *conditions: object) -> None:  # noqa: ANN401 - libseccomp's has no type
        """Add a rule; what libseccomp or this architecture does not know stays refused."""
        seccomp = self._seccomp
        with suppress(ValueError):
            if seccomp.resolve_syscall(seccomp.Arch.NATIVE, name) != _UNKNOWN:
                rules.add_rule(action, name, *conditions)
