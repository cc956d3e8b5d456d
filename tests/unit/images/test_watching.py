"""What a watched cloud wakes, and when objects rely on it, by a clock that the test turns."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudimage.cloud.config import Origin
from cloudimage.cloud.errors import CloudUnreachableError
from cloudimage.cloud.glance import ImagePage
from cloudimage.cloud.models import ServerChange, ServerChanges
from cloudimage.credentials import loader
from cloudimage.images.places import Place, PlaceIndex
from cloudimage.images.watching import CloudWatcher
from cloudimage.kube import Key
from cloudimage.transfer.contract import SECRET_MARK
from cloudimage.views.logic.pace import BLOCKED_SECONDS, FRESH_SECONDS, SERVERS_SECONDS
from cloudimage.vocabulary.marks import Marks
from support.resources import NOW, UID, cloud_image

KEY = Key("images", "debian-12")
IMAGE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
SERVER = "33333333-3333-4333-8333-333333333333"
PLACE = Place.of(cloud_image())
BEGIN = datetime(2026, 1, 2, tzinfo=UTC)


def listed(image_id: str = IMAGE, uid: str = UID, **changes: Any) -> dict[str, Any]:
    """Return an image as Glance lists it."""
    return {
        "id": image_id,
        "name": "debian-12",
        "status": "active",
        "created_at": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
        "updated_at": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
        "visibility": "private",
        "protected": False,
        "tags": [],
        Marks.UID: uid,
        **changes,
    }


@dataclass
class _World:
    """A cloud, what asks it, and what it wakes."""

    now: float = 1000.0
    images: list[dict[str, Any]] = field(default_factory=lambda: [listed()])
    servers: list[ServerChange] = field(default_factory=list)
    down: frozenset[str] = frozenset()
    version: str = "1"
    asked: list[str] = field(default_factory=list)
    woken: list[tuple[Key, bool]] = field(default_factory=list)
    resumed: list[tuple[Key, bool]] = field(default_factory=list)
    index: PlaceIndex = field(default_factory=PlaceIndex)
    project_id: str = "project"

    def __post_init__(self) -> None:
        world: Any = self
        self.watcher = CloudWatcher(
            world, world, self.index, self.wake, self.resume, print, lambda: self.now
        )
        self.know()

    def know(self, **status: Any) -> None:
        self.index.update(KEY, cloud_image(status=status))

    def is_deleted(self) -> None:
        resource = cloud_image(status={"imageID": IMAGE})
        when = {"deletion_timestamp": NOW}
        metadata = resource.metadata.model_copy(update=when)
        self.index.update(KEY, resource.model_copy(update={"metadata": metadata}))

    def wake(self, keys: Iterable[Key], *, urgent: bool) -> None:
        self.woken.extend((key, urgent) for key in keys)

    def resume(self, keys: Iterable[Key], *, compare: bool) -> None:
        self.resumed.extend((key, compare) for key in keys)

    @contextmanager
    def borrow(self, _config: Any) -> Iterator[Any]:
        yield self

    @property
    def glance(self) -> "_World":
        return self

    @property
    def nova(self) -> "_World":
        return self

    def page(
        self, _size: int, _marker: str | None, *, hidden: bool, since: datetime | None = None
    ) -> ImagePage:
        self.asked.append("whole" if since is None else "changes")
        if "glance" in self.down:
            raise CloudUnreachableError("no answer")
        images = [each for each in self.images if each.get("os_hidden", False) is hidden]
        return ImagePage(json.dumps({"images": images}).encode(), BEGIN)

    def changes(self, _since: datetime) -> ServerChanges | None:
        self.asked.append("servers")
        if "nova" in self.down:
            raise CloudUnreachableError("no answer")
        return None if "compute" in self.down else ServerChanges(tuple(self.servers), BEGIN)

    def run(self, seconds: float) -> None:
        """Call the watcher as often as it wants to be, for so long."""
        until = self.now + seconds
        while True:
            delay = self.watcher(PLACE)
            assert delay is not None
            if self.now + delay > until:
                self.now = until
                return
            self.now += max(delay, 0.01)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> _World:
    made = _World()

    @dataclass
    class Config:
        origin: Origin

    def load(*_: Any) -> Config:
        if "secret" in made.down:
            raise loader.SecretNotFoundError("no Secret")
        return Config(Origin("images", "openstack", f"secret-uid/{made.version}", "prod"))

    monkeypatch.setattr(loader, "load_other", load)
    return made


def test_the_first_listing_is_awaited_and_wakes_nothing(world: _World) -> None:
    assert world.watcher.is_awaited(PLACE)
    assert world.watcher.images(PLACE) is None
    world.run(1)
    assert not world.watcher.is_awaited(PLACE)
    view = world.watcher.images(PLACE)
    assert view is not None
    assert [each.id for each in view.of(UID)] == [IMAGE]
    assert world.woken == []


def test_a_cloud_that_never_answers_is_not_awaited_for_ever(world: _World) -> None:
    world.down = frozenset({"glance"})
    assert world.watcher.is_awaited(PLACE)
    world.run(1)
    assert not world.watcher.is_awaited(PLACE)
    other = PLACE._replace(secret="another")
    assert world.watcher.is_awaited(other)
    world.now += 600
    assert not world.watcher.is_awaited(other), "nobody looks there"


def test_a_change_is_seen_within_a_minute_and_our_own_is_none(world: _World) -> None:
    world.run(1)
    world.images = [listed(name="by hand")]
    world.run(60)
    assert world.woken == [(KEY, False)]
    world.woken.clear()
    world.images = [listed(name="by us")]
    page = ImagePage(json.dumps({"images": world.images}).encode(), None)
    world.watcher.know(PLACE, page.images()[0][0])
    world.run(120)
    assert world.woken == []
    world.images = []
    world.run(60)
    assert world.woken == [(KEY, False)], "it was deleted"


def test_a_place_at_rest_costs_three_requests_a_minute_to_each_service(world: _World) -> None:
    world.run(3600)
    assert 60 <= world.asked.count("whole") + world.asked.count("changes") <= 180
    assert world.asked.count("servers") <= 60
    world.asked.clear()
    world.is_deleted()
    world.run(3600)
    assert 120 < world.asked.count("servers") <= 181


def test_a_view_is_relied_on_while_it_is_renewed_and_then_all_look_themselves(
    world: _World,
) -> None:
    world.run(7200)
    assert world.resumed == []
    assert world.watcher.numbers() == {"fresh": 1.0, "stale": 0.0}
    world.down = frozenset({"glance"})
    world.run(FRESH_SECONDS - 60)
    assert world.watcher.images(PLACE) is not None
    assert world.resumed == []
    world.run(120)
    assert world.watcher.images(PLACE) is None
    assert world.watcher.numbers() == {"fresh": 0.0, "stale": 1.0}
    assert world.resumed == [(KEY, False)]
    world.run(3600)
    assert world.resumed == [(KEY, False)], "once"
    world.down = frozenset()
    world.images = []
    world.run(600)
    assert world.watcher.images(PLACE) is not None
    assert world.woken == [(KEY, False)], "it was deleted while nobody could see"


@pytest.mark.parametrize("down", ["glance", "nova", "compute", "secret"])
def test_one_service_fails_without_the_other(world: _World, down: str) -> None:
    world.run(1)
    world.down = frozenset({down})
    world.run(FRESH_SECONDS + 200)
    assert (world.watcher.images(PLACE) is None) is (down in {"glance", "secret"})
    assert world.watcher.watches_servers(PLACE) is (down == "glance")


def test_other_credentials_may_see_other_images_so_all_are_listed(world: _World) -> None:
    world.images = [listed(f"{number:08}-0000-4000-8000-000000000000") for number in range(9)]
    world.run(1)
    assert world.resumed == []
    world.version, world.images = "2", []
    world.run(120)
    assert world.woken == [(KEY, False)]
    assert world.resumed == [(KEY, True)]


def test_the_end_of_a_server_wakes_what_waits_for_it_before_others(world: _World) -> None:
    world.run(1)
    world.servers = [ServerChange(SERVER, IMAGE, is_gone=True)]
    world.know(imageID=IMAGE)
    world.run(SERVERS_SECONDS)
    assert world.woken == [(KEY, False)]
    world.woken.clear()
    world.is_deleted()
    world.servers = [ServerChange(SERVER, IMAGE, is_gone=False)]
    world.run(BLOCKED_SECONDS + 1)
    assert world.woken == [(KEY, True)]
    world.run(120)
    assert world.woken == [(KEY, True)], "once"


@pytest.mark.parametrize(
    ("change", "woken"),
    [
        (ServerChange(SERVER, OTHER, is_gone=False), True),
        (ServerChange(OTHER, OTHER, is_gone=True), False),
    ],
    ids=["rebuilt", "another"],
)
def test_a_server_that_was_rebuilt_from_another_image_concerns_the_first(
    world: _World, change: ServerChange, woken: bool
) -> None:
    sample = [{"id": SERVER, "name": "s", "projectID": "p"}]
    world.know(imageID=IMAGE, usedBy={"servers": 1, "scope": "OwnProject", "sample": sample})
    world.run(1)
    world.servers = [change]
    world.run(SERVERS_SECONDS + 1)
    assert world.woken == [(KEY, False)] * woken


def test_a_server_of_a_volume_may_have_used_any_image(world: _World) -> None:
    world.is_deleted()
    world.run(1)
    world.servers = [ServerChange(SERVER, None, is_gone=True)]
    world.run(BLOCKED_SECONDS + 1)
    assert world.woken == [(KEY, True)]


def test_orphans_may_be_there_unless_all_images_were_listed_and_are_known(world: _World) -> None:
    assert world.watcher.may_have_orphans(PLACE, 1800)
    world.run(1)
    assert not world.watcher.may_have_orphans(PLACE, 1800)
    assert world.watcher.may_have_orphans(PLACE, 0.5), "too long ago"
    world.images = [listed(), listed(OTHER, "gone", **{SECRET_MARK: "secret-uid"})]
    world.run(60)
    assert world.watcher.may_have_orphans(PLACE, 1800)
    world.images = [listed(), listed(OTHER, "gone", **{SECRET_MARK: "of another cluster"})]
    world.run(60)
    assert not world.watcher.may_have_orphans(PLACE, 1800)


def test_an_image_whose_object_is_gone_may_be_an_orphan(world: _World) -> None:
    world.run(1)
    other = cloud_image()
    metadata = other.metadata.model_copy(update={"uid": "another"})
    world.index.update(KEY, other.model_copy(update={"metadata": metadata}))
    assert world.watcher.may_have_orphans(PLACE, 1800)


def test_the_first_listing_is_about_objects_too_that_were_not_shown_yet(world: _World) -> None:
    world.images = [listed(), listed(OTHER, "later")]
    world.index.expect([("images", "later"), ("another", UID)])
    world.run(1)
    view = world.watcher.images(PLACE)
    assert view is not None
    assert [each.id for each in view.of("later")] == [OTHER]
    assert not world.watcher.may_have_orphans(PLACE, 1800)


def test_a_page_that_did_not_change_is_read_again_for_an_object_that_is_new(world: _World) -> None:
    world.images = [listed(), listed(OTHER, "later")]
    world.run(1)
    other = cloud_image()
    metadata = other.metadata.model_copy(update={"uid": "later"})
    later = other.model_copy(update={"metadata": metadata})
    world.index.update(Key("images", "later"), later)
    world.run(60)
    view = world.watcher.images(PLACE)
    assert view is not None
    assert [each.id for each in view.of("later")] == [OTHER]


def test_a_place_without_objects_is_left(world: _World) -> None:
    world.run(1)
    world.index.update(KEY, None)
    assert world.watcher(PLACE) is None
    assert world.watcher.images(PLACE) is None
    assert world.watcher.numbers() == {"fresh": 0.0, "stale": 0.0}


def test_a_stranger_cannot_fill_the_memory(world: _World) -> None:
    world.run(1)
    many = [listed(f"{number:08}-0000-4000-8000-000000000000") for number in range(400)]
    world.images = [{**each, Marks.UID: "others"} for each in many]
    world.run(120)
    view = world.watcher.images(PLACE)
    assert view is not None
    assert view.images == {}
    world.images = many
    world.run(FRESH_SECONDS + 200)
    assert world.watcher.images(PLACE) is None, "more than one object can have"


def test_images_of_objects_that_are_gone_do_not_count_for_ever(world: _World) -> None:
    """The page on which they are does not change, and is not parsed again."""
    many = [(f"{number:08}-0000-4000-8000-000000000000", f"uid-{number}") for number in range(400)]
    world.images = [listed(), *(listed(image_id, uid) for image_id, uid in many)]
    others = [Key("images", uid) for _, uid in many]
    for key in others:
        other = cloud_image()
        metadata = other.metadata.model_copy(update={"uid": key.name})
        world.index.update(key, other.model_copy(update={"metadata": metadata}))
    world.run(1)
    for key in others:
        world.index.update(key, None)
    world.run(180)
    view = world.watcher.images(PLACE)
    assert view is not None
    assert view.images is not None
    assert view.images.keys() == {IMAGE}
    assert world.watcher.may_have_orphans(PLACE, 1800)
