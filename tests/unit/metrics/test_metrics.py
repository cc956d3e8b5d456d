"""What the metrics say: of objects, transfers, requests, connections, the event loop, the queue."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from keystoneauth1.exceptions import ConnectFailure
from keystoneauth1.identity.v3 import Password
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, generate_latest

from cloudimage.cloud import metered_session
from cloudimage.codegen import metrics_page
from cloudimage.controller.logic.conditions import ConditionType
from cloudimage.controller.workqueue import WorkQueue
from cloudimage.metrics import loop_lag
from cloudimage.metrics import operator as metrics
from cloudimage.metrics.objects import ObjectStates
from cloudimage.runners.base import Transfer, TransfersInTurn
from cloudimage.runners.metrics import StageMeter, by_stage
from cloudimage.transfer.contract import Failure, Progress, Reason, Stage
from testbed.process import free_ports


def number(name: str, **labels: str) -> float:
    """Return a sample's value, or 0 if there is no such sample."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


@contextmanager
def grows(by: float, name: str, **labels: str) -> Iterator[None]:
    """Expect a sample to grow."""
    before = number(name, **labels)
    yield
    assert number(name, **labels) - before == pytest.approx(by)


def condition(kind: str, status: str, reason: str, minute: int = 0) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "lastTransitionTime": f"1970-01-01T00:{minute:02}:00Z",
    }


def samples(census: ObjectStates) -> dict[tuple[str, ...], float]:
    """Return the census' numbers by the metric's name and the labels' values."""
    return {
        (each.name.removeprefix("cloudimage_object"), *each.labels.values()): each.value
        for family in census.collect()
        for each in family.samples
    }


def test_objects_are_counted_as_the_watch_saw_them_last() -> None:
    census = ObjectStates()
    census.register("imageshares")
    ready, stalled = ConditionType.READY, ConditionType.STALLED
    census.update("cloudimages", "a", [condition(ready, "True", "Available", 5)])
    census.update("cloudimages", "b", [condition(ready, "False", "Progressing")])
    broken = [
        condition(ready, "False", "UnsafeImage", 3),
        condition(stalled, "True", "UnsafeImage", 4),
    ]
    census.update("cloudimages", "b", broken)
    census.update("cloudimages", "c", [condition(ready, "True", "Available", 2)])
    census.update("imageshares", "a", [condition(ready, "True", "Shared", 9)])
    census.gone("imageshares", "a")
    oldest = "_condition_oldest_timestamp_seconds"
    assert samples(census) == {
        ("s", "cloudimages"): 3,
        ("s", "imageshares"): 0,
        ("_conditions", "cloudimages", "Ready", "True", "Available"): 2,
        ("_conditions", "cloudimages", "Ready", "False", "UnsafeImage"): 1,
        ("_conditions", "cloudimages", "Stalled", "True", "UnsafeImage"): 1,
        (oldest, "cloudimages", "Ready", "True", "Available"): 120,
        (oldest, "cloudimages", "Ready", "False", "UnsafeImage"): 180,
        (oldest, "cloudimages", "Stalled", "True", "UnsafeImage"): 240,
    }


def test_a_transfer_counts_bytes_and_seconds_of_its_stages() -> None:
    now = iter((0.0, 2.0, 12.0, 13.0))  # made; left Pending, Fetching, Uploading
    meter = StageMeter(clock=lambda: next(now))
    told = (
        Progress(stage=Stage.FETCHING),
        Progress(stage=Stage.FETCHING, transferred=70),
        Progress(stage=Stage.FETCHING, transferred=10),  # began again with a mirror
        Progress(stage=Stage.FETCHING, transferred=100),
        Progress(stage=Stage.UPLOADING, transferred=30),
    )
    seconds = "cloudimage_transfer_stage_seconds_sum"
    with (
        grows(70 + 90, "cloudimage_transfer_bytes_total", stage="Fetching"),
        grows(30, "cloudimage_transfer_bytes_total", stage="Uploading"),
        grows(2, seconds, stage="Pending"),
        grows(10, seconds, stage="Fetching"),
        grows(1, seconds, stage="Uploading"),
        grows(1, "cloudimage_transfers_total", reason="UploadFailed"),
    ):
        for each in told:
            meter.saw(each)
        meter.ended(failure(), cancelled=False)


def failure() -> Failure:
    return Failure(reason=Reason.UPLOAD_FAILED, message="", stage=Stage.UPLOADING)


def test_a_transfer_that_is_found_midway_does_not_count_what_came_before() -> None:
    meter = StageMeter(midway=True)
    with grows(5, "cloudimage_transfer_bytes_total", stage="Uploading"):
        meter.saw(Progress(stage=Stage.UPLOADING, transferred=1000))
        meter.saw(Progress(stage=Stage.UPLOADING, transferred=1005))


def test_a_cancelled_transfer_is_no_failure() -> None:
    with (
        grows(1, "cloudimage_transfers_total", reason="Cancelled"),
        grows(0, "cloudimage_transfers_total", reason="UploadFailed"),
    ):
        StageMeter().ended(failure(), cancelled=True)


