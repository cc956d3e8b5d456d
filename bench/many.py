"""Many CloudImages on one operator: its restart, its rest, and its answers while it is busy."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Final

import requests

from bench import shares
from bench.fleet import Fleet, kubernetes_bed, wait
from bench.results import Bar, Limit
from bench.rig import Rig
from bench.scale import MIB, Scale
from bench.watch import Peak, cpu_seconds, memory
from cloudimage.api.cloudimage import CloudImage

_PATIENCE_SECONDS: Final = 1800.0
_ANSWER_SECONDS: Final = 60.0
_SAMPLE_SECONDS: Final = 2.0
_REQUESTS: Final = "cloudimage_openstack_request_duration_seconds_count"
_OBJECTS_OF_A_SHARE: Final = 10
_SLOW: Final = 8192
"""Bytes a second of the sources of transfers that are to be under way all the time."""


def many(rig: Rig, scale: Scale) -> Bar:
    """Restart, steady state and answers of an operator with many settled objects."""
    title = (
        f"{scale.objects} CloudImages and a tenth as many ImageShares on one operator, in "
        f"{scale.clouds} clouds: it settled one CloudImage, the others were made as that one is, "
        "in Glance's database and by the API server"
    )
    bar = Bar("many", title)
    with (
        kubernetes_bed() as cluster,
        Fleet.of(cluster, rig.openstack, rig.folder, scale.clouds) as fleet,
    ):
        begin = time.monotonic()
        fleet.prepare(scale.objects)
        shares.prepare_shares(fleet, max(1, scale.objects // _OBJECTS_OF_A_SHARE))
        fleet.age()
        bar.seconds["preparation"] = time.monotonic() - begin
        _restart(fleet, bar)
        _steady(fleet, scale, bar)
        _drift(fleet, bar)
        _busy(fleet, rig, scale, bar)
    return bar


def _restart(fleet: Fleet, bar: Bar) -> None:
    """Restart with nothing to do; without the listings every comparison would be overdue."""
    versions, writes, asked = fleet.versions(), fleet.writes(), fleet.asked()
    begin = time.monotonic()
    fleet.start()
    answers = time.monotonic()
    end = fleet.wait_settled(_PATIENCE_SECONDS)
    changed = sum(versions[uid] != version for uid, version in fleet.versions().items())
    bar.seconds["restart: the process answers"] = answers - begin
    bar.seconds["restart: every object looked at"] = end - begin
    bar.seconds["restart: processor time"] = cpu_seconds([fleet.pid])
    bar.limits += [
        Limit("restart to settled", end - begin, 60, " s"),
        Limit("objects changed by a restart", changed, 0),
        Limit("writes to the API server at a restart", fleet.writes() - writes, 0),
        Limit("transfers at a restart", fleet.metric("cloudimage_transfers_total"), 0),
        # The versions, and the pages of both listings; then three a minute, as at rest.
        Limit(
            "requests to the busiest Glance at a restart",
            _busiest(fleet, asked),
            5 + 3 * (end - begin) // 60,
        ),
    ]


def _busiest(fleet: Fleet, before: list[int]) -> int:
    return max(now - then for now, then in zip(fleet.asked(), before, strict=True))


def _steady(fleet: Fleet, scale: Scale, bar: Bar) -> None:
    """Watch the operator at rest, as it is for hours."""
    pid = fleet.pid
    used = Peak(lambda: memory(pid))
    lag = Lag(fleet)
    looks, asked, cpu = fleet.looks(), fleet.asked(), cpu_seconds([pid])
    nova = fleet.metric(_REQUESTS, 'service="compute"')
    begin = time.monotonic()
    with lag.watched():
        while time.monotonic() - begin < scale.steady:
            time.sleep(min(_SAMPLE_SECONDS, scale.steady))
            used.look()
    seconds, taken = time.monotonic() - begin, cpu_seconds([pid]) - cpu
    looks = fleet.looks() - looks
    nova = fleet.metric(_REQUESTS, 'service="compute"') - nova
    bar.seconds["steady state: watched for"] = seconds
    bar.seconds[f"steady state: processor time, {looks} objects looked at"] = taken
    bar.seconds["steady state: the probe's slowest answer"] = lag.worst
    bar.limits += [
        Limit("processor in steady state", 100 * taken / seconds, 2, " %"),
        Limit("memory (PSS) in steady state", used.value / MIB, 400, " MiB"),
        Limit("requests to the busiest Glance a minute", 60 * _busiest(fleet, asked) / seconds, 3),
        Limit("requests to Nova a minute and cloud", 60 * nova / seconds / scale.clouds, 3),
    ]


def _drift(fleet: Fleet, bar: Bar) -> None:
    """Change images by hand, and delete some, of which nobody tells the operator."""
    middle = len(fleet.listed()) // 2
    changed, deleted = fleet.resources[middle : middle + 2]
    patch = [{"op": "replace", "path": "/os_distro", "value": "by hand"}]
    path = f"/images/{changed.status.image_id}"
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    fleet.glance("PATCH", path, json=patch, headers=kind).raise_for_status()
    begin = time.monotonic()
    fleet.glance("DELETE", f"/images/{deleted.status.image_id}").raise_for_status()

    def is_noticed() -> bool:
        return fleet.read(deleted.metadata.name).status.progress != deleted.status.progress

    noticed: list[float] = []
    restored: list[float] = []

    def looked() -> bool:
        now = time.monotonic() - begin
        if not restored and fleet.glance("GET", path).json()["os_distro"] == "debian":
            restored.append(now)
        if not noticed and is_noticed():
            noticed.append(now)
        return bool(noticed and restored)

    wait(looked, _PATIENCE_SECONDS, 0.5)
    bar.limits += [
        Limit("a change by hand restored", restored[0], 60, " s"),
        Limit("a deletion by hand noticed", noticed[0], 60, " s"),
    ]


def _busy(fleet: Fleet, rig: Rig, scale: Scale, bar: Bar) -> None:
    """Change and delete settled objects while transfers are under way and wait for their turn.

    Meanwhile the last cloud, of those where there are several, does not answer.
    """
    *others, last = fleet.clouds
    with last.silent() if others else nullcontext():
        taken = _answers(fleet, rig, scale, {each.name for each in others or [last]})
    for what, seconds in taken.items():
        bar.seconds[f"{scale.queued} transfers: {what}, in the mean"] = _mean(seconds)
        bar.limits.append(Limit(f"slowest of {len(seconds)}: {what}", max(seconds), 5, " s"))


def _answers(fleet: Fleet, rig: Rig, scale: Scale, clouds: set[str]) -> dict[str, list[float]]:
    """Return how long changes of objects in clouds that answer take, by what is changed."""
    settled = [each for each in fleet.listed() if each.status.image_id]
    answering = iter([each for each in settled if _cloud_of(each) in clouds])
    for each in [each for each in settled if _cloud_of(each) not in clouds][: scale.queued]:
        fleet.patch(each.metadata.name, {"spec": {"image": {"tags": ["stuck"]}}})
    rig.sources.put("slow.raw", bytes(16 * MIB))
    for number in range(scale.queued):
        fleet.create(f"queued-{number}", rig.sources.url("slow.raw", rate=_SLOW, key=f"{number}"))
    most = scale.queued * len(clouds) // len(fleet.clouds)
    taken: dict[str, list[float]] = {"a change of metadata": [], "a deletion": [], "a share": []}
    for number in range(2 * scale.probes):
        if number == scale.probes:  # the first half came while the transfers were about to start
            wait(lambda: fleet.under_way() >= most, _PATIENCE_SECONDS, 1)
        for seconds, work in zip(taken.values(), (_change, _delete, _share), strict=True):
            each = next(answering)
            seconds.append(work(fleet, each.metadata.name, each.status.image_id))
    return taken


def _cloud_of(resource: CloudImage) -> str:
    return resource.spec.cloud_credentials_ref.cloud_name


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def _change(fleet: Fleet, name: str, image_id: str | None) -> float:
    """Return the seconds from a change of the spec to its effect in Glance."""
    value = f"v{time.monotonic_ns()}"
    begin = time.monotonic()
    fleet.patch(name, {"spec": {"image": {"properties": {"os_version": value}}}})
    wait(
        lambda: fleet.glance("GET", f"/images/{image_id}").json().get("os_version") == value,
        _ANSWER_SECONDS,
    )
    return time.monotonic() - begin


def _delete(fleet: Fleet, name: str, image_id: str | None) -> float:
    """Return the seconds from the deletion of an object to that of its image."""
    begin = time.monotonic()
    fleet.delete(name)
    wait(lambda: _status(fleet, image_id) == requests.codes.not_found, _ANSWER_SECONDS)
    return time.monotonic() - begin


def _share(fleet: Fleet, name: str, image_id: str | None) -> float:
    """Return the seconds from the creation of an ImageShare to its member in Glance."""
    project = fleet.openstack.project_id("consumer")
    begin = time.monotonic()
    shares.create(fleet, name, project)
    image, member = f"/images/{image_id}", f"/images/{image_id}/members/{project}"

    def is_member() -> bool:
        shared = fleet.glance("GET", image).json()["visibility"] == "shared"  # else it has none
        return shared and fleet.glance("GET", member).ok

    wait(is_member, _ANSWER_SECONDS)
    return time.monotonic() - begin


def _status(fleet: Fleet, image_id: str | None) -> int:
    return fleet.glance("GET", f"/images/{image_id}").status_code


class Lag:
    """How late the operator's event loop gets, by the answers of its liveness probe."""

    def __init__(self, fleet: Fleet) -> None:
        self._url = fleet.probe_url
        self.worst = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Ask the probe beside the block."""
        ended = threading.Event()

        def ask() -> None:
            while not ended.wait(_SAMPLE_SECONDS):
                self.worst = max(self.worst, _seconds(lambda: requests.get(self._url, timeout=30)))

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


def _seconds(work: Callable[[], object]) -> float:
    begin = time.monotonic()
    work()
    return time.monotonic() - begin
