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
from cloudimage.api.reasons import CREDENTIALS_REASONS, ConditionType, Reason
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.boot_servers import WantedServer
from cloudimage.cloud.connection import Cloud
from cloudimage.cloud.errors import CloudError, NoConsoleError
from cloudimage.cloud.models import GlanceImage, TestServer
from cloudimage.cloud.neutron import NetworkRef
from cloudimage.controller.logic import retry
from cloudimage.controller.logic.conditions import Draft, keep_first, sentences
from cloudimage.controller.reconciler import now
from cloudimage.failpoints import Point, failpoint
from cloudimage.guest.keys import throw_away_key
from cloudimage.guest.report import newest_report
from cloudimage.guest.user_data import user_data
from cloudimage.images.boot_logins import Target
from cloudimage.images.boot_testing import BootTesting, found
from cloudimage.images.logic import boot_test, boot_test_state, boot_test_status, boot_verdict
from cloudimage.images.logic.boot_test import Phase
from cloudimage.images.logic.boot_test_status import Gate, waiting
from cloudimage.images.logic.boot_verdict import Login, Outcome, Seen, Wait
from cloudimage.kube import key_of
from cloudimage.metrics import operator as metrics
from cloudimage.patterns import Expression, PatternError
from cloudimage.plaintext import plain_terminal
from cloudimage.vocabulary.boot_test import server_marks, server_name
from cloudimage.vocabulary.marks import Marks

LOOK_SECONDS: Final = 3.0
"""Between two looks at a server."""
TURN_SECONDS: Final = 60.0
"""Between two questions for a turn; an object is also queued when its turn has come."""
LACKING_SECONDS: Final = 600.0
"""Between two looks at an image that lacks its kernel; it is also queued when that is there."""
CONSOLE_LINES: Final = 2000
MATCHED: Final = 64 * 2**10
"""Characters at the console's end in which a match is looked for, at each look."""

_PASSING: Final = CREDENTIALS_REASONS | {
    Reason.CLOUD_UNREACHABLE,
    Reason.CLOUD_ERROR,
    Reason.CONFLICT,
    Reason.NOT_FOUND,
}
"""What says nothing of the test: the same step is retried."""


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
        self.tests.turns.hold(self.resource)
        return self._clear(state) if phase is Phase.CLEARING else self._watch(test, state)

    def _end(self) -> float | None:
        """Take away what another spec, or a test of another image, has left, then begin."""
        left = not self.tests.end(self.resource, self.cloud)
        wanted = self.resource.spec.boot_test is not None
        draft = waiting("An earlier test is ended first.", Reason.PENDING) if wanted else None
        state = self.state if left else None
        if wanted:
            self._tell(state, draft)
        else:
            self._write(boot_test_status.without(self.resource, state))
        return LOOK_SECONDS if left else self._next()

    def _rest(self, test: BootTest, state: BootTestStatus) -> float | None:
        """Return the seconds until the image is tested again; ``every`` may have changed."""
        self.tests.turns.release(self.uid)
        if state.result == "Passed":
            state = state.model_copy(update={"next_test_time": boot_test.next_time(test, state)})
        # Also where the spec has changed in something else, or another failure was told meanwhile.
        self._tell(state, boot_test_status.as_told(self.resource))
        return _until(self.state.next_test_time if self.state else None)

    def _begin(self, test: BootTest) -> float | None:
        known = boot_test.known_to_pass(test, self.image)
        if known is not None and not boot_test.is_of(self.state, test, self.image):
            said = f"The image passed this test at {known.finish_time:%Y-%m-%d %H:%M} UTC."
            reason = Reason.BOOT_TEST_PASSED
            self._tell(known, Draft(ConditionType.BOOTED, "True", reason, said))
            return _until(known.next_test_time)
        if self.lacks:
            self.tests.turns.release(self.uid)
            self._tell(self.state, waiting(self.lacks, Reason.REFERENCE_NOT_READY))
            return LACKING_SECONDS
        repeated = boot_test.is_repetition(self.resource, test, self.image)
        if not self.tests.turns.ask(self.resource):
            said = "It waits for its turn: a limited number of tests runs at once."
            self._tell(self.state, None if repeated else waiting(said, Reason.PENDING))
            return TURN_SECONDS
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
        for each in servers.others:
            self.cloud.boot_servers.delete(each.id)
        if servers.ours is not None:
            return self._seen(test, state, servers.ours)
        if state.server_id is not None:
            said = "The test's server is gone: somebody else has deleted it."
            return self._finish(test, state, Outcome("Failed", Reason.BUILD_FAILED, said))
        if servers.others:
            return LOOK_SECONDS  # never two at once
        self._make(test, state)
        return LOOK_SECONDS

    def _make(self, test: BootTest, state: BootTestStatus) -> None:
        token = secrets.token_hex(16)
        name = server_name(self.uid, token)
        key = throw_away_key(name)
        networks = None
        if test.networks is not None:
            networks = tuple(NetworkRef(id=each.id, name=each.name) for each in test.networks)
        marks = {
            **server_marks(self.uid, self.image.id, token),
            boot_test.SERVER_MARK: boot_test.mark_of(state),
            boot_test.KEY_MARK: key.fingerprint,
        }
        wanted = WantedServer(
            name=name,
            image_id=self.image.id,
            flavor=test.flavor,
            networks=networks,
            key_name=name,
            user_data=user_data(token, self.image.properties.get("os_type"), test.user),
            metadata=marks,
            volume_gib=test.volume_gib,
        )
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
        failed = {"result": "Failed", "reason": Reason.PENDING, "finish_time": now()}
        done = state.model_copy(update={**failed, "next_test_time": now()})
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
        """Take away the server of a test that is over."""
        if not self.tests.end(self.resource, self.cloud):
            return LOOK_SECONDS
        failpoint(Point.BOOT_CLEARED, self.resource.metadata.name)
        self._tell(state.model_copy(update={"server_id": None}), None)
        return _until(state.next_test_time)

    def _troubled(self, error: CloudError) -> float:
        """Say why a step could not be done; return the seconds until the next look."""
        test, state, reason = self.resource.spec.boot_test, self.state, Reason(error.reason)
        running = state is not None and state.finish_time is None
        if test is not None and state is not None and running and reason not in _PASSING:
            outcome = Outcome("Failed", reason, str(error))
            self._concluded(test, state, outcome)
            return LOOK_SECONDS
        pauses = retry.pauses(reason)
        said = f"{sentences(str(error), None)} {retry.outlook(pauses)}"
        if test is not None and running and not boot_test_state.is_told(self.resource):
            said = keep_first(self.resource, ConditionType.BOOTED, reason, said)
            self._tell(state, Draft(ConditionType.BOOTED, "Unknown", reason, said))
        generation = self.resource.metadata.generation
        again = self.tests.backoff.after_failure(self.uid, generation, pauses, error.retry_after)
        self.tests.backoff.remember(self.uid, again)
        if not running and again.count == 1:
            left = f"What a boot test has left is not deleted yet: {said}"
            self.tests.status.record_event(self.resource, Event("Warning", reason, left))
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
