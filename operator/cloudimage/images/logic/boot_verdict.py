"""What a server of a boot test has shown so far, and what follows; pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Final, Literal

from cloudimage.api.boot_test import BootExpectation, BootTest, BootTestStatus
from cloudimage.api.reasons import CREDENTIALS_REASONS, Reason
from cloudimage.cloud.models import TestServer
from cloudimage.durations import parse_duration
from cloudimage.guest.report import GuestReport, console_tail
from cloudimage.images.logic.boot_test import BUILD_SECONDS, deadline, is_overdue
from cloudimage.plaintext import plain

SETTLING_SECONDS: Final = 60.0
"""For so long after its first report, or a quarter of the whole time if that is longer, a guest may
still lack what it should have: routers are asked and keys are written while it starts."""

_UNSEEN: Final = timedelta(minutes=1)
"""For so long nobody may have read the console before the end of the test's time. Nova keeps only
the last of it, 100 KiB by default of its libvirt driver."""

_PASSING: Final = CREDENTIALS_REASONS | {
    Reason.CLOUD_UNREACHABLE,
    Reason.CLOUD_ERROR,
    Reason.CONFLICT,
    Reason.NOT_FOUND,
}
"""What says nothing of the test: the same step is retried."""

_MOST_LISTED: Final = 32
_LONGEST: Final = 255


class Login(Enum):
    """How far a login by ssh is."""

    NOT_BEGUN = auto()
    RUNNING = auto()
    DONE = auto()
    KEY_LOST = auto()
    """The operator was started again since, and no longer has the private key."""
    REFUSED = auto()
    """The last one failed: the server was reached, and does not let in."""
    UNREACHED = auto()
    """The last one failed: no connection came about, so that nothing is known of the server."""
    BARRED = auto()
    """The operator's cloudPolicy allows none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is seen of a server.

    Attributes:
        console: The end of its console's text.
        report: The guest's newest report.
        matched: Whether the console has a match of the expected pattern.
        fingerprint: Of the key that has to let in, as OpenSSH writes it.
        login: How far the login is.
        login_failure: Why the last login failed; empty: none did.
        no_console: Why its console says nothing of what it has shown; empty: it does.
    """

    server: TestServer
    console: str = ""
    report: GuestReport | None = None
    matched: bool = False
    fingerprint: str | None = None
    login: Login = Login.NOT_BEGUN
    login_failure: str = ""
    no_console: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a test."""

    result: Literal["Passed", "Failed"]
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is decided yet.

    Attributes:
        message: What is waited for.
        log_in: Whether the login is to be begun.
    """

    message: str
    log_in: bool = False


def of_building(state: BootTestStatus, server: TestServer, now: datetime) -> Outcome | Wait | None:
    """Return what follows from a server that has not been ACTIVE yet; None: it is now."""
    if server.status == "ERROR":
        return of_fault(server)
    # One that was launched may have stopped before anybody looked.
    launched = server.status == "ACTIVE" or server.launched_at is not None
    if launched or state.active_seconds is not None:
        return None
    began = state.start_time or now
    if began < server.created_at <= now:
        began = server.created_at
    if now - began < timedelta(seconds=BUILD_SECONDS):
        return Wait("Nova is making the server.")
    minutes = BUILD_SECONDS / 60
    message = f"Nova has not made the server within {minutes:.0f} minutes: it is {server.status}."
    return Outcome("Failed", Reason.BUILD_FAILED, message)


def of_fault(server: TestServer) -> Outcome:
    """Return what follows from a server in the status ERROR."""
    fault = plain(server.fault or "Nova does not say why", 512).rstrip(". ")
    reason = Reason.BUILD_FAILED
    # The words of Nova's NoValidHost, which the API has no code for.
    if "no valid host" in fault.lower():
        reason = Reason.NO_VALID_HOST
    return Outcome("Failed", reason, f"Nova could not make the server: {fault}.")


def of_failure(
    test: BootTest, state: BootTestStatus, reason: Reason, message: str, now: datetime
) -> Outcome | None:
    """Return what comes of a test where Nova fails; None: the same step is retried."""
    if reason not in _PASSING:
        return Outcome("Failed", reason, message)
    if not is_overdue(test, state, now):
        return None
    said = f"Nova told nothing of the server for too long: {message}"
    return Outcome("Failed", Reason.BUILD_FAILED, said)


def judge(test: BootTest, state: BootTestStatus, seen: Seen, now: datetime) -> Outcome | Wait:
    """Return what follows from a server that is, or was, ACTIVE."""
    late = (deadline(test, state) or now) <= now
    missing = next(_missing(test, seen, late=late), None)
    if missing is None:
        return Outcome("Passed", Reason.BOOT_TEST_PASSED, _passed(test, seen))
    if isinstance(missing, Outcome):
        words = " | ".join(console_tail(seen.console).splitlines())
        said = f" The console's last lines: {words}" if words else ""
        message = f"{missing.message}{said}"
        return Outcome(missing.result, missing.reason, message)
    return missing


def missed(test: BootTest, state: BootTestStatus, before: datetime | None, now: datetime) -> str:
    """Return why a console that is read after the time shows too little, or the empty string.

    Args:
        test: What is wanted.
        state: The test.
        before: When the console was last read; None: by no operator that is known.
        now: The present.
    """
    end = deadline(test, state)
    if end is None or now < end or (before is not None and end - before <= _UNSEEN):
        return ""
    return "The console was not read at the end of the time, and may have lost what was on it"


def _missing(test: BootTest, seen: Seen, *, late: bool) -> Iterator[Outcome | Wait]:
    """Yield what the server has not shown yet, in the order in which it is reported."""
    expect, report = test.expect, seen.report
    if report is None and _needs_report(expect):
        yield _silent(test, seen) if late else Wait("The server runs; its guest has not reported.")
    if report is not None:
        quarter = parse_duration(expect.within).total_seconds() / 4
        settled = late or report.seconds >= max(SETTLING_SECONDS, quarter)
        for outcome in _guests_faults(test, seen, report):
            yield outcome if settled else Wait(outcome.message)
    if expect.console_matches is not None and not seen.matched:
        what = f"No part of the console matches {expect.console_matches!r}"
        reason = Reason.CONSOLE_MISMATCH if seen.console else Reason.NO_CONSOLE
        message = f"{what} {_in_time(test)}."
        outcome = _unread(seen) or _failed(reason, message)
        yield outcome if late else Wait(f"{what} yet.")
    if expect.ssh:
        yield from _login(test, seen, late=late)


def _needs_report(expect: BootExpectation) -> bool:
    """Return whether there is anything that only the guest can say, or nothing else at all."""
    looked_at = expect.ipv4 is not False or expect.ipv6 is not False or expect.ssh_key
    return looked_at or expect.ssh or expect.console_matches is None


def _unread(seen: Seen) -> Outcome | None:
    """Return what follows where Nova itself has no console: nothing is known of the guest."""
    return _failed(Reason.BUILD_FAILED, f"{seen.no_console}.") if seen.no_console else None


def _silent(test: BootTest, seen: Seen) -> Outcome:
    if unread := _unread(seen):
        return unread
    state = "" if seen.server.status == "ACTIVE" else f" (it is {seen.server.status} by now)"
    if not seen.console.strip():
        message = f"The server was ACTIVE{state} and wrote nothing to its console {_in_time(test)}."
        return _failed(Reason.NO_CONSOLE, message)
    message = (
        f"The server was ACTIVE{state}, and its guest did not report {_in_time(test)}: it does not "
        "boot, or has no cloud-init that runs user data."
    )
    return _failed(Reason.TIMEOUT, message)


def _guests_faults(test: BootTest, seen: Seen, report: GuestReport) -> Iterator[Outcome]:
    expect = test.expect
    there = {each.ip for each in report.addresses}
    for wanted, version in ((expect.ipv4, 4), (expect.ipv6, 6)):
        if wanted is False:
            continue
        given = [each for each in seen.server.addresses if each.version == version]
        lacking = ", ".join(str(each) for each in given if each not in there)
        has = ", ".join(map(str, report.addresses[:_MOST_LISTED])) or "none"
        if lacking:
            what = f"The guest has not got the IPv{version} address {lacking} that Nova gave"
            yield _failed(Reason.NO_ADDRESS, f"{what} the server. It has {has}.")
        elif wanted and all(each.version != version for each in there):
            what = f"The guest has no IPv{version} address. It has {has}."
            if given:
                yield _failed(Reason.NO_ADDRESS, what)
            else:
                why = f"Nova gave the server none: no subnet of its networks has IPv{version}."
                yield _failed(Reason.NETWORK_NOT_FOUND, f"{what} {why}")
    if expect.ssh_key and user_of(test, seen) is None:
        user = f"the user {test.user}" if test.user else "any user"
        yield _failed(
            Reason.KEY_NOT_INJECTED, f"The server's key{_key(seen)} does not let {user} in."
        )


def _key(seen: Seen) -> str:
    return f" ({seen.fingerprint})" if seen.fingerprint else ""


def _login(test: BootTest, seen: Seen, *, late: bool) -> Iterator[Outcome | Wait]:
    if seen.login is Login.DONE:
        return
    if seen.login is Login.KEY_LOST:
        yield Wait("The key of the server is lost.", log_in=True)
    elif seen.login is Login.RUNNING:
        yield Wait("The operator is logging in by ssh.")  # for seconds, even if it is late
    elif late or seen.login is Login.BARRED:
        reason = Reason.SSH_FAILED if seen.login is Login.REFUSED else Reason.SSH_UNREACHABLE
        why = seen.login_failure or "the guest reported too late for it"
        yield _failed(reason, f"No login by ssh succeeded {_in_time(test)}: {why}.")
    else:
        yield Wait(seen.login_failure or "The operator is logging in by ssh.", log_in=True)


def user_of(test: BootTest, seen: Seen) -> str | None:
    """Return the user of the guest whom the key lets in, or None if it lets none in."""
    if seen.report is None or seen.fingerprint is None:
        return None
    users = [name for name, keys in seen.report.keys.items() if seen.fingerprint in keys]
    if test.user is not None:
        return test.user if test.user in users else None
    return min(users, key=lambda name: (name == "root", name), default=None)


def _passed(test: BootTest, seen: Seen) -> str:
    words = []
    if seen.report is not None:
        addresses = ", ".join(map(str, seen.report.addresses[:_MOST_LISTED]))
        words.append(f"addresses {addresses}" if addresses else "no addresses")
    if user := user_of(test, seen):
        words.append(f"the key lets in {user}")
    if seen.matched:
        words.append(f"the console matches {test.expect.console_matches!r}")
    if seen.login is Login.DONE:
        words.append("a login by ssh succeeded")
    return f"A server made from the image has booted: {'; '.join(words)}."


def facts(test: BootTest, state: BootTestStatus, seen: Seen, now: datetime) -> BootTestStatus:
    """Return the state with what the guest has said."""
    report = seen.report
    state = state.model_copy(update={"console_matched": seen.matched})
    if report is None:
        return state
    since = state.start_time or now
    active = timedelta(seconds=state.active_seconds or 0)
    took = state.report_seconds
    update = {
        "report_seconds": max(0, int((now - since - active).total_seconds()))
        if took is None
        else took,
        "addresses": tuple(map(str, report.addresses[:_MOST_LISTED])),
        "interfaces": tuple(plain(each, _LONGEST) for each in report.interfaces[:_MOST_LISTED]),
        "user": user_of(test, seen),
        "kernel": plain(report.kernel, _LONGEST) or None,
        "cloud_init": plain(report.cloud_init, _LONGEST) or None,
    }
    return state.model_copy(update=update)


def _in_time(test: BootTest) -> str:
    return f"within {test.expect.within}"


def _failed(reason: Reason, message: str) -> Outcome:
    return Outcome("Failed", reason, message)
