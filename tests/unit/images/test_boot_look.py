"""How a boot test goes on, ends, and is cleared away, whatever Nova does.

What a real Nova does is in ``tests/cluster/test_boot_test.py``; here it does what cannot be had
from one at will: it never deletes a server, or never answers.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from cloudimage.access.policy import CloudPolicy
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.cloud.errors import (
    CloudError,
    CloudUnreachableError,
    ConflictError,
    ForbiddenError,
    QuotaExceededError,
)
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import Draft, find
from cloudimage.controller.status_writer import StatusWriter
from cloudimage.images import boot_look, boot_testing
from cloudimage.images.boot_logins import BootLogins
from cloudimage.images.boot_look import Trial
from cloudimage.images.boot_testing import BootTesting
from cloudimage.images.boot_turns import BootTurns
from cloudimage.images.keeping import Keeping
from cloudimage.images.logic import boot_test_state, boot_test_status
from cloudimage.images.logic.boot_test_status import Gate
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from support.boot_nova import Nova, Written
from support.boot_states import server, state_of, untested, with_test
from support.image_status import ready
from support.resources import NOW, glance_image

MINUTE = timedelta(minutes=1)


class Glance:
    """Takes each patch."""

    def __init__(self, image: GlanceImage) -> None:
        self.image = image

    def patch(self, _image_id: str, _patch: Any) -> GlanceImage:
        """Change nothing."""
        return self.image


class World:
    """One CloudImage with a boot test, its cloud, and the time."""

    def __init__(self, resource: CloudImage, image: GlanceImage) -> None:
        self.resource, self.image, self.now = resource, image, NOW
        self.nova, self.kube = Nova(), Written()
        self.boot_servers, self.glance = self.nova, Glance(image)
        self.turns = BootTurns(1, lambda _: None)
        status = StatusWriter(self.kube)
        self.tests = BootTesting(status, self.turns, BootLogins(1, CloudPolicy()), lambda _: None)

    def look(self, **after: float) -> Trial:
        """Look once more, after a while."""
        self.now += timedelta(**after)
        gate = Gate(Desired.of(self.resource.spec), self.image, None)
        cloud: Any = self
        trial = boot_look.look(self.tests, self.resource, cloud, self.image, gate)
        self.resource = trial.resource
        return trial

    def changed(self, **test: Any) -> None:
        """Change spec.bootTest."""
        spec = with_test(**test).spec
        self.resource = self.resource.model_copy(update={"spec": spec})

    @property
    def state(self) -> Any:
        """status.bootTest."""
        return self.resource.status.boot_test

    def booted(self) -> tuple[str, str, str]:
        """Return the condition."""
        found = find(self.resource.status.conditions, ConditionType.BOOTED)
        return (found.status, found.reason, found.message) if found else ("", "", "")

    def events(self, reason: str) -> list[str]:
        """Return what was said for a reason."""
        return self.kube.said(reason)


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make a world in which an image waits for its test, or is in use."""

    def made(*, used: bool = False, state: dict[str, Any] | None = None, **test: Any) -> World:
        resource = with_test(**test)
        image = glance_image(resource) if used else untested(resource)
        status = {"bootTest": state_of(resource, image, **state)} if state is not None else None
        resource = with_test(status=status, **test)
        if used:
            kept = resource.status.boot_test
            resource = ready(resource)
            failed = kept.reason if kept and kept.reason else Reason.PENDING
            draft = Draft(ConditionType.BOOTED, "False", Reason(failed), "So it was.")
            new = boot_test_status.told(resource, kept, draft, None, NOW)
            resource = resource.model_copy(update={"status": new})
        world = World(resource, image)

        def now() -> datetime:
            return world.now

        for module in (boot_look, boot_testing):
            monkeypatch.setattr(module, "now", now, raising=False)
        return world

    return made


OVER = {"finishTime": NOW, "result": "Failed"}


@pytest.mark.parametrize("every", ["30d", None])
def test_an_image_in_use_rests_as_long_as_the_spec_says_now(make: Any, every: str | None) -> None:
    due = {"nextTestTime": NOW + timedelta(hours=1)}
    world = make(used=True, state={**OVER, "reason": "NoAddress", **due}, every="1h")
    world.changed(every=every)
    trial = world.look(hours=2)
    left = (timedelta(days=30) - timedelta(hours=2)).total_seconds() if every else None
    assert trial.seconds == left, "not again and again without a pause"
    assert world.state.next_test_time == (NOW + timedelta(days=30) if every else None)


