"""Killed between any two steps: one right image in the end, and nothing else.

The processes stop themselves at named points (see ``cloudimage.failpoints``), and are killed there.
"""

import signal
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from cloudimage.failpoints import Point
from support.namespaces import Namespace, content_of, images_of, wait_until
from testbed.images import disk, sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

# Many processes start, of which each is held up by all others on a busy machine.
pytestmark = [pytest.mark.cluster, pytest.mark.cloud, pytest.mark.timeout(900)]

PATIENCE_SECONDS = 240.0

IN_THE_OPERATOR = (Point.FINALIZER, Point.STARTING, Point.ENDED, Point.PATCHED)

IN_THE_TRANSFER: Mapping[Point, str] = {
    Point.FETCHED: "Upload",
    Point.VERIFIED: "Upload",
    Point.INSPECTED: "Upload",
    Point.CREATED: "Upload",
    Point.SENDING: "Upload",
    Point.STAGED: "GlanceDirect",
    Point.STORED: "Upload",
    Point.MARKED: "Upload",
}
"""The points with the method whose work they are between."""

LEFT_IN_GLANCE = {
    Point.CREATED: "queued",
    Point.SENDING: "saving",
    Point.STAGED: "uploading",
    Point.STORED: "active",
    Point.MARKED: "active",
}
"""What state the image is in when the transfer is killed; at other points there is none."""


@dataclass(frozen=True)
class Bench:
    """A namespace whose operator halts at given points, and the one source of all its objects."""

    namespace: Namespace
    openstack: OpenStack
    sources: Sources
    source: Path
    sha256: str
    content: str
    unique: str

    def name(self, point: Point) -> str:
        """Return the name of the object with which a point is tried."""
        return f"{self.unique}-{point}"

    def start(self, points: Iterable[Point] = ()) -> None:
        """Start the operator; it or its transfers halt at the points."""
        halts = " ".join(f"{point}:{self.name(point)}" for point in points)
        self.namespace.operator.start(
            CLOUDIMAGE_HALT_AT=halts,
            # One namespace has a quarter of them.
            CLOUDIMAGE_MAX_CONCURRENT_TRANSFERS=str(4 * len(IN_THE_TRANSFER)),
        )

    def create(self, point: Point, method: str = "Upload") -> None:
        """Create the object of a point, with a URL of its own: its source is fetched for it."""
        name = self.name(point)
        url = self.sources.put(name, self.source)
        # Glance itself converts only where a plugin of its own is on.
        image = {"diskFormat": "raw"} if method == "Upload" else {}
        self.namespace.create(name, url, self.sha256, image, **{"import": {"method": method}})

    def halted(self, count: int) -> list[psutil.Process]:
        """Wait until so many processes halted, of the operator and its transfers."""
        found: list[psutil.Process] = []

        def there() -> bool:
            found[:] = [each for each in self._processes() if _is_stopped(each)]
            return len(found) == count

        assert wait_until(there, PATIENCE_SECONDS), self.namespace.operator.log()[-5000:]
        return found

    def resume(self) -> None:
        """Let go on whatever halts."""
        for each in self._processes():
            if _is_stopped(each):
                each.send_signal(signal.SIGCONT)

    def check(self, point: Point) -> None:
        """See that the object is Ready with one right image, then delete it without a trace."""
        images = self.openstack.connect("images")
        ready = self.namespace.wait_condition(self.name(point), "Ready")
        [image] = images_of(images, ready.metadata.uid)
        assert (image["id"], image["status"]) == (ready.status.image_id, "active")
        converted = IN_THE_TRANSFER.get(point, "Upload") == "Upload"
        assert content_of(images, image["id"]) == (self.content if converted else self.sha256)
        self.namespace.delete(self.name(point))
        self.namespace.wait_gone(self.name(point))
        assert images_of(images, ready.metadata.uid) == []

    def check_nothing_is_left(self) -> None:
        """See that no transfer left a file: in our scratch, in Glance's staging area."""
        staging = self.openstack.folder / "images" / "staging"
        assert wait_until(lambda: self.namespace.operator.leftovers() == [], 10)
        assert wait_until(lambda: list(staging.iterdir()) == [], 10)

    def _processes(self) -> list[psutil.Process]:
        operator = self.namespace.operator.service.process()
        return [operator, *self.namespace.operator.transfers()] if operator else []


