"""What a transfer is to the reconciler, wherever it runs."""

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cloudimage.api.cloudimage import CloudImage
from cloudimage.kube import Key
from cloudimage.runners.fork_client import Process
from cloudimage.runners.metrics import StageMeter, by_stage
from cloudimage.transfer.contract import Failure, Progress, Result, Stage
from cloudimage.transfer.request import TransferRequest

NOTIFY_SECONDS = 2.0
"""Progress is reported at most this often: each time costs a version of the object in etcd."""


@dataclass
class Transfer:
    """A transfer and how far it is.

    Attributes:
        digest: Of the content it makes.
        outcome: How it ended; None while it runs or waits for its turn.
        cancelled: It was told to end, and its outcome no longer matters.
        meter: Tells the metrics of it.
        tenant: On whose account it runs.
    """

    digest: str
    notify: Callable[[], None]
    progress: Progress = field(default_factory=lambda: Progress(stage=Stage.PENDING))
    outcome: Result | Failure | None = None
    cancelled: bool = False
    process: Process | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
    meter: StageMeter = field(default_factory=StageMeter)
    tenant: Hashable = None

    def advance(self, progress: Progress) -> None:
        """Record progress."""
        self.meter.saw(progress)
        self.progress = progress

    def end(self, outcome: Result | Failure) -> None:
        """Record the end."""
        self.meter.ended(outcome, cancelled=self.cancelled)
        self.outcome = outcome


class Runner(Protocol):
    """Runs transfers, keyed by the UID of their object; all that the reconciler knows of it."""

    def recover(self, notify: Callable[[Key], None]) -> None:
        """Go on with the transfers that outlived an earlier operator; called once, first."""

    def view(self, uid: str) -> Transfer | None:
        """Return the object's transfer, running or ended, or None."""

    def start(
        self,
        uid: str,
        digest: str,
        request: TransferRequest,
        notify: Callable[[], None],
        owner: CloudImage,
    ) -> None:
        """Start a transfer, or have it wait for its turn."""

    def by_stage(self) -> dict[str, float]:
        """Return how many transfers that have not ended are in each stage; from any thread."""

    def forget(self, uid: str) -> None:
        """Drop a transfer that has ended; its outcome was taken note of."""

    def cancel(self, uid: str) -> None:
        """Have the transfer end; :meth:`view` shows it until it has."""

    def stop(self) -> None:
        """Let go of every transfer: the operator ends."""

    def abandon(self) -> None:
        """End at once what would end with this process: another operator may act by now."""


def numbers_of(transfers: Mapping[str, Transfer]) -> dict[str, float]:
    """Return how many transfers that have not ended are in each stage."""
    # A copy at one go: other threads change the mapping.
    present = list(transfers.values())
    return by_stage(each.progress.stage for each in present if each.outcome is None)
