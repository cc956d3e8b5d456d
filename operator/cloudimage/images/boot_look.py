"""One look at the boot test of an image: it does the next step, and never waits.

What it does follows from the status and from the servers that Nova lists by their marks
(:mod:`cloudimage.images.logic.boot_test`), so that a process that is killed at any point leaves
nothing that the next look does not find.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Final

from cloudimage.api.boot_test import BootTest, BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Event
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, NoConsoleError
from cloudimage.cloud.models import GlanceImage, TestServer
from cloudimage.controller.logic import retry
from cloudimage.controller.logic.conditions import Draft, keep_first, sentences
from cloudimage.controller.reconciler import now
from cloudimage.failpoints import Point, failpoint
from cloudimage.guest.keys import throw_away_key
from cloudimage.guest.report import newest_report
from cloudimage.images import boot_server
from cloudimage.images.boot_logins import Target
from cloudimage.images.boot_testing import BootTesting, Left, deleted, found
from cloudimage.images.logic import (
    boot_test,
    boot_test_state,
    boot_test_status,
    boot_verdict,
)
from cloudimage.images.logic.boot_test import Phase
from cloudimage.images.logic.boot_test_state import LOOK_SECONDS
from cloudimage.images.logic.boot_test_status import Gate, waiting
from cloudimage.images.logic.boot_verdict import Login, Outcome, Seen, Wait
from cloudimage.kube import key_of
from cloudimage.metrics import operator as metrics
from cloudimage.patterns import Expression, PatternError
from cloudimage.plaintext import plain_terminal
from cloudimage.vocabulary.boot_test import server_name
from cloudimage.vocabulary.marks import Marks

INACTIVE_SECONDS: Final = 300.0
"""Between two looks at an image that is not active, of which no server can be made."""
TURN_SECONDS: Final = 60.0
"""Between two questions for a turn; an object is also queued when its turn has come."""
LACKING_SECONDS: Final = 600.0
"""Between two looks at an image that lacks its kernel; it is also queued when that is there."""
CONSOLE_LINES: Final = 2000
MATCHED: Final = 64 * 2**10
"""Characters at the console's end in which a match is looked for, at each look."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a look at a boot test has come to.

    Attributes:
        resource: The CloudImage, with what is written of it.
        image: Its image, with what was changed of it.
        held: The image may not be used yet.
        seconds: Until the next look at the test; None: none is needed.
    """

    resource: CloudImage
    image: GlanceImage
    held: bool
    seconds: float | None = None


def look(
    tests: BootTesting, resource: CloudImage, cloud: Cloud, image: GlanceImage, gate: Gate
) -> Trial:
    """Do the next step of the test of the current image, if there is any.

    Args:
        tests: The boot tests of the operator.
        resource: The CloudImage.
        cloud: Its own.
        image: Its current image.
        gate: The image and what serves, for one that may not be used before it has passed.

    Raises:
        StaleError: The object changed since it was read.
    """
    held = boot_test.is_held(resource, image)
    one = _Look(tests, resource, cloud, image, gate if held else None, gate.lacks)
    seconds = one.step()
    return Trial(one.resource, one.image, boot_test.is_held(one.resource, one.image), seconds)


@dataclass
class _Look:
    tests: BootTesting
    resource: CloudImage
    cloud: Cloud
    image: GlanceImage
    gate: Gate | None
    lacks: str

    @property
    def uid(self) -> str:
        return self.resource.metadata.uid

    @property
    def state(self) -> BootTestStatus | None:
        return self.resource.status.boot_test

    def step(self) -> float | None:
        """Do what is next; return the seconds until the next look, None if none is needed."""
        try:
            seconds = self._next()
        except CloudError as error:
            return self._troubled(error)
        self.tests.backoff.clear(self.uid)
        return seconds

    def _next(self) -> float | None:
        test, state = self.resource.spec.boot_test, self.state
        phase = boot_test.phase(self.resource, self.image, now())
        if phase is Phase.ENDING:
            return self._end()
        if test is None or phase is Phase.NONE:
            self.tests.turns.release(self.uid)
            return None
        if phase is Phase.DUE or state is None:
            return self._begin(test)
        if phase is Phase.OVER:
            return self._rest(test, state)
        if phase is Phase.RUNNING and state.server_id is None:
            # Its turn went back when no server could be made.
            if not self.tests.turns.ask(self.resource):
                return self._queued(told=boot_test_state.is_told(self.resource))
        elif not boot_test_state.has_waited(state, now()):
            self.tests.turns.hold(self.resource)
        return self._clear(state) if phase is Phase.CLEARING else self._watch(test, state)

    def _end(self) -> float | None:
        """Take away what another spec, or a test of another image, has left, then begin."""
        if self.state is None:
            raise ValueError("unreachable: then there is nothing to end")
        ended = boot_test_state.ended(self.state, now())
        state, error = self.tests.clear(self.resource, self.cloud, ended)
        left = None if boot_test_state.is_clear(state) else state
        if self.resource.spec.boot_test is not None:
            server = f": server {state.server_id} is being deleted" if state.server_id else ""
            self._tell(left, waiting(f"An earlier test is ended first{server}.", Reason.PENDING))
        else:
            self._write(boot_test_status.without(self.resource, left))
        if error is not None:
            raise error
        return LOOK_SECONDS if left else self._next()

    def _rest(self, test: BootTest, state: BootTestStatus) -> float | None:
        """Return the seconds until the image is tested again; ``every`` may have changed."""
        self.tests.turns.release(self.uid)
        due = boot_test.due_again(self.resource, self.image, test, state)
        state = state.model_copy(update={"next_test_time": due})
        if state.cleanup is not None and self.tests.end(self.resource, self.cloud).is_nothing:
            state = state.model_copy(update={"cleanup": None, "server_id": None})
        # Also where the spec has changed elsewhere, or another failure was reported meanwhile.
        self._tell(state, boot_test_status.as_told(self.resource))
        return None if due is None else max(LOOK_SECONDS, (due - now()).total_seconds())

    def _queued(self, *, told: bool) -> float:
        """Wait for a turn."""
        said = (
            "It waits for its turn: maxConcurrentBootTests in the operator's settings limits how "
            "many tests run at once, and how many of one namespace."
        )
        self._tell(self.state, None if told else waiting(said, Reason.PENDING))
        return TURN_SECONDS

    def _begin(self, test: BootTest) -> float | None:
        known = boot_test.known_to_pass(test, self.image)
        if known is not None and not boot_test.is_of(self.state, test, self.image):
            self.tests.turns.release(self.uid)
            said = f"The image passed this test at {known.finish_time:%Y-%m-%d %H:%M} UTC."
            reason = Reason.BOOT_TEST_PASSED
            self._tell(known, Draft(ConditionType.BOOTED, "True", reason, said))
            return _until(known.next_test_time)
        if self.lacks:
            self.tests.turns.release(self.uid)
            self._tell(self.state, waiting(self.lacks, Reason.REFERENCE_NOT_READY))
            return LACKING_SECONDS
        repeated = boot_test.is_repetition(self.resource, test, self.image)
        if self.image.status != "active":
            self.tests.turns.release(self.uid)
            said = f"The image is {self.image.status} in Glance: it is tested once it is active."
            self._tell(self.state, None if repeated else waiting(said, Reason.PENDING))
            return INACTIVE_SECONDS
        if not self.tests.turns.ask(self.resource):
            return self._queued(told=repeated)
        state = boot_test.begun(self.resource, test, self.image, now())
        self._tell(state, None if repeated else waiting("The server is being made."))
        failpoint(Point.BOOT_BEGUN, self.resource.metadata.name)
        try:
            _pattern(test)
        except PatternError as error:
            return self._finish(test, state, Outcome("Failed", Reason.INVALID_REQUEST, str(error)))
        return self._watch(test, state)

    def _watch(self, test: BootTest, state: BootTestStatus) -> float | None:
        servers = boot_test.sorted_out(state, found(self.cloud, self.resource, state))
        error = deleted(self.cloud, servers.others)
        left = Left(tuple(each.id for each in servers.others), error)
        waited = self.tests.waited(self.uid, left)
        if servers.ours is not None:
            return self._seen(test, state, servers.ours)
        if state.server_id is not None:
            said = "The test's server is gone: somebody else has deleted it."
            return self._finish(test, state, Outcome("Failed", Reason.BUILD_FAILED, said))
        if servers.others:
            if waited < boot_test_state.LONGEST_END:
                return self._second(left)
            self.tests.abandon(self.resource, left)
        self._make(test, state)
        return LOOK_SECONDS

    def _second(self, left: Left) -> float:
        """Wait until an earlier server is gone: never two at once."""
        if left.error is not None:
            raise left.error
        if not boot_test_state.is_told(self.resource):
            said = f"Server {', '.join(left.servers)} of an earlier test is deleted first."
            self._tell(self.state, waiting(said))
        return LOOK_SECONDS

    def _make(self, test: BootTest, state: BootTestStatus) -> None:
        token = secrets.token_hex(16)
        key = throw_away_key(server_name(self.uid, token))
        wanted = boot_server.wanted(self.resource, test, self.image, state, token, key)
        self.tests.logins.keep(self.uid, token, key)
        server_id = self.cloud.boot_servers.create(wanted, key.public)
        failpoint(Point.BOOT_SERVER, self.resource.metadata.name)
        self._tell(state.model_copy(update={"server_id": server_id}), None)

    def _seen(self, test: BootTest, state: BootTestStatus, server: TestServer) -> float | None:
        """Decide by what the server shows."""
        state = state.model_copy(update={"server_id": server.id})
        building = boot_verdict.of_building(state, server, now())
        if building is not None:
            return self._follow(test, state, building)
        if state.active_seconds is None:
            state = state.model_copy(update={"active_seconds": _since(state.start_time)})
        self._tell(state, None)  # also if nothing more can be read
        seen = self._looked_at(test, state, server)
        state = boot_verdict.facts(test, state, seen, now())
        verdict = boot_verdict.judge(test, state, seen, now())
        if seen.login is Login.KEY_LOST and isinstance(verdict, Wait) and verdict.log_in:
            return self._start_again(state)
        if isinstance(verdict, Wait) and verdict.log_in:
            self._log_in(test, server, seen)
        return self._follow(test, state, verdict)

    def _looked_at(self, test: BootTest, state: BootTestStatus, server: TestServer) -> Seen:
        console = ""
        try:
            console = self.cloud.boot_servers.console(server.id, CONSOLE_LINES)
            before = self.tests.console_read(self.uid, server.id, now())
            no_console = boot_verdict.missed(test, state, before, now())
        except NoConsoleError as error:
            no_console = str(error)
        login, failure = self.tests.logins.view(self.uid, server.token)
        pattern = _pattern(test)
        return Seen(
            server=server,
            console=console,
            report=newest_report(console, server.token) if server.token else None,
            matched=state.console_matched
            or (pattern is not None and pattern.is_in(plain_terminal(console[-MATCHED:]))),
            fingerprint=server.metadata.get(boot_test.KEY_MARK),
            login=login,
            login_failure=failure,
            no_console=no_console,
        )

    def _log_in(self, test: BootTest, server: TestServer, seen: Seen) -> None:
        user, report = boot_verdict.user_of(test, seen), seen.report
        if user is None or report is None:
            return
        guests = {each.ip for each in report.addresses}
        # Only where Nova says that the server is: the guest may name any address.
        addresses = tuple(each for each in server.addresses if each in guests)
        target = Target(addresses, user, report.host_keys)
        self.tests.logins.begin(self.uid, target, partial(self.tests.notify, key_of(self.resource)))

    def _start_again(self, state: BootTestStatus) -> float | None:
        """Begin again with another server: the key of this one went with an earlier process."""
        done = boot_test_state.ended(state, now())
        said = "The operator was started again and no longer has the key: it begins again."
        self._tell(done, waiting(said, Reason.PENDING))
        return self._clear(done)

    def _follow(
        self, test: BootTest, state: BootTestStatus, verdict: Outcome | Wait
    ) -> float | None:
        if isinstance(verdict, Outcome):
            return self._finish(test, state, verdict)
        told = boot_test_state.is_told(self.resource)
        self._tell(state, None if told else waiting(verdict.message))
        return LOOK_SECONDS

    def _finish(self, test: BootTest, state: BootTestStatus, outcome: Outcome) -> float | None:
        return self._clear(self._concluded(test, state, outcome))

    def _concluded(self, test: BootTest, state: BootTestStatus, outcome: Outcome) -> BootTestStatus:
        """Write down what came of a test, and count it."""
        if outcome.result == "Passed":
            self._mark(state)
        elif old := boot_test.outdated_mark(self.image, outcome.reason, state.spec_digest):
            self.image = self.cloud.glance.patch(self.image.id, old)
        held = self.gate is not None
        done, draft = boot_test_status.finished(test, state, outcome, now(), held=held)
        self._tell(done, draft)
        metrics.BOOT_TESTS.labels(outcome.reason).inc()
        metrics.BOOT_TEST_SECONDS.labels(outcome.result).observe(_since(state.start_time))
        failpoint(Point.BOOT_FINISHED, self.resource.metadata.name)
        return done

    def _mark(self, state: BootTestStatus) -> None:
        """Have the image itself say that it has passed: a status may be lost."""
        mark = boot_test.booted_mark(state.spec_digest, now())
        patch = ({"op": "add", "path": f"/{Marks.BOOTED}", "value": mark},)
        self.image = self.cloud.glance.patch(self.image.id, patch)
        failpoint(Point.BOOT_MARKED, self.resource.metadata.name)

    def _clear(self, state: BootTestStatus) -> float | None:
        """Take away what a test that is over has made."""
        state, error = self.tests.clear(self.resource, self.cloud, state)
        if error is not None:
            raise error
        if not boot_test_state.is_clear(state):
            return LOOK_SECONDS
        failpoint(Point.BOOT_CLEARED, self.resource.metadata.name)
        self._tell(state, None)
        return _until(state.next_test_time)

    def _troubled(self, error: CloudError) -> float:
        """Say why a step could not be done; return the seconds until the next look."""
        test, state, reason = self.resource.spec.boot_test, self.state, Reason(error.reason)
        running = state is not None and state.finish_time is None
        if test is not None and state is not None and running:
            if outcome := boot_verdict.of_failure(test, state, reason, str(error), now()):
                self._concluded(test, state, outcome)
                return LOOK_SECONDS
            if state.server_id is None:
                self.tests.turns.release(self.uid)
        pauses = retry.pauses(reason)
        said = f"{sentences(str(error), None)} {retry.outlook(pauses)}"
        if test is not None and running and not boot_test_state.is_told(self.resource):
            said = keep_first(self.resource, ConditionType.BOOTED, reason, said)
            self._tell(state, Draft(ConditionType.BOOTED, "Unknown", reason, said))
        generation = self.resource.metadata.generation
        again = self.tests.backoff.after_failure(self.uid, generation, pauses, error.retry_after)
        self.tests.backoff.remember(self.uid, again)
        if again.count == 1 and (not running or boot_test_state.is_told(self.resource)):
            what = "goes on once this has passed" if running else "has left something in Nova"
            said = f"A boot test {what}: {said}"
            self.tests.status.record_event(self.resource, Event("Warning", reason, said))
        return again.pause

    def _tell(self, state: BootTestStatus | None, draft: Draft | None) -> None:
        self._write(boot_test_status.told(self.resource, state, draft, self.gate, now()))

    def _write(self, new: CloudImageStatus) -> None:
        self.resource = self.tests.status.write(self.resource, new)


def _since(began: datetime | None) -> int:
    return 0 if began is None else max(0, int((now() - began).total_seconds()))


def _until(due: datetime | None) -> float | None:
    return None if due is None else max(0.0, (due - now()).total_seconds())


def _pattern(test: BootTest) -> Expression | None:
    """Return what the console is to match.

    Raises:
        PatternError: RE2 does not take it.
    """
    wanted = test.expect.console_matches
    return None if wanted is None else Expression(wanted)
