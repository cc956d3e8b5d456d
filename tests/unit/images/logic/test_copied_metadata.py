"""What is copied of the metadata of a source's image, and how it is kept."""

import json
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.status import CloudImageStatus, CopiedMetadata
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import copied_metadata, metadata, transfer_request
from cloudimage.images.logic.copied_metadata import applied, kept, of, sentence
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.metadata import Links, plan_metadata
from cloudimage.vocabulary.marks import Marks
from support.resources import cloud_image, glance_image

SOURCE = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"


def resource(
    copied: CopiedMetadata | None = None, *, copy: bool = True, **given: Any
) -> CloudImage:
    """Return a CloudImage of an image of a Glance, with what it has copied."""
    source = {"glance": {"id": SOURCE, "copyMetadata": copy}}
    status = {} if copied is None else {"copiedMetadata": copied.to_json()}
    image = {"diskFormat": None, **given.pop("image", {})}
    return cloud_image(image, {**given.pop("status", {}), **status}, source=source, **given)


def theirs(**changes: Any) -> GlanceImage:
    """Return the source's image."""
    properties = {"os_distro": "debian", "our_own": "1", "kernel_id": "k-1", "owner_id": "o"}
    given = {
        "id": SOURCE,
        "min_disk": 3,
        "min_ram": 512,
        "tags": frozenset({"b", "a"}),
        "properties": properties,
        **changes,
    }
    return glance_image(cloud_image(), **given)


def test_it_is_off_unless_asked_for() -> None:
    assert not copied_metadata.is_wanted(cloud_image().spec)
    assert not copied_metadata.is_wanted(resource(copy=False).spec)
    assert copied_metadata.is_wanted(resource().spec)
    off = resource(of(theirs()), copy=False)
    assert applied(off) == off
    assert sentence(off) == ""


def test_what_is_copied_and_what_is_not() -> None:
    assert of(theirs()) == CopiedMetadata(
        source=SOURCE,
        container_format="bare",
        min_disk_gib=3,
        min_ram_mib=512,
        tags=("a", "b"),
        properties={"os_distro": "debian", "our_own": "1"},
        left_out=("kernel_id", "owner_id"),
    )


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        ({"min_disk": 1}, ("min_disk",)),  # its own disk of 2 GiB does not fit in it
        ({"min_disk": -1}, ("min_disk",)),
        ({"min_ram": 2**31}, ("min_ram",)),
        ({"tags": frozenset({"x" * 256, "ok"})}, ("tags",)),
        ({"tags": frozenset({"\ud800", "ok"})}, ("tags",)),
        ({"tags": frozenset(map(str, range(129)))}, ("tags",)),
        ({"properties": {"our_own": "\ud800"}}, ("our_own",)),
        ({"properties": {"our_\ud800": "x"}}, ("our_?",)),
        ({"min_disk": 0, "min_ram": 0}, ()),
    ],
)
def test_what_a_glance_says_is_bounded(changes: dict[str, Any], left: tuple[str, ...]) -> None:
    found = of(theirs(**{"properties": {}, **changes}))
    assert found.left_out == left
    status = CloudImageStatus(copied_metadata=found)
    assert CloudImageStatus.model_validate(json.loads(json.dumps(status.to_json()))) == status
    json.dumps(status.to_json(), ensure_ascii=False).encode()


def test_a_hostile_glance_fits_into_the_status() -> None:
    many = {f"p{number:04}{'n' * 200}": "v" * 4096 for number in range(2000)}
    found = of(theirs(properties=many))
    assert len(json.dumps(found.to_json())) < 120_000
    CopiedMetadata.model_validate(found.to_json())


def test_what_the_spec_has_wins() -> None:
    own = {"minDiskGiB": 9, "minRamMiB": 0, "tags": [], "properties": {"os_distro": "ours"}}
    image = applied(resource(of(theirs()), image=own)).spec.image
    assert (image.min_disk_gib, image.min_ram_mib, image.tags) == (9, 0, frozenset())
    assert image.properties == {"os_distro": "ours", "our_own": "1"}


def test_the_new_image_has_it_from_the_first_moment() -> None:
    given = resource(of(theirs()))
    new = transfer_request.new_image(given, Desired.of(given.spec), "debian-12")
    assert (new.min_disk, new.min_ram, new.tags) == (3, 512, ("a", "b"))
    assert new.properties["our_own"] == "1"
    assert json.loads(new.properties[Marks.PROPERTIES]) == ["os_distro", "our_own"]


