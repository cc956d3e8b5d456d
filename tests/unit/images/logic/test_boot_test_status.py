"""The conditions while, and once, an image is boot tested."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import BOOT_VERDICTS, ConditionType, Reason
from cloudimage.controller.logic.events import of_transitions
from cloudimage.images.logic import (
    available_status,
    boot_test_state,
    boot_test_status,
    metadata,
    schedule,
    status,
)
from cloudimage.images.logic.boot_test_status import Gate, waiting
from cloudimage.images.logic.boot_verdict import Outcome
from cloudimage.images.logic.desired import Desired
from support.boot_states import (
    EARLIER_ID,
    state_of,
    untested,
    wanted_of,
    with_test,
)
from support.image_status import RESULT, after, ready, states
from support.resources import NOW, cloud_image, glance_image

LATER = NOW + timedelta(minutes=5)


def gate_of(resource: CloudImage, *, serving: bool = False) -> Gate:
    """Return an image that waits, perhaps while an earlier one serves."""
    earlier = glance_image(resource, id=EARLIER_ID) if serving else None
    return Gate(Desired.of(resource.spec), untested(resource), earlier)


def running(resource: CloudImage) -> BootTestStatus:
    image = untested(resource)
    return BootTestStatus.model_validate(state_of(resource, image, activeSeconds=3, serverID="s"))


def concluded(
    resource: CloudImage, reason: Reason, *, held: bool = True, serving: bool = False, **test: Any
) -> CloudImage:
    """Return the object once something has come of a test."""
    result = "Passed" if reason is Reason.BOOT_TEST_PASSED else "Failed"
    outcome = Outcome(result, reason, "So it is.")
    state, draft = boot_test_status.finished(
        wanted_of(resource), running(resource), outcome, LATER, held=held
    )
    gate = gate_of(resource, serving=serving) if held else None
    return after(resource, boot_test_status.told(resource, state, draft, gate, LATER))


def test_a_first_image_is_not_ready_while_it_is_tested() -> None:
    resource = with_test()
    new = boot_test_status.told(
        resource, running(resource), waiting("It boots."), gate_of(resource), NOW
    )
    shown = states(new)
    assert shown["Ready"] == ("False", "Progressing")
    assert shown["Booted"] == ("Unknown", "Progressing")
    assert shown["Reconciling"] == ("True", "Progressing")
    assert (shown["Uploaded"][0], shown["Synced"][0]) == ("True", "False")
    assert "Stalled" not in shown
    assert new.image_id is None, "nobody is to boot from it"


def test_an_earlier_image_serves_while_the_next_one_is_tested() -> None:
    resource = ready(with_test())
    gate = gate_of(resource, serving=True)
    new = boot_test_status.told(resource, running(resource), waiting("It boots."), gate, NOW)
    assert states(new)["Ready"] == ("True", "ReplacementPending")
    assert new.image_id == EARLIER_ID


@pytest.mark.parametrize("reason", sorted(BOOT_VERDICTS))
def test_an_image_that_does_not_pass_is_not_used(reason: Reason) -> None:
    failed = concluded(with_test(), reason)
    shown = states(failed.status)
    assert shown["Ready"] == ("False", reason)
    assert (shown["Booted"], shown["Stalled"]) == (("False", reason), ("True", reason))
    assert "Reconciling" not in shown
    events = list(of_transitions((), failed.status.conditions))
    assert [each.reason for each in events if each.type == "Warning"].count(reason) == 1
    desired = Desired.of(failed.spec)
    assert schedule.has_failed_for_good(failed, desired)
    assert not schedule.needs_no_look(failed, desired), "there is an image, and one may serve"


def test_an_earlier_image_serves_on_if_the_next_one_does_not_pass() -> None:
    failed = concluded(ready(with_test()), Reason.TIMEOUT, serving=True)
    assert states(failed.status)["Ready"] == ("True", "RevisionFailed")
    assert states(failed.status)["Stalled"] == ("True", "Timeout")


@pytest.mark.parametrize(
    ("reason", "kind", "retried"),
    [
        (Reason.NO_VALID_HOST, "Reconciling", True),
        (Reason.BUILD_FAILED, "Reconciling", True),
        (Reason.SSH_UNREACHABLE, "Stalled", True),
        (Reason.QUOTA_EXCEEDED, "Stalled", True),
        (Reason.FORBIDDEN, "Stalled", True),
        (Reason.FLAVOR_NOT_FOUND, "Stalled", False),
        (Reason.FLAVOR_TOO_SMALL, "Stalled", False),
        (Reason.NETWORK_NOT_FOUND, "Stalled", False),
        (Reason.NETWORK_AMBIGUOUS, "Stalled", False),
        (Reason.SERVER_REFUSED, "Stalled", False),
        (Reason.INVALID_REQUEST, "Stalled", False),
    ],
)
def test_what_is_not_the_images_fault_does_not_condemn_it(
    reason: Reason, kind: str, retried: bool
) -> None:
    told = concluded(with_test(), reason)
    shown = states(told.status)
    assert shown["Booted"] == ("False", reason)
    assert shown["Ready"] == ("False", reason)
    assert shown[kind][0] == "True"
    assert {"Reconciling", "Stalled"} & shown.keys() == {kind}
    state = told.status.boot_test
    assert state is not None
    assert (state.next_test_time is not None) is retried
    beside = concluded(ready(with_test()), reason, serving=True)
    assert states(beside.status)["Ready"] == ("True", "ReplacementPending")


def test_pauses_grow_with_the_attempts() -> None:
    resource = with_test()
    due = []
    for attempts in (1, 2, 3, 50):
        state = running(resource).model_copy(update={"attempts": attempts})
        outcome = Outcome("Failed", Reason.NO_VALID_HOST, "No host.")
        done, _ = boot_test_status.finished(wanted_of(resource), state, outcome, NOW, held=True)
        assert done.next_test_time is not None
        due.append((done.next_test_time - NOW).total_seconds())
    assert due == [60, 120, 240, 3600]


def test_an_image_in_use_stays_ready_whatever_comes_of_its_test() -> None:
    resource = ready(with_test(every="30d"))
    before = states(resource.status)
    for reason in (Reason.TIMEOUT, Reason.NO_VALID_HOST, Reason.FLAVOR_NOT_FOUND):
        told = concluded(resource, reason, held=False)
        shown = states(told.status)
        assert {**shown, "Booted": None} == {**before, "Booted": None}
        assert shown["Booted"] == ("False", reason)
        events = list(of_transitions(resource.status.conditions, told.status.conditions))
        assert [(each.type, each.reason) for each in events] == [("Warning", reason)]
    state = concluded(resource, Reason.TIMEOUT, held=False).status.boot_test
    assert state is not None
    assert state.next_test_time == LATER + timedelta(days=30)


def test_a_success_is_said_once() -> None:
    resource = ready(with_test(every="30d"))
    passed = concluded(resource, Reason.BOOT_TEST_PASSED, held=False)
    events = list(of_transitions(resource.status.conditions, passed.status.conditions))
    assert [(each.type, each.reason) for each in events] == [("Normal", "BootTestPassed")]
    again = concluded(passed, Reason.BOOT_TEST_PASSED, held=False)
    assert list(of_transitions(passed.status.conditions, again.status.conditions)) == []
    held = concluded(with_test(), Reason.BOOT_TEST_PASSED)
    said = [each.reason for each in of_transitions((), held.status.conditions)]
    assert said.count("BootTestPassed") == 1


def test_an_image_without_its_kernel_is_not_blamed_for_that() -> None:
    """Its server would not boot; the kernel's own image may be made at the same time."""
    resource = cloud_image({"kernelRef": {"name": "kernel"}}, bootTest={"flavor": "f"})
    links = metadata.resolve(resource.spec.image, {"kernel": None})
    bare = untested(resource)
    lacks = boot_test_status.lacking(metadata.plan_metadata(resource, bare, links))
    assert "CloudImage kernel does not exist" in lacks
    has = untested(resource, properties={"kernel_id": EARLIER_ID})
    assert boot_test_status.lacking(metadata.plan_metadata(resource, has, links)) == ""
    draft = waiting(lacks, Reason.REFERENCE_NOT_READY)
    new = boot_test_status.told(resource, None, draft, gate_of(resource), NOW)
    assert states(new)["Reconciling"] == ("True", "ReferenceNotReady")
    assert "Stalled" not in states(new)


