"""How earlier images age, and which of them are deleted."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from cloudimage.api.retention import NameTemplate
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import retention, revisions
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.vocabulary.marks import Marks
from support.resources import NOW, cloud_image, glance_image
from support.retention import DATED, DAY, EARLIER, WHOLE, aged, applied, old, replaced, values


@pytest.mark.parametrize(
    ("name", "shown", "expected"),
    [
        ("debian-12", None, DATED),
        ("debian-12" + revisions.PROVISIONAL, None, DATED),
        ("old name", "new name", "old name (2026-01-02)"),
        (DATED, None, DATED),
        (DATED, DATED, f"{DATED} (2026-01-02)"),
        ("n" * 255, None, "n" * 242 + " (2026-01-02)"),
    ],
)
def test_an_earlier_image_gets_the_day_it_was_made_to_its_name_and_is_hidden(
    name: str, shown: str | None, expected: str
) -> None:
    resource = cloud_image(image={"name": shown})
    image = glance_image(EARLIER, name=name)
    [(_, patch)] = retention.putting_aside(resource, None, [image], NOW)
    after = applied(image, patch)
    assert (after.name, after.hidden) == (expected, True)
    assert retention.replaced_at(after) == NOW
    assert not retention.putting_aside(resource, None, [after], NOW + DAY)


def test_earlier_images_of_one_day_get_names_of_their_own_and_keep_them() -> None:
    made = [NOW, NOW + timedelta(minutes=1), NOW + timedelta(minutes=1, seconds=1)]
    images = [old(number, created_at=when) for number, when in enumerate(made, 1)]
    images.append(old(4, created_at=made[-1]))

    def after(images: list[GlanceImage]) -> list[GlanceImage]:
        patches = {
            image.id: patch
            for image, patch in retention.putting_aside(cloud_image(), None, images, NOW)
        }
        return [applied(each, patches.get(each.id, ())) for each in images]

    done = after(images)
    assert [each.name for each in done] == [
        DATED,
        "debian-12 (2026-01-02 03:05)",
        "debian-12 (2026-01-02 03:05:06)",
        f"debian-12 (2026-01-02) ({images[3].id})",
    ]
    assert after(done) == done
    assert after(done[1:]) == done[1:]


@pytest.mark.parametrize(
    ("template", "version", "expected"),
    [
        ("{name} ({built:%Y-%m-%d})", None, DATED),
        ("old {name} {built}", None, "old debian-12 2026-01-02"),
        ("{name} {version}", "20260101-1", "debian-12 20260101-1"),
        ("{name} {version}", None, "debian-12 2026-01-02"),
        ("{version}/{built:%d.%m.%y} {name}", "1", "1/02.01.26 debian-12"),
    ],
)
def test_the_template_says_what_it_is_called(
    template: str, version: str | None, expected: str
) -> None:
    image = old(created_at=NOW)
    revision = {"imageID": image.id, "digest": "d", "current": True, "version": version}
    resource = cloud_image(retention={"rename": template}, status={"revisions": [revision]})
    [(_, patch)] = retention.putting_aside(resource, None, [image], NOW)
    assert values(patch)["/name"] == expected


@pytest.mark.parametrize(
    "template",
    [
        "{name}",
        "old",
        "{name} ({built:%Y-%m-%d)",
        "{name} {built:%s}",
        "{name} {built:%}",
        "{name.__class__} {version}",
        "{0} {version}",
        "{version!r}",
        "{{version}}",
        "",
    ],
)
def test_a_template_that_says_nothing_or_too_much_is_refused(template: str) -> None:
    with pytest.raises(ValidationError, match="must be a name with"):
        TypeAdapter(NameTemplate).validate_python(template)


def test_a_name_given_by_hand_stays_unless_it_is_the_current_one() -> None:
    resource = aged(EARLIER, **WHOLE)
    by_hand, confusing = replaced(5, name="keep me"), replaced(5, 2, name="debian-12")
    [(image, patch)] = retention.putting_aside(resource, None, [by_hand, confusing], NOW)
    assert image is confusing
    assert values(patch) == {"/name": "debian-12 (2025-12-31)"}


@pytest.mark.parametrize(
    ("days", "spec", "image", "expected"),
    [
        (59.9, {}, {}, {}),
        (60, {}, {}, {"/os_hidden": True}),
        (60, {}, {"hidden": True}, {}),
        (0, {"visibleFor": None}, {}, {"/os_hidden": True}),
        (59, {}, {"hidden": True}, {}),
        (60, {"then": "Community"}, {"visibility": "public"}, {"/visibility": "community"}),
        (60, {"then": "Community"}, {"visibility": "community"}, {}),
        (60, {"then": "Community"}, {"visibility": "private"}, {"/os_hidden": True}),
        (60, {"then": "Community"}, {"visibility": "shared"}, {"/os_hidden": True}),
        (90, {}, {"hidden": True}, {"/tags": ["deprecated"]}),
        (90, {}, {"hidden": True, "tags": frozenset({"b"})}, {"/tags": ["b", "deprecated"]}),
        (9999, {}, {"hidden": True, "tags": frozenset({"deprecated"})}, {}),
        (9999, {"deprecateAfter": None}, {"hidden": True}, {}),
        (-5, {}, {}, {}),
    ],
    ids=[
        "still shown",
        "hidden",
        "hidden already",
        "hidden at once",
        "hidden by hand too early",
        "public to community",
        "community already",
        "never opened to more",
        "nor for those it is not shared with",
        "deprecated",
        "beside other tags",
        "deprecated already",
        "never deprecated",
        "a clock that went back",
    ],
)
def test_each_step_is_due_by_the_age(
    days: float, spec: dict[str, Any], image: dict[str, Any], expected: dict[str, Any]
) -> None:
    resource = aged(EARLIER, **WHOLE | spec)
    patches = retention.ageing(resource, [replaced(days, **image)], NOW)
    assert [values(patch) for _, patch in patches] == ([expected] if expected else [])


@pytest.mark.parametrize("mark", [None, "", "yesterday", "2026-13-01"])
def test_an_image_without_a_readable_mark_ages_from_now_on(mark: str | None) -> None:
    resource = aged(EARLIER, **WHOLE)
    image = old(400, properties={Marks.REPLACED: mark})
    assert retention.age(image, NOW) == timedelta(0)
    assert not retention.ageing(resource, [image], NOW)
    [(_, patch)] = retention.putting_aside(resource, None, [image], NOW)
    assert retention.replaced_at(applied(image, patch)) == NOW


def test_an_image_that_is_returned_to_is_young_again() -> None:
    resource = aged(EARLIER, **WHOLE)
    image = replaced(100, hidden=True, tags=frozenset({"deprecated", "b"}))
    after = applied(image, retention.revived(resource, image, ()))
    assert Marks.REPLACED not in after.properties
    assert after.tags == {"b"}
    assert retention.revived(resource, after, ()) == ()
    tagged = cloud_image(image={"tags": ["deprecated"]})
    assert [each["path"] for each in retention.revived(tagged, image, ())] == [f"/{Marks.REPLACED}"]


@pytest.mark.parametrize(
    ("limit", "image", "previous", "expected"),
    [
        (1, {}, [PreviousImage(old(1), 0)], []),
        (
            1,
            {},
            [PreviousImage(old(3), 0), PreviousImage(old(1), 0), PreviousImage(old(2), 0)],
            [2, 3],
        ),
        (0, {}, [PreviousImage(old(1), 0)], [1]),
        (0, {}, [PreviousImage(old(1), 2), PreviousImage(old(2), None)], []),
        (
            1,
            {},
            [PreviousImage(old(1), 1), PreviousImage(old(2), 0), PreviousImage(old(3), 0)],
            [3],
        ),
        (0, {}, [PreviousImage(old(1, protected=True), 0)], []),
        (0, {"protected": True}, [PreviousImage(old(1, protected=True), 0)], []),
        (0, {"protected": False}, [PreviousImage(old(1, protected=True), 0)], [1]),
    ],
    ids=[
        "the newest stays",
        "older ones go",
        "none is to stay",
        "used, or perhaps used",
        "the used do not count",
        "protected by somebody",
        "protected by the spec",
        "the spec lets go",
    ],
)
def test_unused_images_beyond_the_limit_go(
    limit: int, image: dict[str, Any], previous: list[PreviousImage], expected: list[int]
) -> None:
    for resource in (
        cloud_image(image=image, revisionHistoryLimit=limit),
        cloud_image(image=image, retention={"keep": limit}),
    ):
        hidden = [replace(each, image=replace(each.image, hidden=True)) for each in previous]
        gone = [each.id for each in retention.surplus(resource, hidden, NOW)]
        assert gone == [old(number).id for number in expected]


@pytest.mark.parametrize(
    ("days", "spec", "goes"),
    [
        (364, {}, False),
        (365, {}, True),
        (59, {"deleteUnusedAfter": None}, False),
        (60, {"deleteUnusedAfter": None}, True),
        (59, {"deleteUnusedAfter": "1d"}, False),
        (60, {"deleteUnusedAfter": "1d"}, True),
    ],
)
def test_none_is_deleted_before_its_time(days: int, spec: dict[str, Any], *, goes: bool) -> None:
    resource = aged(EARLIER, **WHOLE | {"keep": 0} | spec)
    hidden, shown = replaced(days, hidden=True), replaced(days, 2)
    gone = retention.surplus(resource, [PreviousImage(each, 0) for each in (hidden, shown)], NOW)
    assert shown not in gone, "it is hidden first"
    assert bool(gone) is goes


seen = st.builds(
    lambda number, days, users, protected: PreviousImage(
        replaced(days, number, hidden=True, protected=protected), users
    ),
    st.integers(1, 30),
    st.integers(0, 800),
    st.none() | st.integers(0, 2),
    st.booleans(),
)
earlier = st.lists(seen, unique_by=lambda each: each.image.id)
durations = st.none() | st.integers(1, 700).map(lambda days: f"{days}d")


@given(earlier, st.integers(0, 5), durations, durations, st.none() | st.booleans())
def test_none_that_is_used_or_to_be_kept_is_deleted_and_the_rest_is_said(
    previous: list[PreviousImage],
    keep: int,
    visible: str | None,
    unused: str | None,
    protected: bool | None,
) -> None:
    resource = cloud_image(
        image={"protected": protected},
        retention={"keep": keep, "visibleFor": visible, "deleteUnusedAfter": unused},
    )
    gone = {each.id for each in retention.surplus(resource, previous, NOW)}
    left = [each for each in previous if each.image.id not in gone]
    assert all(each.users == 0 for each in previous if each.image.id in gone)
    assert len(left) >= min(keep, len(previous))
    newest = revisions.newest_first(each.image for each in previous)[:keep]
    assert gone.isdisjoint(each.id for each in newest)
    held = {each.image.id for each in retention.held(resource, left, NOW)}
    assert held.isdisjoint(gone)
    # What is old enough is gone, held by something, or one of those that are kept.
    old_enough = retention.policy_of(resource).delete_after
    overdue = [
        each.image.id
        for each in left
        if retention.age(each.image, NOW) >= old_enough and each.image.id not in held
    ]
    assert len(overdue) <= 2 * keep
    # A look that was cut off and one that comes again decide the same of what is left.
    assert retention.surplus(resource, left, NOW) == ()


@given(earlier, durations, durations, st.sampled_from(["Hidden", "Community"]), st.integers(0, 900))
def test_no_step_shows_an_image_to_more_and_none_is_repeated(
    previous: list[PreviousImage],
    visible: str | None,
    deprecated: str | None,
    then: str,
    later: int,
) -> None:
    spec = {"visibleFor": visible, "deprecateAfter": deprecated, "then": then}
    resource = cloud_image(retention=spec)
    moment = NOW + timedelta(days=later)
    for image, patch in retention.ageing(resource, [each.image for each in previous], moment):
        after = applied(image, patch)
        assert after.hidden >= image.hidden
        assert after.visibility == image.visibility == "private"
        assert after.name == image.name
        assert retention.ageing(resource, [after], moment) == []
