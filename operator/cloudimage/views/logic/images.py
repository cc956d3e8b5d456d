"""What is known of a project's images between two looks, and what a listing changes of it.

A view says what is worth a look, and what needs none; nothing is changed by it. What it says is
gone, or other than it was, is read again before anything is done about it, so that a listing whose
pages moved costs a look and no image.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

OVERLAP: Final = timedelta(minutes=2)
"""How much later than ``updated_at`` says a change may come to be listed.

That time is of the server that made the change, whose clock may be behind the one of the server
that lists; it has whole seconds, and is taken before the change is committed.
"""


@dataclass(frozen=True, slots=True)
class SeenImage:
    """An image as far as a view needs to know it.

    Attributes:
        fingerprint: Of all that Glance listed of it.
        uid: UID of the CloudImage that its mark names; None: it has none.
        updated_at: When Glance says that it was changed last.
        is_hidden: It is listed only where hidden images are asked for.
    """

    id: str
    fingerprint: str
    updated_at: datetime
    uid: str | None = None
    is_hidden: bool = False


@dataclass(frozen=True)
class ImageView:
    """The images of one set of credentials, as they were last listed.

    Attributes:
        images: By id; None: no whole listing was read yet, which is never the same as "none".
        asked: When Glance began to answer for the last listing that came to its end, by its own
            clock.
    """

    images: Mapping[str, SeenImage] | None = None
    asked: datetime | None = None

    @property
    def since(self) -> datetime | None:
        """From when on changes are to be asked for; None: all images are."""
        return None if self.images is None or self.asked is None else self.asked - OVERLAP

    @cached_property
    def has_hidden(self) -> bool:
        """Whether one of the images is hidden."""
        return any(each.is_hidden for each in (self.images or {}).values())

    def of(self, uid: str) -> tuple[SeenImage, ...]:
        """Return the images that have the mark of a CloudImage."""
        return tuple(self._by_uid.get(uid, ()))

    @cached_property
    def _by_uid(self) -> Mapping[str, list[SeenImage]]:
        found = defaultdict[str, list[SeenImage]](list)
        for each in (self.images or {}).values():
            if each.uid is not None:
                found[each.uid].append(each)
        return dict(found)


@dataclass(frozen=True, slots=True)
class Difference:
    """What a listing showed to be other than before.

    Attributes:
        changed: Images that are new or changed, as they were before, if they were, and are now.
        missing: Images that a whole listing no longer has.
    """

    changed: tuple[SeenImage, ...] = ()
    missing: tuple[SeenImage, ...] = ()

    @property
    def uids(self) -> frozenset[str]:
        """UIDs of the CloudImages that it concerns."""
        return frozenset(each.uid for each in (*self.changed, *self.missing) if each.uid)


def with_changes(
    view: ImageView, listed: Iterable[SeenImage], asked: datetime
) -> tuple[ImageView, Difference]:
    """Return the view after a listing of what changed, and what that is.

    Args:
        view: The view, with a whole listing.
        listed: What Glance lists from :attr:`ImageView.since` on, as all pages have it together.
        asked: When it began to answer, by its own clock.

    Raises:
        ValueError: There was no whole listing before.
    """
    if view.images is None:
        raise ValueError("changes of what is not known")
    found = {each.id: each for each in listed}
    images = {**view.images, **found}
    return ImageView(images, asked), Difference(_changed(view.images, found))


def with_all(
    view: ImageView, listed: Iterable[SeenImage], asked: datetime
) -> tuple[ImageView, Difference]:
    """Return the view after a whole listing, and what is other than before.

    The first one shows nothing to be other: what came before it is not known.

    Args:
        view: The view.
        listed: Every image, as all pages have it together.
        asked: When Glance began to answer, by its own clock.
    """
    found = {each.id: each for each in listed}
    if view.images is None:
        return ImageView(found, asked), Difference()
    missing = tuple(each for key, each in view.images.items() if key not in found)
    return ImageView(found, asked), Difference(_changed(view.images, found), missing)


def _changed(
    known: Mapping[str, SeenImage], found: Mapping[str, SeenImage]
) -> tuple[SeenImage, ...]:
    others = [(known.get(key), each) for key, each in found.items() if known.get(key) != each]
    # Also whose it was: a mark that was taken away concerns the one that it named.
    return tuple(side for pair in others for side in pair if side is not None)
