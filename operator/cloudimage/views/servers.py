"""Keeps track of which images' servers came and went, by asking Nova what changed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cloudimage.cloud.nova import Nova
from cloudimage.views.logic.pace import FRESH_SECONDS

OVERLAP: Final = timedelta(minutes=2)
"""How much later than Nova says a change may come to be listed; see :mod:`.logic.images`."""


@dataclass(frozen=True, slots=True)
class ServerDifference:
    """What a listing of changed servers showed.

    Attributes:
        images: Ids of images from which servers were made, or whose servers were deleted.
        servers: Ids of the servers.
        others_gone: Servers that were booted from volumes were deleted.
    """

    images: frozenset[str] = frozenset()
    servers: frozenset[str] = frozenset()
    others_gone: bool = False


@dataclass
class ServerWatch:
    """Watches the servers that one set of credentials may see; for one thread at a time.

    Attributes:
        now: The present, which counts until Nova has told its own.
        clock: Seconds, never going back.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    _since: datetime | None = None
    _listed_at: float | None = None
    # Hashes of what was listed last: names and ids in it are as long as a stranger's Nova likes.
    _seen: frozenset[int] = frozenset()

    @property
    def is_fresh(self) -> bool:
        """Whether Nova lists servers, and did so not long ago."""
        at = self._listed_at
        return at is not None and self.clock() - at <= FRESH_SECONDS

    def look(self, nova: Nova) -> ServerDifference:
        """Ask what changed since the last look.

        Raises:
            CloudError: Nova could not be asked; the next look asks again from the same time on.
        """
        began = self.now()
        changes = nova.changes(self._since or began - OVERLAP)
        if changes is None:
            self._listed_at = None
            return ServerDifference()
        new = [each for each in changes.servers if hash(each) not in self._seen]
        self._since = (changes.date or began) - OVERLAP
        self._seen = frozenset(map(hash, changes.servers))
        self._listed_at = self.clock()
        return ServerDifference(
            frozenset(each.image_id for each in new if each.image_id),
            frozenset(each.id for each in new),
            any(each.is_gone and each.image_id is None for each in new),
        )
