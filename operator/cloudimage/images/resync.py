"""Says when objects are compared with their cloud again: seldom where a view watches it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.reconciler import AWAITED_SECONDS, now
from cloudimage.images.logic import resting, schedule
from cloudimage.images.places import Place
from cloudimage.settings import Settings
from cloudimage.views.logic.images import ImageView

BLOCKED_SECONDS: Final = 600.0
"""Between looks at a deletion whose last server's end wakes it."""

_TURN_SECONDS: Final = 2400.0
"""Between two comparisons at one place, of objects that need none: some requests an hour."""


class Views(Protocol):
    """What is known of clouds without asking them."""

    def images(self, place: Place) -> ImageView | None:
        """Return the images as they were listed not long ago; None: that is not known."""

    def count(self, place: Place) -> int:
        """Return how many CloudImages are there."""

    def is_awaited(self, place: Place) -> bool:
        """Return whether the first listing of its images is about to be there."""

    def know(self, place: Place, image: GlanceImage) -> None:
        """Record how an image is now."""

    def watches_servers(self, place: Place) -> bool:
        """Return whether the end of a server wakes the CloudImages that wait for it."""


class NoViews:
    """Nothing is watched: every object looks itself."""

    def images(self, _place: Place) -> None:
        """Return that nothing is known."""

    def count(self, _place: Place) -> int:
        """Return that none is known."""
        return 0

    def is_awaited(self, _place: Place) -> bool:
        """Return that nothing will be."""
        return False

    def know(self, _place: Place, _image: GlanceImage) -> None:
        """Do nothing."""

    def watches_servers(self, _place: Place) -> bool:
        """Return that nothing is woken."""
        return False


@dataclass(frozen=True)
class Resync:
    """Says how long an object may go without a comparison."""

    settings: Settings
    views: Views

    def period(self, resource: CloudImage) -> float:
        """Return the seconds between two comparisons of a settled object.

        The long ones count only while a view shows that nothing was changed since the last one.
        They get longer with the number of objects, so that many cost a cloud as little as few.
        """
        place, longest = Place.of(resource), self.settings.resync_seconds
        view = self.views.images(place) if longest > self.settings.unwatched_seconds else None
        if view is None:
            return self.settings.unwatched_seconds
        if not resting.is_unchanged(resource, view.of(resource.metadata.uid), now()):
            return self.settings.unwatched_seconds
        return max(longest, _TURN_SECONDS * self.views.count(place))

    def due(self, resource: CloudImage) -> datetime | None:
        """Return when an object is due to be compared with its cloud; None: it is not settled."""
        due = schedule.next_resync(resource, self.period(resource))
        if due is None or not self.views.is_awaited(Place.of(resource)):
            return due
        return now() + timedelta(seconds=AWAITED_SECONDS)

    def until_next_look(self, resource: CloudImage) -> float:
        """Return the seconds until the next look at an object that was just looked at."""
        return schedule.until_next_look(resource, self.period(resource), now())

    def know(self, resource: CloudImage, image: GlanceImage | None) -> None:
        """Record an image as it was left, so that our own changes are no news."""
        if image is not None:
            self.views.know(Place.of(resource), image)

    def wakes(self, resource: CloudImage) -> bool:
        """Return whether the end of a server that uses its image wakes the object."""
        return self.views.watches_servers(Place.of(resource))
