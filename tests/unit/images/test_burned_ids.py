"""Ids whose creation may be under way are used up, so that no image comes after its CloudImage."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.errors import CloudUnreachableError, ForbiddenError, QuotaExceededError
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.burned_ids import burn
from cloudimage.images.logic import burned_ids, transfer_request
from cloudimage.images.logic.burned_ids import Lot
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.glance.image_lifecycle import attempts, image_id
from cloudimage.vocabulary.marks import Marks
from support.resources import UID, cloud_image, glance_image

if TYPE_CHECKING:
    from cloudimage.cloud.glance import Glance

LOT = Lot("seed", 0)


def ids(lot: Lot, count: int) -> list[str]:
    """Return the first ids that transfers of a lot try."""
    order = attempts(lot)
    return [image_id(lot.seed, next(order)) for _ in range(count)]


@dataclass
class FakeGlance:
    """A Glance that gives no id twice; requests that are under way arrive when they like."""

    images: dict[str, GlanceImage] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    arriving: str | None = None
    error: Exception | None = None
    created: list[str] = field(default_factory=list)

    def post(self, identifier: str) -> bool:
        """Create an image, unless its id was ever used."""
        if identifier in self.used:
            return False
        self.used.add(identifier)
        unfinished = {Marks.VERIFIED: None}
        self.images[identifier] = glance_image(
            cloud_image(), id=identifier, status="queued", properties=unfinished
        )
        return True

    def create(self, identifier: str, body: dict[str, Any]) -> bool:
        """Create an image; what is under way may arrive first."""
        if self.error:
            raise self.error
        assert body[Marks.UID] == UID
        if self.arriving == identifier:
            self.post(identifier)
        self.created.append(identifier)
        return self.post(identifier)

    def get(self, identifier: str) -> GlanceImage | None:
        """Return an image."""
        return self.images.get(identifier)

    def delete(self, identifier: str) -> None:
        """Delete an image."""
        self.images.pop(identifier, None)


def burnt(glance: FakeGlance, known: set[str] | None = None) -> None:
    burn(cloud_image(), LOT, cast("Glance", glance), known or set())


@given(st.integers(0, 12), st.integers(0, 12), st.booleans())
def test_whatever_is_under_way_arrives_too_late(
    used: int, under_way: int, arrives_first: bool
) -> None:
    """A transfer tries an id only when those before it are used."""
    order = ids(LOT, 13)
    late = order[min(used, under_way)]
    glance = FakeGlance(used=set(order[:used]), arriving=late if arrives_first else None)
    burnt(glance)
    assert not glance.post(late)
    assert glance.images == {}


def test_an_image_that_is_there_is_left_alone() -> None:
    first, second = ids(LOT, 2)
    glance = FakeGlance()
    glance.post(first)
    burnt(glance, {first})
    assert glance.created == [second]
    assert list(glance.images) == [first]


def test_an_image_that_is_finished_is_left_alone() -> None:
    first, second = ids(LOT, 2)
    done = glance_image(cloud_image(), id=first)
    glance = FakeGlance(images={first: done}, used={first})
    burnt(glance)
    assert glance.created == [first, second]
    assert glance.images == {first: done}


@pytest.mark.parametrize("error", [ForbiddenError("no"), QuotaExceededError("full")])
def test_a_refusal_holds_up_no_deletion(error: Exception) -> None:
    burnt(FakeGlance(error=error))


def test_a_cloud_that_does_not_answer_is_asked_again() -> None:
    with pytest.raises(CloudUnreachableError):
        burnt(FakeGlance(error=CloudUnreachableError("away")))


def test_the_order_of_a_lot_stays_and_differs_from_others() -> None:
    assert ids(LOT, 20) == ids(LOT, 20)
    assert ids(LOT, 20)[:2] == ids(Lot("seed", 1), 20)[:2]
    assert ids(LOT, 20) != ids(Lot("seed", 1), 20)


def transferring(stage: str | None, started: int | None = 1, **status: Any) -> CloudImage:
    """Return a CloudImage whose last transfer came to a stage."""
    known = {
        "digest": Desired.of(cloud_image().spec).content_key,
        "transfersStarted": started,
        **status,
    }
    return cloud_image(status=known | ({"progress": {"stage": stage}} if stage else {}))


@pytest.mark.parametrize(
    ("resource", "number"),
    [
        (cloud_image(), None),
        (transferring("Complete"), None),
        (transferring("Uploading"), 0),
        (transferring("Pending", 17), 1),
        (transferring("Fetching", None), 0),
        (transferring(None), 0),
    ],
)
def test_only_after_a_success_nothing_can_be_under_way(
    resource: CloudImage, number: int | None
) -> None:
    lot = burned_ids.unsettled(resource)
    assert (lot.number if lot else None) == number


def test_a_lot_is_settled_before_the_next_one_begins() -> None:
    digest = Desired.of(cloud_image().spec).content_key
    settled = [
        started
        for started in range(1, 64)
        if burned_ids.to_settle_first(transferring("Uploading", started), digest, starts=True)
    ]
    assert settled == [15, 31, 47, 63]
    edited = transferring("Uploading", 3)
    for starts in (True, False):
        lot = burned_ids.to_settle_first(edited, "other", starts=starts)
        assert lot == Lot(f"{UID}/{digest}", 0)
    assert burned_ids.to_settle_first(edited, digest, starts=False) is None


def test_a_transfer_tries_the_ids_that_are_burnt() -> None:
    """The request and the burning go by the same status."""
    resource = transferring("Pending", 33)
    image = transfer_request.new_image(resource, Desired.of(resource.spec), "name")
    lot = burned_ids.unsettled(resource)
    assert lot == (image.id_seed, image.lot)