def test_how_an_image_was_made_outlives_its_test() -> None:
    """BootTest is removed while the image waits for its turn, or after its test began."""
    resource = cloud_image()
    desired, image = Desired.of(resource.spec), untested(resource)
    started = after(resource, status.starting(resource, desired, None, NOW))
    told = available_status.delivered(started, desired, image, RESULT, NOW, held=True)
    assert (told.image_id, told.described_image_id) == (None, image.id)
    usage, promoted = None, glance_image(resource)
    new = available_status.available(after(started, told), desired, promoted, usage, None, LATER)
    assert new.source is not None
    assert (new.source, new.method) == (told.source, told.method)
    assert states(new)["Verified"] == ("True", "ChecksumMatched")


def test_what_is_told_of_one_image_is_not_told_of_another() -> None:
    resource = cloud_image()
    desired, image = Desired.of(resource.spec), glance_image(resource)
    made = available_status.available(resource, desired, image, None, RESULT, NOW)
    assert made.source is not None
    resource, other = after(resource, made), glance_image(resource, id=EARLIER_ID)
    new = available_status.available(resource, desired, other, None, None, LATER)
    assert (new.source, new.method, new.described_image_id) == (None, None, EARLIER_ID)


def test_without_a_test_nothing_is_said_of_one() -> None:
    passed = concluded(ready(with_test()), Reason.BOOT_TEST_PASSED, held=False)
    bare = boot_test_status.without(passed, None)
    assert ConditionType.BOOTED not in states(bare)
    assert bare.boot_test is None


