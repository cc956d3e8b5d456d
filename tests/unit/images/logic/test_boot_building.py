"""What follows while Nova makes the server of a boot test, or says why it did not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.reasons import BOOT_VERDICTS, Reason
from cloudimage.images.logic import boot_verdict
from cloudimage.images.logic.boot_verdict import Outcome, Wait
from cloudimage.plaintext import is_shown
from support.boot_states import server, state_of, untested, with_test
from support.resources import NOW


@pytest.mark.parametrize(
    ("status", "after", "reason"),
    [
        ("BUILD", 1, None),
        ("BUILD", boot_verdict.BUILD_SECONDS - 1, None),
        ("BUILD", boot_verdict.BUILD_SECONDS, Reason.BUILD_FAILED),
        ("ERROR", 1, Reason.BUILD_FAILED),
    ],
)
def test_a_server_that_nova_does_not_make_says_nothing_of_the_image(
    status: str, after: float, reason: Reason | None
) -> None:
    resource = with_test()
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image))
    now = NOW + timedelta(seconds=after)
    building = server(resource, image, status=status, launched_at=None)
    found = boot_verdict.of_building(state, building, now)
    if reason is None:
        assert isinstance(found, Wait)
    else:
        assert isinstance(found, Outcome)
        assert found.reason is reason
        assert found.reason not in BOOT_VERDICTS


def test_only_the_time_since_nova_has_the_server_counts_for_its_building() -> None:
    resource = with_test()
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image))
    late = NOW + timedelta(seconds=boot_verdict.BUILD_SECONDS + 60)
    young = server(resource, image, status="BUILD", launched_at=None, created_at=late)
    assert isinstance(boot_verdict.of_building(state, young, late), Wait), "Nova was away before"
    # A clock that is ahead is not believed.
    ahead = server(
        resource, image, status="BUILD", launched_at=None, created_at=late + timedelta(days=1)
    )
    assert isinstance(boot_verdict.of_building(state, ahead, late), Outcome)


def test_a_guest_that_has_shut_down_was_built() -> None:
    resource = with_test()
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image))
    off = server(resource, image, status="SHUTOFF")
    late = NOW + timedelta(seconds=boot_verdict.BUILD_SECONDS)
    assert boot_verdict.of_building(state, off, late) is None, "launched, then stopped"


def test_a_server_that_runs_or_did_is_not_building() -> None:
    resource = with_test()
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image))
    assert boot_verdict.of_building(state, server(resource, image), NOW) is None
    ran = state.model_copy(update={"active_seconds": 3})
    off = server(resource, image, status="SHUTOFF")
    assert boot_verdict.of_building(ran, off, NOW) is None
    broken = boot_verdict.of_building(ran, replace(off, status="ERROR"), NOW)
    assert isinstance(broken, Outcome)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("No valid host was found. There are not enough hosts available.", "NoValidHost"),
        ("No valid host was found. ", "NoValidHost"),
        ("Exceeded maximum number of retries.", "BuildFailed"),
        (None, "BuildFailed"),
        ("\x1b]0;evil\x07", "BuildFailed"),
    ],
)
def test_a_fault_is_told_in_novas_words(fault: str | None, reason: str) -> None:
    resource = with_test()
    image = untested(resource)
    found = boot_verdict.of_fault(server(resource, image, status="ERROR", fault=fault))
    assert found.reason == reason
    assert is_shown(found.message)
    assert found.message.endswith(".")
    assert not found.message.endswith("..")
