"""Objects that a list shows to need nothing are not read one by one."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import ResourceStatus
from cloudimage.api.names import FINALIZER, RETRY_ANNOTATION
from cloudimage.controller.reconciler import AWAITED_SECONDS, Reconciler
from cloudimage.kube import Key, key_of
from support.resources import NOW, cloud_image


@dataclass
class Server:
    """An API server and a guard of Secrets: which objects were read, and which observed."""

    read_keys: list[Key] = field(default_factory=list)
    observed: list[Key] = field(default_factory=list)

    @property
    def guard(self) -> "Server":
        """Return what guards Secrets."""
        return self

    def read(self, _model: Any, key: Key) -> CloudImage:
        """Return the object."""
        self.read_keys.append(key)
        return with_metadata(finalizers=(FINALIZER,))

    def observe(self, resource: CloudImage) -> None:
        """Record what it needs."""
        self.observed.append(key_of(resource))


@dataclass
class Lazy(Reconciler[CloudImage]):
    """Leaves objects alone for ``pause`` seconds."""

    pause: float = 100.0

    def rest(self, resource: CloudImage) -> float:  # noqa: ARG002 - the kind's own
        """Return the same for all."""
        return self.pause

    def reconcile(self, _resource: CloudImage) -> float:
        """Return what tells that it was called."""
        return 1.0

    def delete(self, _resource: CloudImage) -> float:
        """Return what tells that it was called."""
        return 2.0

    def retrying(self, resource: CloudImage, _value: str, _now: datetime) -> ResourceStatus:
        """Return the status as it is."""
        return resource.status


def with_metadata(**metadata: Any) -> CloudImage:
    plain = cloud_image(annotations=metadata.pop("annotations", {}))
    return plain.model_copy(update={"metadata": plain.metadata.model_copy(update=metadata)})


LISTED = with_metadata(finalizers=(FINALIZER,))
KEY = key_of(LISTED)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def world(server: Server) -> Lazy:
    made: Any = server
    return Lazy(CloudImage, made, made)


def test_one_that_may_be_left_alone_is_not_read(world: Lazy, server: Server) -> None:
    world.saw(KEY, LISTED)
    assert world(KEY) == world.pause
    assert server.read_keys == []
    assert server.observed == [KEY], "its Secret is needed"


def test_at_the_next_look_it_is_read(world: Lazy, server: Server) -> None:
    world.saw(KEY, LISTED)
    world(KEY)
    assert world(KEY) == 1.0
    assert server.read_keys == [KEY]


def test_as_long_as_something_is_awaited_it_is_not_read(world: Lazy, server: Server) -> None:
    world.saw(KEY, LISTED)
    world.pause = AWAITED_SECONDS
    assert [world(KEY) for _ in range(3)] == [AWAITED_SECONDS] * 3
    world.pause = 0.0
    assert world(KEY) == 1.0
    assert server.read_keys == [KEY]


def test_one_that_changed_since_is_read(world: Lazy) -> None:
    world.saw(KEY, LISTED)
    world.saw(KEY, None)
    assert world(KEY) == 1.0


def test_one_that_somebody_woke_is_read(world: Lazy) -> None:
    world.saw(KEY, LISTED)
    world.look_again(KEY)
    assert world(KEY) == 1.0
    assert KEY in world._awakened, "what looks at it asks for that"


@pytest.mark.parametrize(
    "metadata",
    [
        {"finalizers": ()},
        {"finalizers": (FINALIZER,), "annotations": {RETRY_ANNOTATION: "1"}},
        {"finalizers": (FINALIZER,), "deletion_timestamp": NOW},
    ],
    ids=["without our finalizer", "to be retried", "to be deleted"],
)
def test_one_that_wants_something_is_read(
    world: Lazy, server: Server, metadata: dict[str, Any]
) -> None:
    world.saw(KEY, with_metadata(**metadata))
    world(KEY)
    assert server.read_keys == [KEY]
