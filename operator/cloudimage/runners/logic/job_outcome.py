"""What the state of a Job and its pod says about the transfer in it."""

from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from cloudimage.transfer.contract import EVENTS, Failure, Reason, Result, Stage

START_SECONDS: Final = 600.0
"""Time for a pod to start: a cluster may have to grow by a node first."""
REFUSED_SECONDS: Final = 60.0
"""Time for a pod whose container cannot be made: a registry may be away for a moment."""
LOST_SECONDS: Final = 30.0
"""A pod that is to be gone for so long is on a node that does not answer."""

_REFUSED: Final = frozenset(
    {
        "ImagePullBackOff",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
    }
)
"""Reasons of a waiting container by which the kubelet says that it cannot be made."""


@dataclass(frozen=True, slots=True)
class Pod:
    """What the API server shows of a Job's pod; empty texts where it shows nothing.

    Attributes:
        phase: Pending, Running, Succeeded, Failed or Unknown.
        reason: Of the phase, for instance Evicted.
        disruption: Message of the condition DisruptionTarget: who ended it.
        unschedulable: Why no node takes it.
        waiting: Reason for which the container is not there yet.
        ended: Reason for which the container ended, for instance OOMKilled.
        termination_message: The container's termination message.
        overdue: Seconds since it should have been gone; None: nobody deleted it.
    """

    name: str
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    disruption: str = ""
    unschedulable: str = ""
    waiting: str = ""
    waiting_message: str = ""
    ended: str = ""
    exit_code: int | None = None
    termination_message: str = ""
    overdue: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What the API server shows of a Job.

    Attributes:
        age: Seconds.
        failed: Reason of its condition Failed; empty: it has not.
        failed_message: The condition's.
        deleting: Somebody deleted it.
    """

    age: float
    failed: str = ""
    failed_message: str = ""
    complete: bool = False
    deleting: bool = False
    pod: Pod | None = None

    @property
    def finished(self) -> bool:
        """Whether it will no longer produce a result."""
        return self.complete or bool(self.failed)


def outcome(job: Job | None, stage: Stage) -> Result | Failure | None:
    """Return how the transfer ended, None while it goes on.

    The transfer's own last words count before all else, but for "interrupted": who did it is for
    the Job and the pod to say.

    Args:
        job: The Job; None: it is gone.
        stage: How far the transfer was when it was last seen.
    """
    if job is None or job.deleting:
        return _failure(Reason.INTERRUPTED, "The transfer's Job was deleted", stage)
    own = termination_message(job.pod)
    if own is not None and not (isinstance(own, Failure) and own.reason is Reason.INTERRUPTED):
        return own
    return _ended(job, stage) or own or _not_started(job, stage)


def termination_message(pod: Pod | None) -> Result | Failure | None:
    """Return the outcome that the transfer itself left; None when it left none."""
    if pod is None or not pod.termination_message:
        return None
    try:
        event = EVENTS.validate_json(pod.termination_message)
    except ValidationError:
        return None
    return event if isinstance(event, Result | Failure) else None


def _ended(job: Job, stage: Stage) -> Failure | None:
    """Return the failure of a Job that was ended from outside; None: it was not."""
    if job.failed == "DeadlineExceeded":
        return _failure(
            Reason.INTERRUPTED,
            "The transfer's Job took longer than its deadline: raise transfer.job.deadlineSeconds "
            "in the operator's chart if it needs more",
            stage,
        )
    pod = job.pod
    if pod is not None:
        if pod.overdue is not None and pod.overdue > LOST_SECONDS:
            return _failure(Reason.INTERRUPTED, "The transfer's node does not answer", stage)
        if pod.phase in {"Failed", "Succeeded"}:
            return _of_pod(pod, stage)
    if job.finished:
        return _failure(
            Reason.INTERRUPTED, f"The transfer's pod is gone: {job.failed_message}", stage
        )
    return None


def _of_pod(pod: Pod, stage: Stage) -> Failure | None:
    if pod.reason == "Evicted" and "exceed" in pod.message:  # the kubelet's words on its volumes
        return _failure(
            Reason.INSUFFICIENT_SCRATCH,
            f"The transfer's pod was evicted: {pod.message.strip()} Raise scratch.sizeLimit in the "
            "operator's chart",
            stage,
        )
    if why := pod.message or pod.disruption or pod.reason:
        return _failure(Reason.INTERRUPTED, f"The transfer's pod was ended: {why}", stage)
    if pod.ended == "OOMKilled":
        return _failure(
            Reason.INTERRUPTED,
            "The transfer's pod ran out of memory: raise transfer.job.resources in the operator's "
            "chart",
            stage,
        )
    if pod.termination_message:
        return None
    return _failure(
        Reason.INTERNAL_ERROR,
        f"the transfer ended with status {pod.exit_code} and without a result",
        stage,
    )


def _not_started(job: Job, stage: Stage) -> Failure | None:
    """Return the failure of a Job that does not get to work; None: there is still hope."""
    pod = job.pod
    if pod is None:
        if job.age < START_SECONDS:
            return None
        return not_started(
            "Kubernetes creates no pod for it; a quota or an admission policy may be the reason: "
            "see `kubectl describe job`",
            stage,
        )
    if pod.phase != "Pending":
        return None
    patience = REFUSED_SECONDS if pod.waiting in _REFUSED else START_SECONDS
    if job.age < patience:
        return None
    waits = ": ".join(each for each in (pod.waiting, pod.waiting_message) if each)
    why = pod.unschedulable or waits or "see `kubectl describe pod`"
    return not_started(f"its pod does not start: {why}", stage)


def not_started(why: str, stage: Stage = Stage.PENDING) -> Failure:
    """Return the failure of a Job that cannot be made, or whose pod cannot."""
    return _failure(Reason.JOB_NOT_STARTED, f"The transfer's Job does not start: {why}", stage)


def _failure(reason: Reason, message: str, stage: Stage) -> Failure:
    return Failure(reason=reason, message=message, stage=stage)
