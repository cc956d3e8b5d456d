"""Where a boot test stands, and whether an image waits for it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import Reason
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import boot_test, boot_test_state, owned_images, transfer_request
from cloudimage.images.logic.boot_test import Phase
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.revisions import name_to_begin_with
from cloudimage.vocabulary.marks import UNTESTED, Marks
from support.boot_states import (
    EARLIER_ID,
    IMAGE_ID,
    server,
    state_of,
    untested,
    wanted_of,
    with_test,
)
from support.resources import NOW, cloud_image, glance_image

DAY = timedelta(days=1)


def with_state(resource: CloudImage, image: GlanceImage, **changes: Any) -> CloudImage:
    """Return the CloudImage with a test of the image."""
    spec = resource.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    return cloud_image(
        status={"bootTest": state_of(resource, image, **changes)}, bootTest=spec["bootTest"]
    )


def phase(resource: CloudImage, image: GlanceImage, after: timedelta = DAY) -> Phase:
    return boot_test.phase(resource, image, NOW + after)


def test_without_a_test_there_is_nothing_to_do() -> None:
    resource = cloud_image()
    assert phase(resource, glance_image(resource)) is Phase.NONE
    assert not boot_test.is_held(resource, untested(resource))
    assert not boot_test_state.is_under_way(resource)


def test_a_test_goes_through_its_phases() -> None:
    resource = with_test()
    image = untested(resource)
    assert phase(resource, image) is Phase.DUE
    assert phase(with_state(resource, image), image) is Phase.RUNNING
    over = {"finishTime": NOW, "result": "Passed", "reason": "BootTestPassed"}
    clearing = with_state(resource, image, serverID="s", **over)
    assert phase(clearing, image) is Phase.CLEARING
    assert phase(with_state(resource, image, **over), image) is Phase.OVER


@pytest.mark.parametrize(
    "running", [{}, {"serverID": "s"}, {"serverID": "s", "finishTime": NOW, "result": "Failed"}]
)
def test_what_another_spec_has_left_is_ended_first(running: dict[str, Any]) -> None:
    resource = with_test()
    image = untested(resource)
    state = state_of(resource, image, **running)
    other = with_test(status={"bootTest": state}, flavor="m1.large")
    assert phase(other, image) is Phase.ENDING
    assert phase(cloud_image(status={"bootTest": state}), image) is Phase.ENDING
    of_another_image = untested(resource, id=EARLIER_ID)
    assert phase(with_test(status={"bootTest": state}), of_another_image) is Phase.ENDING


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"required": False}, True),
        ({"every": "30d"}, True),
        ({"flavor": "m1.large"}, False),
        ({"networks": []}, False),
        ({"networks": [{"name": "net"}]}, False),
        ({"user": "debian"}, False),
        ({"volumeGiB": 10}, False),
        ({"expect": {"within": "11m"}}, False),
        ({"expect": {"ipv6": True}}, False),
        ({"expect": {"consoleMatches": "login:"}}, False),
    ],
)
def test_only_what_the_result_depends_on_asks_for_another(
    change: dict[str, Any], same: bool
) -> None:
    resource = with_test()
    image = glance_image(resource)
    before = boot_test.digest_of(wanted_of(resource), image)
    assert (boot_test.digest_of(wanted_of(with_test(**change)), image) == before) is same


@pytest.mark.parametrize(
    ("properties", "same"),
    [
        ({"hw_firmware_type": "uefi"}, False),
        ({"os_type": "windows"}, False),
        ({"img_config_drive": "mandatory"}, False),
        ({"kernel_id": EARLIER_ID}, False),
        ({"architecture": "aarch64"}, False),
        ({"os_purpose": "generic"}, True),
        ({"description": "an image"}, True),
        ({Marks.REPLACED: "2026-01-02T03:04:05Z"}, True),
    ],
)
def test_properties_that_say_how_to_boot_ask_for_another(
    properties: dict[str, str], same: bool
) -> None:
    resource = with_test()
    before = boot_test.digest_of(wanted_of(resource), glance_image(resource))
    changed = glance_image(resource, properties=properties)
    assert (boot_test.digest_of(wanted_of(resource), changed) == before) is same


def test_an_image_waits_only_before_it_has_its_place() -> None:
    resource = with_test()
    assert boot_test.is_held(resource, untested(resource))
    assert not boot_test.is_held(resource, glance_image(resource)), "it has its name"
    served = with_test(status={"imageID": IMAGE_ID})
    assert not boot_test.is_held(served, untested(served)), "whatever somebody called it"
    assert not boot_test.is_held(with_test(required=False), untested(resource))


def test_an_earlier_image_that_is_returned_to_waits_too_unless_it_has_passed() -> None:
    aside = {"name": "debian-12 2026-01-02", Marks.REPLACED: "2026-01-02T03:04:05Z"}
    name, marks = aside.pop("name"), aside
    resource = with_test(status={"imageID": EARLIER_ID})
    old = glance_image(resource, name=name, hidden=True, properties=marks)
    assert boot_test.is_held(resource, old)
    assert boot_test.putting_apart(resource, old) == (), "it keeps its name until then"
    known = passed(resource, name=name).properties
    assert not boot_test.is_held(resource, glance_image(resource, properties={**known, **marks}))
    back = with_test(status={"imageID": old.id})
    assert not boot_test.is_held(back, old)
    assert not boot_test.is_held(with_test(required=False), old)


def test_an_image_waits_until_it_has_passed_this_very_test() -> None:
    resource = with_test()
    image = untested(resource)
    for result, held in (("Passed", False), ("Failed", True)):
        state = state_of(resource, image, result=result, finishTime=NOW)
        assert boot_test.is_held(with_test(status={"bootTest": state}), image) is held
        other = with_test(status={"bootTest": state}, flavor="m1.large")
        assert boot_test.is_held(other, image)


def passed(resource: CloudImage, **changes: Any) -> GlanceImage:
    digest = boot_test.digest_of(wanted_of(resource), untested(resource))
    mark = boot_test.booted_mark(digest, NOW)
    return untested(resource, properties={Marks.BOOTED: mark}, **changes)


def test_the_image_itself_says_that_it_has_passed() -> None:
    resource = with_test(every="30d")
    image = passed(resource)
    assert not boot_test.is_held(resource, image), "its status was lost"
    known = boot_test.known_to_pass(wanted_of(resource), image)
    assert known is not None
    assert (known.result, known.finish_time) == ("Passed", NOW)
    assert known.next_test_time == NOW + 30 * DAY
    assert boot_test.known_to_pass(wanted_of(with_test(flavor="m1.large")), image) is None


@given(st.text())
def test_no_mark_that_is_not_ours_passes_an_image(mark: str) -> None:
    resource = with_test()
    image = untested(resource, properties={Marks.BOOTED: mark})
    assert boot_test.is_held(resource, image)
    digest = boot_test.digest_of(wanted_of(resource), image)
    spoilt = untested(resource, properties={Marks.BOOTED: f"{digest} {mark}"})
    boot_test.is_held(resource, spoilt)  # a time or none: it raises nothing


def test_an_image_in_use_is_tested_again_when_that_is_due() -> None:
    resource = with_test(every="30d")
    image = passed(resource, name="debian-12")
    for result, reason in (("Passed", "BootTestPassed"), ("Failed", "NoAddress")):
        over = with_state(resource, image, result=result, reason=reason, finishTime=NOW)
        assert phase(over, image, 30 * DAY - timedelta(seconds=1)) is Phase.OVER
        assert phase(over, image, 30 * DAY) is Phase.DUE


def test_an_image_that_waits_is_not_tested_again_by_itself() -> None:
    resource = with_test(every="1h")
    image = untested(resource)
    failed = with_state(resource, image, result="Failed", reason="Timeout", finishTime=NOW)
    assert phase(failed, image, 300 * DAY) is Phase.OVER
    state = boot_test_state.retried(failed.status.boot_test, NOW)
    assert state is not None
    asked = failed.model_copy(
        update={"status": failed.status.model_copy(update={"boot_test": state})}
    )
    assert phase(asked, image, timedelta(0)) is Phase.DUE


@pytest.mark.parametrize("reason", ["NoValidHost", "BuildFailed", "QuotaExceeded", "Forbidden"])
def test_what_may_pass_is_tried_again_at_its_time(reason: str) -> None:
    resource = with_test()
    image = untested(resource)
    failed = with_state(
        resource, image, result="Failed", reason=reason, finishTime=NOW, nextTestTime=NOW + DAY
    )
    assert phase(failed, image, DAY - timedelta(seconds=1)) is Phase.OVER
    assert phase(failed, image, DAY) is Phase.DUE
    again = boot_test.begun(failed, wanted_of(failed), image, NOW)
    assert again.attempts == 2
    assert again.result is None


def test_attempts_are_counted_since_the_last_success() -> None:
    resource = with_test(every="1h")
    image = passed(resource)
    over = with_state(resource, image, result="Passed", finishTime=NOW, attempts=4)
    assert boot_test.begun(over, wanted_of(over), image, NOW).attempts == 1
    other = with_test(status={"bootTest": state_of(resource, image, result="Failed", attempts=4)})
    changed = wanted_of(with_test(flavor="m1.large"))
    assert boot_test.begun(other, changed, image, NOW).attempts == 1


def test_of_several_servers_the_known_one_is_kept() -> None:
    resource = with_test()
    image = untested(resource)
    running = with_state(resource, image, serverID="b").status.boot_test
    assert running is not None
    first, second = server(resource, image, id="a"), server(resource, image, id="b")
    assert boot_test.sorted_out(running, [first, second]) == boot_test.Found(second, (first,))
    unknown = running.model_copy(update={"server_id": None})
    assert boot_test.sorted_out(unknown, [second, first]) == boot_test.Found(first, (second,))


@pytest.mark.parametrize(
    "metadata",
    [{boot_test.SERVER_MARK: "0-1"}, {Marks.IMAGE_ID: EARLIER_ID}, {boot_test.SERVER_MARK: ""}],
)
def test_a_server_of_another_test_is_taken_away(metadata: Mapping[str, str]) -> None:
    resource = with_test()
    image = untested(resource)
    running = with_state(resource, image).status.boot_test
    assert running is not None
    other = server(resource, image, metadata=metadata)
    assert boot_test.sorted_out(running, [other]) == boot_test.Found(None, (other,))


def test_a_server_that_is_deleted_already_is_none() -> None:
    resource = with_test()
    image = untested(resource)
    running = with_state(resource, image).status.boot_test
    assert running is not None
    for status in ("DELETED", "SOFT_DELETED"):
        gone = server(resource, image, status=status)
        assert boot_test.sorted_out(running, [gone]) == boot_test.Found(None, ())


def test_a_first_image_that_is_tested_is_neither_found_nor_shown() -> None:
    resource = with_test()
    desired = Desired.of(resource.spec)
    nothing = owned_images.OwnedImages(None, (), ())
    name = name_to_begin_with(resource, nothing)
    assert name == "debian-12 (in the making)"
    public = cloud_image({"visibility": "public"}, bootTest={"flavor": "m1.small"})
    made = transfer_request.new_image(public, desired, name)
    assert made.visibility == "public", "whether that is allowed is asked before the transfer"
    assert made.properties[Marks.BOOTED] == UNTESTED
    for other in (cloud_image({"visibility": "public"}), with_test(required=False)):
        made = transfer_request.new_image(other, desired, name)
        assert made.visibility == other.spec.image.visibility
        assert Marks.BOOTED not in made.properties
        assert name_to_begin_with(other, nothing) == "debian-12"


APART = {
    "/name": "debian-12 (in the making)",
    "/visibility": "private",
    f"/{Marks.BOOTED}": UNTESTED,
}


def apart(resource: CloudImage, image: GlanceImage, *, made: bool = False) -> dict[str, str]:
    patch = boot_test.putting_apart(resource, image, made=made)
    return {each["path"]: each["value"] for each in patch}


def test_one_that_was_made_before_it_was_to_be_tested_is_put_apart() -> None:
    resource = with_test()
    image = glance_image(resource, visibility="public")
    assert apart(resource, image, made=True) == APART
    assert apart(with_test(status={"imageID": image.id}), image, made=True) == {}
    assert apart(with_test(required=False), image, made=True) == {}
    assert apart(resource, untested(resource), made=True) == {}
    assert apart(cloud_image(), image, made=True) == {}


def test_a_replacement_that_was_being_made_then_has_the_mark_too() -> None:
    resource = with_test(status={"imageID": EARLIER_ID})
    image = glance_image(resource, name="debian-12 (in the making)", hidden=True)
    for made in (True, False):
        assert apart(resource, image, made=made) == {f"/{Marks.BOOTED}": UNTESTED}
    tested = with_test(status={"imageID": EARLIER_ID}, flavor="m1.large")
    assert apart(tested, passed(resource, name="debian-12 (in the making)")) == {
        f"/{Marks.BOOTED}": UNTESTED
    }
    assert apart(resource, passed(resource, name="debian-12 (in the making)")) == {}


def test_one_that_a_person_uploaded_is_put_apart() -> None:
    """By kubectl cloudimage upload, which tells the operator of no result."""
    resource = with_test()
    image = glance_image(resource, visibility="public", hidden=True)
    assert apart(resource, image) == APART
    held = with_test()
    assert boot_test.is_held(held, glance_image(held, hidden=True, name=APART["/name"]))


def test_what_was_or_may_have_been_used_is_not_put_apart() -> None:
    resource = with_test()
    hidden = glance_image(resource, hidden=True)
    assert apart(resource, glance_image(resource)) == {}, "it is to be seen"
    assert apart(with_test(status={"imageID": hidden.id}), hidden) == {}
    earlier = glance_image(
        resource, hidden=True, properties={Marks.REPLACED: "2026-01-02T03:04:05Z"}
    )
    assert apart(resource, earlier) == {}
    kept = cloud_image({"hidden": True}, bootTest={"flavor": "f"})
    assert apart(kept, hidden) == {}, "nothing tells it from one in use"
    adopting = cloud_image(adopt={"id": hidden.id}, bootTest={"flavor": "f"})
    assert apart(adopting, hidden) == {}


def test_one_that_passed_and_never_took_its_place_is_a_leftover() -> None:
    old = cloud_image(http={"checksum": {"sha256": "00" * 32}}, bootTest={"flavor": "m1.small"})
    image = passed(old, id=EARLIER_ID, name="debian-12 (in the making)")
    resource = with_test()
    desired = Desired.of(resource.spec)
    assert owned_images.classify(resource, desired, [image]).leftovers == (image,)
    named = passed(old, id=EARLIER_ID, name="debian-12 2026-01-02")
    assert owned_images.classify(resource, desired, [named]).previous == (named,)


def test_what_it_needs_to_boot_is_set_before_its_test() -> None:
    shows = ("/name", "/visibility", "/os_hidden", "/protected", "/owner")
    patch = tuple({"op": "replace", "path": each} for each in (*shows, "/hw_firmware_type"))
    needed = boot_test.needed_first(patch, held=True)
    assert [each["path"] for each in needed] == ["/hw_firmware_type"]


def test_of_an_image_in_use_only_what_the_test_depends_on_comes_first() -> None:
    boots = ("/hw_firmware_type", "/kernel_id", "/min_disk", "/min_ram")
    others = ("/name", "/visibility", "/tags", "/description", "/cloudimage_dev_properties")
    patch = tuple({"op": "replace", "path": each} for each in (*others, *boots))
    assert tuple(each["path"] for each in boot_test.needed_first(patch, held=False)) == boots


def test_an_image_that_fails_again_no_longer_says_that_it_passed() -> None:
    resource = with_test(every="30d")
    image = passed(resource, name="debian-12")
    digest = boot_test.digest_of(wanted_of(resource), image)
    [operation] = boot_test.outdated_mark(image, Reason.NO_ADDRESS, digest)
    assert operation == {"op": "remove", "path": f"/{Marks.BOOTED}"}
    assert boot_test.outdated_mark(image, Reason.NO_VALID_HOST, digest) == (), "not its fault"
    assert boot_test.outdated_mark(image, Reason.NO_ADDRESS, "another") == ()
    assert boot_test.outdated_mark(untested(resource), Reason.NO_ADDRESS, digest) == ()


def test_an_image_that_was_never_used_is_a_leftover_once_it_is_not_wanted() -> None:
    old = untested(cloud_image(http={"checksum": {"sha256": "00" * 32}}), id=EARLIER_ID)
    resource = with_test()
    desired = Desired.of(resource.spec)
    assert owned_images.classify(resource, desired, [old]).leftovers == (old,)
    served = with_test(status={"imageID": EARLIER_ID})
    assert owned_images.classify(served, desired, [old]).previous == (old,)
    wanted = untested(resource)
    owned = owned_images.classify(resource, desired, [wanted])
    assert (owned.current, owned.untested(resource)) == (wanted, (wanted,))
    usual = glance_image(resource, name="debian-12 (in the making)")
    assert owned_images.classify(resource, desired, [usual]).untested(resource) == ()


@pytest.mark.parametrize(
    "state",
    [{}, {"serverID": "s"}, {"serverID": "s", "finishTime": NOW}, {"finishTime": NOW}],
)
def test_a_deletion_ends_what_a_test_has_left(state: dict[str, Any]) -> None:
    resource = with_test()
    image = untested(resource)
    tested = with_state(resource, image, **state)
    assert boot_test_state.may_be_left(tested), "Nova may not have listed what it was making"
    assert boot_test_state.may_be_left(resource), "its status may have been lost"
    assert not boot_test_state.may_be_left(cloud_image())
