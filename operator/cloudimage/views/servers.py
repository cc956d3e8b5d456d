"""Keeps track of which images' servers came and went, by asking Nova what changed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cloudimage.cloud.models import ServerChange
from cloudimage.cloud.nova import Nova

OVERLAP: Final = timedelta(minutes=2)
"""How much later than Nova says a change may come to be listed; see :mod:`.logic.images`."""


@dataclass(frozen=True, slots=True)
class ServerDifference:
    """What a listing of changed servers showed.

    Attributes:
        images: Ids of images from which servers were made, or whose servers were deleted.
        others_gone: Servers that were booted from volumes were deleted.
    """

    images: frozenset[str] = frozenset()
    others_gone: bool = False


@dataclass
class ServerWatch:
    """Watches the servers that one set of credentials may see; for one thread at a time.

    Attributes:
        now: The present, which counts until Nova has told its own.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _since: datetime | None = None
    _seen: Mapping[str, ServerChange] = field(default_factory=dict)

    def look(self, nova: Nova) -> ServerDifference:
        """Ask what changed since the last look.

        Raises:
            CloudError: Nova could not be asked; the next look asks again from the same time on.
        """
        began = self.now()
        changes = nova.changes(self._since or began - OVERLAP)
        if changes is None:
            return ServerDifference()
        listed = {each.id: each for each in changes.servers}
        new = [each for key, each in listed.items() if self._seen.get(key) != each]
        self._since, self._seen = (changes.date or began) - OVERLAP, listed
        return ServerDifference(
            frozenset(each.image_id for each in new if each.image_id),
            any(each.is_gone and each.image_id is None for each in new),
        )
