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
from cloudimage.metrics.objects import Census

# Half as many series again, for what Prometheus' text format has no use for.
disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no types

CANCELLED: Final = "Cancelled"
"""The reason of a transfer that ended because nobody wants its outcome any more."""

BUILD = Info("cloudimage_build", "The operator's version, its commit, and its Python's version.")
BUILD.info({"version": __version__, "revision": revision(), "python": platform.python_version()})

LEADER = Gauge(
    "cloudimage_leader",
    "1 while this process looks after the objects; 0 while it stands by for the one that does.",
)

OBJECTS = Census()
REGISTRY.register(OBJECTS)

TRANSFERS_RUNNING = Gauge(
    "cloudimage_transfers_running",
    "Transfers by the stage that they are in; those in Pending wait for their turn.",
    ["stage"],
)
TRANSFERS = Counter(
    "cloudimage_transfers",
    "Transfers that ended: with the reason Available, Cancelled, or that of their failure.",
    ["reason"],
)
TRANSFER_BYTES = Counter(
    "cloudimage_transfer_bytes",
    "Bytes that transfers went through in each stage, as their progress tells.",
    ["stage"],
)
TRANSFER_STAGE_SECONDS = Histogram(
    "cloudimage_transfer_stage_seconds",
    "How long transfers were in each stage.",
    ["stage"],
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14400, 43200),
)
UPLOADED_BYTES = Counter("cloudimage_uploaded_bytes", "Bytes that Glance stored for us.")
FAILURES = Counter(
    "cloudimage_failures",
    "Failures of transfers and of looks at the cloud, those too that pass by themselves.",
    ["kind", "reason"],
)
ORPHANS = Gauge(
    "cloudimage_orphan_images",
    "Images in Glance that were made here for CloudImages that are gone, as of the last look.",
    ["state"],
)
RECONCILE_SECONDS = Histogram(
    "cloudimage_reconcile_seconds",
    "How long each look at an object took, without its waiting.",
    ["kind"],
)
RECONCILE_ERRORS = Counter(
    "cloudimage_reconcile_errors",
    "Looks at an object that ended with a fault of the operator or of the API server; the "
    "operator's log has them.",
    ["kind"],
)
RECONCILE_LONGEST = Gauge(
    "cloudimage_reconcile_longest_running_seconds",
    "How long the look at an object that began first has been going on; 0 while there is none.",
    ["kind"],
)
RECONCILE_OVERDUE = Gauge(
    "cloudimage_reconcile_overdue",
    "Reconciles that hang beyond their deadline; their places are given to others, within bounds.",
    ["kind"],
)
QUEUE_DEPTH = Gauge(
    "cloudimage_queue_depth",
    "Objects that are being looked at or that wait for a worker.",
    ["kind"],
)
REQUEST_SECONDS = Histogram(
    "cloudimage_openstack_request_duration_seconds",
    "How long OpenStack took to answer the operator itself; transfers are not counted.",
    ["service", "method", "status"],
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
CONNECTIONS = Gauge(
    "cloudimage_cloud_connections",
    "Connections to clouds that the operator has open.",
    ["state"],
)
LOOP_LAG_SECONDS = Histogram(
    "cloudimage_event_loop_lag_seconds",
    "How much later than it asked for the operator's event loop woke a task of its own.",
    buckets=(0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)

COLLECTORS: Final[tuple[MetricWrapperBase | Census, ...]] = (
    BUILD,
    LEADER,
    OBJECTS,
    TRANSFERS_RUNNING,
    TRANSFERS,
    TRANSFER_BYTES,
    TRANSFER_STAGE_SECONDS,
    UPLOADED_BYTES,
    FAILURES,
    ORPHANS,
    RECONCILE_SECONDS,
    RECONCILE_ERRORS,
    RECONCILE_LONGEST,
    RECONCILE_OVERDUE,
    QUEUE_DEPTH,
    REQUEST_SECONDS,
    CONNECTIONS,
    LOOP_LAG_SECONDS,
)
"""All of ours, in the order of the documentation."""

LABELS: Final = {
    "kind": "`cloudimages` or `imageshares`; of reconciles also `orphans`, looks for images of no "
    "CloudImage",
    "method": "HTTP method",
    "python": "version of Python",
    "reason": "a reason of docs/reference, or `Cancelled`",
    "revision": "commit that the container was built from",
    "service": "type of the OpenStack service; `discovery` for questions for a service's versions",
    "stage": "stage of a transfer, as in status.progress",
    "state": "of a connection: `idle` or `lent`; of an image: `unfinished` or `finished`",
    "status": "of a condition: `True`, `False` or `Unknown`; of an answer: `2xx` to `5xx`, or "
    "`none` when there was none",
    "type": "type of a condition",
    "version": "version of the operator",
}
"""What the values of each label are."""


def families() -> Iterator[Metric]:
    """Yield the name, type and help of each metric of ours, without numbers."""
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
    """Have a gauge with one label ask for its numbers whenever Prometheus comes by.

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
