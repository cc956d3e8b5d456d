"""Which images of a project are migrated, and what they are called."""

import random
import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.cli.migrate_all import (
    LONGEST_NAME,
    Filters,
    Planned,
    kubernetes_name,
    name_all,
    plan,
    table,
)
from cloudimage.cloud.models import GlanceImage
from support.resources import NOW, cloud_image, glance_image

OWN = "project"


def image(number: int, name: str | None = "debian", **changes: Any) -> GlanceImage:
    """Return an image whose id, and time of creation, are of a number."""
    created = NOW + timedelta(days=number)
    identifier = f"{number:08x}-1111-4111-8111-111111111111"
    return glance_image(cloud_image(), id=identifier, name=name, created_at=created, **changes)


def whys(images: list[GlanceImage], filters: Filters | None = None) -> dict[str | None, str]:
    return {
        each.name or each.image.id: each.why for each in plan(images, OWN, filters or Filters())
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"status": "deactivated"}, "its status is deactivated: an administrator"),
        ({"size": 0}, "no bytes of its own"),
        ({"container_format": "ova"}, "an archive"),
        ({"disk_format": "ploop2"}, "disk format ploop2"),
        ({"owner": "theirs"}, "it belongs to project theirs: --owner theirs takes it"),
        ({"properties": {"image_type": "snapshot"}}, "--snapshots takes it"),
        ({"properties": {"instance_uuid": "x"}}, "--snapshots takes it"),
    ],
)
def test_skipped(changes: dict[str, Any], words: str) -> None:
    [planned] = plan([image(1, **changes)], OWN, Filters())
    assert planned.name is None
    assert words in planned.why


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (Filters(), {1, 2}),
        (Filters(pattern="deb*"), {1}),
        (Filters(pattern="DEB*"), set()),
        (Filters(pattern="*[[]2]"), {2}),
        (Filters(visibilities=frozenset({"public", "shared"})), {2}),
        (Filters(tags=frozenset({"a"})), {2}),
        (Filters(tags=frozenset({"a", "b"})), set()),
        (Filters(statuses=frozenset({"queued"})), {3}),
        (Filters(owners=frozenset({"theirs"})), {4}),
        (Filters(snapshots=True), {1, 2, 5}),
    ],
)
def test_filters(filters: Filters, found: set[int]) -> None:
    images = [
        image(1),
        image(2, "other [2]", visibility="public", tags=frozenset({"a"})),
        image(3, "queued", status="queued", size=None),
        image(4, "theirs", owner="theirs"),
        image(5, "snapshot", properties={"image_type": "snapshot"}),
    ]
    planned = plan(images, OWN, filters)
    shown = {int(each.image.id[:8], 16) for each in planned if filters.statuses or each.name}
    assert shown == found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("debian-12", "debian-12"),
        ("Debian 12", "debian-12"),
        ("debian-12.5", "debian-12.5"),
        ("  Ubuntu 24.04 LTS (Noble)! ", "ubuntu-24.04-lts-noble"),
        ("a.-b", "a.b"),
        ("..", ""),
        ("Système", "systeme"),
        ("镜像", ""),
        ("x" * 300, "x" * 63),
        ("x" * 62 + ".y", "x" * 62),
    ],
)
def test_names_of_kubernetes(name: str, expected: str) -> None:
    assert kubernetes_name(name) == expected


def names(images: list[GlanceImage]) -> dict[int, str | None]:
    return {int(each.image.id[:8], 16): each.name for each in name_all(images)}


def test_the_oldest_keeps_a_name_and_one_that_needs_no_change_comes_first() -> None:
    images = [image(3), image(2), image(1, "Debian"), image(4, ""), image(5, "镜像")]
    assert names(images) == {
        1: "debian-00000001",
        2: "debian",
        3: "debian-00000003",
        4: "image-00000004",
        5: "image",
    }
    assert names([*images, image(9), image(10, "DEBIAN")]).items() > names(images).items()


def test_a_name_that_was_made_is_nobody_elses() -> None:
    made = [image(1), image(2), image(3, "debian-00000002")]
    assert names(made) == {1: "debian", 2: "debian-00000002-1", 3: "debian-00000002"}


@given(st.lists(st.none() | st.text(max_size=80) | st.sampled_from(["debian", "Debian", "image"])))
def test_any_names_become_names_of_kubernetes_each_another_one(found: list[str | None]) -> None:
    images = [image(number, name) for number, name in enumerate(found)]
    made = [each.name or "" for each in name_all(images)]
    assert len(set(made)) == len(images)
    label = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    assert all(re.fullmatch(rf"{label}(\.{label})*", each) for each in made)
    assert all(len(each) <= LONGEST_NAME for each in made)


def test_the_order_in_which_glance_lists_does_not_count() -> None:
    images = [image(number, name) for number, name in enumerate(("b", "a", "B", None, "a"))]
    images.append(image(9, owner="theirs"))
    once = plan(images, OWN, Filters())
    for _ in range(5):
        random.shuffle(images)
        assert plan(images, OWN, Filters()) == once
    assert [each.name for each in once] == [
        *("a", "a-00000004", "b", "b-00000002", "image-00000003"),
        None,
    ]


def test_the_table_says_what_becomes_of_each() -> None:
    rows = table(plan([image(1, "Debian 12"), image(2, size=0)], OWN, Filters()), [image(1).id])
    assert rows[0] == ["IMAGE", "NAME", "SIZE", "STATUS", "WRITTEN AS", "NOTE"]
    assert rows[1][1:] == [
        *("Debian 12", "2.0Gi", "active", "debian-12 and its ImageShare"),
        "renamed: its own is not one of Kubernetes",
    ]
    assert rows[2][4:] == [
        "-",
        "skipped: it has no bytes of its own, like that of a volume's snapshot",
    ]


def test_why_a_name_was_changed_is_said() -> None:
    first = image(1)
    assert whys([first, image(2)])["debian-00000002"] == f"renamed: image {first.id} has the name"
    assert isinstance(name_all([first])[0], Planned)
    assert whys([image(1, None)])["image-00000001"] == "renamed: it has no name in Glance"
