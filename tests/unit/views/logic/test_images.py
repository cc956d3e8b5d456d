"""A view of a Glance that pages badly, whose servers' clocks differ, and that drops connections."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cloudimage.views.logic.images import (
    OVERLAP,
    Difference,
    ImageView,
    SeenImage,
    with_all,
    with_changes,
)

DISTURBANCES = ("", "", "create", "update", "hide", "delete", "drop")
BEGIN = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
UIDS = ("uid-a", "uid-b", None)


class _DroppedError(Exception):
    """The simulated Glance did not answer to the end."""


@dataclass
class _SimulatedGlance:
    """Several servers on one database; each stamps what it changes by a clock of its own."""

    skews: tuple[timedelta, ...] = (timedelta(), -OVERLAP + timedelta(seconds=1), timedelta(0, 50))
    page: int = 2
    now: datetime = BEGIN
    images: dict[str, SeenImage] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    made: int = 0

    def create(self, server: int, uid: str | None) -> None:
        self.made += 1
        key = f"image-{self.made:04d}"
        self.images[key] = SeenImage(key, "0", self.stamp(server), uid)

    def update(self, key: str, server: int, uid: str | None) -> None:
        image = self.images[key]
        version = str(int(image.fingerprint) + 1)
        self.images[key] = replace(
            image, fingerprint=version, updated_at=self.stamp(server), uid=uid
        )

    def stamp(self, server: int) -> datetime:
        moment = self.now + self.skews[server % len(self.skews)]
        return moment.replace(microsecond=0)

    def list(
        self, since: datetime | None, meanwhile: Callable[[], None]
    ) -> tuple[list[SeenImage], datetime]:
        """Return what all pages have, the newest first; ``meanwhile`` is called between pages."""
        asked, found = self.now, list[SeenImage]()
        for hidden in (False, True):
            found += self._pages(since, meanwhile, hidden=hidden)
            meanwhile()
        return found, asked

    def _pages(
        self, since: datetime | None, meanwhile: Callable[[], None], *, hidden: bool
    ) -> Iterator[SeenImage]:
        marker: str | None = None
        while True:
            if marker is not None and marker not in self.images:
                raise _DroppedError  # Glance knows no marker that was deleted
            fitting = [
                each
                for key, each in sorted(self.images.items(), reverse=True)
                if (key in self.hidden) is hidden
                and (since is None or each.updated_at >= since.replace(microsecond=0))
                and (marker is None or key < marker)
            ]
            yield from fitting[: self.page]
            if len(fitting) <= self.page:
                return
            marker = fitting[self.page - 1].id
            meanwhile()


class _ViewOfGlance(RuleBasedStateMachine):
    """Changes come at any time, also between two pages; a listing may be interrupted anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.glance = _SimulatedGlance()
        self.view = ImageView()

    @rule(server=st.integers(0, 2), uid=st.sampled_from(UIDS))
    def create(self, server: int, uid: str | None) -> None:
        self.glance.create(server, uid)

    @rule(seconds=st.floats(0.1, 90))
    def wait(self, seconds: float) -> None:
        self.glance.now += timedelta(seconds=seconds)

    @rule(which=st.integers(0, 99), server=st.integers(0, 2), uid=st.sampled_from(UIDS))
    def update(self, which: int, server: int, uid: str | None) -> None:
        if key := self._one(which):
            self.glance.update(key, server, uid)

    @rule(which=st.integers(0, 99), server=st.integers(0, 2))
    def hide_or_show(self, which: int, server: int) -> None:
        if key := self._one(which):
            self.glance.hidden ^= {key}
            self.glance.update(key, server, self.glance.images[key].uid)

    @rule(which=st.integers(0, 99))
    def delete(self, which: int) -> None:
        if key := self._one(which):
            del self.glance.images[key]
            self.glance.hidden.discard(key)

    @rule(data=st.data(), whole=st.booleans())
    def look(self, data: st.DataObject, whole: bool) -> None:
        before = self.view

        def meanwhile() -> None:
            match data.draw(st.sampled_from(DISTURBANCES)):
                case "create":
                    self.create(0, UIDS[0])
                case "update":
                    self.update(data.draw(st.integers(0, 99)), 1, UIDS[1])
                case "hide":
                    self.hide_or_show(data.draw(st.integers(0, 99)), 1)
                case "delete":
                    self.delete(data.draw(st.integers(0, 99)))
                case "drop":
                    raise _DroppedError
                case _:
                    self.glance.now += timedelta(seconds=1.5)

        try:
            self._look(meanwhile, whole=whole or before.images is None)
        except _DroppedError:
            assert self.view is before

    @rule()
    def undisturbed_look_knows_all_but_what_is_gone(self) -> None:
        if self.view.images is None:
            return
        self._look(lambda: None, whole=False)
        assert {key: self.view.images[key] for key in self.glance.images} == self.glance.images

    @rule()
    def undisturbed_whole_look_knows_all(self) -> None:
        known = self.view.images
        self._look(lambda: None, whole=True)
        assert self.view.images == self.glance.images
        if known is not None:
            others = {key for key, each in self.glance.images.items() if known.get(key) != each}
            gone = known.keys() - self.glance.images.keys()
            assert {each.id for each in (*self.last.changed, *self.last.missing)} == others | gone

    @invariant()
    def what_is_not_known_is_not_none(self) -> None:
        assert (self.view.images is None) is (self.view.since is None)

    def _one(self, which: int) -> str | None:
        keys = sorted(self.glance.images)
        return keys[which % len(keys)] if keys else None

    last = Difference()

    def _look(self, meanwhile: Callable[[], None], *, whole: bool) -> None:
        since = None if whole else self.view.since
        listed, asked = self.glance.list(since, meanwhile)
        reduce = with_all if whole else with_changes
        self.view, self.last = reduce(self.view, listed, asked)


_ViewOfGlance.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None)
TestViewOfGlance = _ViewOfGlance.TestCase


def test_changes_of_what_was_never_listed_are_refused() -> None:
    with pytest.raises(ValueError, match="not known"):
        with_changes(ImageView(), (), BEGIN)
