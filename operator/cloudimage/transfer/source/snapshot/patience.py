"""Waiting for a cloud that is at work for us."""

import time
from collections.abc import Callable
from typing import Final, TypeVar

from cloudimage.transfer.contract import Reason, TransferError

T = TypeVar("T")

OUTAGE_SECONDS: Final = 60.0
"""How long a service may be away meanwhile."""

MAX_SECONDS: Final = 12 * 3600.0
"""How long a cloud may be at work at all, however many signs of life it gives."""

_FIRST_PAUSE: Final = 0.25
_LONGEST_PAUSE: Final = 5.0


class Patience:
    """Ends when nothing new was seen for too long."""

    def __init__(self, seconds: float, doing: str) -> None:
        """Begin to wait.

        Args:
            seconds: Without anything new.
            doing: What is waited for, for the message: "server 1 becomes SHUTOFF".
        """
        self._seconds = seconds
        self._doing = doing
        self._seen: object = None
        self._began = self._since = self._answered = time.monotonic()
        self._pause = _FIRST_PAUSE

    def until(self, look: Callable[[], tuple[T | None, object]]) -> T:
        """Return what a look shows, once it shows it.

        Args:
            look: Returns what is waited for, or None, and all that can be seen of its coming.

        Raises:
            TransferError: ``SnapshotFailed``; those of the look, ``SourceUnreachable`` only when
                it has lasted.
        """
        while True:
            try:
                found, seen = look()
            except TransferError as error:
                lasts = time.monotonic() - self._answered > OUTAGE_SECONDS
                if error.reason is not Reason.SOURCE_UNREACHABLE or lasts:
                    raise
            else:
                self._answered = time.monotonic()
                if found is not None:
                    return found
                self._note(seen)
            time.sleep(self._pause)
            self._pause = min(_LONGEST_PAUSE, self._pause * 1.2)

    def _note(self, seen: object) -> None:
        now = time.monotonic()
        if now - self._began > MAX_SECONDS:
            raise TransferError(
                Reason.SNAPSHOT_FAILED,
                f"the source cloud is still at work after {MAX_SECONDS / 3600:g} hours: waiting "
                f"until {self._doing}",
            )
        if seen != self._seen:
            self._seen, self._since = seen, now
        elif now - self._since > self._seconds:
            raise TransferError(
                Reason.SNAPSHOT_FAILED,
                f"the source cloud made no progress for {self._seconds:g} s: waiting until "
                f"{self._doing}",
            )
