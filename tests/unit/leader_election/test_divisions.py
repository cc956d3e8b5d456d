"""Operators that count their shards differently never act at the same time."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from kubernetes.client import ApiException

from cloudimage.leader_election import elector
from cloudimage.leader_election.elector import Leadership
from cloudimage.leader_election.lease_client import Leases
from cloudimage.leader_election.rules import Lease, Step, Terms
from cloudimage.shard import Shard

SECONDS = 15
DIVISIONS = (Shard(0, 1), Shard(0, 2), Shard(1, 2), Shard(0, 3), Shard(2, 3))


@dataclass
class Server:
    """What the API server has; between two requests of one process others make theirs.

    Attributes:
        meanwhile: Called before each request.
    """

    stored: dict[str, dict[str, Any]] = field(default_factory=dict)
    versions: int = 0
    meanwhile: Callable[[], None] = lambda: None

    def write(self, body: Mapping[str, Any], *, new: bool) -> None:
        """Refuse to write over what the writer has not read."""
        name = body["metadata"]["name"]
        before = self.stored.get(name, {"metadata": {}})["metadata"].get("resourceVersion")
        if new == (name in self.stored) or body["metadata"].get("resourceVersion") != before:
            raise ApiException(status=409)
        self.versions += 1
        metadata = body["metadata"] | {"resourceVersion": str(self.versions)}
        self.stored[name] = {**body, "metadata": metadata}


@dataclass
class Requests(Leases):
    """The requests of one process to the simulated server."""

    server: Server = field(default_factory=Server)

    def __post_init__(self) -> None:
        """Make no client."""

    def read(self) -> Lease | None:
        """Return the Lease of its terms."""
        self.server.meanwhile()
        found = self.server.stored.get(self.terms.name)
        return Lease.parsed(found) if found else None

    def read_all(self) -> list[Lease]:
        """Return every Lease."""
        self.server.meanwhile()
        return [Lease.parsed(each) for each in self.server.stored.values()]

    def create(self, body: Mapping[str, Any]) -> None:
        """Create one."""
        self.server.meanwhile()
        self.server.write(body, new=True)

    def replace(self, body: Mapping[str, Any]) -> None:
        """Replace one."""
        self.server.meanwhile()
        self.server.write(body, new=False)


@dataclass
class Process:
    """An operator: it stands by until it holds its Lease, and ends when it cannot keep it."""

    server: Server
    shard: Shard
    leads: bool = False
    busy: bool = False
    leadership: Leadership = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """Begin, under a name that no process ever had."""
        terms = Terms("cloudimage-system", "cloudimage-operator", SECONDS, self.shard)
        self.leadership = Leadership(Requests(terms, server=self.server))
        self.leads = False

    def acts(self) -> bool:
        """Return whether it may act, by its own clock."""
        due = self.leadership._renewed + self.leadership.terms.renew_within
        return self.leads and elector.clock() < due

    def step(self) -> None:
        """Do what a process does every few seconds, while others go on between its requests."""
        if self.busy:
            return
        self.busy = True
        try:
            if self.leads:
                # Also when it is late: a process that was paused may come to this first.
                if self.leadership._try(frozenset({Step.RENEW})) is not Step.RENEW:
                    self.start()
            else:
                self.leads = self.leadership._take() is None
        except ApiException:
            pass  # refused: somebody else has written; it tries again
        finally:
            self.busy = False


@pytest.mark.parametrize("seed", range(20))
def test_two_divisions_never_act_at_once(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    server, present, led = Server(), [0.0], set[str]()
    processes = [Process(server, each) for each in DIVISIONS for _ in range(2)]

    def meanwhile() -> None:
        present[0] += rng.expovariate(2) if rng.random() < 0.97 else rng.uniform(0, 20)
        if rng.random() < 0.3:
            rng.choice(processes).step()

    server.meanwhile = meanwhile
    monkeypatch.setattr(elector, "clock", lambda: present[0])
    for _ in range(3000):
        meanwhile()
        process = rng.choice(processes)
        process.step()
        if rng.random() < 0.02:
            process.start()  # it was killed
        acting = [each.shard for each in processes if each.acts()]
        assert len(acting) == len(set(acting))
        assert len({each.count for each in acting}) <= 1
        led.update(f"{each.index} of {each.count}" for each in acting)
    assert len(led) == len(DIVISIONS)


def test_one_that_is_released_is_taken_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elector, "clock", lambda: 0.0)
    server = Server()
    old, new = Process(server, Shard(0, 3)), Process(server, Shard(0, 2))
    old.step()
    new.step()
    assert (old.leads, new.leads) == (True, False)
    old.leadership.release()
    new.step()
    assert new.leads
