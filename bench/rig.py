"""What the bars use: the test bed, images made once, transfers, and the user's own tools."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from cloudimage.access.policy import OPEN
from cloudimage.runners.fork_client import ForkServer
from cloudimage.transfer.contract import EVENTS, UNRESTRICTED, Failure, Latest, Progress, Result
from cloudimage.transfer.request import TransferRequest
from testbed.images import disk, sha256_of
from testbed.images.disks import Format
from testbed.openstack import OpenStack
from testbed.paths import cache_dir
from testbed.sources import Sources

PROJECT: Final = "images"


@dataclass(frozen=True)
class Moved:
    """A transfer that has ended well.

    Attributes:
        seconds: From the start of the process to its end.
        stages: Seconds in each stage.
    """

    seconds: float
    stages: dict[str, float]


@dataclass(frozen=True)
class Rig:
    """The test bed and a folder to work in."""

    openstack: OpenStack
    sources: Sources
    folder: Path
    server: ForkServer = field(default_factory=ForkServer)

    @property
    def scratch(self) -> Path:
        """The transfers' scratch."""
        path = self.folder / "scratch"
        path.mkdir(exist_ok=True)
        return path

    def image(self, shape: Format, virtual: int, data: int, *, compress: bool = False) -> Path:
        """Return a disk image, made once and kept in the per-user cache."""
        folder = cache_dir() / "bench"
        folder.mkdir(exist_ok=True)
        path = folder / f"{virtual >> 20}-{data >> 20}{'-compressed' * compress}.{shape}"
        if not path.exists():
            new = path.with_suffix(".new")
            disk(new, shape, virtual_size=virtual, data_bytes=data, compress=compress)
            new.replace(path)
        return path

    @contextmanager
    def served(self, path: Path) -> Iterator[str]:
        """Serve a file and hand out its URL."""
        name = f"bench-{uuid.uuid4().hex[:8]}-{path.name}"
        yield self.sources.put(name, path)
        (self.sources.folder / name).unlink()

    def request(self, url: str, path: Path, disk_format: str | None) -> TransferRequest:
        """Return the request that moves a served file, with its checksum."""
        return TransferRequest.model_validate(
            {
                "source": {
                    "type": "http",
                    "url": url,
                    "checksum": {"algorithm": "sha256", "value": sha256_of(path)},
                },
                "image": {
                    "id_seed": str(uuid.uuid4()),
                    "name": "bench",
                    "disk_format": disk_format,
                },
                "cloud": {"config": self.openstack.cloud(PROJECT)},
                "method": {"method": "Upload"},
                "policy": UNRESTRICTED,
                "cloud_policy": OPEN,
                "scratch": str(self.scratch),
            }
        )

    def transfer(
        self, request: TransferRequest, beside: Callable[[int], None] = lambda _: None
    ) -> Moved:
        """Run a transfer as the operator does, and delete its image.

        Args:
            request: What to move.
            beside: Called at each event with the id of the server, whose child the transfer is.

        Raises:
            RuntimeError: The transfer failed.
        """
        os.sync()  # what ran before may have left gigabytes to be written
        begin = time.monotonic()
        starts: dict[str, float] = {}
        with self.server.spawn() as process:
            server = psutil.Process(process.pid).ppid()
            process.stdin.write(request.model_dump_json().encode() + b"\n")
            process.stdin.flush()
            for line in process.stdout:
                event = EVENTS.validate_json(line)
                beside(server)
                if isinstance(event, Progress):
                    starts.setdefault(event.stage.value, time.monotonic())
                else:
                    self.settle(event)
        end = time.monotonic()
        times = [*starts.values(), end]
        stages = {stage: times[i + 1] - times[i] for i, stage in enumerate(starts)}
        return Moved(end - begin, stages)

    def settle(self, outcome: Result | Latest | Failure) -> None:
        """Delete the image of a transfer that succeeded.

        Raises:
            RuntimeError: It did not.
        """
        if not isinstance(outcome, Result):
            raise RuntimeError(f"a transfer failed: {outcome}")  # noqa: TRY004 - no type error
        self.delete(outcome.image_id)

    def create(self, disk_format: str) -> tuple[str, list[str]]:
        """Create an empty image.

        Returns:
            Its id, and the words by which curl gives it its bytes, after ``-T <file>``.
        """
        connection = self.openstack.connect(PROJECT)
        glance: Any = connection.image
        body = {"name": "bench", "disk_format": disk_format, "container_format": "bare"}
        identifier: str = glance.post("/images", json=body).json()["id"]
        token = connection.session.get_token()
        headers = (f"X-Auth-Token: {token}", "Content-Type: application/octet-stream", "Expect:")
        url = f"{glance.get_endpoint().rstrip('/')}/images/{identifier}/file"
        return identifier, [*(word for each in headers for word in ("-H", each)), url]

    def delete(self, identifier: str) -> None:
        """Delete an image."""
        glance: Any = self.openstack.connect(PROJECT).image
        glance.delete(f"/images/{identifier}")

    def put(self, path: Path, disk_format: str) -> float:
        """Return the seconds that curl takes to give an image its bytes."""
        identifier, words = self.create(disk_format)
        seconds = timed(lambda: shell("curl", "-sSf", "-T", path, *words))
        self.delete(identifier)
        return seconds

    def openstack_create(self, path: Path, disk_format: str) -> float:
        """Return the seconds that ``openstack image create --file`` takes."""
        program = self.openstack.program("openstack")
        words = ["--os-cloud", PROJECT, "image", "create", "--file", path, "-f", "json"]
        variables = {"OS_CLIENT_CONFIG_FILE": str(self.openstack.clouds_yaml), "HOME": "/nowhere"}
        os.sync()
        begin = time.monotonic()
        done = subprocess.run(
            [str(each) for each in (program, *words, "--disk-format", disk_format, "bench")],
            env=variables,
            check=True,
            capture_output=True,
        )
        seconds = time.monotonic() - begin
        self.delete(json.loads(done.stdout)["id"])
        return seconds


def shell(*words: object, cwd: Path | None = None) -> None:
    """Run one of the user's tools, which must succeed."""
    subprocess.run([str(word) for word in words], cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes; it begins with an idle disk."""
    os.sync()
    begin = time.monotonic()
    work()
    return time.monotonic() - begin