def test_an_image_in_use_is_looked_at_when_its_test_is_due() -> None:
    resource = ready(with_test(every="1h"))
    passed = concluded(resource, Reason.BOOT_TEST_PASSED, held=False)
    assert schedule.next_resync(passed, 86400) is None, "its server is there"
    assert passed.status.boot_test is not None
    cleared = passed.status.boot_test.model_copy(update={"server_id": None, "cleanup": None})
    rests = after(passed, passed.status.model_copy(update={"boot_test": cleared}))
    assert schedule.next_resync(rests, 86400) == LATER + timedelta(hours=1)
    assert schedule.until_next_look(rests, 86400, NOW) > 40000
    untold = ready(with_test())
    assert schedule.next_resync(untold, 86400) is None, "it is to be tested"
    plain = ready(cloud_image())
    assert schedule.next_resync(plain, 86400) is not None


def test_a_person_has_a_failed_test_done_again() -> None:
    failed = concluded(with_test(), Reason.TIMEOUT)
    asked = status.retrying(failed, "1", LATER)
    assert asked.boot_test is not None
    assert (asked.boot_test.reason, asked.boot_test.next_test_time) == ("Pending", LATER)
    assert "Stalled" not in states(asked)
    passed = concluded(with_test(), Reason.BOOT_TEST_PASSED)
    assert status.retrying(passed, "1", LATER).boot_test == passed.status.boot_test
    running_ = after(
        failed,
        boot_test_status.told(failed, running(failed), waiting("It boots."), gate_of(failed), NOW),
    )
    assert boot_test_state.retried(running_.status.boot_test, LATER) == running_.status.boot_test


def test_a_version_that_does_not_boot_is_given_up() -> None:
    follow = {
        "follow": {
            "version": "1",
            "previous": {"selector": "s", "version": "1"},
        },
        "resolvedSource": {"selector": "s", "version": "2"},
        "imageID": EARLIER_ID,
    }
    base = cloud_image(status=follow, follow={"every": "1h"}, bootTest={"flavor": "f"})
    failed = concluded(base, Reason.TIMEOUT, serving=True)
    assert not schedule.needs_no_look(failed, Desired.of(failed.spec))
    back = boot_test_status.given_up(failed, LATER)
    assert back is not None
    assert back.resolved_source is not None
    assert back.resolved_source.version == "1"
    assert back.follow is not None
    assert back.follow.available is not None
    assert (back.follow.available.version, back.follow.available.failed) == ("2", True)
    assert states(back)["UpdateAvailable"] == ("True", "UpdateFailed")
    assert "Stalled" not in states(back), "the version before is meant again"
    for reason in (Reason.NO_VALID_HOST, Reason.QUOTA_EXCEEDED, Reason.FLAVOR_NOT_FOUND):
        kept = concluded(base, reason, serving=True)
        assert boot_test_status.given_up(kept, LATER) is None
    assert boot_test_status.given_up(concluded(with_test(), Reason.TIMEOUT), LATER) is None


def failed_transfer(**status: Any) -> CloudImage:
    """Return a CloudImage whose transfer has failed for good."""
    stalled = {
        "type": "Stalled",
        "status": "True",
        "reason": "InvalidImage",
        "message": "",
        "observedGeneration": 3,
        "lastTransitionTime": NOW,
    }
    return with_test(status={"conditions": [stalled], **status})


def test_a_test_that_is_not_cleared_away_starts_no_transfer() -> None:
    resource = failed_transfer()
    desired = Desired.of(resource.spec)
    state = state_of(resource, untested(resource), serverID="s")
    left = failed_transfer(bootTest=state)
    assert not schedule.needs_no_look(left, desired), "the test is to be ended"
    assert schedule.is_not_to_be_made(left, desired)
    assert schedule.needs_no_look(resource, desired)
    of_the_test = concluded(with_test(), Reason.TIMEOUT)
    assert not schedule.is_not_to_be_made(of_the_test, Desired.of(of_the_test.spec))


def test_an_image_in_use_is_compared_as_usual_while_it_is_tested() -> None:
    resource = ready(with_test())
    tested = after(resource, resource.status.model_copy(update={"boot_test": running(resource)}))
    assert schedule.next_resync(tested, 1800) is None, "its test is under way"
    assert schedule.is_compared(tested, 1800, NOW + timedelta(seconds=3))
    assert not schedule.is_compared(tested, 1800, NOW + timedelta(hours=1))
    edited = after(tested, tested.status, generation=4)
    assert not schedule.is_compared(edited, 1800, NOW)
    held = boot_test_status.told(
        resource, running(resource), waiting("It boots."), gate_of(resource), NOW
    )
    assert not schedule.is_compared(after(resource, held), 1800, NOW)
