"""Prometheus metrics of the operator."""

from prometheus_client import Counter, start_http_server

TRANSFERS = Counter(
    "cloudimage_transfers_total",
    "Transfers that ended, by their result or the reason of their failure.",
    ["reason"],
)
UPLOADED_BYTES = Counter("cloudimage_uploaded_bytes_total", "Bytes that Glance stored for us.")


def serve(address: str) -> None:
    """Serve the metrics at ``host:port``, in a thread of its own."""
    host, _, port = address.rpartition(":")
    start_http_server(int(port), addr=host.strip("[]") or "0.0.0.0")  # noqa: S104  # asked for
