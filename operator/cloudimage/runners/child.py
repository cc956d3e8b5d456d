"""Runs transfers as child processes, a limited number at a time."""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from cloudimage.api.cloudimage import CloudImage
from cloudimage.controller.tenants import tenants_of
from cloudimage.kube import Key
from cloudimage.runners.base import NOTIFY_SECONDS, Transfer, TransfersInTurn, failure
from cloudimage.runners.fork_client import ForkServer, Process
from cloudimage.runners.priorities import Priorities
from cloudimage.runners.processes import end, events_of
from cloudimage.transfer.contract import Failure, Latest, Progress, Reason, Result, Stage
from cloudimage.transfer.request import TransferRequest

logger = logging.getLogger(__name__)


FOLDER_PREFIX = "run-"


def sweep(scratch: Path) -> None:
    """Remove the folders of transfers that an operator left behind when it was killed.

    Called before any transfer starts; those of the killed operator end on their own.
    """
    for folder in scratch.glob(f"{FOLDER_PREFIX}*"):
        logger.warning("removing what a killed operator left", extra={"folder": folder.name})
        shutil.rmtree(folder, ignore_errors=True)  # one that stays is no reason not to start


def _refuse() -> Failure:
    """Return that a process of the operator has no volume of another namespace."""
    return failure(
        Reason.JOB_NOT_STARTED,
        "A PersistentVolumeClaim is read by a Job, and this operator may make none: ask its "
        "administrator to set transfer.persistentVolumeClaims in its chart (docs/runners.md)",
        Stage.PENDING,
    )


@dataclass
class ChildRunner(TransfersInTurn[Transfer]):
    """Runs each transfer as a process of its own, keyed by the UID of its object.

    Attributes:
        spawn: Starts a process that reads a request and writes events.
    """

    spawn: Callable[[], Process] = field(default_factory=lambda: ForkServer().spawn)
    _priorities: Priorities = field(default_factory=Priorities)

    def recover(self, notify: Callable[[Key], None]) -> None:
        """Do nothing: a child ends with its operator."""

    def start(
        self,
        uid: str,
        digest: str,
        request: TransferRequest,
        notify: Callable[[], None],
        owner: CloudImage | None = None,
    ) -> None:
        """Start a transfer, or have it wait for its turn.

        Args:
            uid: The object's; it has no transfer yet.
            digest: Of the content that the transfer makes.
            request: What to transfer.
            notify: Called from another thread when there is something new to see.
            owner: The object, on whose account it runs.
        """
        tenants = tenants_of(owner) if owner is not None else ()
        transfer = Transfer(digest, notify, tenant=tenants[:1])
        run = partial(self._run, transfer, request)
        self.add(uid, transfer, tenants, _refuse if request.source.volume_claim() else run)

    def cancel(self, uid: str) -> None:
        """Have the transfer end; :meth:`view` shows it until it has.

        One that waits for its turn is gone at once.
        """
        transfer = self._transfers.get(uid)
        if transfer is None:
            return
        if self._turns.cancel(uid) or transfer.outcome is not None:
            self.forget(uid)
            return
        with transfer.lock:
            transfer.cancelled = True
            if transfer.process is not None:
                transfer.process.terminate()

    def stop(self) -> None:
        """End every transfer and wait until all are gone."""
        for uid in list(self._transfers):
            self.cancel(uid)
        self._turns.stop(wait=True)

    def abandon(self) -> None:
        """Kill every transfer; what it leaves behind is found as after the loss of a node."""
        self._turns.stop(wait=False)
        for transfer in list(self._transfers.values()):
            if transfer.process is not None:
                transfer.process.kill()

    def _run(self, transfer: Transfer, request: TransferRequest) -> Result | Failure:
        # Temporary, so that a transfer that was killed leaves no file either.
        with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, dir=request.scratch) as folder:
            return self._run_in(transfer, request.model_copy(update={"scratch": Path(folder)}))

    def _run_in(self, transfer: Transfer, request: TransferRequest) -> Result | Failure:
        with transfer.lock:
            if transfer.cancelled:
                return failure(Reason.INTERRUPTED, "cancelled", Stage.PENDING)
            process = transfer.process = self.spawn()
        with process, self._priorities.running(process.pid, transfer.tenant):
            try:
                outcome = self._follow(process, transfer, request)
            finally:
                end(process)
        return outcome or failure(
            Reason.INTERNAL_ERROR,
            f"the transfer ended with status {process.returncode} and without a result",
            transfer.progress.stage,
        )

    def _follow(
        self, process: Process, transfer: Transfer, request: TransferRequest
    ) -> Result | Failure | None:
        """Hand the request over, then read events until the transfer says how it ended."""
        told = time.monotonic()
        for event in events_of(process, request):
            if isinstance(event, Progress):
                news = event.stage != transfer.progress.stage
                transfer.advance(event)
                if news or time.monotonic() - told >= NOTIFY_SECONDS:
                    told = time.monotonic()
                    transfer.notify()
            elif not isinstance(event, Latest):
                return event
        return None