def test_a_refusal_does_not_end_the_tests_of_an_image_in_use(make: Any) -> None:
    state = {**OVER, "reason": "FlavorNotFound"}
    world = make(used=True, state=state, every="1h")
    assert world.look(minutes=1).seconds == 59 * 60
    world.look(minutes=60)
    assert world.state.finish_time is None, "it is tested again"
    held = make(state=state, every="1h")
    assert held.look(days=1).seconds is None, "only an image in use is"


def test_a_server_of_which_nova_tells_nothing_is_given_up(make: Any) -> None:
    world = make(used=True, state={**OVER, "reason": "NoAddress"}, every="1h")
    world.look(hours=1)
    world.nova.servers[0] = replace(world.nova.servers[0], status="ACTIVE", launched_at=world.now)
    world.nova.refusals["console"] = CloudUnreachableError("a time-out of messaging")
    world.look(seconds=3)
    assert world.state.server_id == "server-1"
    assert world.events("CloudUnreachable"), "what is said of an earlier test stays"
    world.look(minutes=19)
    assert world.state.finish_time is None
    world.look(minutes=2)
    assert world.booted()[:2] == ("False", "BuildFailed")
    assert "a time-out of messaging" in world.booted()[2]
    world.look(seconds=3)
    world.look(seconds=3)
    assert world.nova.servers == []
    assert world.turns.numbers()["running"] == 0


def test_a_test_without_a_server_has_no_turn(make: Any) -> None:
    world = make()
    world.nova.refusals["create"] = ConflictError("Image is not active")
    for _ in range(3):
        assert world.look(seconds=60).seconds
        assert world.turns.numbers()["running"] == 0
    metadata = world.resource.metadata.model_copy(update={"uid": "another"})
    assert world.turns.ask(world.resource.model_copy(update={"metadata": metadata}))
    del world.nova.refusals["create"]
    assert world.look(seconds=60).seconds == boot_look.TURN_SECONDS
    assert "maxConcurrentBootTests" in world.booted()[2]
    world.turns.release("another")
    world.look(seconds=60)
    assert [each.id for each in world.nova.servers] == [world.state.server_id]


def test_no_server_is_made_of_an_image_that_is_not_active(make: Any) -> None:
    world = make()
    world.image = replace(world.image, status="deactivated")
    assert (world.look().seconds or 0) >= 60
    assert world.nova.keys == []
    assert "deactivated" in world.booted()[2]
    assert world.turns.numbers()["running"] == 0


def stuck(make: Any, **given: Any) -> World:
    """Return a world with a server that Nova does not delete."""
    world: World = make(state={"serverID": "old", **given})
    old = replace(server(world.resource, world.image), id="old")
    world.nova.servers, world.nova.stuck = [old], True
    world.turns.hold(world.resource)
    return world


def test_a_server_that_nova_does_not_delete_holds_no_turn(make: Any) -> None:
    world = stuck(make, **OVER, reason="Timeout")
    assert world.look(seconds=3).seconds == boot_test_state.LOOK_SECONDS
    trial = world.look(minutes=2)
    assert (world.state.server_id, world.state.cleanup) == ("old", "Abandoned")
    assert trial.seconds is None, "so that a version that is followed is given up"
    assert world.turns.numbers()["running"] == 0
    [said] = world.events("ServerLeft")
    assert "old" in said
    # It goes as soon as it can, when there is another look.
    world.look(minutes=30)
    assert len(world.events("ServerLeft")) == 1
    world.nova.stuck = False
    world.look(minutes=30)
    world.look(minutes=30)
    assert world.nova.servers == []
    assert (world.state.server_id, world.state.cleanup) == (None, None)


def test_an_operator_that_was_away_gives_nova_its_time(make: Any) -> None:
    world = stuck(make, **OVER, reason="Timeout")
    assert world.look(hours=1).seconds == boot_test_state.LOOK_SECONDS
    assert world.turns.numbers()["running"] == 0
    world.nova.stuck = False
    world.look(seconds=3)
    world.look(seconds=3)
    assert (world.state.server_id, world.state.cleanup) == (None, None)
    assert world.events("ServerLeft") == []


def test_one_server_that_cannot_be_deleted_keeps_nothing_else(make: Any) -> None:
    world = stuck(make, **OVER, reason="Timeout")
    world.nova.refusals["delete"] = ConflictError("it is locked")
    world.nova.keys = ["key"]
    world.look(seconds=3)
    assert world.nova.keys == []
    world.look(minutes=2)
    assert "it is locked" in world.events("ServerLeft")[0]


