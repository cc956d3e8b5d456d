"""Which objects need no comparison while a view shows their images to be unchanged."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import available_status, revisions
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.resting import is_unchanged
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.views.images import seen
from cloudimage.views.logic.images import OVERLAP
from cloudimage.vocabulary.marks import Marks
from support.image_status import after
from support.resources import NOW, cloud_image, glance_image

CHANGED = NOW
"""When the image was last changed in Glance."""
COMPARED = NOW + timedelta(hours=1)
DAY = timedelta(days=1)
IMPORTED = "22222222-2222-4222-8222-222222222222"


def image(resource: CloudImage, **changes: Any) -> GlanceImage:
    return glance_image(resource, **{"updated_at": CHANGED, **changes})


def earlier(resource: CloudImage, number: int, replaced: datetime) -> GlanceImage:
    image_id = f"{number:08}-0000-4000-8000-000000000000"
    mark = {Marks.REPLACED: f"{replaced:%Y-%m-%dT%H:%M:%SZ}"}
    return image(resource, id=image_id, properties=mark, hidden=True)


def compared(
    resource: CloudImage, *previous: GlanceImage, at: datetime = COMPARED, users: int | None = 0
) -> CloudImage:
    """Return the object after a comparison of its image, and of earlier ones."""
    desired, current = Desired.of(resource.spec), image(resource)
    status = available_status.available(resource, desired, current, None, None, at)
    known = [PreviousImage(each, users) for each in previous]
    return after(resource, revisions.listed(status, desired, current, known))


def rests(resource: CloudImage, *images: GlanceImage, now: datetime = COMPARED + DAY) -> bool:
    return is_unchanged(resource, [seen(each) for each in images], now)


def test_an_image_that_stands_as_it_was_compared_needs_no_look() -> None:
    resource = compared(cloud_image())
    assert rests(resource, image(resource))


@pytest.mark.parametrize(
    "shown",
    [
        {"updated_at": CHANGED + timedelta(seconds=1)},
        {"updated_at": CHANGED - timedelta(seconds=1)},
        {"updated_at": COMPARED + DAY},
        {"id": "22222222-2222-4222-8222-222222222222"},
    ],
    ids=["changed", "changed by a clock that is late", "changed since", "another"],
)
def test_one_that_is_shown_to_be_another_is_compared(shown: dict[str, Any]) -> None:
    resource = compared(cloud_image())
    assert not rests(resource, image(resource, **shown))


def test_one_that_is_not_shown_and_one_beside_it_are_compared() -> None:
    resource = compared(cloud_image())
    assert not rests(resource)
    other = image(resource, id="22222222-2222-4222-8222-222222222222")
    assert not rests(resource, image(resource), other)


def test_a_change_in_the_second_of_the_comparison_may_not_be_known() -> None:
    resource = compared(cloud_image(), at=CHANGED + OVERLAP - timedelta(seconds=1))
    assert not rests(resource, image(resource))
    assert rests(compared(cloud_image(), at=CHANGED + OVERLAP), image(resource))


def test_what_was_never_compared_is() -> None:
    assert not rests(cloud_image(), image(cloud_image()))


@pytest.mark.parametrize(
    "spec",
    [
        {"publish": {"configMap": {"name": "images", "key": "debian"}}},
        {"source": {"glance": {"name": "debian"}}},
        {
            "managementPolicy": "Unmanaged",
            "source": None,
            "import": {"id": IMPORTED},
        },
    ],
    ids=["a ConfigMap of others", "a name that may come to mean another image", "not ours"],
)
def test_what_no_view_shows_is_looked_at_as_before(spec: dict[str, Any]) -> None:
    plain = compared(cloud_image())
    resource = plain.model_copy(update={"spec": cloud_image(**spec).spec})
    assert not rests(resource, image(plain))


def test_a_name_that_is_followed_is_asked_for_at_its_own_times() -> None:
    plain = compared(cloud_image())
    spec = cloud_image(source={"glance": {"name": "debian"}}, follow={"every": "1h"}).spec
    assert rests(plain.model_copy(update={"spec": spec}), image(plain))


@pytest.mark.parametrize(
    "kind", ["NameUnique", "ProvenanceComplete", "Published", "RetentionApplied"]
)
def test_what_may_come_right_elsewhere_is_looked_at(kind: str) -> None:
    resource = compared(cloud_image())
    [ready] = [each for each in resource.status.conditions if each.type == "Ready"]
    for status, expected in (("True", True), ("False", False)):
        told = ready.model_copy(update={"type": kind, "status": status})
        others = [each for each in resource.status.conditions if each.type != kind]
        new = resource.status.model_copy(update={"conditions": (*others, told)})
        assert rests(after(resource, new), image(resource)) is expected


def test_earlier_images_that_are_as_they_stay_need_no_look() -> None:
    bare = cloud_image(revisionHistoryLimit=1)
    old = earlier(bare, 1, NOW - DAY)
    resource = compared(bare, old)
    assert rests(resource, image(bare), old)
    assert not rests(resource, image(bare)), "it was deleted"
    later = earlier(bare, 1, NOW - DAY)
    changed = seen(later).updated_at + timedelta(hours=2)
    assert not rests(resource, image(bare), image(bare, id=old.id, updated_at=changed))


def test_earlier_images_beyond_the_limit_wait_for_their_users() -> None:
    bare = cloud_image(revisionHistoryLimit=1)
    old = [earlier(bare, number, NOW - DAY) for number in (1, 2)]
    assert not rests(compared(bare, *old, users=1), image(bare), *old)


@pytest.mark.parametrize(("passed", "expected"), [(6 * DAY, False), (8 * DAY, True)])
def test_earlier_images_that_age_are_looked_at_until_their_last_step(
    passed: timedelta, expected: bool
) -> None:
    bare = cloud_image(retention={"keep": 3, "visibleFor": "2d", "deleteUnusedAfter": "7d"})
    old = earlier(bare, 1, NOW)
    assert rests(compared(bare, old), image(bare), old, now=NOW + passed) is expected
