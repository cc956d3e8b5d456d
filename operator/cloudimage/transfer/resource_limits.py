"""Limits that a process puts itself under before it moves an image."""

import os
import resource
import sys

from cloudimage.transfer.contract import Limits
from cloudimage.transfer.prctl import NICENESS


def restrain(limits: Limits) -> None:
    """Put this process and those it starts under limits, for good.

    That of memory is its own: programs that it starts have another one (``tool_memory``).
    """
    os.umask(0o077)
    # Some Pythons keep, as a module, what a write that the limit of a file cut short has left.
    sys.dont_write_bytecode = True
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the secrets
    # No file of a transfer is a disk in full length: those are streams.
    largest = max(limits.max_download, limits.max_expanded, limits.max_scratch)
    limit, _ = _within_hard(resource.RLIMIT_FSIZE, largest)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    # Not RLIMIT_AS: each thread has 64 MiB of addresses that it does not use. And softly, so that
    # the programs can be given theirs.
    resource.setrlimit(resource.RLIMIT_DATA, _within_hard(resource.RLIMIT_DATA, limits.memory))


def _within_hard(kind: int, wanted: int) -> tuple[int, int]:
    """Return a limit that is not over the hard one, and the hard one."""
    _, hard = resource.getrlimit(kind)
    return (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)), hard
