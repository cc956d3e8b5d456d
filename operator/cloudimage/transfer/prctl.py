"""What a process asks of the kernel about itself.

Nothing of weight is imported here: a process asks for this before anything else.
"""

import ctypes
import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

_SET_DEATH_SIGNAL: Final = 1  # linux/prctl.h
_SET_DUMPABLE: Final = 4
_SET_NAME: Final = 15
_SET_CHILD_SUBREAPER: Final = 36
_SET_NO_NEW_PRIVS: Final = 38
_NEW_USER: Final = 0x10000000  # linux/sched.h
_ORDINARY: Final = 1000

NICENESS: Final = 5
"""Of transfers: below the operator, so that its event loop does not wait for their hashing."""

_CHILDREN: Final = Path("/proc/thread-self/children")


def hide_memory() -> None:
    """Keep this process's memory and environment from other processes of its user, for good.

    A program that an image has taken over is one of them. Only root's CAP_SYS_PTRACE gets past, and
    who opened the memory before: so this comes first of all, before the imports. Forked processes
    are hidden from their beginning.

    Raises:
        OSError: The kernel refuses.
    """
    _prctl(_SET_DUMPABLE, ctypes.c_ulong(0))


def set_name(name: str) -> None:
    """Have the calling thread, and threads that it starts, shown by a name of up to 15 bytes.

    Raises:
        OSError: The kernel refuses.
    """
    _prctl(_SET_NAME, ctypes.c_char_p(name.encode()))


def die_with_parent(parent: int) -> None:
    """Have this process killed when its parent ends, also as another program.

    Raises:
        OSError: The kernel refuses.
        ProcessLookupError: The parent, whose number that is, has ended already.
    """
    _prctl(_SET_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != parent:
        raise ProcessLookupError("the parent has ended")


def gain_no_privileges() -> None:
    """Let nothing that this process becomes have more rights than it has, for good.

    Raises:
        OSError: The kernel refuses.
    """
    _prctl(_SET_NO_NEW_PRIVS, ctypes.c_ulong(1))


def be_ordinary() -> None:
    """Be an ordinary user to itself, and to what it becomes, where this process is root's.

    Files that are root's stay its own; root's other rights are gone with the next program. It is by
    a user namespace of one user. For a process of one thread.

    Raises:
        OSError: The kernel refuses.
    """
    user, group = os.geteuid(), os.getegid()
    if user:
        return
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{_ORDINARY} {user} 1"),
        ("gid_map", f"{_ORDINARY} {group} 1"),
    ):
        Path("/proc/self", name).write_text(text)


def adopt_orphans() -> None:
    """Become the parent of processes below this one whose own parents end.

    Raises:
        OSError: The kernel refuses.
    """
    _prctl(_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))


def end_children(but: Collection[int] = ()) -> None:
    """Kill the children of this process, those that it adopted too, and wait for their ends.

    What a child has started becomes a child when that is gone, and its turn comes then. For a
    process of one thread.

    Args:
        but: Numbers of those to spare.
    """
    while strangers := set(_children()) - set(but):
        for pid in strangers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in strangers:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    try:
        return [int(each) for each in _CHILDREN.read_text().split()]
    except OSError:  # a kernel without CONFIG_PROC_CHILDREN
        return []


def _prctl(option: int, argument: ctypes.c_ulong | ctypes.c_char_p) -> None:
    # All five words are there: some options want the rest to be zero.
    zero = ctypes.c_ulong(0)
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument, zero, zero, zero):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
