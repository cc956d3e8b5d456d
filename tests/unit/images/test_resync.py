"""How long an object goes without a comparison, by what is known of its cloud."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.reconciler import now
from cloudimage.images.logic import available_status, revisions
from cloudimage.images.logic.desired import Desired
from cloudimage.images.places import Place
from cloudimage.images.resync import Resync
from cloudimage.settings import Settings
from cloudimage.views.images import seen
from cloudimage.views.logic.images import ImageView
from support.image_status import after
from support.resources import UID, cloud_image, glance_image

HALF_AN_HOUR = timedelta(minutes=30)
SPREAD = 1.2
"""Each object has a share of its own of the period, give or take a fifth."""


@dataclass
class Views:
    """What a test says is known."""

    view: ImageView | None = None
    awaited: bool = False
    number: int = 1
    known: list[tuple[Place, GlanceImage]] = field(default_factory=list)

    def images(self, _place: Place) -> ImageView | None:
        """Return it."""
        return self.view

    def count(self, _place: Place) -> int:
        """Return it."""
        return self.number

    def is_awaited(self, _place: Place) -> bool:
        """Return it."""
        return self.awaited

    def watches_servers(self, _place: Place) -> bool:
        """Return that none are watched."""
        return False

    def know(self, place: Place, image: GlanceImage) -> None:
        """Keep it."""
        self.known.append((place, image))


def image() -> GlanceImage:
    return glance_image(cloud_image(), updated_at=now().replace(microsecond=0) - timedelta(days=1))


def settled(current: GlanceImage, ago: timedelta) -> CloudImage:
    resource, moment = cloud_image(), now() - ago
    desired = Desired.of(resource.spec)
    status = available_status.available(resource, desired, current, None, None, moment)
    return after(resource, revisions.listed(status, desired, current, []))


def view_of(*images: GlanceImage) -> ImageView:
    return ImageView({each.id: seen(each) for each in images})


def seconds(resync: Resync, resource: CloudImage) -> float:
    due = resync.due(resource)
    assert due is not None
    return (due - now()).total_seconds()


def test_an_unchanged_image_of_a_watched_cloud_is_compared_twice_a_day() -> None:
    current = image()
    resync = Resync(Settings(), Views(view_of(current)))
    resource = settled(current, 2 * HALF_AN_HOUR)
    assert 9 * 3600 <= seconds(resync, resource) <= 12 * 3600 * SPREAD
    assert 9 * 3600 <= resync.until_next_look(resource) <= 12 * 3600 * SPREAD
    assert seconds(resync, settled(current, timedelta(hours=15))) < 0


def test_many_objects_take_turns_so_that_their_cloud_is_asked_no_more() -> None:
    current = image()
    resync = Resync(Settings(), Views(view_of(current), number=1000))
    looks_a_day = 1000 * 24 * 3600 / resync.period(settled(current, HALF_AN_HOUR))
    assert looks_a_day <= 36


@pytest.mark.parametrize(
    "view",
    [
        None,
        ImageView({}),
        view_of(glance_image(cloud_image(), updated_at=now())),
        view_of(image(), glance_image(cloud_image(), id="another")),
    ],
    ids=["no view", "deleted", "changed", "one more"],
)
def test_any_other_is_compared_each_half_hour(view: ImageView | None) -> None:
    resync = Resync(Settings(), Views(view))
    current = image()
    assert 0 < seconds(resync, settled(current, HALF_AN_HOUR / 2)) <= 1800 * SPREAD
    assert seconds(resync, settled(current, HALF_AN_HOUR * SPREAD)) <= 0
    assert resync.until_next_look(settled(current, timedelta(0))) <= 1800 * SPREAD


def test_what_is_compared_often_is_so_with_a_view_too() -> None:
    current = image()
    for view in (None, view_of(current)):
        resync = Resync(Settings(resync_seconds=60), Views(view))
        assert seconds(resync, settled(current, timedelta(minutes=10))) < 0
        assert 40 < resync.until_next_look(settled(current, timedelta(0))) < 80


def test_at_a_restart_settled_objects_wait_for_the_first_listing() -> None:
    current = image()
    resync = Resync(Settings(), Views(awaited=True))
    assert 0 < seconds(resync, settled(current, 3 * HALF_AN_HOUR)) <= 10
    assert resync.due(cloud_image()) is None, "it is not settled"


def test_a_view_is_told_what_was_done() -> None:
    views: Any = Views()
    resync = Resync(Settings(), views)
    resync.know(cloud_image(), None)
    assert views.known == []
    current = image()
    resync.know(cloud_image(), current)
    assert views.known == [(Place.of(cloud_image()), current)]
    assert current.properties["cloudimage_dev_uid"] == UID
