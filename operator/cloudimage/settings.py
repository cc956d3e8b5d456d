"""The operator's settings, as the command line and its environment give them."""

from dataclasses import dataclass, field
from pathlib import Path

from cloudimage.access.policy import OPEN, CloudPolicy
from cloudimage.leader_election.rules import Terms
from cloudimage.runners.logic.job_manifest import JobTemplate
from cloudimage.transfer.contract import Limits, UrlPolicy


@dataclass(frozen=True)
class Settings:
    """How the operator runs.

    Attributes:
        namespaces: The namespaces it looks after; empty: all.
        scratch: Folder for the files of transfers.
        max_concurrent_transfers: How many transfers run at once; one namespace, and one Secret,
            has a quarter of them.
        workers: How many objects are looked after at once; bytes do not move in these. One
            namespace, and one Secret, has a quarter of them.
        reconcile_seconds: How long a look at an object may take.
        resync_seconds: How often a settled object is compared with Glance, give or take a fifth.
        probe_address: ``host:port`` of the liveness probe; None: none is served.
        metrics_address: ``host:port`` of Prometheus' metrics; None: none are served.
        delete_orphans: Whether unfinished images that no CloudImage has are deleted; else they are
            only reported.
        policy: Which URLs transfers fetch at all.
        auth_needs_hosts: The Secret of a source's credentials must say for which hosts it is.
        cloud_policy: Where the clouds of Secrets may be.
        limits: What each transfer may use.
        job: How the Jobs of transfers look; None: transfers are child processes.
        lease: The Lease without which nothing is done; None: this operator is the only one.
    """

    scratch: Path
    namespaces: tuple[str, ...] = ()
    max_concurrent_transfers: int = 16
    workers: int = 64
    reconcile_seconds: float = 300.0
    resync_seconds: float = 1800.0
    probe_address: str | None = None
    metrics_address: str | None = None
    delete_orphans: bool = False
    policy: UrlPolicy = field(default_factory=UrlPolicy)
    auth_needs_hosts: bool = False
    cloud_policy: CloudPolicy = OPEN
    limits: Limits = field(default_factory=Limits)
    job: JobTemplate | None = None
    lease: Terms | None = None
