"""What a process that moves images puts itself under, be it the operator's child or run by hand."""

import os
import resource
from typing import Final

from cloudimage.transfer.types import Limits

NICENESS: Final = 5
"""Below the operator, so that its event loop does not wait for a transfer's hashing."""


def restrain(limits: Limits) -> None:
    """Put this process and those it starts under limits, for good."""
    os.umask(0o077)
    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the secrets
    largest = max(limits.max_download, limits.max_expanded, limits.max_virtual_size)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = largest if hard == resource.RLIM_INFINITY else min(largest, hard)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
