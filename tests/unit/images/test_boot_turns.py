"""A limited number of boot tests at once, and no tenant with all turns."""

from typing import Any

from kubernetes.client import ApiException

from cloudimage.api.cloudimage import CloudImage
from cloudimage.images import boot_turns
from cloudimage.images.boot_turns import BootTurns
from cloudimage.kube import Key, Kube
from support.boot_states import state_of, untested, with_test
from support.resources import cloud_image


def of(namespace: str, name: str, base: CloudImage | None = None) -> CloudImage:
    """Return a CloudImage of a namespace."""
    resource = base or cloud_image()
    update = {"namespace": namespace, "name": name, "uid": f"{namespace}-{name}"}
    metadata = resource.metadata.model_copy(update=update)
    return resource.model_copy(update={"metadata": metadata})


def turns(places: int = 4) -> tuple[BootTurns, list[Key]]:
    """Return turns, and the keys that they have queued."""
    queued: list[Key] = []
    return BootTurns(places, queued.append), queued


def test_an_object_keeps_its_turn_until_it_gives_it_back() -> None:
    line, queued = turns(4)
    one, other = of("a", "1"), of("a", "2")
    assert line.ask(one)
    assert line.ask(one)
    assert not line.ask(other), "a quarter of the turns is for one namespace"
    assert line.numbers() == {"running": 1, "waiting": 1}
    line.release(one.metadata.uid)
    assert queued == [Key("a", "2")]
    assert line.ask(other)
    assert line.numbers() == {"running": 1, "waiting": 0}


def test_no_tenant_keeps_the_others_waiting() -> None:
    line, _ = turns(8)
    assert [line.ask(of("greedy", str(each))) for each in range(20)] == [True] * 2 + [False] * 18
    assert line.ask(of("modest", "1"))


def test_what_no_longer_waits_takes_no_turn() -> None:
    line, queued = turns(4)
    first, gone, last = (of("a", each) for each in "123")
    assert line.ask(first)
    assert not line.ask(gone)
    assert not line.ask(last)
    line.release(gone.metadata.uid)
    line.release(first.metadata.uid)
    assert queued == [Key("a", "3")]


class Listed(Kube):
    """An API server that lists these objects, or fails."""

    def __init__(self, found: list[CloudImage] | ApiException) -> None:
        object.__setattr__(self, "found", found)

    def each(self, *_: Any) -> list[Any]:
        """Return them, or fail."""
        found: list[CloudImage] | ApiException = self.found  # type: ignore[attr-defined]  # set past the frozen class
        if isinstance(found, ApiException):
            raise found
        return found


def test_tests_that_run_are_counted_before_others_begin() -> None:
    resource = with_test()
    image = untested(resource)
    runs = with_test(status={"bootTest": state_of(resource, image)})
    clearing = {"finishTime": "2026-01-02T03:04:05Z", "serverID": "s"}
    ends = with_test(status={"bootTest": state_of(resource, image, **clearing)})
    over = {"finishTime": "2026-01-02T03:04:05Z"}
    rests = with_test(status={"bootTest": state_of(resource, image, **over)})
    known = [of("a", "1", runs), of("b", "1", ends), of("c", "1", rests), of("d", "1")]
    line, _ = turns(2)
    line.recover(Listed(known))
    assert line.numbers() == {"running": 2, "waiting": 0}
    assert not line.ask(of("e", "1"))
    # More than there are places: an earlier operator may have had more of them.
    line.hold(of("f", "1", runs))
    assert line.numbers()["running"] == 3


def test_an_api_server_that_is_away_holds_nothing_up() -> None:
    line, _ = turns()
    line.recover(Listed(ApiException(status=503)))
    assert line.ask(of("a", "1"))


def test_a_turn_goes_back_when_its_object_no_longer_comes() -> None:
    time = [0.0]
    line, queued = turns(1)
    line.clock = lambda: time[0]
    away, waits, last = (of("a", each) for each in "123")
    assert line.ask(away)
    assert not line.ask(waits)
    assert not line.ask(last)
    time[0] += boot_turns.LEASE_SECONDS - 1
    line.hold(away)
    time[0] += boot_turns.LEASE_SECONDS - 1
    assert not line.ask(last), "it was looked at since"
    time[0] += 1
    assert not line.ask(last)
    assert queued == [Key("a", "2")], "whose turn it is"
    # A turn that is not used goes back sooner: its object may wait for an upload by now.
    time[0] += boot_turns.UNUSED_SECONDS
    assert line.ask(last)
    assert line.numbers() == {"running": 1, "waiting": 0}
