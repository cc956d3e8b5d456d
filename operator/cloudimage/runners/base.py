"""What a transfer is to the reconciler, wherever it runs."""

import logging
import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import partial
from typing import Generic, Protocol, TypeVar

from cloudimage.api.cloudimage import CloudImage
from cloudimage.controller.faults import name_of, without_text
from cloudimage.controller.logic.fairness import Tenants
from cloudimage.kube import Key
from cloudimage.runners.fork_client import Process
from cloudimage.runners.metrics import StageMeter, by_stage
from cloudimage.runners.turns import Turns
from cloudimage.transfer.contract import Failure, Progress, Reason, Result, Stage
from cloudimage.transfer.request import TransferRequest

NOTIFY_SECONDS = 2.0
"""Progress is reported at most this often: each time costs a version of the object in etcd."""


T = TypeVar("T", bound="Transfer")

logger = logging.getLogger(__name__)


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


@dataclass
class TransfersInTurn(Generic[T]):
    """The transfers of a runner, keyed by the UID of their object: what every runner shares.

    Attributes:
        max_concurrent: How many run at once, a quarter of them for one tenant; further ones wait.
    """

    max_concurrent: int
    _transfers: dict[str, T] = field(default_factory=dict, init=False)
    _turns: Turns = field(init=False)

    def __post_init__(self) -> None:
        self._turns = Turns(self.max_concurrent, "transfer")

    def view(self, uid: str) -> T | None:
        """Return the transfer of an object, running or ended, or None."""
        return self._transfers.get(uid)

    def by_stage(self) -> dict[str, float]:
        """Return how many transfers that have not ended are in each stage; from any thread."""
        # A copy at one go: other threads change the mapping.
        present = list(self._transfers.values())
        return by_stage(each.progress.stage for each in present if each.outcome is None)

    def forget(self, uid: str) -> None:
        """Drop a transfer that has ended, once its outcome is recorded."""
        self._transfers.pop(uid, None)

    def add(
        self, uid: str, transfer: T, tenants: Tenants, run: Callable[[], Result | Failure | None]
    ) -> None:
        """Run a transfer in its turn.

        Args:
            uid: Of its object.
            transfer: How far it is.
            tenants: Who holds its place.
            run: Returns how it ended, or None when the operator ends before it.
        """
        self._transfers[uid] = transfer
        self._turns.add(uid, tenants, partial(self._work, uid, transfer, run))

    def _work(self, uid: str, transfer: T, run: Callable[[], Result | Failure | None]) -> None:
        try:
            outcome = run()
        except BaseException as error:  # noqa: BLE001  # it must have an outcome, whatever it is
            outcome = _fault(uid, error, transfer.progress.stage)
        if outcome is None:
            return
        with transfer.lock:
            transfer.end(outcome)
        if transfer.cancelled:
            self.forget(uid)
        transfer.notify()


def _fault(uid: str, error: BaseException, stage: Stage) -> Failure:
    """Log what nobody expected while a transfer ran, and return it as the transfer's outcome."""
    logger.error("a transfer could not be run", extra={"uid": uid, **without_text(error)})
    return failure(
        Reason.INTERNAL_ERROR,
        f"the transfer could not be run ({name_of(error)}); the operator's log has the details",
        stage,
    )


def failure(reason: Reason, message: str, stage: Stage) -> Failure:
    """Return how a transfer failed that could not say so itself."""
    return Failure(reason=reason, message=message, stage=stage)
