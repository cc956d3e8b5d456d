"""Named points between the steps of our work, at which a test can end this very process.

``CLOUDIMAGE_HALT_AT`` names them, as ``marked:debian-12 finalizer:debian-12``: the point, and the
image that is being worked on. There the process stops itself with SIGSTOP, and whoever set the
variable kills it, or lets it go on. A process can do nothing to others by this, and without the
variable nothing at all happens.
"""

import os
import signal
import threading
from enum import StrEnum
from typing import Final


class Point(StrEnum):
    """Where a process may be halted: what has just been done."""

    FINALIZER = "finalizer"
    """The operator put its finalizer on the object."""
    RESOLVED = "resolved"
    """The status says which version a source that is followed has; nothing is made of it yet."""
    STARTING = "starting"
    """The status says that a transfer starts; it has not."""
    ENDED = "ended"
    """The transfer has succeeded; the status does not say so."""
    PATCHED = "patched"
    """Glance's metadata matches the spec; the status does not say so yet."""
    BOOT_BEGUN = "boot-begun"
    """The status says that a boot test begins; it has no server."""
    BOOT_SERVER = "boot-server"
    """Nova has the server of a boot test; the status does not name it."""
    BOOT_MARKED = "boot-marked"
    """The image says that it has passed its boot test; the status does not."""
    BOOT_FINISHED = "boot-finished"
    """The status says what came of a boot test; its server is still there."""
    BOOT_CLEARED = "boot-cleared"
    """The server of a boot test is deleted; the status still names it."""
    DELETED = "deleted"
    """The Glance images are deleted; the finalizer is still there."""

    STOPPED = "stopped"
    """The server is stopped for its snapshot."""
    SNAPSHOT = "snapshot"
    """The source's cloud has made the snapshot; nothing of it has been read."""
    FETCHED = "fetched"
    """The transfer has the whole source in its scratch."""
    VERIFIED = "verified"
    """The source is what its publisher made."""
    INSPECTED = "inspected"
    """The source is an image that is safe to open."""
    CREATED = "created"
    """Glance has a record of the image, and none of its bytes."""
    SENDING = "sending"
    """Glance has been sent the first piece of the bytes."""
    STAGED = "staged"
    """Glance has all bytes in its staging area, and was not told to import them."""
    STORED = "stored"
    """Glance has all bytes, and they are the right ones; the image is not marked as verified."""
    MARKED = "marked"
    """The image is marked as verified; the transfer has not said so."""


_halts: Final = set(os.environ.get("CLOUDIMAGE_HALT_AT", "").split())


def failpoint(point: Point, name: str) -> None:
    """Stop this process if it is to halt here and has not done so before.

    Args:
        point: What has just been done.
        name: Of the image that it was done for; its first word counts, for a new revision has more
            words in its name until it is verified.
    """
    if _halts and (halt := f"{point}:{name.partition(' ')[0]}") in _halts:
        _halts.discard(halt)
        # To this thread, which could go on until another one has taken a signal of the process.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