@pytest.mark.parametrize(
    ("theirs_is", "spec", "expected"),
    [
        (("aki", "aki"), {}, "aki"),
        (("qcow2", "ovf"), {}, "ovf"),
        (("qcow2", "ova"), {}, "bare"),
        (("raw", "strange"), {}, "bare"),
        (("ami", "ami"), {"diskFormat": "raw"}, "bare"),
        (("raw", "bare"), {"containerFormat": "ovf"}, "ovf"),
    ],
)
def test_container_format(theirs_is: tuple[str, str], spec: dict[str, str], expected: str) -> None:
    disk_format, container_format = theirs_is
    copied = of(theirs(disk_format=disk_format, container_format=container_format))
    assert applied(resource(copied, image=spec)).spec.image.container_format == expected


def test_whether_it_is_copied_makes_no_new_image() -> None:
    keys = {
        Desired.of(each.spec).content_key
        for each in (resource(), resource(copy=False), resource(of(theirs())))
    }
    assert len(keys) == 1
    selectors = set()
    for copy in (True, False):
        source = {"glance": {"name": "debian", "copyMetadata": copy}}
        desired = Desired.of(cloud_image(source=source).spec)
        selectors.add(desired.source.selector() if desired.source else None)
    assert len(selectors) == 1


NOTHING = Links({}, {})


def plan(given: CloudImage, image: GlanceImage) -> metadata.MetadataPlan:
    return plan_metadata(applied(given), image, NOTHING)


def here(given: CloudImage, **changes: Any) -> GlanceImage:
    """Return the image as a transfer has made it."""
    new = transfer_request.new_image(given, Desired.of(given.spec), "debian-12")
    return glance_image(
        given,
        min_disk=new.min_disk or 0,
        min_ram=new.min_ram or 0,
        tags=frozenset(changes.pop("tags", new.tags)),
        properties={**new.properties, **changes.pop("properties", {})},
        **changes,
    )


def test_it_is_neither_lost_nor_fought_over() -> None:
    synced = {"syncedGeneration": 3, "imageID": "11111111-1111-4111-8111-111111111111"}
    given = resource(of(theirs()), status=synced)
    assert plan(given, here(given)).patch == ()
    by_hand = here(given, tags=("x",), properties={"our_own": "2", "os_distro": None})
    corrected = plan(given, by_hand)
    assert {each["path"]: each["value"] for each in corrected.patch} == {
        "/tags": ["a", "b"],
        "/our_own": "1",
        "/os_distro": "debian",
    }
    assert corrected.event is not None
    reported = resource(of(theirs()), status=synced, driftPolicy="Report")
    assert plan(reported, by_hand).patch == ()
    # Others' properties stay, and go with Purge as ever.
    assert plan(given, here(given, properties={"more": "x"})).patch == ()
    purged = resource(of(theirs()), status=synced, propertyPolicy="Purge")
    [gone] = plan(purged, here(purged, properties={"more": "x"})).patch
    assert gone == {"op": "remove", "path": "/more"}


def test_it_goes_when_it_is_no_longer_wanted_or_another_image_has_it_not() -> None:
    image = here(resource(of(theirs())))
    gone = [each["path"] for each in plan(resource(copy=False), image).patch]
    assert gone == ["/os_distro", "/our_own", f"/{Marks.PROPERTIES}"]
    other = of(theirs(properties={"os_distro": "fedora"}))
    changed = {each["path"] for each in plan(resource(other), image).patch}
    assert changed == {"/os_distro", "/our_own", f"/{Marks.PROPERTIES}"}


def test_while_the_source_cannot_be_asked_the_image_keeps_what_it_has() -> None:
    copied = of(theirs())
    image = here(resource(copied))
    # Back to an earlier image, or with a status that was lost.
    for before in (None, CopiedMetadata(source="another")):
        given = resource(before)
        found = kept(given, image)
        assert found is not None
        assert found.source is None
        assert plan(resource(found), image).patch == ()
        assert "cannot be asked" in sentence(resource(found))


def test_what_was_never_copied_is_not_taken_for_a_copy() -> None:
    own = {"properties": {"os_distro": "debian"}}
    given = resource(image=own)
    never = here(resource(copy=False, image=own), properties={"by": "hand"})
    assert kept(given, never) is None
    assert kept(given, None) is None


def test_what_is_left_out_is_named() -> None:
    said = sentence(resource(of(theirs())))
    assert said.startswith(f"The metadata of image {SOURCE} was copied. Left out, since")
    assert said.endswith(": kernel_id, owner_id.")
    # Unless the spec has it.
    own = {"kernelRef": {"name": "vmlinuz"}, "properties": {"owner_id": "us"}}
    assert "Left out" not in sentence(resource(of(theirs()), image=own))
    full = {"properties": {f"p{number:03}": "x" for number in range(119)}}
    given = resource(of(theirs()), image=full)
    assert len(applied(given).spec.image.properties or {}) == 120
    assert sentence(given).endswith("120 properties are the most: our_own.")
