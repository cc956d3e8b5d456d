"""What follows from what a server of a boot test shows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudimage.api.boot_test import BootTestStatus
from cloudimage.api.reasons import BOOT_VERDICTS, Reason
from cloudimage.images.logic import boot_verdict
from cloudimage.images.logic.boot_verdict import Login, Outcome, Seen, Wait
from support.boot_states import KEY, at, report, server, state_of, untested, wanted_of, with_test
from support.resources import NOW

V4, V6 = "198.51.100.7", "2001:db8::7"
BOTH = (f"{V4}/24", f"{V6}/64")
EARLY, LATE = at(seconds=40), at(minutes=20)
ACTIVE = 12
SETTLED = 150
"""Seconds: a quarter of expect.within."""


def judged(
    seen: dict[str, Any], now: Any = EARLY, given: tuple[str, ...] = (V4, V6), **test: Any
) -> Outcome | Wait:
    resource = with_test(**test)
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image, activeSeconds=ACTIVE))
    shown = Seen(server(resource, image, addresses=given), fingerprint=KEY, **seen)
    return boot_verdict.judge(wanted_of(resource), state, shown, now)


def failed(outcome: Outcome | Wait) -> Reason:
    assert isinstance(outcome, Outcome), outcome
    assert outcome.result == "Failed"
    assert outcome.reason in BOOT_VERDICTS
    return outcome.reason


def not_its_fault(outcome: Outcome | Wait) -> Reason:
    assert isinstance(outcome, Outcome), outcome
    assert outcome.result == "Failed"
    assert outcome.reason not in BOOT_VERDICTS
    return outcome.reason


def passes(outcome: Outcome | Wait) -> bool:
    return isinstance(outcome, Outcome) and outcome.result == "Passed"


def test_a_guest_that_has_all_passes_at_once() -> None:
    outcome = judged({"report": report(*BOTH)})
    assert passes(outcome)
    assert isinstance(outcome, Outcome)
    assert V4 in outcome.message
    assert "debian" in outcome.message


def test_a_guest_may_take_its_time_and_no_more() -> None:
    assert isinstance(judged({"console": "[    0.1] Linux"}), Wait)
    almost = at(minutes=10, seconds=ACTIVE - 1)
    assert isinstance(judged({"console": "[    0.1] Linux"}, almost), Wait)
    due = at(minutes=10, seconds=ACTIVE)
    assert failed(judged({"console": "[    0.1] Linux"}, due)) is Reason.TIMEOUT


def test_what_does_not_report_shows_its_last_lines() -> None:
    outcome = judged({"console": "GRUB\r\nKernel panic - not \x1b[31msyncing"}, LATE)
    assert failed(outcome) is Reason.TIMEOUT
    assert isinstance(outcome, Outcome)
    assert "Kernel panic - not syncing" in outcome.message
    assert "within 10m" in outcome.message


@pytest.mark.parametrize("console", ["", "\r\n \n"])
def test_an_empty_console_is_a_reason_of_its_own(console: str) -> None:
    assert failed(judged({"console": console}, LATE)) is Reason.NO_CONSOLE


def test_a_server_that_went_out_is_said_to_have() -> None:
    resource = with_test()
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image, activeSeconds=ACTIVE))
    off = Seen(server(resource, image, status="SHUTOFF"), "power down")
    outcome = boot_verdict.judge(wanted_of(resource), state, off, LATE)
    assert failed(outcome) is Reason.TIMEOUT
    assert isinstance(outcome, Outcome)
    assert "SHUTOFF" in outcome.message


@pytest.mark.parametrize(
    ("addresses", "given", "expect", "wrong"),
    [
        (BOTH, (V4, V6), {}, False),
        (BOTH[:1], (V4, V6), {}, True),
        (BOTH[1:], (V4, V6), {}, True),
        (BOTH[:1], (V4, V6), {"ipv6": False}, False),
        (BOTH[1:], (V4, V6), {"ipv4": False}, False),
        ((), (V4, V6), {"ipv4": False, "ipv6": False}, False),
        # Another address than that which Nova's port lets through.
        ((BOTH[0], "2001:db8::8/64"), (V4, V6), {}, True),
        # One that Nova has not given, such as one of a tunnel, is no fault.
        ((*BOTH, "10.0.0.1/8"), (V4, V6), {}, False),
        ((), (), {}, False),
        (BOTH[:1], (V4,), {"ipv4": True}, False),
        (BOTH[:1], (V4, "198.51.100.8"), {}, True),
    ],
)
def test_addresses_are_what_nova_gave_and_the_spec_wants(
    addresses: tuple[str, ...], given: tuple[str, ...], expect: dict[str, bool], wrong: bool
) -> None:
    shown = {"report": report(*addresses, seconds=SETTLED)}
    outcome = judged(shown, given=given, expect=expect)
    assert passes(outcome) is not wrong
    if wrong:
        assert failed(outcome) is Reason.NO_ADDRESS


@pytest.mark.parametrize(
    ("addresses", "given", "expect"),
    [((), (), {"ipv4": True}), (BOTH[:1], (V4,), {"ipv6": True}), ((), (V6,), {"ipv4": True})],
)
def test_what_nova_does_not_give_no_image_can_have(
    addresses: tuple[str, ...], given: tuple[str, ...], expect: dict[str, bool]
) -> None:
    shown = {"report": report(*addresses)}
    outcome = judged(shown, LATE, given, expect={"ipv6": False, **expect})
    assert not_its_fault(outcome) is Reason.NETWORK_NOT_FOUND


def test_a_console_that_nova_does_not_have_says_nothing_of_the_guest() -> None:
    words = "reading the console of the test server: Guest does not have a console available"
    for expect in ({}, {"ipv4": False, "ipv6": False, "sshKey": False, "consoleMatches": "x"}):
        outcome = judged({"no_console": words}, LATE, expect=expect)
        assert not_its_fault(outcome) is Reason.BUILD_FAILED
        assert isinstance(outcome, Outcome)
        assert words in outcome.message
        assert isinstance(judged({"no_console": words}, expect=expect), Wait)


def test_what_is_missing_may_still_come() -> None:
    early = {"report": report(*BOTH[:1], seconds=boot_verdict.SETTLING_SECONDS - 1)}
    assert isinstance(judged(early), Wait)
    assert failed(judged(early, LATE)) is Reason.NO_ADDRESS, "unless the time is over"


@pytest.mark.parametrize(
    ("within", "seconds"), [("30s", 60), ("4m", 60), ("10m", 150), ("1h", 900)]
)
def test_who_gives_more_time_waits_longer_for_what_is_missing(within: str, seconds: int) -> None:
    """A lease, or a key that an agent of the first boot writes, may take minutes."""
    for lacks in (
        report(*BOTH[:1], seconds=seconds - 1),
        report(*BOTH, seconds=seconds - 1, keys={}),
    ):
        assert isinstance(
            judged({"report": lacks}, at(seconds=35), expect={"within": within}), Wait
        )
    lacks = report(*BOTH[:1], seconds=seconds)
    outcome = judged({"report": lacks}, at(seconds=35), expect={"within": within})
    assert failed(outcome) is Reason.NO_ADDRESS


@pytest.mark.parametrize(
    ("keys", "user", "who"),
    [
        ({"debian": (KEY,)}, None, "debian"),
        ({"debian": (KEY,)}, "debian", "debian"),
        ({"debian": (KEY,)}, "root", None),
        ({"root": (KEY,), "zoe": (KEY,)}, None, "zoe"),
        ({"root": (KEY,)}, None, "root"),
        ({"debian": ("SHA256:other",)}, None, None),
        ({}, None, None),
    ],
)
def test_the_key_must_let_somebody_in(
    keys: dict[str, tuple[str, ...]], user: str | None, who: str | None
) -> None:
    settled = report(*BOTH, seconds=SETTLED, keys=keys)
    test = {} if user is None else {"user": user}
    outcome = judged({"report": settled}, **test)
    assert passes(outcome) is (who is not None)
    if who is None:
        assert failed(outcome) is Reason.KEY_NOT_INJECTED
    assert passes(judged({"report": settled}, expect={"sshKey": False}, **test))


def test_a_key_that_is_not_known_lets_nobody_in() -> None:
    resource = with_test()
    image = untested(resource)
    shown = Seen(server(resource, image), report=report(*BOTH))
    assert boot_verdict.user_of(wanted_of(resource), shown) is None


def test_a_pattern_is_waited_for_beside_the_report() -> None:
    expect = {"consoleMatches": "login:"}
    shown = {"console": "a b", "report": report(*BOTH)}
    assert isinstance(judged(shown, expect=expect), Wait)
    assert failed(judged(shown, LATE, expect=expect)) is Reason.CONSOLE_MISMATCH
    assert passes(judged(shown | {"matched": True}, expect=expect))


def test_a_pattern_alone_needs_no_guest_that_reports() -> None:
    expect = {"ipv4": False, "ipv6": False, "sshKey": False, "consoleMatches": "login:"}
    assert passes(judged({"console": "login:", "matched": True}, expect=expect))
    assert failed(judged({"console": "x"}, LATE, expect=expect)) is Reason.CONSOLE_MISMATCH
    assert failed(judged({"console": ""}, LATE, expect=expect)) is Reason.NO_CONSOLE


def test_what_matched_once_has_matched() -> None:
    """The console keeps only the last of its text."""
    resource = with_test()
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image, activeSeconds=ACTIVE))
    shown = Seen(server(resource, image), "debian login:", matched=True)
    new = boot_verdict.facts(wanted_of(resource), state, shown, at(seconds=30))
    assert new.console_matched
    assert "consoleMatched" in new.to_json()


@pytest.mark.parametrize(
    ("before", "now", "lost"),
    [
        (at(minutes=10), LATE, False),
        (at(minutes=8), LATE, True),
        (None, LATE, True),
        (None, EARLY, False),
    ],
)
def test_a_console_that_nobody_read_in_time_is_not_the_images_fault(
    before: Any, now: Any, lost: bool
) -> None:
    resource = with_test()
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image, activeSeconds=ACTIVE))
    said = boot_verdict.missed(wanted_of(resource), state, before, now)
    assert bool(said) is lost
    if lost:
        shown = {"console": "x", "report": report(*BOTH), "no_console": said}
        outcome = judged(shown, now, expect={"consoleMatches": "login:"})
        assert not_its_fault(outcome) is Reason.BUILD_FAILED


def test_nothing_expected_is_still_a_report() -> None:
    nothing = {"ipv4": False, "ipv6": False, "sshKey": False}
    assert isinstance(judged({"console": "x"}, expect=nothing), Wait)
    assert failed(judged({"console": "x"}, LATE, expect=nothing)) is Reason.TIMEOUT
    assert passes(judged({"report": report(keys={})}, expect=nothing))


def test_a_login_comes_last() -> None:
    expect = {"ssh": True}
    shown: dict[str, Any] = {"report": report(*BOTH)}
    begin = judged(shown, expect=expect)
    assert isinstance(begin, Wait)
    assert begin.log_in
    running = judged(shown | {"login": Login.RUNNING}, expect=expect)
    assert isinstance(running, Wait)
    assert not running.log_in
    for login in (Login.REFUSED, Login.UNREACHED):
        again = judged(shown | {"login": login, "login_failure": "refused"}, expect=expect)
        assert isinstance(again, Wait)
        assert again.log_in
    denied = {"login": Login.REFUSED, "login_failure": "not let in"}
    late = judged(shown | denied, LATE, expect=expect)
    assert failed(late) is Reason.SSH_FAILED
    assert isinstance(late, Outcome)
    assert "not let in" in late.message
    assert passes(judged(shown | {"login": Login.DONE}, expect=expect))


@pytest.mark.parametrize(
    ("login", "now"),
    [(Login.UNREACHED, LATE), (Login.BARRED, LATE), (Login.NOT_BEGUN, LATE), (Login.BARRED, EARLY)],
)
def test_a_server_that_was_never_reached_is_not_the_images_fault(login: Login, now: Any) -> None:
    """Without a route every version that is followed would be given up."""
    shown = {"report": report(*BOTH), "login": login, "login_failure": "No route to host"}
    assert not_its_fault(judged(shown, now, expect={"ssh": True})) is Reason.SSH_UNREACHABLE


def test_a_login_that_is_under_way_may_end() -> None:
    shown = {"report": report(*BOTH), "login": Login.RUNNING}
    assert isinstance(judged(shown, LATE, expect={"ssh": True}), Wait)


def test_a_key_that_was_lost_is_never_the_images_fault() -> None:
    shown = {"report": report(*BOTH), "login": Login.KEY_LOST}
    outcome = judged(shown, LATE, expect={"ssh": True})
    assert isinstance(outcome, Wait)
    assert outcome.log_in
    assert passes(judged(shown)), "no login is wanted"


def test_the_status_has_what_the_guest_says() -> None:
    resource = with_test()
    image = untested(resource)
    state = BootTestStatus.model_validate(state_of(resource, image, activeSeconds=ACTIVE))
    said = report(*BOTH, kernel="Linux 6.1", cloud_init="status: done")
    seen = Seen(server(resource, image), report=said, fingerprint=KEY)
    new = boot_verdict.facts(wanted_of(resource), state, seen, at(seconds=30))
    assert new.addresses == BOTH
    assert (new.report_seconds, new.user, new.kernel) == (18, "debian", "Linux 6.1")
    later = boot_verdict.facts(wanted_of(resource), new, seen, at(seconds=90))
    assert later.report_seconds == 18
    silent = Seen(server(resource, image))
    assert boot_verdict.facts(wanted_of(resource), state, silent, NOW) == state


@given(st.text(), st.booleans())
def test_no_console_passes_without_a_signed_report(console: str, late: bool) -> None:
    outcome = judged({"console": console}, LATE if late else EARLY)
    assert not passes(outcome)
    assert isinstance(outcome, Outcome) is late
    if isinstance(outcome, Outcome):
        assert len(outcome.message) < 4000
