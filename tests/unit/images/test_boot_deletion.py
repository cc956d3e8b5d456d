"""What a deletion, and a transfer, do about a boot test that is not cleared away."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from cloudimage.access.policy import CloudPolicy
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import Reason
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.errors import CloudUnreachableError, ConflictError, ForbiddenError
from cloudimage.cloud.models import Usage
from cloudimage.controller.attempts import Attempts
from cloudimage.credentials import loader
from cloudimage.images import boot_testing
from cloudimage.images.boot_logins import BootLogins
from cloudimage.images.boot_testing import BootTesting
from cloudimage.images.boot_turns import BootTurns
from cloudimage.images.deletion import Deletion
from cloudimage.images.keeping import Keeping
from cloudimage.images.logic import boot_test_state, deletion
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.images.reconciler import CloudImageReconciler
from cloudimage.images.resync import NoViews, Resync
from cloudimage.settings import Settings
from support.boot_nova import Nova, Written
from support.boot_states import server, state_of, untested, with_test
from support.resources import NOW, cloud_image

RESYNC = Resync(Settings(), NoViews())


class World:
    """One CloudImage that is deleted, and its cloud."""

    def __init__(self) -> None:
        """Build it, with a test that runs."""
        self.nova, self.kube = Nova(), Written()
        self.boot_servers, self.glance = self.nova, Cloned()
        self.keystone = self
        self.started: list[str] = []
        self.now = NOW
        self.attempts = Attempts(self.kube, Any)  # type: ignore[arg-type]  # nothing asks for the status writer
        logins = BootLogins(1, CloudPolicy())
        turns = BootTurns(1, lambda _: None)
        self.tests = BootTesting(self.attempts.status, turns, logins, lambda _: None)

    def login(self) -> None:
        """Return that there is no login to be handed over."""

    @contextmanager
    def borrow(self, _config: Any) -> Iterator[Any]:
        """Lend the cloud."""
        yield self

    def ended(self, resource: CloudImage) -> float | None:
        """Look once at its deletion, as far as the test goes."""
        clouds: Any = self
        runner: Any = None
        policy = CloudPolicy()
        looked = Deletion(self.kube, runner, self.attempts, clouds, policy, self.tests, RESYNC)
        return looked._end_test(resource)

    def reconciler(self) -> CloudImageReconciler:
        """Return what has images made in the cloud."""
        nothing: Any = None
        world: Any = self
        keeping = Keeping(self.attempts.status, nothing, self.tests)
        return CloudImageReconciler(
            self.kube, self.attempts, world, world, Settings(), nothing, keeping, RESYNC, print
        )

    def until_due(self, *_: Any) -> None:
        """Return that a source is never asked again."""

    def forget(self, _uid: str) -> None:
        """Forget a transfer."""

    def start(self, uid: str, *_: Any) -> None:
        """Start a transfer."""
        self.started.append(uid)


class Cloned:
    """A Glance whose store refuses to delete what was cloned."""

    project_id = "project"

    def delete(self, image_id: str) -> None:
        """Refuse it."""
        raise ConflictError(f"image {image_id} is in use")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(loader, "load", lambda *_: None)
    made = World()
    monkeypatch.setattr(boot_testing, "now", lambda: made.now)
    return made


def with_server(**changes: Any) -> CloudImage:
    resource = with_test()
    state = state_of(resource, untested(resource), serverID="server", **changes)
    return with_test(status={"bootTest": state})


def test_a_blocked_deletion_says_once_what_is_left(world: World) -> None:
    resource = with_server()
    world.nova.servers, world.nova.stuck = [server(resource, untested(resource))], True
    assert world.ended(resource) == boot_test_state.LOOK_SECONDS
    for _ in range(3):
        world.now += timedelta(minutes=2)
        assert world.ended(resource) is None
    [said] = world.kube.said("ServerLeft")
    assert "A server server of" in said
    world.nova.refusals["find"] = CloudUnreachableError("it is not asked any more")
    assert world.ended(resource) is None
    assert len(world.kube.said("ServerLeft")) == 1


@pytest.mark.parametrize("what", ["find", "delete_keys"])
def test_a_server_that_never_was_holds_up_no_deletion(world: World, what: str) -> None:
    world.nova.refusals[what] = ForbiddenError("no rule for key pairs")
    assert world.ended(with_test()) is None
    assert world.kube.said("ServerLeft") == []


def test_a_server_that_came_late_is_taken_away(world: World) -> None:
    """Its making was not answered, and another was refused before Nova listed the first."""
    over = {"finishTime": NOW, "result": "Failed", "reason": "QuotaExceeded"}
    resource = with_server(**over)
    state = resource.status.boot_test
    assert state is not None
    new = state.model_copy(update={"server_id": None})
    status = resource.status.model_copy(update={"boot_test": new})
    resource = resource.model_copy(update={"status": status})
    world.nova.servers = [server(resource, untested(resource))]
    assert world.ended(resource) == boot_test_state.LOOK_SECONDS
    assert world.nova.servers == []
    assert world.ended(resource) is None


def test_a_transfer_that_failed_for_good_is_not_begun_again_by_a_test(world: World) -> None:
    stalled = {
        "type": "Stalled",
        "status": "True",
        "reason": "InvalidImage",
        "message": "",
        "observedGeneration": 3,
        "lastTransitionTime": NOW,
    }
    resource = with_server()
    state = resource.status.to_json()["bootTest"]
    resource = with_test(status={"conditions": [stalled], "bootTest": state})
    world.nova.servers = [server(resource, untested(resource))]
    reconciler = world.reconciler()
    cloud: Any = world
    desired, owned = Desired.of(resource.spec), OwnedImages(None, (), ())
    nothing: Any = None
    made = reconciler._make(resource, desired, cloud, nothing, owned)
    assert made == boot_test_state.LOOK_SECONDS
    assert reconciler._make(resource, desired, cloud, nothing, owned) is None
    assert world.nova.servers == []


@pytest.mark.parametrize("source", [{}, {"source": {"upload": {}}}])
def test_a_disk_of_a_test_holds_up_no_other_image(world: World, source: dict[str, Any]) -> None:
    """Its server is deleted, but Nova has not come to its disk, a clone of the image."""
    leftover = untested(with_test())
    resource = cloud_image(bootTest={"flavor": "m1.small"}, **source)
    cloud: Any = world
    desired, owned = Desired.of(resource.spec), OwnedImages(None, (), (leftover,))
    config = CloudConfig({"auth": {"auth_url": "http://own"}})
    seconds = world.reconciler()._make(resource, desired, cloud, config, owned)
    assert world.started == ([] if source else [resource.metadata.uid])
    assert (seconds is not None) is bool(source)


def test_an_image_that_cannot_be_deleted_names_the_server_of_its_test() -> None:
    usage = Usage((), "OwnProject", ())
    blocker = deletion.refused(Reason.CONFLICT, "it is in use", usage, ["server"])
    assert "server server of the boot test" in blocker.message
    assert "other projects" in deletion.refused(Reason.CONFLICT, "in use", usage).message
