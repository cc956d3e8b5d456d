"""Who may act by a Lease: the rules, and that they never let two act at once."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from cloudimage.leader_election.rules import Lease, Step, Terms, View, held, released, seen, step
from cloudimage.shard import Shard

TERMS = Terms("cloudimage-system", "cloudimage-operator")
OF_THREE = ("b-0-of-3", "b-1-of-3")
NAMES = {
    **dict.fromkeys(OF_THREE, False),
    "b": True,
    "b-0-of-2": True,
    "b-12-of-16": True,
    "b-0": False,
    "bb": False,
    "b-of-2": False,
    "b-0-of-2-x": False,
    "xb-0-of-2": False,
    "b-0-of-\u0662": False,
}
"""Leases, and whether nobody may act by b-1-of-3 while somebody holds them."""
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def lease(holder: str, version: str = "1", seconds: float = 15) -> Lease:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": seconds}
    return Lease.parsed({"metadata": {"name": "x", "resourceVersion": version}, "spec": spec})


THEIRS = View(lease("other"), since=100)


@pytest.mark.parametrize(
    ("found", "view", "now", "expected"),
    [
        (None, None, 0, Step.CREATE),
        (None, THEIRS, 114.9, Step.WAIT),
        (None, THEIRS, 115, Step.CREATE),
        (THEIRS.lease, THEIRS, 114.9, Step.WAIT),
        (THEIRS.lease, THEIRS, 115, Step.TAKE),
        (lease("", seconds=1), View(lease("", seconds=1), 100), 100, Step.TAKE),
        (lease("me"), THEIRS, 114, Step.RENEW),
        (Lease.parsed({"metadata": {"name": "x", "resourceVersion": "1"}}), None, 0, Step.TAKE),
    ],
    ids=[
        *("none", "deleted", "deleted-long-ago", "others", "run-out"),
        *("released", "mine", "never-held"),
    ],
)
def test_what_may_be_done(
    found: Lease | None, view: View | None, now: float, expected: Step
) -> None:
    assert step("me", found, view, now) is expected


def test_it_runs_from_the_last_change_that_was_seen() -> None:
    first = seen(None, lease("other"), 100)
    assert seen(first, lease("other"), 110) == first
    assert seen(first, lease("other", version="2"), 110) == View(lease("other", "2"), 110)
    assert seen(first, None, 110) == first


def test_who_holds_it_ends_before_another_one_may_take_it() -> None:
    assert TERMS.retry + TERMS.answer_within < TERMS.renew_within < TERMS.seconds


def test_the_object_says_who_and_since_when() -> None:
    body = held(None, "me", TERMS, NOW)
    assert body["metadata"] == {"name": TERMS.name, "namespace": TERMS.namespace}
    assert body["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 15,
        "acquireTime": "2026-01-02T03:04:05.000000Z",
        "renewTime": "2026-01-02T03:04:05.000000Z",
        "leaseTransitions": 0,
    }
    body["metadata"] |= {"resourceVersion": "7", "labels": {"theirs": "kept"}}
    later = NOW.replace(minute=30)
    renewed = held(Lease.parsed(body), "me", TERMS, later)
    assert renewed["metadata"] == body["metadata"]
    assert renewed["spec"] == body["spec"] | {"renewTime": "2026-01-02T03:30:05.000000Z"}
    given_back = released(Lease.parsed(renewed), later)
    assert given_back["spec"]["holderIdentity"] == ""
    taken = held(Lease.parsed(given_back), "other", TERMS, later)["spec"]
    assert taken["leaseTransitions"] == 1
    assert taken["acquireTime"] == "2026-01-02T03:30:05.000000Z"


@pytest.mark.parametrize("name", ["", "lease", "/lease", "namespace/", "a/b/c"])
def test_a_lease_has_a_namespace_and_a_name(name: str) -> None:
    with pytest.raises(ValueError, match="NAMESPACE/NAME"):
        Terms.of(name, 15)
    assert Terms.of("a/b", 9) == Terms("a", "b", 9)


def test_each_shard_has_a_lease_that_says_how_many_there_are() -> None:
    second = Terms.of("a/b", 9, Shard(1, 3))
    assert second.name == "b-1-of-3"
    assert {each: second.excludes(each) for each in NAMES} == NAMES
    assert Terms.of("a/b", 9).name == "b"
    of_one = {each: each in ("b-0-of-2", "b-12-of-16", *OF_THREE) for each in NAMES}
    assert {each: Terms.of("a/b", 9).excludes(each) for each in NAMES} == of_one


@dataclass
class Server:
    """What the API server has: it refuses to write over what the writer has not read."""

    stored: dict[str, Any] | None = None
    version: int = 0

    def read(self) -> Lease | None:
        """Return the Lease."""
        return None if self.stored is None else Lease.parsed(self.stored)

    def write(self, body: dict[str, Any]) -> bool:
        """Write the Lease; return False when it is refused."""
        read = body["metadata"].get("resourceVersion")
        if read != (None if self.stored is None else str(self.version)):
            return False
        self.version += 1
        metadata = body["metadata"] | {"resourceVersion": str(self.version)}
        self.stored = body | {"metadata": metadata}
        return True


@dataclass
class Candidate:
    """A process as leader_election/elector.py has it, whose requests take as long as they like."""

    server: Server
    rate: float
    number: int
    lives: int = 0
    view: View | None = None
    renewed: float | None = None
    pending: tuple[float, dict[str, Any]] | None = None

    @property
    def me(self) -> str:
        """Its name: another one in each life."""
        return f"{self.number}-{self.lives}"

    def acts(self, time: float) -> bool:
        """Return whether it believes, by its own clock, that it may act."""
        return self.renewed is not None and self.rate * time < self.renewed + TERMS.renew_within

    def look(self, time: float) -> None:
        """Read, and have a request under way if one is to be made."""
        now = self.rate * time
        if self.renewed is not None and not self.acts(time):
            self.die()
        found = self.server.read()
        self.view = seen(self.view, found, now)
        todo = step(self.me, found, self.view, now)
        if self.renewed is not None and todo is not Step.RENEW:
            self.die()
        elif todo is not Step.WAIT:
            self.pending = (now, held(found, self.me, TERMS, NOW))

    def arrive(self) -> None:
        """Have the request under way arrive at the server."""
        if self.pending is not None and self.server.write(self.pending[1]):
            self.renewed = self.pending[0]
        self.pending = None

    def die(self) -> None:
        """End, and be started again under another name."""
        self.lives += 1
        self.view = self.renewed = self.pending = None


@pytest.mark.parametrize("seed", range(20))
def test_two_never_act_at_once(seed: int) -> None:
    """Clocks that differ by up to a fifth, slow requests, pauses, ends: whatever the order."""
    rng = random.Random(seed)
    server = Server()
    candidates = [Candidate(server, rng.uniform(0.9, 1.1), number) for number in range(3)]
    time, leaders = 0.0, set()
    for _ in range(5000):
        time += rng.expovariate(1) if rng.random() < 0.95 else rng.uniform(0, 20)
        candidate = rng.choice(candidates)
        # A request may take long, and arrive when nobody counts on it any longer.
        candidate.look(time)
        if rng.random() < 0.8:
            candidate.arrive()
        rng.choice(candidates).arrive()
        if rng.random() < 0.01:
            candidate.die()
        acting = [each.me for each in candidates if each.acts(time)]
        assert len(acting) <= 1
        leaders.update(acting)
    assert len(leaders) > 10
