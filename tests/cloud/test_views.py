"""Views of a real Glance, in small pages."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.glance import Glance, ImagePage
from cloudimage.views.images import ImageWatch
from cloudimage.views.logic.pace import next_look
from cloudimage.views.servers import ServerWatch
from cloudimage.vocabulary.marks import Marks
from support.fault_proxy import Fault, FaultProxy
from support.openstack_actions import boot, make_image
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud


@pytest.fixture
def images(openstack: OpenStack) -> Connection:
    return openstack.connect("images")


@pytest.fixture
def cloud(openstack: OpenStack) -> Iterator[Cloud]:
    with open_cloud(CloudConfig(openstack.cloud("images"))) as opened:
        yield opened


@pytest.fixture
def made(images: Connection, unique: str) -> Iterator[list[str]]:
    """Seven images, of which two are hidden and one is a community image; none has bytes."""
    with ExitStack() as stack:
        ids = []
        for number in range(7):
            body = {
                "name": f"{unique}-{number}",
                "disk_format": "raw",
                "container_format": "bare",
                "os_hidden": number in {2, 5},
                "visibility": "community" if number == 3 else "private",
                Marks.UID: f"{unique}-{number}",
            }
            answer = images.image.post("/images", json=body)
            assert answer.status_code == 201, answer.text
            ids.append(answer.json()["id"])
            stack.callback(images.image.delete, f"/images/{ids[-1]}")
        yield ids


def change(images: Connection, image_id: str, name: str, value: object) -> None:
    answer = images.image.patch(
        f"/images/{image_id}",
        json=[{"op": "add", "path": f"/{name}", "value": value}],
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
    )
    assert answer.status_code == 200, answer.text


def look(watch: ImageWatch, glance: Glance, unique: str, *, is_whole: bool) -> set[str]:
    """Return the last characters of this test's UIDs that a listing concerns."""
    uids = {f"{unique}-{number}" for number in (*range(7), "x")}
    return {each[-1] for each in watch.look(glance, uids, is_whole=is_whole).uids}


@pytest.mark.parametrize("is_whole", [False, True])
def test_what_is_changed_is_told_and_nothing_else(
    images: Connection, cloud: Cloud, made: list[str], unique: str, *, is_whole: bool
) -> None:
    watch = ImageWatch(page_size=2)
    assert look(watch, cloud.glance, unique, is_whole=True) == set()
    assert watch.view.images is not None
    assert set(made) == watch.view.images.keys()
    assert look(watch, cloud.glance, unique, is_whole=is_whole) == set()
    change(images, made[0], "min_disk", 7)
    change(images, made[1], "os_hidden", value=True)
    change(images, made[5], "changed", "by hand")
    images.image.put(f"/images/{made[3]}/tags/tag")
    assert look(watch, cloud.glance, unique, is_whole=is_whole) == {"0", "1", "3", "5"}
    assert look(watch, cloud.glance, unique, is_whole=is_whole) == set()
    change(images, made[6], Marks.UID, f"{unique}-x")
    # This concerns both objects, also the one that the image was taken from.
    assert look(watch, cloud.glance, unique, is_whole=is_whole) == {"6", "x"}


def test_a_whole_listing_tells_what_is_gone(
    images: Connection, cloud: Cloud, made: list[str], unique: str
) -> None:
    watch = ImageWatch(page_size=3)
    look(watch, cloud.glance, unique, is_whole=True)
    for number in (0, 5):
        images.image.delete_image(made[number])
    assert look(watch, cloud.glance, unique, is_whole=False) == set()
    assert look(watch, cloud.glance, unique, is_whole=True) == {"0", "5"}
    assert watch.view.images is not None
    assert not {made[0], made[5]} & watch.view.images.keys()


