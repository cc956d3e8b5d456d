"""Memory that is no longer needed goes back to the system."""

import ctypes


def give_back() -> None:
    """Have glibc give back what was freed; without it nothing is done.

    The listing of ten thousand objects takes memory in many small pieces once, and glibc keeps
    them for later. See malloc_trim(3).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
