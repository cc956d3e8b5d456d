"""No tenant has more than its share of the places, and no place is free without need."""

from collections import Counter, deque

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cloudimage.controller.logic.fairness import FairLine, Part, Tenants, share_of

NAMESPACES = st.sampled_from(["a", "b", "c"])
SECRETS = st.sampled_from(["x", "y"])
CLOUDS = st.sampled_from(["1", "2"])


class Machine(RuleBasedStateMachine):
    """Any order of coming, taking and going."""

    def __init__(self) -> None:
        super().__init__()
        self.line: FairLine[int] = FairLine(17, for_urgent=True)
        self.waiting: dict[int, tuple[Tenants, bool]] = {}
        self.taken: dict[int, Tenants] = {}
        self.number = 0

    @rule(namespace=NAMESPACES, secret=SECRETS, cloud=CLOUDS, urgent=st.booleans())
    def put(self, namespace: str, secret: str, cloud: str, urgent: bool) -> None:
        """A key comes."""
        self.number += 1
        tenants = (namespace, (namespace, secret), Part((namespace, secret, cloud)))
        self.line.put(self.number, tenants, urgent=urgent)
        self.waiting[self.number] = (tenants, urgent)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def make_urgent(self, data: st.DataObject) -> None:
        """A key that waits becomes urgent."""
        key = data.draw(st.sampled_from(sorted(self.waiting)))
        self.line.put(key, self.waiting[key][0], urgent=True)
        self.waiting[key] = (self.waiting[key][0], True)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        """A key is waited for no longer."""
        key = data.draw(st.sampled_from(sorted(self.waiting)))
        assert self.line.discard(key)
        assert not self.line.discard(key)
        del self.waiting[key]

    @rule()
    def take(self) -> None:
        """The next one has its turn."""
        found = self.line.take()
        if found is None:
            assert not any(self.may(key) for key in self.waiting)
            return
        key, urgent = found
        assert self.may(key)
        tenants, was_urgent = self.waiting.pop(key)
        assert urgent == was_urgent
        if not urgent:
            assert not any(self.may(other) for other, (_, now) in self.waiting.items() if now)
        self.taken[key] = tenants

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """A key is done."""
        key = data.draw(st.sampled_from(sorted(self.taken)))
        self.line.release(key)
        self.line.release(key)
        del self.taken[key]

    def may(self, key: int) -> bool:
        """Return whether a key that waits may have a place now."""
        tenants, urgent = self.waiting[key]
        held = Counter(tenant for each in self.taken.values() for tenant in each)
        places, share, half = (17, 4, 2) if urgent else (13, 3, 2)
        within = (held[each] < (half if isinstance(each, Part) else share) for each in tenants)
        return len(self.taken) < places and all(within)

    @invariant()
    def nobody_has_more_than_a_quarter(self) -> None:
        """Check all that must always be so."""
        held = Counter(tenant for each in self.taken.values() for tenant in each)
        assert all(number <= share_of(17) for number in held.values())
        assert self.line.taken == len(self.taken) <= 17
        assert self.line.waiting == len(self.waiting)
        assert all(key in self.line for key in self.waiting)


TestMachine = Machine.TestCase


@given(st.integers(1, 100))
def test_a_share_is_a_quarter_and_at_least_one(places: int) -> None:
    assert share_of(places) == max(1, places // 4)


def test_many_keys_of_one_tenant_hold_up_nobody() -> None:
    line: FairLine[str] = FairLine(8)
    for number in range(1000):
        line.put(f"a{number}", ("a",))
    line.put("b", ("b",))
    taken = [line.take(), line.take(), line.take(), line.take()]
    assert taken == [("a0", False), ("b", False), ("a1", False), None]


def test_a_cloud_that_does_not_answer_holds_up_no_other_of_its_tenant() -> None:
    line: FairLine[str] = FairLine(16)
    for number in range(100):
        line.put(f"silent-{number}", ("a", Part("silent")), urgent=True)
    line.put("other", ("a", Part("other")), urgent=True)
    taken = [found[0] for _ in range(4) if (found := line.take())]
    assert sorted(taken) == ["other", "silent-0", "silent-1"]


def test_many_that_wait_for_a_cloud_are_not_looked_at_each_time() -> None:
    looked: Counter[str] = Counter()

    class Silent(str):
        """A cloud that counts how often it is looked up."""

        __slots__ = ()

        def __hash__(self) -> int:
            looked[str(self)] += 1
            return super().__hash__()

    line: FairLine[int] = FairLine(16)
    for number in range(1000):
        line.put(number, ("a", Part(Silent("silent"))))
    while line.take():
        pass
    looked.clear()
    assert line.take() is None
    assert looked["silent"] < 10


def test_a_secret_that_several_namespaces_use_has_one_share() -> None:
    """ImageShares of many namespaces may lead to the same cloud."""
    line: FairLine[str] = FairLine(8)
    for namespace in "abcdef":
        line.put(namespace, (namespace, ("z", "secret")))
    assert [line.take() for _ in range(3)] == [("a", False), ("b", False), None]


@given(st.lists(st.tuples(NAMESPACES, st.booleans()), max_size=40))
def test_every_key_has_its_turn(keys: list[tuple[str, bool]]) -> None:
    line: FairLine[int] = FairLine(4, for_urgent=True)
    for number, (namespace, urgent) in enumerate(keys):
        line.put(number, (namespace,), urgent=urgent)
    seen, running = [], deque[int]()
    while line.waiting or running:
        while found := line.take():
            running.append(found[0])
        key = running.popleft()
        seen.append(key)
        line.release(key)
    assert sorted(seen) == list(range(len(keys)))
    for namespace in "abc":
        order = [key for key in seen if keys[key] == (namespace, False)]
        assert order == sorted(order)