def test_a_server_that_nova_only_keeps_for_a_while_is_gone(make: Any) -> None:
    world = stuck(make, **OVER, reason="Timeout")
    world.nova.servers = [replace(world.nova.servers[0], status="SOFT_DELETED")]
    world.nova.refusals["delete"] = ConflictError("it is deleted already")
    world.look(seconds=3)
    assert (world.state.server_id, world.state.cleanup) == (None, None)


def test_a_nova_that_is_away_is_asked_again(make: Any) -> None:
    world = stuck(make, **OVER, reason="Timeout")
    world.nova.refusals["find"] = CloudUnreachableError("no answer")
    for _ in range(10):
        assert world.look(minutes=5).seconds
    # Its time begins once Nova is there, and was asked.
    del world.nova.refusals["find"]
    assert world.look(minutes=5).seconds == boot_test_state.LOOK_SECONDS
    world.nova.refusals["find"] = CloudUnreachableError("no answer")
    assert world.turns.numbers()["running"] == 0
    assert (world.state.server_id, world.state.cleanup) == ("old", None), "not given up"
    world.nova.refusals, world.nova.stuck = {}, False
    world.look(minutes=5)
    world.look(seconds=3)
    assert world.nova.servers == []
    assert world.state.server_id is None


def test_another_test_does_not_wait_for_an_earlier_server_for_ever(make: Any) -> None:
    world = stuck(make)
    world.changed(flavor="m1.large")
    world.look(seconds=3)
    assert "old" in world.booted()[2]
    looks = 0
    while len(world.nova.servers) == 1:
        world.look(seconds=60)
        looks += 1
        assert looks < 10
    assert world.state.server_id == "server-1"
    assert len(world.events("ServerLeft")) == 1


@pytest.mark.parametrize("error", [QuotaExceededError("cores"), ForbiddenError("no rule")])
def test_a_test_that_made_no_server_is_cleared_away_too(make: Any, error: CloudError) -> None:
    world = make()
    world.nova.refusals["create"] = error
    world.look()
    assert not boot_test_state.is_clear(world.state), "an operator killed here has more to do"
    world.look(seconds=3)
    assert world.nova.keys == []
    assert boot_test_state.is_clear(world.state)


def test_without_the_right_to_list_there_is_nothing_to_clear_away(make: Any) -> None:
    world = make()
    world.nova.refusals["find"] = ForbiddenError("no rule for servers")
    world.look()
    world.look(seconds=3)
    assert world.booted()[:2] == ("False", Reason.FORBIDDEN)
    assert boot_test_state.is_clear(world.state)
    world.look(minutes=3)
    assert world.events("ServerLeft") == []


def test_a_test_gives_way_to_another_image(make: Any) -> None:
    world = make(state={"serverID": "old"})
    cloud: Any = world
    world.nova.servers = [replace(server(world.resource, world.image), id="old")]
    world.turns.hold(world.resource)
    resource = world.tests.give_way(world.resource, cloud)
    assert world.turns.numbers()["running"] == 0, "a transfer may take hours"
    assert boot_test_state.sooner(resource, None) == boot_test_state.LOOK_SECONDS
    resource = world.tests.give_way(resource, cloud)
    assert resource.status.boot_test is None
    assert boot_test_state.sooner(resource, None) is None


def test_what_only_waits_for_its_turn_gives_way_too(make: Any) -> None:
    world = make()
    cloud: Any = world
    assert world.turns.ask(world.resource)
    world.tests.give_way(world.resource, cloud)
    assert world.turns.numbers() == {"running": 0, "waiting": 0}


def test_while_an_image_in_use_is_tested_nothing_else_is_asked(make: Any) -> None:
    world = make(used=True, state={**OVER, "reason": "NoAddress"}, every="1h")
    world.look(hours=1)
    status = world.resource.status.model_copy(update={"image_id": world.image.id})
    resource = world.resource.model_copy(update={"status": status})
    nothing: Any = None
    keeping = Keeping(world.tests.status, nothing, world.tests)
    desired, owned = Desired.of(resource.spec), OwnedImages(world.image, (), ())
    cloud: Any = world  # It has no Cinder and no listing of servers.
    kept = keeping(resource, desired, cloud, owned, None, compared=True)
    assert (kept.held, kept.seconds) == (False, boot_test_state.LOOK_SECONDS)
    assert kept.resource.status.last_sync_time == resource.status.last_sync_time
