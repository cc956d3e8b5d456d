"""Volumes made from an image, as real Cinder shows them."""

from collections.abc import Iterator
from contextlib import ExitStack
from uuid import uuid4

import pytest

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from cloudimage.cloud.errors import CloudUnreachableError
from support.openstack_actions import make_image
from support.volumes import volume, volumes
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud

ABSENT = {"block_storage_service_type": "absent", "compute_service_type": "absent"}
"""As in a cloud whose catalogue does not have them."""


@pytest.fixture(scope="module")
def cinder(openstack: OpenStack) -> OpenStack:
    openstack.start_cinder()
    return openstack


@pytest.fixture
def image_id(cinder: OpenStack) -> Iterator[str]:
    """An image that every project can make a volume from."""
    images = cinder.connect("images")
    image = make_image(images, b"an image", visibility="community")
    yield image.id
    images.image.delete_image(image)


def test_administrators_see_the_volumes_of_all_projects_and_others_their_own(
    cinder: OpenStack, image_id: str, unique: str
) -> None:
    images, consumer = cinder.connect("images"), cinder.connect("consumer")
    with ExitStack() as stack:
        ours = stack.enter_context(volume(images, f"{unique}-ours", image_id))
        theirs = stack.enter_context(volume(consumer, f"{unique}-theirs", image_id))
        other = make_image(images, b"another image")
        stack.callback(images.image.delete_image, other)
        stack.enter_context(volume(images, f"{unique}-other", other.id))
        stack.enter_context(volume(images, f"{unique}-empty"))
        with open_cloud(CloudConfig(cinder.cloud("admin"))) as cloud:
            all_of_them = cloud.usage(image_id)
        with open_cloud(CloudConfig(cinder.cloud("images"))) as cloud:
            own = cloud.usage(image_id)
            none = cloud.usage(str(uuid4()))
    assert all_of_them.volumes is not None
    assert {(each.id, each.name, each.project_id) for each in all_of_them.volumes} == {
        (ours, f"{unique}-ours", cinder.project_id("images")),
        (theirs, f"{unique}-theirs", cinder.project_id("consumer")),
    }
    assert all_of_them.in_use
    assert own.volumes is not None
    assert [each.id for each in own.volumes] == [ours]
    assert (none.volumes, none.in_use) == ((), False)


@pytest.mark.parametrize("project", ["images", "admin"])
def test_more_volumes_than_a_page_are_all_found(
    cinder: OpenStack, project: str, image_id: str, unique: str
) -> None:
    connection = cinder.connect(project)
    # The bed's Cinder shows two at a time.
    with (
        volumes(connection, unique, image_id, count=5) as made,
        open_cloud(CloudConfig(cinder.cloud(project))) as cloud,
    ):
        found = cloud.cinder.volumes(image_id)
    assert found is not None
    assert len(found) == 5
    assert {each.id for each in found} == set(made)


def test_a_cloud_without_these_services_has_no_users_of_images(openstack: OpenStack) -> None:
    with open_cloud(CloudConfig(openstack.cloud("images") | ABSENT)) as cloud:
        usage = cloud.usage(str(uuid4()))
    assert (usage.volumes, usage.scope, usage.in_use) == (None, "NoCompute", False)


def test_a_cinder_that_is_away_is_not_one_without_volumes(openstack: OpenStack) -> None:
    away = {"block_storage_endpoint_override": "http://127.0.0.1:9/v3"}
    with (
        open_cloud(CloudConfig(openstack.cloud("images") | away)) as cloud,
        pytest.raises(CloudUnreachableError),
    ):
        cloud.usage(str(uuid4()))
