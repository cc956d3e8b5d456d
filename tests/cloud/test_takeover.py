"""A takeover that was cut off anywhere is ended by the next look, in a real Glance."""

from collections.abc import Iterator
from typing import Any

import pytest

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.models import GlanceImage
from cloudimage.images import rollout
from cloudimage.images.logic import metadata, owned_images
from support.resources import cloud_image
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud

NEW = {"name": "debian-12 (in the making)", "os_hidden": True}
NOBODY: Any = None
"""The consumers of an image that no project has accepted: none is asked."""
OLD = {"name": "debian-12", "visibility": "shared"}


@pytest.fixture
def cloud(openstack: OpenStack) -> Iterator[Cloud]:
    with open_cloud(CloudConfig(openstack.cloud("images"))) as opened:
        yield opened


def _made(openstack: OpenStack, cloud: Cloud, **attributes: Any) -> GlanceImage:
    made = openstack.connect("images").image.post("/images", json=attributes).json()
    image = cloud.glance.get(made["id"])
    assert image is not None
    return image


@pytest.mark.parametrize("steps", range(5))
def test_whatever_was_done_before_the_end_is_the_same(
    openstack: OpenStack, cloud: Cloud, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = _made(openstack, cloud, **OLD), _made(openstack, cloud, **NEW)
    resource = cloud_image(
        image={"visibility": "shared", "tags": ["t"]}, status={"imageID": old.id}
    )
    cloud.glance.add_member(old.id, openstack.project_id("consumer"))

    def look(*, left: int) -> GlanceImage:
        """Take over as after a crash; this one comes after so many changes."""
        before, after = cloud.glance.get(old.id), cloud.glance.get(new.id)
        assert before is not None
        assert after is not None
        with monkeypatch.context() as crash:
            for name in ("patch", "add_member"):
                crash.setattr(cloud.glance, name, _counted(getattr(cloud.glance, name), count))
            count[0] = left
            changes = tuple(each.operation for each in metadata.differences(resource, after))
            owned = owned_images.OwnedImages(after, (before,), ())
            return rollout.roll_out(resource, cloud.glance, owned, after, changes, NOBODY)

    count = [0]
    try:
        if steps < 4:
            with pytest.raises(_CrashError):
                look(left=steps)
        done = look(left=99)
        aside = cloud.glance.get(old.id)
        assert aside is not None
        assert (done.name, done.hidden, {*done.tags}) == ("debian-12", False, {"t"})
        assert (aside.name, aside.hidden) == (f"debian-12 ({old.created_at:%Y-%m-%d})", True)
        members = {each.project_id for each in cloud.glance.members(new.id)}
        assert members == {openstack.project_id("consumer")}
    finally:
        for image in (old, new):
            cloud.glance.delete(image.id)


class _CrashError(Exception):
    pass


def _counted(do: Any, count: list[int]) -> Any:
    def run(*arguments: Any) -> Any:
        if count[0] == 0:
            raise _CrashError
        count[0] -= 1
        return do(*arguments)

    return run