def _is_stopped(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_STOPPED
    return False


@pytest.fixture
def bench(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    sources: Sources,
    tmp_path: Path,
    unique: str,
) -> Iterator[Bench]:
    """A namespace whose operator is not started yet: the test says where it halts."""
    operator = Operator(cluster, cluster.new_namespace("cloudimage"), tmp_path / "operator")
    operator.install()
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    raw = disk(tmp_path / "disk.raw", "raw")
    source = disk(tmp_path / "disk.qcow2", "qcow2")
    yield Bench(namespace, openstack, sources, source, sha256_of(source), sha256_of(raw), unique)
    operator.stop()


@pytest.mark.slow
def test_the_operator_killed_at_any_point(bench: Bench) -> None:
    for point in IN_THE_OPERATOR:
        bench.start([point])
        bench.create(point)
        bench.halted(1)
        bench.namespace.operator.kill()
    bench.start()
    for point in IN_THE_OPERATOR:
        bench.check(point)
    bench.check_nothing_is_left()


def test_the_operator_killed_between_the_image_and_the_finalizer(bench: Bench) -> None:
    bench.start([Point.DELETED])
    bench.create(Point.DELETED)
    ready = bench.namespace.wait_condition(bench.name(Point.DELETED), "Ready")
    bench.namespace.delete(bench.name(Point.DELETED))
    bench.halted(1)
    bench.namespace.operator.kill()
    assert images_of(bench.openstack.connect("images"), ready.metadata.uid) == []
    assert bench.namespace.get(bench.name(Point.DELETED)) is not None
    bench.start()
    bench.namespace.wait_gone(bench.name(Point.DELETED))
    bench.check_nothing_is_left()


def _halt_all_transfers(bench: Bench) -> list[psutil.Process]:
    """Have a transfer halt at each point, and return them once all do."""
    bench.start(IN_THE_TRANSFER)
    for point, method in IN_THE_TRANSFER.items():
        bench.create(point, method)
    halted = bench.halted(len(IN_THE_TRANSFER))
    images = bench.openstack.connect("images")
    for point in IN_THE_TRANSFER:
        resource = bench.namespace.get(bench.name(point))
        assert resource is not None
        found = [each["status"] for each in images_of(images, resource.metadata.uid)]
        expected = [LEFT_IN_GLANCE[point]] if point in LEFT_IN_GLANCE else []
        assert (point, found) == (point, expected)
    return halted


@pytest.mark.slow
def test_the_transfer_killed_at_any_point_is_tried_again(bench: Bench) -> None:
    for transfer in _halt_all_transfers(bench):
        transfer.kill()

    def again() -> bool:
        bench.resume()  # it halts at the same point
        return all(
            ("Warning", "InternalError") in bench.namespace.events(bench.name(point))
            and ("Normal", "Available") in bench.namespace.events(bench.name(point))
            for point in IN_THE_TRANSFER
        )

    assert wait_until(again, PATIENCE_SECONDS), bench.namespace.operator.log()[-5000:]
    for point in IN_THE_TRANSFER:
        bench.check(point)
    bench.check_nothing_is_left()


@pytest.mark.slow
def test_operator_and_transfers_lost_together_at_any_point(bench: Bench) -> None:
    transfers = _halt_all_transfers(bench)
    bench.namespace.operator.kill()
    for transfer in transfers:
        transfer.kill()
    bench.start()
    for point in IN_THE_TRANSFER:
        bench.check(point)
    bench.check_nothing_is_left()