def test_hidden_images_are_listed_each_time_only_where_one_of_ours_is_hidden(
    images: Connection,
    cloud: Cloud,
    made: list[str],
    unique: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed: list[bool] = []
    page = cloud.glance.page

    def counted(*args: Any, hidden: bool, **kwargs: Any) -> ImagePage:
        listed.append(hidden)
        return page(*args, hidden=hidden, **kwargs)

    monkeypatch.setattr(cloud.glance, "page", counted)
    now = 0.0
    watch = ImageWatch(clock=lambda: now)

    def changed() -> set[str]:
        uids = {f"{unique}-{number}" for number in (0, 1)}
        listed.clear()
        return {each[-1] for each in watch.look(cloud.glance, uids, is_whole=True).uids}

    assert (changed(), listed) == (set(), [False, True])
    assert watch.next_look().delay == next_look(1, 0.0).delay
    assert (changed(), listed) == (set(), [False])
    change(images, made[0], "os_hidden", value=True)
    assert (changed(), listed) == ({"0"}, [False])
    [found] = cloud.glance.find(Marks.UID, f"{unique}-0")
    watch.know(found)  # as whoever looked at it does
    assert (changed(), listed) == (set(), [False, True])
    images.image.delete_image(made[0])
    assert (changed(), listed) == ({"0"}, [False, True])
    assert (changed(), listed) == (set(), [False])
    now += 600
    assert (changed(), listed) == (set(), [False, True])


def test_a_hidden_image_is_seen_from_when_its_object_is_there(
    cloud: Cloud, made: list[str], unique: str
) -> None:
    now = 0.0
    watch = ImageWatch(clock=lambda: now)
    watch.look(cloud.glance, {f"{unique}-0"}, is_whole=True)
    both = {f"{unique}-0", f"{unique}-2"}
    watch.look(cloud.glance, both, is_whole=True)  # without the hidden ones
    now += 600
    watch.look(cloud.glance, both, is_whole=True)
    assert watch.view.images is not None
    assert watch.view.images.keys() == {made[0], made[2]}


def test_what_we_change_ourselves_is_no_news(
    images: Connection, cloud: Cloud, made: list[str], unique: str
) -> None:
    watch = ImageWatch(page_size=3)
    look(watch, cloud.glance, unique, is_whole=True)
    for image_id, is_whole in ((made[0], False), (made[2], True)):
        patch = ({"op": "add", "path": "/min_disk", "value": 7},)
        watch.know(cloud.glance.patch(image_id, patch))
        assert look(watch, cloud.glance, unique, is_whole=is_whole) == set()
        change(images, image_id, "min_ram", 64)
        assert look(watch, cloud.glance, unique, is_whole=is_whole) == {str(made.index(image_id))}


def test_images_of_others_and_those_whose_mark_was_taken_long_ago_are_not_kept(
    images: Connection, cloud: Cloud, made: list[str], unique: str
) -> None:
    watch = ImageWatch(page_size=3)
    watch.look(cloud.glance, {f"{unique}-0", f"{unique}-1"}, is_whole=True)
    assert watch.view.images is not None
    assert watch.view.images.keys() == set(made[:2])
    change(images, made[0], Marks.UID, f"{unique}-y")
    for expected in ({f"{unique}-0", f"{unique}-y"}, set()):
        difference = watch.look(cloud.glance, {f"{unique}-0", f"{unique}-1"}, is_whole=True)
        assert {each.uid for each in difference.changed} == expected
    assert watch.view.images.keys() == {made[1]}


def test_changes_are_asked_for_from_before_the_last_listing_by_the_clock_of_glance(
    cloud: Cloud, made: list[str], unique: str
) -> None:
    watch = ImageWatch()
    look(watch, cloud.glance, unique, is_whole=True)
    page = cloud.glance.page(100, None, hidden=False)
    assert page.date is not None
    assert watch.view.since is not None
    assert timedelta(0) < page.date - watch.view.since < timedelta(minutes=10)


@pytest.mark.parametrize("listing", ["os_hidden=false", "os_hidden=true"])
def test_a_listing_that_breaks_off_changes_nothing(
    openstack: OpenStack, images: Connection, made: list[str], unique: str, listing: str
) -> None:
    upstream = images.session.get_endpoint(service_type="image") or ""
    fault = Fault("GET", f"{listing}&sort=created_at%3Aasc%2Cid%3Aasc", "fail")
    with FaultProxy(upstream, fault) as proxy:
        entry = openstack.cloud("images") | {"image_endpoint_override": proxy.url}
        with open_cloud(CloudConfig(entry)) as cloud:
            fault.times = 0
            watch = ImageWatch(page_size=30)
            look(watch, cloud.glance, unique, is_whole=True)
            before = watch.view
            images.image.delete_image(made[0])
            fault.times = fault.seen + 1
            with pytest.raises(CloudError):
                look(watch, cloud.glance, unique, is_whole=True)
            assert watch.view is before
            assert look(watch, cloud.glance, unique, is_whole=True) == {"0"}


def test_servers_that_come_and_go_tell_their_images(
    images: Connection, cloud: Cloud, unique: str
) -> None:
    watch = ServerWatch()
    watch.look(cloud.nova)
    image = make_image(images, b"\0" * 4096, name=unique)
    server = boot(images, image.id)
    assert image.id in watch.look(cloud.nova).images
    assert image.id not in watch.look(cloud.nova).images
    images.compute.delete_server(server)
    images.compute.wait_for_delete(server, interval=0.2, wait=30)
    assert image.id in watch.look(cloud.nova).images
    assert image.id not in watch.look(cloud.nova).images
    images.image.delete_image(image)


def test_servers_are_asked_for_again_from_where_a_listing_broke_off(
    openstack: OpenStack, images: Connection, unique: str
) -> None:
    nova = images.session.get_endpoint(service_type="compute") or ""
    fault = Fault("GET", "", "fail")
    fault.times = 0
    with FaultProxy(nova, fault) as proxy:
        entry = openstack.cloud("images") | {"compute_endpoint_override": proxy.url}
        with open_cloud(CloudConfig(entry)) as cloud:
            watch = ServerWatch()
            watch.look(cloud.nova)
            image = make_image(images, b"\0" * 4096, name=unique)
            server = boot(images, image.id)
            fault.times = fault.seen + 9
            with pytest.raises(CloudError):
                watch.look(cloud.nova)
            fault.times = 0
            assert image.id in watch.look(cloud.nova).images
    images.compute.delete_server(server)
    images.compute.wait_for_delete(server, interval=0.2, wait=30)
    images.image.delete_image(image)
