"""On whose account objects are worked on, and that transfers go by it."""

import threading
import time
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cloudimage.controller.logic.fairness import Part
from cloudimage.controller.tenants import TenantIndex
from cloudimage.kube import Key
from cloudimage.runners.turns import Turns

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def event(spec: Any, kind: str = "MODIFIED") -> dict[str, Any]:
    return {"type": kind, "object": {"spec": spec}}


def using(secret: str) -> dict[str, Any]:
    return {"cloudCredentialsRef": {"secretName": secret, "cloudName": "c"}}


def test_an_image_is_of_its_namespace_its_secret_and_its_cloud() -> None:
    index, key = TenantIndex(), Key("a", "image")
    assert index.of_image(key) == ("a",)
    index.saw_image(key, event(using("s")))
    assert index.of_image(key) == ("a", ("a", "s"), Part(("a", "s", "c")))
    index.saw_image(key, event({}, "DELETED"))
    assert index.of_image(key) == ("a",)


def test_a_share_is_also_of_the_secret_of_its_image_in_another_namespace() -> None:
    index, key = TenantIndex(), Key("team", "share")
    index.saw_image(Key("publisher", "image"), event(using("s")))
    index.saw_share(key, event({"imageRef": {"name": "image", "namespace": "publisher"}}))
    of_image = (("publisher", "s"), Part(("publisher", "s", "c")))
    assert index.of_share(key) == ("team", *of_image)
    index.saw_share(key, event({"imageRef": {"name": "image"}}))
    assert index.of_share(key) == ("team",)
    index.saw_share(key, event({"image": using("own")}))
    assert index.of_share(key) == ("team", ("team", "own"), Part(("team", "own", "c")))


@given(JSON)
def test_an_object_that_is_not_understood_is_of_its_namespace(spec: Any) -> None:
    index, key = TenantIndex(), Key("a", "x")
    index.saw_image(key, event(spec))
    index.saw_share(key, event(spec))
    assert index.of_image(key)[0] == index.of_share(key)[0] == "a"


class Work:
    """Work that runs until it is let go."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.let_go = threading.Event()

    def __call__(self, name: str) -> Callable[[], None]:
        """Return the work of that name."""

        def run() -> None:
            self.began.append(name)
            self.let_go.wait(20)

        return run

    def wait(self, count: int) -> list[str]:
        """Wait until as much has begun, and a moment more."""
        deadline = time.monotonic() + 10
        while len(self.began) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.1)
        return sorted(self.began)


def test_a_tenant_has_a_quarter_of_the_transfers_and_others_do_not_wait() -> None:
    turns, work = Turns(8, "test"), Work()
    for number in range(9):
        turns.add(f"a{number}", ("a", ("a", "s")), work(f"a{number}"))
    turns.add("b", ("b",), work("b"))
    assert work.wait(3) == ["a0", "a1", "b"]
    assert turns.cancel("a2")
    assert not turns.cancel("a0")
    work.let_go.set()
    assert len(work.wait(9)) == 9
    assert "a2" not in work.began
    turns.stop(wait=True)


def test_a_fault_of_one_takes_no_place_for_ever() -> None:
    turns, work = Turns(1, "test"), Work()

    def fail() -> None:
        raise SystemExit

    turns.add("bad", (), fail)
    turns.add("good", (), work("good"))
    work.let_go.set()
    assert work.wait(1) == ["good"]
    turns.stop(wait=True)


def test_nothing_begins_once_it_is_stopped() -> None:
    turns, work = Turns(1, "test"), Work()
    turns.add("first", (), work("first"))
    turns.add("second", (), work("second"))
    work.wait(1)
    turns.stop(wait=False)
    work.let_go.set()
    assert work.wait(2) == ["first"]
