"""The test bed's image sources: an HTTP server of which each URL can ask for faults."""

from testbed.sources.bed import Sources
from testbed.sources.journal import Request
from testbed.sources.wish import Fault, Wish

__all__ = ["Fault", "Request", "Sources", "Wish"]
