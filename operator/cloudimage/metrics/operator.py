"""Prometheus metrics of the operator; docs/metrics.md is made from these.

Names follow https://prometheus.io/docs/practices/naming/: base units, and ``_total`` for what only
grows. No label has a value that a user can choose freely: each value is a series for ever.
"""

import platform
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import (
    REGISTRY,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.metrics_core import Metric

from cloudimage import __version__, revision
from cloudimage.metrics.earlier_images import EarlierImageUsers
from cloudimage.metrics.followed import FollowedImages
from cloudimage.metrics.objects import ObjectStates

# Half as many series again, for what Prometheus' text format has no use for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types

CANCELLED: Final = "Cancelled"
"""The reason of a transfer that was ended because its result is no longer needed."""

BUILD = Info("cloudimage_build", "The operator's version and commit, and its Python version.")
BUILD.info({"version": __version__, "revision": revision(), "python": platform.python_version()})

LEADER = Gauge(
    "cloudimage_leader",
    "1 while this process is the leader of its shard; 0 while it is on standby.",
    ("shard",),
)

OBJECTS = ObjectStates()
REGISTRY.register(OBJECTS)
EARLIER_IMAGE_USERS = EarlierImageUsers()
REGISTRY.register(EARLIER_IMAGE_USERS)

FOLLOWED = FollowedImages()
REGISTRY.register(FOLLOWED)

FOLLOW_CHECKS = Counter(
    "cloudimage_follow_checks",
    "Checks for a new version, with the reason Asked, or why the source could not be followed.",
    ["reason"],
)

TRANSFERS_RUNNING = Gauge(
    "cloudimage_transfers_running",
    "Transfers by their current stage; those in Pending wait for their turn.",
    ["stage"],
)
TRANSFERS = Counter(
    "cloudimage_transfers",
    "Transfers that ended, with the reason Available, Cancelled, or that of their failure.",
    ["reason"],
)
TRANSFER_BYTES = Counter(
    "cloudimage_transfer_bytes",
    "Bytes that transfers processed in each stage, as their progress reports.",
    ["stage"],
)
TRANSFER_STAGE_SECONDS = Histogram(
    "cloudimage_transfer_stage_seconds",
    "Time that transfers spent in each stage.",
    ["stage"],
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 43200),
)
UPLOADED_BYTES = Counter(
    "cloudimage_uploaded_bytes", "Bytes that the operator's transfers stored in Glance."
)
BOOT_TESTS = Counter(
    "cloudimage_boot_tests",
    "Boot tests that ended, with the reason BootTestPassed, or that of their failure.",
    ["reason"],
)
BOOT_TEST_SECONDS = Histogram(
    "cloudimage_boot_test_seconds",
    "Time from the start of a boot test until its result was known.",
    ["result"],
    buckets=(5, 15, 30, 60, 120, 300, 600, 1800, 3600),
)
BOOT_TESTS_IN_PROGRESS = Gauge(
    "cloudimage_boot_tests_in_progress",
    "Boot tests that have a server or are about to, and those that wait for their turn.",
    ["state"],
)
FAILURES = Counter(
    "cloudimage_failures",
    "Failed transfers and failed requests to the cloud, including transient ones.",
    ["kind", "reason"],
)
ORPHANS = Gauge(
    "cloudimage_orphan_images",
    "Orphans: images in Glance whose CloudImage is gone, as of the last check.",
    ["state"],
)
RECONCILE_SECONDS = Histogram(
    "cloudimage_reconcile_seconds",
    "Duration of each reconcile, without time spent in the queue.",
    ["kind"],
)
RECONCILE_ERRORS = Counter(
    "cloudimage_reconcile_errors",
    "Reconciles that ended with an error of the operator or the API server; see the operator's "
    "log.",
    ["kind"],
)
RECONCILE_LONGEST = Gauge(
    "cloudimage_reconcile_longest_running_seconds",
    "Age of the longest-running reconcile; 0 when none is running.",
    ["kind"],
)
RECONCILE_OVERDUE = Gauge(
    "cloudimage_reconcile_overdue",
    "Reconciles that hang beyond their deadline; a limited number of them is replaced by new "
    "workers.",
    ["kind"],
)
QUEUE_DEPTH = Gauge(
    "cloudimage_queue_depth",
    "Objects that are being reconciled or are waiting for a worker.",
    ["kind"],
)
REQUEST_SECONDS = Histogram(
    "cloudimage_openstack_request_duration_seconds",
    "Time that OpenStack took to answer the operator itself; transfers are not counted.",
    ["service", "method", "status"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
CONNECTIONS = Gauge(
    "cloudimage_cloud_connections",
    "Open connections of the operator to clouds.",
    ["state"],
)
VIEWS = Gauge(
    "cloudimage_views",
    "Clouds that are watched, each as one Secret leads to it: fresh while their images are listed, "
    "stale while they are not, so that each object looks itself.",
    ["state"],
)
LOOP_LAG_SECONDS = Histogram(
    "cloudimage_event_loop_lag_seconds",
    "Delay with which the operator's event loop wakes a task.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

OurCollector = MetricWrapperBase | ObjectStates | FollowedImages | EarlierImageUsers
"""What describes metrics of ours."""

COLLECTORS: Final[tuple[OurCollector, ...]] = (
    BUILD,
    LEADER,
    OBJECTS,
    FOLLOWED,
    FOLLOW_CHECKS,
    EARLIER_IMAGE_USERS,
    TRANSFERS_RUNNING,
    TRANSFERS,
    TRANSFER_BYTES,
    TRANSFER_STAGE_SECONDS,
    UPLOADED_BYTES,
    BOOT_TESTS,
    BOOT_TEST_SECONDS,
    BOOT_TESTS_IN_PROGRESS,
    FAILURES,
    ORPHANS,
    RECONCILE_SECONDS,
    RECONCILE_ERRORS,
    RECONCILE_LONGEST,
    RECONCILE_OVERDUE,
    QUEUE_DEPTH,
    REQUEST_SECONDS,
    CONNECTIONS,
    VIEWS,
    LOOP_LAG_SECONDS,
)
"""All our collectors, in the order of the documentation."""

LABELS: Final = {
    "image": "id of an image in Glance; `others` for what is beyond the 200 largest numbers",
    "kind": "`cloudimages` or `imageshares`; for reconciles also `orphans`, the search for them, "
    "and `views`, the listings of what changed",
    "method": "HTTP method",
    "project": "id of a project; `others` likewise",
    "python": "version of Python",
    "reason": "a reason of docs/reference, or `Cancelled`",
    "result": "`Passed` or `Failed`",
    "revision": "commit that the container was built from",
    "service": "type of the OpenStack service; `discovery` for requests for a service's versions",
    "shard": "which part of the namespaces, from 0; 0 where one operator has them all",
    "stage": "stage of a transfer, as in status.progress",
    "state": "of a connection: `idle` or `lent`; of an image: `unfinished` or `finished`; "
    "of a boot test: `running` or `waiting`; of a watched cloud: `fresh` or `stale`",
    "status": "of a condition: `True`, `False` or `Unknown`; of an answer: `2xx` to `5xx`, or "
    "`none` if there was no answer",
    "type": "type of a condition",
    "version": "version of the operator",
}
"""The values of each label."""


def families() -> Iterator[Metric]:
    """Yield the name, type and help of each of our metrics, without numbers."""
    for collector in COLLECTORS:
        yield from collector.describe()


def names(family: Metric) -> tuple[str, ...]:
    """Return the names under which Prometheus stores a metric."""
    suffixes = {
        "counter": ("_total",),
        "histogram": ("_bucket", "_count", "_sum"),
        "info": ("_info",),
    }
    return tuple(family.name + suffix for suffix in suffixes.get(family.type, ("",)))


def live(gauge: Gauge, numbers: Callable[[], dict[str, float]]) -> None:
    """Let a gauge with one label compute its numbers at each scrape.

    Args:
        gauge: The gauge.
        numbers: From any thread: the number of each label's value, always of the same ones.
    """
    for value in numbers():
        gauge.labels(value).set_function(lambda value=value: numbers()[value])  # type: ignore[misc]  # bound now


def serve(address: str) -> None:
    """Serve the metrics at ``host:port``, in a thread of its own."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), addr=host.strip("[]") or "0.0.0.0")  # noqa: S104  # asked for