def test_stages_without_a_transfer_are_told_too() -> None:
    running = by_stage([Stage.PENDING, Stage.UPLOADING, Stage.PENDING])
    assert running["Pending"] == 2
    assert running["Uploading"] == 1
    assert running["Converting"] == 0
    assert "Complete" not in running


def test_transfers_that_have_ended_do_not_run() -> None:
    there = [Transfer("digest", lambda: None) for _ in range(3)]
    there[0].advance(Progress(stage=Stage.UPLOADING))
    there[1].advance(Progress(stage=Stage.UPLOADING))
    there[1].end(failure())
    runner = TransfersInTurn[Transfer](max_concurrent=3)
    for uid, each in zip("abc", there, strict=True):
        runner.add(uid, each, (), lambda: None)
    assert {stage: count for stage, count in runner.by_stage().items() if count} == {
        "Pending": 1,
        "Uploading": 1,
    }


def test_a_gauge_asks_when_it_is_read() -> None:
    registry, numbers = CollectorRegistry(), {"idle": 1.0, "lent": 2.0}
    metrics.live(Gauge("asked", "Asked.", ["state"], registry=registry), lambda: numbers)
    numbers["idle"] = 5
    assert registry.get_sample_value("asked", {"state": "idle"}) == 5
    assert registry.get_sample_value("asked", {"state": "lent"}) == 2


@pytest.mark.parametrize(
    ("method", "endpoint_filter", "service"),
    [
        ("GET", {"service_type": "image", "interface": "public"}, "image"),
        ("POST", {"service_type": "compute"}, "compute"),
        ("POST", None, "identity"),
        ("GET", None, "discovery"),
        ("GET", {}, "discovery"),
    ],
)
def test_requests_are_those_of_a_service(
    method: str, endpoint_filter: dict[str, str] | None, service: str
) -> None:
    assert metered_session.service_of(method, endpoint_filter) == service


def test_a_login_that_gets_no_answer_is_counted_once() -> None:
    [port] = free_ports(1)
    session = metered_session.ObservedSession(
        Password(f"http://127.0.0.1:{port}/v3", username="a", password="b", user_domain_name="c")
    )
    name, none = "cloudimage_openstack_request_duration_seconds_count", {"status": "none"}
    image = {"service_type": "image"}
    with (
        grows(1, name, service="identity", method="POST", **none),
        grows(0, name, service="image", method="GET", **none),
        pytest.raises(ConnectFailure),
    ):
        session.get("/v2/images", endpoint_filter=image)
    url = f"http://127.0.0.1:{port}/v2/images"
    with grows(1, name, service="image", method="GET", **none), pytest.raises(ConnectFailure):
        session.get(url, endpoint_filter=image, authenticated=False)


def test_a_blocked_event_loop_shows() -> None:
    before = number("cloudimage_event_loop_lag_seconds_sum")

    async def block() -> None:
        lag = asyncio.create_task(loop_lag.watch_loop_lag(0.01))
        await asyncio.sleep(0)
        time.sleep(0.2)  # noqa: ASYNC251  # that is the fault
        await asyncio.sleep(0.02)  # until it is due again: then it was late before
        lag.cancel()

    asyncio.run(block())
    assert number("cloudimage_event_loop_lag_seconds_sum") - before > 0.15


def test_the_queue_tells_how_long_a_look_goes_on_and_which_fail() -> None:
    looking, go_on = threading.Event(), threading.Event()

    def reconcile(_: str) -> None:
        looking.set()
        go_on.wait(30)
        raise RuntimeError

    async def run() -> None:
        queue = WorkQueue(reconcile, 1, "cloudimages")
        queue.start()
        queue.add("a")
        await asyncio.to_thread(looking.wait, 30)
        longest = "cloudimage_reconcile_longest_running_seconds"
        assert number(longest, kind="cloudimages") > 0
        assert number("cloudimage_queue_depth", kind="cloudimages") == 1
        go_on.set()
        await queue.stop()
        assert number(longest, kind="cloudimages") == 0

    with (
        grows(1, "cloudimage_reconcile_errors_total", kind="cloudimages"),
        grows(1, "cloudimage_reconcile_seconds_count", kind="cloudimages"),
    ):
        asyncio.run(run())


def test_names_and_help_follow_the_conventions() -> None:
    for family, labels in metrics_page.described():
        assert family.name.startswith("cloudimage_")
        assert family.documentation.endswith("."), family.name
        if family.type == "histogram":
            assert family.name.endswith("_seconds")
        assert set(labels) <= metrics.LABELS.keys(), family.name
    assert b"_created" not in generate_latest()
    used = {label for _, labels in metrics_page.described() for label in labels}
    assert used == metrics.LABELS.keys()


def test_every_metric_of_the_registry_is_documented() -> None:
    page = metrics_page.render()
    ours = {each.name for each in REGISTRY.collect() if each.name.startswith("cloudimage_")}
    assert ours == {family.name for family, _ in metrics_page.described()}
    assert all(f"`{metrics.names(family)[0]}`" in page for family, _ in metrics_page.described())
