"""The spec as it is applied: with its templates filled in."""

import json
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import effective, transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.metadata import Links, plan_metadata
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.logic.revisions import name_to_begin_with
from cloudimage.vocabulary.marks import Marks
from support.resources import SHA256, cloud_image, glance_image

SOURCE = {
    "version": "12.5",
    "lastModified": "2025-12-24T12:00:00Z",
    "checksums": {"sha256": SHA256},
}
IMAGE = {
    "name": "Debian $(version) ($(built))",
    "tags": ["os:debian", "v$(version)"],
    "properties": {
        "build": "$(built)",
        "source_hash": "$(source.checksum)",
        "shell": "echo $$(version) 5$",
        "empty": "",
    },
}
NOTHING = Links({}, {})


def resource(source: dict[str, Any] | None = None, **image: Any) -> CloudImage:
    return cloud_image({**IMAGE, **image}, {"source": SOURCE if source is None else source})


def patched(given: CloudImage, image: GlanceImage) -> dict[str, Any]:
    """Return what is changed in Glance, by its path; None: it is removed."""
    plan = plan_metadata(effective.applied(given, image), image, NOTHING)
    return {each["path"]: each.get("value") for each in plan.patch}


def test_what_is_known_is_filled_in() -> None:
    given = resource()
    image = effective.applied(given, glance_image(given)).spec.image
    assert image.name == "Debian 12.5 (2025-12-24)"
    assert image.tags == {"os:debian", "v12.5"}
    assert image.properties == {
        "build": "2025-12-24",
        "source_hash": f"sha256:{SHA256}",
        "shell": "echo $(version) 5$",
        "empty": "",
    }
    assert effective.drafts(given, glance_image(given)) == ()


def test_an_image_that_has_it_is_no_drift() -> None:
    given = resource()
    properties = {
        "build": "2025-12-24",
        "source_hash": f"sha256:{SHA256}",
        "shell": "echo $(version) 5$",
        "empty": "",
        Marks.PROPERTIES: json.dumps(
            ["build", "empty", "shell", "source_hash"], separators=(",", ":")
        ),
    }
    there = glance_image(
        given,
        name="Debian 12.5 (2025-12-24)",
        tags=frozenset({"os:debian", "v12.5"}),
        properties=properties,
    )
    assert patched(given, there) == {}
    assert patched(given, glance_image(given))["/name"] == "Debian 12.5 (2025-12-24)"


def test_before_the_transfer_nothing_is_said_that_is_not_known() -> None:
    given = cloud_image(IMAGE)
    new = transfer_request.new_image(given, Desired.of(given.spec), "x")
    assert new.tags == ("os:debian",)
    assert new.properties["shell"] == "echo $(version) 5$"
    assert not {"build", "source_hash"} & new.properties.keys()
    assert name_to_begin_with(given, OwnedImages(None, (), ())) == "debian-12"


def test_what_is_not_known_stays_and_is_named() -> None:
    given = resource({"checksums": {"sha256": SHA256}})
    mark = json.dumps(["build", "empty", "shell", "source_hash"], separators=(",", ":"))
    there = glance_image(given, properties={"build": "by hand", Marks.PROPERTIES: mark})
    changed = patched(given, there)
    assert "/build" not in changed
    assert "/name" not in changed  # it is metadata.name
    assert changed["/tags"] == ["os:debian"]
    [draft] = effective.drafts(given, there)
    assert (draft.type, draft.status, draft.reason) == ("Synced", "False", "TemplateNotFilled")
    for named in ("spec.image.name", "spec.image.tags", "spec.image.properties.build ($(built))"):
        assert named in draft.message
    assert "properties.source_hash" not in draft.message


def test_a_property_that_was_never_known_is_not_marked_as_set() -> None:
    given = resource({})
    there = glance_image(given)
    assert json.loads(patched(given, there)[f"/{Marks.PROPERTIES}"]) == ["empty", "shell"]


@pytest.mark.parametrize(("length", "fits"), [(250, True), (251, False)])
def test_what_becomes_too_long_for_glance_is_told(length: int, fits: bool) -> None:
    given = cloud_image({"name": "$(version) " + "x" * 4}, {"source": {"version": "v" * length}})
    there = glance_image(given)
    name = effective.applied(given, there).spec.image.name
    assert (name is not None) is fits
    assert (effective.drafts(given, there) == ()) is fits
