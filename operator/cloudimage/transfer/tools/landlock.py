"""Landlock: which files a process and all that it starts may use, whatever their owner may.

By the system calls themselves (linux/landlock.h, landlock(7)): glibc has no functions for them. A
kernel before 5.13, or one that was started without it, has none; later ones know more rights, and
what a kernel does not know is left out.
"""

import ctypes
import os
from collections.abc import Iterable, Mapping
from enum import IntFlag
from pathlib import Path
from typing import Final

# The same numbers on every architecture.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NET_PORT: Final = 2
_BIND: Final = 1 << 0
_CONNECT: Final = 1 << 1
_GIVEN_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")


class Right(IntFlag):
    """What may be done beneath a path; members are in the order of the kernel's versions."""

    EXECUTE = 1 << 0
    WRITE_FILE = 1 << 1
    READ_FILE = 1 << 2
    READ_DIR = 1 << 3
    REMOVE_DIR = 1 << 4
    REMOVE_FILE = 1 << 5
    MAKE_CHAR = 1 << 6
    MAKE_DIR = 1 << 7
    MAKE_REG = 1 << 8
    MAKE_SOCK = 1 << 9
    MAKE_FIFO = 1 << 10
    MAKE_BLOCK = 1 << 11
    MAKE_SYM = 1 << 12
    REFER = 1 << 13
    TRUNCATE = 1 << 14
    IOCTL_DEV = 1 << 15


_RIGHTS_BY_VERSION: Final = {1: Right.REFER - 1, 2: Right.TRUNCATE - 1, 3: Right.IOCTL_DEV - 1}
_ALL: Final = Right.IOCTL_DEV * 2 - 1
_OF_FILES: Final = (
    Right.EXECUTE | Right.WRITE_FILE | Right.READ_FILE | Right.TRUNCATE | Right.IOCTL_DEV
)
_NETWORK: Final = _BIND | _CONNECT
"""Of TCP; since version 4."""
_SCOPES: Final = 0b11
"""Abstract Unix sockets, and signals, of processes that are not restricted; since version 6."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # what _pack_ alone means, said as Python 3.14 wants it
    _fields_ = (("access", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _NetPort(ctypes.Structure):
    _fields_ = (("access", ctypes.c_uint64), ("port", ctypes.c_uint64))


_libc: Final = ctypes.CDLL(None, use_errno=True)


def version() -> int:
    """Return which version of Landlock the kernel has; 0: none."""
    return max(0, int(_libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)))


def given_ports() -> range:
    """Return the ports of which the kernel gives one to a socket that asks for none."""
    first, last = map(int, _GIVEN_PORTS.read_text().split())
    return range(first, last + 1)


def restrict(allowed: Mapping[Path, Right], ports: Iterable[int] = ()) -> bool:
    """Let the calling thread, and what it starts, use files only as said, for good.

    Nor can it reach processes outside by signals or ptrace, or servers by TCP, as far as the kernel
    has that. The thread must have no_new_privs.

    Args:
        allowed: What may be done beneath folders, and with files; those that are not there are
            left out.
        ports: Those of TCP that it may connect to, at any address: a kernel that knows ports knows
            no addresses. With any, it may also bind to a port that the kernel gives it.

    Returns:
        Whether the kernel has Landlock.

    Raises:
        OSError: The kernel refuses.
    """
    known = version()
    if not known:
        return False
    rights = _RIGHTS_BY_VERSION.get(known, _ALL if known >= 5 else Right.IOCTL_DEV - 1)  # noqa: PLR2004 - versions of the ABI
    rules = _Ruleset(rights, _NETWORK if known >= 4 else 0, _SCOPES if known >= 6 else 0)  # noqa: PLR2004 - versions of the ABI
    handle = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(ctypes.sizeof(rules)), 0)
    try:
        for path, wanted in allowed.items():
            _allow(handle, path, wanted & rights)
        if rules.net:
            _allow_ports(handle, ports)
        _call(_RESTRICT_SELF, handle, 0)
    finally:
        os.close(handle)
    return True


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what is not there, or not to be reached, need not be allowed
        return
    try:
        beneath = rights if path.is_dir() else rights & _OF_FILES
        rule = _PathBeneath(beneath, place)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(place)


def _allow_ports(ruleset: int, ports: Iterable[int]) -> None:
    rule = _NetPort(_CONNECT)
    for port in ports:  # some 28000, in a tenth of a second
        rule.port = port
        _call(_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(rule), 0)
    if rule.port:
        rule = _NetPort(_BIND, 0)
        _call(_ADD_RULE, ruleset, _NET_PORT, ctypes.byref(rule), 0)


def _call(number: int, *arguments: object) -> int:
    result = int(_libc.syscall(number, *arguments))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
