"""Earlier images age in a real Glance, by a clock that the test moves."""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Condition
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import find
from cloudimage.images import retention, rollout
from cloudimage.images.logic.owned_images import OwnedImages
from cloudimage.vocabulary.marks import Marks
from support.resources import cloud_image
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud

NOBODY: Any = None
"""The consumers of an image that no project has accepted: none is asked."""
AGEING = {"keep": 0, "visibleFor": "60d", "deprecateAfter": "90d", "deleteUnusedAfter": "365d"}


class _KilledError(Exception):
    """The operator was killed between two requests."""


class Replaced:
    """An image that another takes the place of."""

    def __init__(self, cloud: Cloud, visibility: str, **spec: Any) -> None:
        self.cloud = cloud
        self.old, self.new = str(uuid.uuid4()), str(uuid.uuid4())
        self.status: dict[str, Any] = {"imageID": self.old}
        self.spec = {"retention": AGEING | spec}
        shown = {"name": "debian-12", "visibility": visibility}
        assert cloud.glance.create(self.old, shown)
        assert cloud.glance.create(self.new, {"name": "new", "os_hidden": True})

    @property
    def resource(self) -> CloudImage:
        """The CloudImage, with what was written of it."""
        return cloud_image(status=self.status, **self.spec)

    def look(self, days: float) -> Condition:
        """Do all that one reconcile does, so many days after now; return what it says."""
        glance, resource = self.cloud.glance, self.resource
        old, new = glance.get(self.old), glance.get(self.new)
        assert new is not None
        owned = OwnedImages(new, (old,) if old else (), ())
        if old and Marks.REPLACED not in old.properties:
            rollout.roll_out(resource, glance, owned, new, (), NOBODY)
        previous = rollout.look(self.cloud, owned.previous)
        moment = datetime.now(UTC) + timedelta(days=days)
        status = retention.settle(resource, self.cloud, owned, previous, moment)
        self.status = status.to_json()
        said = find(status.conditions, "RetentionApplied")
        assert said is not None
        return said

    def image(self) -> GlanceImage:
        """Return the earlier image."""
        image = self.cloud.glance.get(self.old)
        assert image is not None
        return image

    def is_gone(self) -> bool:
        """Return whether the earlier image was deleted."""
        return self.cloud.glance.get(self.old) is None


@pytest.fixture
def admin(openstack: OpenStack) -> Iterator[Cloud]:
    """Credentials that see everybody's servers, and may publish."""
    with open_cloud(CloudConfig(openstack.cloud("admin"))) as opened:
        yield opened


@pytest.fixture
def clean(admin: Cloud) -> Iterator[list[str]]:
    """Images to delete at the end."""
    ids: list[str] = []
    yield ids
    for image_id in ids:
        admin.glance.delete(image_id)


def make(cloud: Cloud, clean: list[str], visibility: str, **spec: Any) -> Replaced:
    images = Replaced(cloud, visibility, **spec)
    clean += [images.old, images.new]
    return images


def test_an_image_ages_through_each_step(admin: Cloud, clean: list[str]) -> None:
    images = make(admin, clean, "public")
    images.look(0)
    image = images.image()
    name, since = image.name, image.properties[Marks.REPLACED]
    assert name == f"debian-12 ({image.created_at:%Y-%m-%d})"
    assert (image.hidden, image.visibility, image.tags) == (False, "public", frozenset())
    for days, hidden, tags in (
        (59, False, set()),
        (61, True, set()),
        (91, True, {"deprecated"}),
        (364, True, {"deprecated"}),
    ):
        for _ in range(2):
            assert images.look(days).status == "True"
            image = images.image()
            assert (image.hidden, {*image.tags}) == (hidden, tags)
            assert (image.name, image.properties[Marks.REPLACED]) == (name, since)
    images.look(366)
    assert images.is_gone()
    assert images.look(366).status == "True"


@pytest.mark.parametrize(
    ("visibility", "becomes", "hidden"),
    [("public", "community", False), ("shared", "shared", True), ("private", "private", True)],
)
def test_only_a_public_image_becomes_one_of_the_community(
    admin: Cloud, clean: list[str], visibility: str, becomes: str, *, hidden: bool
) -> None:
    images = make(admin, clean, visibility, then="Community")
    images.look(0)
    images.look(61)
    assert (images.image().visibility, images.image().hidden) == (becomes, hidden)


@pytest.mark.parametrize("requests", range(4))
def test_a_kill_between_any_two_requests_repeats_and_loses_nothing(
    admin: Cloud, clean: list[str], requests: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = make(admin, clean, "private", visibleFor=None, deleteUnusedAfter="100d")
    count = 0

    def counted(do: Any) -> Any:
        def run(*arguments: Any) -> Any:
            nonlocal count
            if count == requests:
                raise _KilledError
            count += 1
            return do(*arguments)

        return run

    with monkeypatch.context() as killing:
        for name in ("patch", "delete"):
            killing.setattr(admin.glance, name, counted(getattr(admin.glance, name)))
        with suppress(_KilledError):
            for days in (0, 91, 101):
                images.look(days)
    before = None if images.is_gone() else images.image()
    images.look(91)
    if before is not None and Marks.REPLACED in before.properties:
        after = images.image()
        assert after.name == before.name
        assert after.properties[Marks.REPLACED] == before.properties[Marks.REPLACED]
        assert (after.hidden, {*after.tags}) == (True, {"deprecated"})
    images.look(200)
    assert images.is_gone()


def test_what_is_done_by_hand_stays_where_it_hides_and_not_where_it_shows(
    admin: Cloud, clean: list[str]
) -> None:
    images = make(admin, clean, "private")
    images.look(0)
    by_hand = {"name": "ask the helpdesk", "os_hidden": True}
    operations = ({"op": "replace", "path": f"/{key}", "value": by_hand[key]} for key in by_hand)
    admin.glance.patch(images.old, tuple(operations))
    images.look(30)
    assert (images.image().name, images.image().hidden) == ("ask the helpdesk", True)
    admin.glance.patch(images.old, ({"op": "replace", "path": "/os_hidden", "value": False},))
    images.look(30)
    assert not images.image().hidden
    images.look(61)
    assert (images.image().name, images.image().hidden) == ("ask the helpdesk", True)


def test_a_step_that_glance_refuses_is_said_and_holds_up_nothing(
    admin: Cloud, openstack: OpenStack, clean: list[str]
) -> None:
    images = make(admin, clean, "private")
    images.look(0)
    # Somebody else's by now: the publisher's credentials cannot change it.
    owner = {"op": "replace", "path": "/owner", "value": openstack.project_id("consumer")}
    visible = {"op": "replace", "path": "/visibility", "value": "community"}
    admin.glance.patch(images.old, (visible, owner))
    patched = admin.glance.get(images.old)
    assert patched is not None
    with open_cloud(CloudConfig(openstack.cloud("images"))) as publisher:
        owned = OwnedImages(None, (patched,), ())
        previous = rollout.look(publisher, owned.previous)
        moment = datetime.now(UTC) + timedelta(days=61)
        status = retention.settle(images.resource, publisher, owned, previous, moment)
    said = find(status.conditions, "RetentionApplied")
    assert said is not None
    assert (said.status, said.reason) == ("False", "Forbidden")
    assert images.old in said.message
