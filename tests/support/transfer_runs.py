"""Transfers as the operator runs them, a process each, and what tests of them need."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from openstack.connection import Connection

from cloudimage.access.policy import OPEN
from cloudimage.runners.fork_client import ForkServer, Process
from cloudimage.transfer.contract import (
    EVENTS,
    UNRESTRICTED,
    Failure,
    Latest,
    Progress,
    Reason,
    Result,
    Stage,
)
from support.fault_proxy import Fault, FaultProxy
from testbed.openstack import OpenStack
from testbed.sources import Sources

SERVER = ForkServer()


def by_hand() -> Process:
    """Start the command that is a transfer; the operator has it forked, which saves a second."""
    command = [sys.executable, "-m", "cloudimage.transfer"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


class Transfer:
    """One transfer in a process of its own; its standard input stays open, as the operator's."""

    def __init__(
        self, request: dict[str, Any], spawn: Callable[[], Process] = SERVER.spawn
    ) -> None:
        self.process = spawn()
        assert self.process.stdin is not None
        self.stdin = self.process.stdin
        self.stdin.write(json.dumps(request).encode() + b"\n")
        self.stdin.flush()
        self.events = self._events()

    def _events(self) -> Iterator[Progress | Result | Latest | Failure]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield EVENTS.validate_json(line)

    def until(self, stage: Stage, transferred: int = 0) -> Progress:
        """Wait until the stage has come so far."""
        for event in self.events:
            assert isinstance(event, Progress), event
            if event.stage is stage and event.transferred >= transferred:
                return event
        raise AssertionError(f"the transfer ended before {stage}")

    def end(self) -> Result | Failure:
        """Return the outcome, which comes last and agrees with the exit status."""
        *_, outcome = self.events
        assert isinstance(outcome, Result | Failure)
        assert self.process.wait(20) == (0 if isinstance(outcome, Result) else 1)
        return outcome


@dataclass
class Bench:
    """What a test needs: a project, sources, a scratch, and a name for its images."""

    openstack: OpenStack
    sources: Sources
    scratch: Path
    unique: str
    project: str = "images"

    def request(self, url: str, **image: Any) -> dict[str, Any]:
        """Return a request; what the image does not say is the same for all."""
        return {
            "source": {"type": "http", "url": url},
            "image": {"id_seed": self.unique, "name": self.unique, **image},
            "cloud": {"config": self.openstack.cloud(self.project)},
            "scratch": str(self.scratch),
            "limits": {"stall_seconds": 5},
            "policy": UNRESTRICTED.model_dump(),
            "cloud_policy": OPEN.model_dump(),
        }

    def put(self, path: Path) -> str:
        """Serve a file and return its URL."""
        return self.sources.put(f"{self.unique}-{path.name}", path)

    def connection(self) -> Connection:
        """Connect as the project."""
        return self.openstack.connect(self.project)

    def images(self) -> list[Any]:
        """Return the test's images in Glance; ours are hidden."""
        api: Any = self.connection().image
        return [
            image
            for hidden in (True, False)
            for image in api.images(name=self.unique, is_hidden=hidden)
        ]

    def clean(self) -> None:
        """Delete the test's images."""
        api: Any = self.connection().image
        for image in self.images():
            api.delete_image(image.id)

    def stores(self, image_id: str) -> set[str]:
        """Return where an image's bytes are."""
        api: Any = self.connection().image
        return set(api.get(f"/images/{image_id}").json()["stores"].split(","))

    def asked(self, path: Path) -> int:
        """Return how often anything of a served file was asked for."""
        return len(self.sources.requests(f"{self.unique}-{path.name}"))

    def fetches(self, path: Path) -> int:
        """Return how often a served file was fetched from its beginning.

        A look at its ends, to see whether it is raw, and the rest after a break are no fetches.
        """
        asked = self.sources.requests(f"{self.unique}-{path.name}")
        return sum(each.status == HTTPStatus.OK for each in asked)

    def download(self, image_id: str, target: Path) -> Path:
        """Write an image's bytes to a file."""
        api: Any = self.connection().image
        target.write_bytes(api.download_image(image_id).content)
        return target


@contextmanager
def bench_of(openstack: OpenStack, sources: Sources, folder: Path, unique: str) -> Iterator[Bench]:
    """Return a bench; in the end nothing is in its scratch, and no image stays."""
    scratch = folder / "scratch"
    scratch.mkdir()
    bench = Bench(openstack, sources, scratch, unique)
    yield bench
    assert list(scratch.iterdir()) == []
    bench.clean()


def run(request: dict[str, Any]) -> Result | Failure:
    with (transfer := Transfer(request)).process:
        return transfer.end()


def succeed(request: dict[str, Any]) -> Result:
    outcome = run(request)
    assert isinstance(outcome, Result), outcome
    return outcome


def fail(request: dict[str, Any], reason: Reason) -> Failure:
    outcome = run(request)
    assert isinstance(outcome, Failure), outcome
    assert outcome.reason is reason, outcome
    return outcome


def checksum(path: Path, algorithm: str) -> dict[str, str]:
    """Return the checksum of a file as a request has it."""
    return {"algorithm": algorithm, "value": hashlib.new(algorithm, path.read_bytes()).hexdigest()}


def by_method(bench: Bench, url: str, method: str, *stores: str, **image: Any) -> dict[str, Any]:
    """Return a request that names a method, and perhaps stores."""
    return bench.request(url, **image) | {"method": {"method": method, "stores": stores}}


def through(bench: Bench, request: dict[str, Any], *faults: Fault) -> FaultProxy:
    """Send a request's calls of Glance through a proxy with faults."""
    catalog: Any = bench.connection().session.get_endpoint(service_type="image")
    proxy = FaultProxy(catalog, *faults)
    request["cloud"]["config"]["image_endpoint_override"] = proxy.url
    return proxy


def unliked(url: str) -> str:
    """Return the URL by a name of this host that Glance's filter does not know."""
    return url.replace("127.0.0.1", "127.1")
