"""Keeps a view of the images that one set of credentials has, by listing them."""

import hashlib
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from itertools import compress, islice
from math import inf
from typing import Final

from cloudimage.access.errors import AnswerRefusedError
from cloudimage.cloud.answers import MAX_PAGES
from cloudimage.cloud.errors import translated
from cloudimage.cloud.glance import PAGE_SIZE, Glance
from cloudimage.cloud.models import GlanceImage
from cloudimage.transfer.contract import SECRET_MARK
from cloudimage.views.logic.images import (
    Difference,
    ImageView,
    SeenImage,
    with_all,
    with_changes,
)
from cloudimage.views.logic.pace import Look, fresh_for, next_look
from cloudimage.vocabulary.marks import Marks

_PLAIN: Final = tuple(
    each.name for each in fields(GlanceImage) if each.name not in {"tags", "properties"}
)
_HIDDEN_SECONDS: Final = 600.0
"""How seldom a whole listing is also of hidden images while none of ours is known to be hidden.

One that somebody hid is missing from the others, which tells as much.
"""

_MOST_EACH: Final = 150
"""Images of one CloudImage in a view: a status lists fewer."""

_MOST: Final = 50_000
"""Of all together."""


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as it was read last.

    Attributes:
        images: Those that the view is about.
        marker: Of the next page; None after the last.
        has_strangers: Whether images on it were made for CloudImages that are not known.
    """

    digest: bytes
    images: tuple[SeenImage, ...]
    marker: str | None
    has_strangers: bool


@dataclass
class ImageWatch:
    """Watches the images of one set of credentials by listing them.

    One thread at a time lists; any may read the view.

    Attributes:
        clock: Seconds, never going back.
        page_size: Images of a page; Glance may list fewer.
    """

    page_size: int = PAGE_SIZE
    clock: Callable[[], float] = time.monotonic
    view: ImageView = field(default_factory=ImageView)
    _pages: dict[tuple[bool, str | None], _Page] = field(default_factory=dict)
    _uids: frozenset[str] = frozenset()
    _listed_at: float = 0.0
    _whole_at: float = 0.0
    _hidden_at: float = -inf
    _failed: int = 0

    @property
    def fresh_for(self) -> float:
        """For how many seconds the view may be relied on; 0 or less: it may not."""
        if self.view.images is None:
            return 0.0
        return fresh_for(self.clock() - self._listed_at, self.whole_for)

    @property
    def whole_for(self) -> float:
        """Seconds since the last whole listing; for ever without one."""
        return inf if self.view.images is None else self.clock() - self._whole_at

    def next_look(self) -> Look:
        """Return what is listed next, and when."""
        wanted = self._hiddenness(is_whole=True)
        cost = sum(hidden in wanted for hidden, _ in self._pages)
        return next_look(cost or None, self.whole_for, self._failed)

    def missed(self) -> None:
        """Record that Glance could not be asked; the next look comes later each time."""
        self._failed += 1

    def know(self, image: GlanceImage) -> None:
        """Record how an image is now; from any thread.

        Where a listing ends meanwhile, this is lost, and the image is looked at once more.
        """
        view = self.view
        if view.images is not None:
            self.view = replace(view, images={**view.images, image.id: seen(image)})

    def may_have_orphans(self, uids: Collection[str]) -> bool:
        """Return whether images were made for CloudImages that are gone, as far as is known.

        Args:
            uids: Of those that are there.
        """
        images = (self.view.images or {}).values()
        gone = any(each.uid is not None and each.uid not in uids for each in images)
        return gone or any(each.has_strangers for each in self._pages.values())

    def look(
        self, glance: Glance, uids: Collection[str], secret: str | None = None, *, is_whole: bool
    ) -> Difference:
        """List, and return what is other than it was.

        Args:
            glance: Where.
            uids: Of the CloudImages that are watched. Only their images, and what was one of them,
                are kept: a stranger's Glance may list as many as it likes.
            secret: UID of the Secret, which marks what was made by its credentials.
            is_whole: Of all images, not only of those that changed.

        Raises:
            CloudError: A page could not be read; the view stays as it was.
        """
        since = None if is_whole else self.view.since
        # A page that did not change may have images of objects that were not known before.
        known = self._pages if since is None and self._uids.issuperset(uids) else {}
        keep = _Keep.of(uids, secret, self.view)
        wanted = self._hiddenness(is_whole=since is None)
        listing = _Listing(glance, self.page_size, since, wanted, known, keep)
        with translated("listing images"):
            listed = list(islice(listing.images(), keep.most + 1))
            reduce = with_all if since is None else with_changes
            view, difference = reduce(self.view, listed, listing.asked)
            if max(len(listed), len(view.images or ())) > keep.most:
                raise AnswerRefusedError(f"more than {keep.most} images are marked as ours")
        self.view, self._failed, self._listed_at = view, 0, self.clock()
        if since is None:
            # They are parsed when they are listed again: other CloudImages may be there by then.
            others = {
                key: replace(page, digest=b"")
                for key, page in self._pages.items()
                if key[0] not in wanted
            }
            self._pages, self._uids = {**others, **listing.read}, frozenset(uids)
            self._whole_at = self._listed_at
            if True in wanted:
                self._hidden_at = self._listed_at
        return difference

    def _hiddenness(self, *, is_whole: bool) -> tuple[bool, ...]:
        """Return which listings there are: of images that are not hidden, and of those that are."""
        overdue = self.clock() - self._hidden_at >= _HIDDEN_SECONDS
        return (False, True) if self.view.has_hidden or overdue or not is_whole else (False,)


@dataclass(frozen=True)
class _Keep:
    """Which images a view is about.

    Attributes:
        known: Ids of those that it has: a mark that is taken away is a change as well.
    """

    uids: Collection[str]
    secret: str | None
    known: Collection[str]

    @classmethod
    def of(cls, uids: Collection[str], secret: str | None, view: ImageView) -> "_Keep":
        images = (view.images or {}).values()
        return cls(uids, secret, frozenset(each.id for each in images if each.uid in uids))

    def wants(self, image_id: str, uid: str | None) -> bool:
        return uid in self.uids or image_id in self.known

    def read(self, digest: bytes, images: Sequence[GlanceImage], marker: str | None) -> _Page:
        """Return a page that was read."""
        wanted = [self.wants(each.id, each.properties.get(Marks.UID)) for each in images]
        kept = tuple(seen(each) for each in compress(images, wanted))
        others = (
            each.properties for each, is_wanted in zip(images, wanted, strict=True) if not is_wanted
        )
        strangers = self.secret is not None and any(
            each.get(SECRET_MARK) == self.secret for each in others
        )
        return _Page(digest, kept, marker, strangers)

    def known_page(self, page: _Page) -> _Page:
        """Return a page that is as it was, although other CloudImages may be there by now."""
        kept = tuple(each for each in page.images if self.wants(each.id, each.uid))
        gone = len(kept) < len(page.images)
        return replace(page, images=kept, has_strangers=page.has_strangers or gone)

    @property
    def most(self) -> int:
        return min(_MOST, _MOST_EACH * (1 + len(self.uids)))


@dataclass
class _Listing:
    """One listing.

    Attributes:
        wanted: Of which images: those that are not hidden, and those that are.
    """

    glance: Glance
    page_size: int
    since: datetime | None
    wanted: tuple[bool, ...]
    known: dict[tuple[bool, str | None], _Page]
    keep: _Keep
    asked: datetime = field(default_factory=lambda: datetime.now(UTC))
    read: dict[tuple[bool, str | None], _Page] = field(default_factory=dict)

    def images(self) -> Iterator[SeenImage]:
        for hidden in self.wanted:
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
        if page is not None and page.digest == digest:
            page = self.keep.known_page(page)
        else:
            images, more = came.images()
            page = self.keep.read(digest, images, images[-1].id if images and more else None)
        self.read[key] = page
        return page


def seen(image: GlanceImage) -> SeenImage:
    """Return an image as a view needs to know it."""
    parts = [getattr(image, each) for each in _PLAIN]
    text = repr((parts, sorted(image.tags), sorted(image.properties.items())))
    fingerprint = hashlib.sha256(text.encode()).hexdigest()[:32]
    changed = (image.updated_at or image.created_at).replace(microsecond=0)
    aware = changed if changed.tzinfo else changed.replace(tzinfo=UTC)
    uid = image.properties.get(Marks.UID)
    return SeenImage(image.id, fingerprint, aware, uid, is_hidden=image.hidden)
