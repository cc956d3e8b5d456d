"""What a process asks of the kernel about itself.

Nothing of weight is imported here: a process asks for this before anything else.
"""

import ctypes
import os
from typing import Final

_SET_DUMPABLE: Final = 4  # linux/prctl.h
_SET_NAME: Final = 15


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


def _prctl(option: int, argument: ctypes.c_ulong | ctypes.c_char_p) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, argument):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
