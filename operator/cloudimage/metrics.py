"""Prometheus metrics of the operator."""

from prometheus_client import Counter, Gauge, Histogram, start_http_server

TRANSFERS = Counter(
    "cloudimage_transfers_total",
    "Transfers that ended, by their result or the reason of their failure.",
    ["reason"],
)
UPLOADED_BYTES = Counter("cloudimage_uploaded_bytes_total", "Bytes that Glance stored for us.")
RECONCILE_SECONDS = Histogram(
    "cloudimage_reconcile_seconds", "How long each look at an object took, without its waiting."
)
QUEUE_DEPTH = Gauge(
    "cloudimage_queue_depth",
    "Objects that are being looked at or that wait for a worker.",
    ["kind"],
)


def serve(address: str) -> None:
    """Serve the metrics at ``host:port``, in a thread of its own."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), addr=host.strip("[]") or "0.0.0.0")  # noqa: S104  # asked for
