"""The operator's settings, as the command line and its environment give them."""

from dataclasses import dataclass, field
from pathlib import Path

from cloudimage.reconcile.job_manifest import JobTemplate
from cloudimage.reconcile.lease import Terms
from cloudimage.transfer.types import Limits, UrlPolicy


@dataclass(frozen=True)
class Settings:
    """How the operator runs.

    Attributes:
        namespaces: The namespaces it looks after; empty: all.
        scratch: Folder for the files of transfers.
        max_concurrent_transfers: How many transfers run at once.
        workers: How many objects are looked after at once; bytes do not move in these.
        resync_seconds: How often a settled object is compared with Glance, give or take a fifth.
        probe_address: ``host:port`` of the liveness probe; None: none is served.
        metrics_address: ``host:port`` of Prometheus' metrics; None: none are served.
        policy: Which URLs transfers fetch at all.
        auth_needs_hosts: The Secret of a source's credentials must say for which hosts it is.
        limits: What each transfer may use.
        job: How the Jobs of transfers look; None: transfers are child processes.
        lease: The Lease without which nothing is done; None: this operator is the only one.
    """

    scratch: Path
    namespaces: tuple[str, ...] = ()
    max_concurrent_transfers: int = 4
    workers: int = 16
    resync_seconds: float = 1800.0
    probe_address: str | None = None
    metrics_address: str | None = None
    policy: UrlPolicy = field(default_factory=UrlPolicy)
    auth_needs_hosts: bool = False
    limits: Limits = field(default_factory=Limits)
    job: JobTemplate | None = None
    lease: Terms | None = None
