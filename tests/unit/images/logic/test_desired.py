"""What a spec wants of the bytes where it names them by what may come to mean others."""

from typing import Any

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.api.resolved_source import ResolvedSource
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.schedule import is_terminal
from cloudimage.transfer.contract import Reason, Stage
from support.resources import cloud_image

ID = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"
OTHER = ID.replace("0b", "1b")


def spec(**glance: Any) -> CloudImageSpec:
    whole = cloud_image().spec.to_json() | {"source": {"glance": glance}}
    return CloudImageSpec.model_validate(whole)


def found(wanted: CloudImageSpec, version: str) -> ResolvedSource:
    source = Desired.of(wanted).source
    selector = source.selector() if source else None
    assert selector is not None
    return ResolvedSource(selector=selector, version=version)


def test_a_name_wants_what_the_id_wants_that_it_stands_for() -> None:
    named = spec(name="debian")
    desired = Desired.of(named, found(named, ID))
    assert desired.content_key == Desired.of(spec(id=ID)).content_key
    assert desired.content_key != Desired.of(named, found(named, OTHER)).content_key
    assert desired.source is not None
    assert desired.source.request().model_dump()["id"] == ID


def test_what_was_found_by_another_name_does_not_count() -> None:
    before = spec(name="debian-11")
    by_filter = spec(filter={"name": "debian-12"})
    elsewhere = {"secretName": "old", "cloudName": "old"}
    for wanted in (
        spec(name="debian-12"),
        by_filter,
        spec(name="debian-11", cloudCredentialsRef=elsewhere),
    ):
        assert Desired.of(wanted, found(before, ID)) == Desired.of(wanted)


def test_an_id_needs_no_looking_up() -> None:
    source = Desired.of(spec(id=ID)).source
    assert source is not None
    assert source.selector() is None


def test_bad_bytes_of_an_id_are_final_and_those_of_a_name_are_not() -> None:
    named = spec(name="debian")
    by_name, by_id = Desired.of(named, found(named, ID)), Desired.of(spec(id=ID))
    assert is_terminal(by_id, Reason.UNSAFE_IMAGE, Stage.INSPECTING)
    assert not is_terminal(by_name, Reason.UNSAFE_IMAGE, Stage.INSPECTING)
