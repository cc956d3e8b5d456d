"""After a verdict of a boot test, what the tested image refers to may become another image."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import MagicMock

import pytest

from cloudimage.access.policy import CloudPolicy
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import FINALIZER
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.models import GlanceImage, JsonPatch
from cloudimage.controller.attempts import Attempts
from cloudimage.controller.logic.conditions import Draft
from cloudimage.credentials import loader
from cloudimage.images import reconciler
from cloudimage.images.boot_logins import BootLogins
from cloudimage.images.boot_testing import BootTesting
from cloudimage.images.boot_turns import BootTurns
from cloudimage.images.following import Following
from cloudimage.images.keeping import Keeping
from cloudimage.images.logic import boot_test_status
from cloudimage.images.logic.boot_test_status import Gate
from cloudimage.images.logic.desired import Desired
from cloudimage.images.reconciler import CloudImageReconciler
from cloudimage.images.resync import NoViews, Resync
from cloudimage.kube import key_of
from cloudimage.settings import Settings
from support.boot_nova import Nova, Written
from support.boot_states import state_of, untested
from support.image_status import ready, states
from support.resources import NOW, cloud_image

KERNEL, NEWER = (digit * 8 + "-3333-4333-8333-333333333333" for digit in "34")


class World(Written):
    """A CloudImage with kernelRef whose image has failed its boot test, and all it meets."""

    def __init__(self) -> None:
        super().__init__()
        parts: dict[str, Any] = {
            "image": {"kernelRef": {"name": "kernel"}},
            "bootTest": {"flavor": "m1.small"},
        }
        wanted = cloud_image(**parts)
        image = untested(wanted, properties={"kernel_id": KERNEL})
        over = {"finishTime": NOW, "result": "Failed", "reason": "Timeout"}
        failed = cloud_image(status={"bootTest": state_of(wanted, image, **over)}, **parts)
        gate = Gate(Desired.of(failed.spec), image, None)
        said = Draft(ConditionType.BOOTED, "False", Reason.TIMEOUT, "It did not report.")
        told = boot_test_status.told(failed, failed.status.boot_test, said, gate, NOW)
        held = failed.metadata.model_copy(update={"finalizers": (FINALIZER,)})
        self.set(
            resource=failed.model_copy(update={"status": told, "metadata": held}),
            kernel=KERNEL,
            cloud=MagicMock(
                boot_servers=Nova(), keystone=MagicMock(login=MagicMock(return_value=None))
            ),
            image=image,
        )
        self.cloud.glance.patch.side_effect = self.patched

    resource: CloudImage
    kernel: str
    cloud: Any
    image: GlanceImage

    def set(self, **changes: Any) -> None:
        """Change what there is; the class that stands in for is frozen."""
        for name, value in changes.items():
            object.__setattr__(self, name, value)

    def read(self, _model: Any, _key: Any) -> Any:
        """Return the kernel's CloudImage."""
        other = ready(cloud_image())
        status = other.status.model_copy(update={"image_id": self.kernel})
        return other.model_copy(update={"status": status})

    def write_status(self, resource: Any, status: Any) -> Any:
        """Keep it."""
        self.set(resource=super().write_status(resource, status))
        return self.resource

    def patched(self, _image_id: str, patch: JsonPatch) -> GlanceImage:
        """Set properties, as Glance does."""
        values = {each["path"].removeprefix("/"): each["value"] for each in patch}
        self.set(image=replace(self.image, properties={**self.image.properties, **values}))
        return self.image

    @contextmanager
    def borrow(self, _config: Any) -> Iterator[Any]:
        """Lend the cloud."""
        yield self.cloud


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    config = CloudConfig({"auth": {"auth_url": "https://keystone.example.org/v3"}})
    monkeypatch.setattr(loader, "load", lambda *_: config)
    monkeypatch.setattr(reconciler, "images_of", lambda *_: [made.image])
    return made


@pytest.fixture
def operator(world: World) -> CloudImageReconciler:
    attempts = Attempts(world, MagicMock(record=lambda resource: resource))
    anything: Any = MagicMock()
    looks = MagicMock(view=lambda _: None)
    runner = MagicMock(view=lambda _: None)
    turns, logins = BootTurns(1, anything), BootLogins(1, CloudPolicy())
    tests = BootTesting(attempts.status, turns, logins, anything)
    following = Following(world, looks, Settings(), attempts.status, anything)
    clouds: Any = world
    keeping = Keeping(attempts.status, anything, tests)
    settings = Settings()
    resync = Resync(settings, NoViews())
    return CloudImageReconciler(
        world, attempts, runner, following, settings, clouds, keeping, resync, anything
    )


def test_after_a_verdict_another_kernel_is_tested(
    world: World, operator: CloudImageReconciler
) -> None:
    settled = world.resource
    assert operator.reconcile(settled) == Settings().unwatched_seconds
    assert world.resource == settled, "nothing is new"
    world.set(kernel=NEWER)
    operator.look_again(key_of(settled))  # as the watch does of who refers to it
    assert operator.reconcile(world.resource) is not None
    assert world.image.properties["kernel_id"] == NEWER
    assert states(world.resource.status)["Booted"] == ("Unknown", "Progressing")
    [server] = world.cloud.boot_servers.servers
    assert server.status == "BUILD"


def test_after_a_verdict_an_image_that_was_deleted_is_made_again(
    world: World, operator: CloudImageReconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As any other is; likewise the one that serves meanwhile is missed."""
    monkeypatch.setattr(reconciler, "images_of", lambda *_: [])
    operator.reconcile(world.resource)
    started: Any = operator.runner
    assert started.start.called
