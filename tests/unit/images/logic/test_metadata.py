"""The smallest JSON patch that brings Glance's metadata in line with the spec."""

import json

import pytest

from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import metadata, transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.metadata import Difference
from cloudimage.vocabulary.marks import Marks
from support.resources import cloud_image, glance_image


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
        ({"hidden": True}, {}, "replace", "/os_hidden", True),
        ({"owner": "other"}, {}, "replace", "/owner", "other"),
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
    [difference] = metadata.differences(resource, glance_image(resource, **observed))
    assert difference.operation == operation


@pytest.mark.parametrize(
    "observed",
    [
        {"visibility": "shared"},
        {"owner": "other"},
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


def marked(*names: str, **properties: str) -> GlanceImage:
    """Return an image with properties, some of which were set from here."""
    mark = {Marks.PROPERTIES: json.dumps(names)} if names else {}
    return glance_image(cloud_image(), properties={**properties, **mark})


MERGE: dict[str, tuple[GlanceImage, set[str]]] = {
    "set from here": (marked("a", a="1"), {"a"}),
    "set from here, and gone already": (marked("a"), set()),
    "set by others": (marked("a", b="1"), set()),
    "before the mark existed": (marked(a="1"), set()),
    "a mark of ours": (marked(Marks.UID, "os_glance_x", os_glance_x="1"), set()),
}


@pytest.mark.parametrize(("image", "removed"), MERGE.values(), ids=MERGE)
def test_merge_removes_what_was_set_from_here(image: GlanceImage, removed: set[str]) -> None:
    found = metadata.differences(cloud_image(), image)
    assert {each.field for each in found} == removed
    assert all(each.operation["op"] == "remove" for each in found)


@pytest.mark.parametrize("text", ["{", "7", '{"a": 1}', "[1, null]"])
def test_a_mark_that_is_nonsense_removes_nothing(text: str) -> None:
    image = glance_image(cloud_image(), properties={Marks.PROPERTIES: text, "a": "1"})
    assert metadata.differences(cloud_image(), image) == ()


def test_purge_removes_whatever_the_spec_does_not_name_but_not_what_is_glances_or_a_mark() -> None:
    resource = cloud_image(image={"properties": {"a": "1"}}, propertyPolicy="Purge")
    image = marked("a", a="1", b="2", os_glance_importing_to_stores="x", os_hash="3")
    assert metadata.differences(resource, image) == (
        Difference("b", None, "2"),
        Difference("os_hash", None, "3"),
    )


def test_a_property_of_a_reference_is_set_and_kept_while_the_reference_leads_nowhere() -> None:
    resource = cloud_image(image={"kernelRef": {"name": "kernel"}}, propertyPolicy="Purge")
    image = marked("kernel_id", kernel_id="old")
    assert metadata.differences(resource, image) == ()
    [found] = metadata.differences(resource, image, {"kernel_id": "new"})
    assert found == Difference("kernel_id", "new", "old")
    [removed] = metadata.differences(cloud_image(), image)
    assert removed == Difference("kernel_id", None, "old")


def test_the_image_says_which_properties_were_set_from_here() -> None:
    resource = cloud_image(
        image={"properties": {"b": "1", "ä": "2"}, "ramdiskRef": {"name": "ramdisk"}}
    )
    mark = '["b","ramdisk_id","ä"]'
    path = f"/{Marks.PROPERTIES}"
    assert (
        transfer_request.new_image(resource, Desired.of(resource.spec), "debian-12").properties[
            Marks.PROPERTIES
        ]
        == mark
    )
    before = glance_image(resource)
    assert metadata.bookkeeping(resource, before) == ({"op": "add", "path": path, "value": mark},)
    right = glance_image(resource, properties={Marks.PROPERTIES: mark})
    assert metadata.bookkeeping(resource, right) == ()
    assert metadata.bookkeeping(cloud_image(), right) == ({"op": "remove", "path": path},)
    assert metadata.bookkeeping(cloud_image(), before) == ()
    assert (
        Marks.PROPERTIES
        not in transfer_request.new_image(
            cloud_image(), Desired.of(cloud_image().spec), "debian-12"
        ).properties
    )


def test_an_orphan_loses_every_mark_and_nothing_else() -> None:
    others = {Marks.REPLACED: "2026-01-02T03:04:05Z", Marks.BOOTED: "0 2026-01-02T03:04:05Z"}
    image = marked("os_distro", os_distro="debian", **others)
    patch = metadata.without_marks(image)
    assert {each["op"] for each in patch} == {"remove"}
    assert sorted(each["path"] for each in patch) == sorted(f"/{mark}" for mark in Marks)
