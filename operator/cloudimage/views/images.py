"""Keeps a view of the images that one set of credentials has, by listing them."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from cloudimage.access.errors import AnswerRefusedError
from cloudimage.cloud.answers import MAX_PAGES
from cloudimage.cloud.errors import translated
from cloudimage.cloud.glance import PAGE_SIZE, Glance
from cloudimage.cloud.models import GlanceImage
from cloudimage.views.logic.images import (
    Difference,
    ImageView,
    SeenImage,
    with_all,
    with_changes,
)
from cloudimage.views.logic.pace import Look, next_look
from cloudimage.vocabulary.marks import Marks


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as it was read last; ``marker`` is that of the next one, None after the last."""

    digest: bytes
    images: tuple[SeenImage, ...]
    marker: str | None


@dataclass
class ImageWatch:
    """Watches the images of one set of credentials by listing them; for one thread at a time.

    Attributes:
        clock: Seconds, never going back.
        page_size: Images of a page; Glance may list fewer.
    """

    page_size: int = PAGE_SIZE
    clock: Callable[[], float] = time.monotonic
    view: ImageView = field(default_factory=ImageView)
    _pages: dict[tuple[bool, str | None], _Page] = field(default_factory=dict)
    _cost: int | None = None
    _whole_at: float = 0.0
    _failed: int = 0

    def next_look(self) -> Look:
        """Return what is listed next, and when."""
        return next_look(self._cost, self.clock() - self._whole_at, self._failed)

    def missed(self) -> None:
        """Record that Glance could not be asked; the next look comes later each time."""
        self._failed += 1

    def look(self, glance: Glance, *, is_whole: bool) -> Difference:
        """List, and return what is other than it was.

        Raises:
            CloudError: A page could not be read; the view stays as it was.
        """
        since = None if is_whole else self.view.since
        listing = _Listing(glance, self.page_size, since, self._pages if since is None else {})
        with translated("listing images"):
            listed = list(listing.images())
        self._failed = 0
        if since is not None:
            self.view, difference = with_changes(self.view, listed, listing.asked)
            return difference
        self.view, difference = with_all(self.view, listed, listing.asked)
        self._pages, self._cost, self._whole_at = listing.read, len(listing.read), self.clock()
        return difference


@dataclass
class _Listing:
    """One listing: of hidden images, and of the others."""

    glance: Glance
    page_size: int
    since: datetime | None
    known: dict[tuple[bool, str | None], _Page]
    asked: datetime = field(default_factory=lambda: datetime.now(UTC))
    read: dict[tuple[bool, str | None], _Page] = field(default_factory=dict)

    def images(self) -> Iterator[SeenImage]:
        for hidden in (False, True):
            marker: str | None = None
            while True:
                page = self._page(marker, hidden=hidden)
                yield from page.images
                marker = page.marker
                if marker is None:
                    break

    def _page(self, marker: str | None, *, hidden: bool) -> _Page:
        key = hidden, marker
        if key in self.read:
            raise AnswerRefusedError("the same page is listed again and again")
        if len(self.read) >= MAX_PAGES:
            raise AnswerRefusedError(f"more than {MAX_PAGES} pages are listed")
        came = self.glance.page(self.page_size, marker, hidden=hidden, since=self.since)
        if not self.read and came.date is not None:
            self.asked = came.date
        digest = hashlib.sha256(came.content).digest()
        page = self.known.get(key)
        if page is None or page.digest != digest:
            images, more = came.images()
            page = _Page(
                digest, tuple(map(seen, images)), images[-1].id if images and more else None
            )
        self.read[key] = page
        return page


def seen(image: GlanceImage) -> SeenImage:
    """Return an image as a view needs to know it."""
    parts = {**asdict(image), "tags": sorted(image.tags)}
    text = json.dumps(parts, sort_keys=True, default=str)
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:32]
    changed = image.updated_at or image.created_at
    return SeenImage(image.id, fingerprint, changed, image.properties.get(Marks.UID))
