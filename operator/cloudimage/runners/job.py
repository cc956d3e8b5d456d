"""Transfers as Kubernetes Jobs: made, watched, ended; found again after the operator's restart.

A transfer's state is read again every few seconds instead of followed as a stream, so that no
outage of the API server, the kubelet or the operator loses anything.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from kubernetes.client import ApiException

from cloudimage.api.cloudimage import CloudImage
from cloudimage.controller.faults import passes
from cloudimage.controller.tenants import tenants_of
from cloudimage.kube import Key, Kube
from cloudimage.runners.base import NOTIFY_SECONDS, Transfer, TransfersInTurn
from cloudimage.runners.job_client import API_ERRORS, Found, Jobs
from cloudimage.runners.logic import job_outcome
from cloudimage.runners.logic.job_manifest import TERMINATION_GRACE_SECONDS, JobTemplate, manifest
from cloudimage.runners.metrics import StageMeter
from cloudimage.shard import WHOLE, Shard
from cloudimage.transfer.contract import Failure, Reason, Result, Stage
from cloudimage.transfer.request import TransferRequest

logger = logging.getLogger(__name__)

_END_SECONDS = 2.0 * TERMINATION_GRACE_SECONDS
"""A pod that takes longer to end is on a node that does not answer: it holds up nobody."""


@dataclass
class JobTransfer(Transfer):
    """A transfer in a Job.

    Attributes:
        job: The Job's name.
        manifest: The Job to make; None once it is made.
        found: It was there when the operator started.
        wake: Set to have it looked at now.
    """

    job: Key = field(kw_only=True)
    manifest: Mapping[str, Any] | None = None
    found: bool = False
    wake: threading.Event = field(default_factory=threading.Event)


@dataclass
class JobRunner(TransfersInTurn[JobTransfer]):
    """Runs each transfer as a Job in the namespace of its object, keyed by the object's UID.

    Attributes:
        namespaces: Where Jobs of ours can be; empty: everywhere.
        shard: Whose objects' Jobs are ours.
    """

    jobs: Jobs
    kube: Kube
    template: JobTemplate
    namespaces: tuple[str, ...] = ()
    shard: Shard = WHOLE
    _stopping: bool = False

    def recover(self, notify: Callable[[Key], None]) -> None:
        """Go on with the Jobs that an earlier operator made; may be called again.

        Raises:
            ApiException: They cannot be listed.
        """
        for each in self.jobs.find(self.namespaces):
            if not self.shard.owns(each.key.namespace):
                continue
            known, owner = self._transfers.get(each.uid), self.kube.read(CloudImage, each.owner)
            if owner is None or owner.metadata.uid != each.uid:
                # Its labels may be anybody's; Kubernetes deletes it with its owner, if it had one.
                logger.warning("a Job without a CloudImage here", extra={"job": each.key.name})
            elif known is None:
                self._follow(each, notify, owner)
            elif known.job != each.key:
                logger.warning("a second Job of one object goes", extra={"job": each.key.name})
                self._delete(each.key)

    def _follow(self, found: Found, notify: Callable[[Key], None], owner: CloudImage) -> None:
        logger.info("going on with a Job", extra={"job": found.key.name})
        transfer = JobTransfer(
            found.digest,
            partial(notify, found.owner),
            job=found.key,
            found=True,
            meter=StageMeter(midway=True),
        )
        self._submit(found.uid, transfer, owner)

    def start(
        self,
        uid: str,
        digest: str,
        request: TransferRequest,
        notify: Callable[[], None],
        owner: CloudImage,
    ) -> None:
        """Start a transfer, or have it wait for its turn.

        Args:
            uid: The object's; it has no transfer yet.
            digest: Of the content that the transfer makes.
            request: What to transfer.
            notify: Called from another thread when there is something new to see.
            owner: The object, which names the Secrets.
        """
        body = manifest(owner, digest, request, self.template)
        key = Key(body["metadata"]["namespace"], body["metadata"]["name"])
        self._submit(uid, JobTransfer(digest, notify, job=key, manifest=body), owner)

    def forget(self, uid: str) -> None:
        """Drop a transfer that has ended, and its Job; its outcome was taken note of."""
        transfer = self._transfers.pop(uid, None)
        if transfer is not None:
            self._delete(transfer.job)

    def cancel(self, uid: str) -> None:
        """Have the transfer end; :meth:`view` shows it until its pod is gone.

        One that waits for its turn is gone at once.
        """
        transfer = self._transfers.get(uid)
        if transfer is None:
            return
        if not transfer.found and self._turns.cancel(uid):
            self._transfers.pop(uid, None)
        elif transfer.outcome is not None:
            self.forget(uid)
        else:
            transfer.cancelled = True
            transfer.wake.set()

    def stop(self) -> None:
        """Stop watching transfers; the Jobs continue, for the next operator to find."""
        self._stopping = True
        for transfer in list(self._transfers.values()):
            transfer.wake.set()
        self._turns.stop(wait=True)

    def abandon(self) -> None:
        """Do nothing: the Jobs go on, for the next operator to find."""

    def _submit(self, uid: str, transfer: JobTransfer, owner: CloudImage) -> None:
        self.add(uid, transfer, tenants_of(owner), partial(self._watch, transfer))

    def _watch(self, transfer: JobTransfer) -> Result | Failure | None:
        """Look again and again until the transfer ends; None: the operator does."""
        while not self._stopping:
            if transfer.cancelled:
                self._end(transfer)
                return Failure(
                    reason=Reason.INTERRUPTED, message="cancelled", stage=transfer.progress.stage
                )
            try:
                if (outcome := self._look(transfer)) is not None:
                    return outcome
            except API_ERRORS as error:
                if lasting := _lasting(error, transfer.progress.stage):
                    return lasting
                logger.warning("a Job cannot be seen now", extra={"job": transfer.job.name})
            transfer.wake.wait(NOTIFY_SECONDS)
        return None

    def _look(self, transfer: JobTransfer) -> Result | Failure | None:
        if transfer.manifest is not None and not self._make(transfer):
            return None
        job = self.jobs.look(transfer.job)
        outcome = job_outcome.outcome(job, transfer.progress.stage)
        if outcome is None and job and job.pod and job.pod.phase == "Running":
            self._progress(transfer, job.pod.name)
        return outcome

    def _make(self, transfer: JobTransfer) -> bool:
        """Make the Job; return whether it is there and this transfer's to follow.

        One of that name is another operator's, to be followed, or is over, and has to go first.
        """
        if transfer.manifest is None or self.jobs.create(transfer.manifest):
            transfer.manifest = None
            return True
        old = self.jobs.look(transfer.job)
        if old is None or old.deleting:
            return False
        if old.finished:
            self.jobs.delete(transfer.job, wait_for_pods=False)
            return False
        transfer.manifest = None
        return True

    def _progress(self, transfer: JobTransfer, pod: str) -> None:
        progress = self.jobs.progress(transfer.job.namespace, pod)
        if progress is not None and progress != transfer.progress:
            transfer.advance(progress)
            transfer.notify()

    def _end(self, transfer: JobTransfer) -> None:
        """Delete the Job and wait until its pod has ended, which may yet write to Glance."""
        deadline = time.monotonic() + _END_SECONDS
        while not self._stopping and time.monotonic() < deadline:
            try:
                self.jobs.delete(transfer.job, wait_for_pods=True)
                if self.jobs.look(transfer.job) is None:
                    return
            except API_ERRORS as error:
                logger.warning("a Job stays yet", extra={"job": transfer.job.name, "error": error})
            time.sleep(NOTIFY_SECONDS / 2)

    def _delete(self, key: Key) -> None:
        try:
            self.jobs.delete(key, wait_for_pods=False)
        except API_ERRORS as error:
            # Kubernetes deletes it after its time, or with its CloudImage.
            logger.warning("a Job stays", extra={"job": key.name, "error": str(error)})


def _lasting(error: Exception, stage: Stage) -> Failure | None:
    """Return the failure of a request that the API server refuses; None: it may well pass."""
    if not isinstance(error, ApiException) or passes(error):
        return None
    return job_outcome.not_started(_message(error), stage)


def _message(error: ApiException) -> str:
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
