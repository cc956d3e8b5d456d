"""The smallest JSON patch that brings Glance's metadata in line with the spec."""

import pytest
from resources import cloud_image, glance_image

from cloudimage.reconcile import metadata
from cloudimage.transfer.types import Marks


def test_nothing_differs_nothing_is_patched() -> None:
    resource = cloud_image(image={"tags": ["a"], "properties": {"os_distro": "debian"}})
    image = glance_image(resource, tags=frozenset({"a"}), properties={"os_distro": "debian"})
    assert metadata.differences(resource, image) == ()


@pytest.mark.parametrize(
    ("spec", "observed", "op", "path", "value"),
    [
        ({"name": "n"}, {}, "replace", "/name", "n"),
        ({"visibility": "public"}, {}, "replace", "/visibility", "public"),
        ({"protected": True}, {}, "replace", "/protected", True),
        ({"protected": False}, {"protected": True}, "replace", "/protected", False),
        ({"minDiskGiB": 3}, {}, "replace", "/min_disk", 3),
        ({"minRamMiB": 512}, {}, "replace", "/min_ram", 512),
        ({}, {"hidden": True}, "replace", "/os_hidden", False),
        ({"tags": ["b", "a"]}, {}, "replace", "/tags", ["a", "b"]),
        ({"tags": []}, {"tags": frozenset({"x"})}, "replace", "/tags", []),
        ({"properties": {"a": "b"}}, {}, "add", "/a", "b"),
        ({"properties": {"a": "new"}}, {"properties": {"a": "old"}}, "add", "/a", "new"),
        ({"properties": {"trait:X/Y~Z": "t"}}, {}, "add", "/trait:X~1Y~0Z", "t"),
    ],
)
def test_each_difference_is_one_operation(
    spec: dict[str, object], observed: dict[str, object], op: str, path: str, value: object
) -> None:
    resource = cloud_image(image=spec)
    operation = {"op": op, "path": path, "value": value}
    assert metadata.differences(resource, glance_image(resource, **observed)) == (operation,)


@pytest.mark.parametrize(
    "observed",
    [
        {"visibility": "shared"},
        {"protected": True},
        {"min_disk": 9},
        {"min_ram": 9},
        {"tags": frozenset({"by-hand"})},
        {"properties": {"by": "hand"}},
    ],
)
def test_what_the_spec_leaves_out_is_left_alone(observed: dict[str, object]) -> None:
    resource = cloud_image()
    assert metadata.differences(resource, glance_image(resource, **observed)) == ()


def test_an_orphan_loses_every_mark_and_nothing_else() -> None:
    image = glance_image(cloud_image(), properties={"os_distro": "debian"})
    assert metadata.without_marks(image) == tuple(
        {"op": "remove", "path": f"/{mark}"} for mark in Marks
    )
