"""Transfers as Jobs that only a Job can do, whatever runs the others.

A volume of the cluster is mounted by a pod, and libguestfs is in a container image of its own.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cloudimage.api.cloudimage import CloudImage
from cloudimage.kube import Key
from cloudimage.runners.base import Runner, Transfer
from cloudimage.transfer.request import TransferRequest


@dataclass(frozen=True)
class RunnerOfBoth:
    """A :class:`cloudimage.runners.base.Runner` of both kinds.

    Attributes:
        others: Runs what needs no Job.
        jobs: Runs what needs one.
        mounts: Whether there is a container image for Jobs that mount a volume.
        customizes: Whether there is one with libguestfs.
    """

    others: Runner
    jobs: Runner
    mounts: bool = True
    customizes: bool = False

    def recover(self, notify: Callable[[Key], None]) -> None:
        """Go on with the Jobs that an earlier operator made."""
        self.others.recover(notify)
        self.jobs.recover(notify)

    def view(self, uid: str) -> Transfer | None:
        """Return the object's transfer, wherever it is, or None."""
        return self.jobs.view(uid) or self.others.view(uid)

    def start(
        self,
        uid: str,
        digest: str,
        request: TransferRequest,
        notify: Callable[[], None],
        owner: CloudImage,
    ) -> None:
        """Start a transfer where all that it needs is there."""
        if request.source.volume_claim() is not None:
            by_job = self.mounts
        else:
            by_job = self.customizes and request.customize is not None
        runner = self.jobs if by_job else self.others
        runner.start(uid, digest, request, notify, owner)

    def by_stage(self) -> dict[str, float]:
        """Return how many transfers that have not ended are in each stage."""
        jobs = self.jobs.by_stage()
        return {stage: number + jobs[stage] for stage, number in self.others.by_stage().items()}

    def forget(self, uid: str) -> None:
        """Drop a transfer that has ended."""
        self.others.forget(uid)
        self.jobs.forget(uid)

    def cancel(self, uid: str) -> None:
        """Have the transfer end."""
        self.others.cancel(uid)
        self.jobs.cancel(uid)

    def stop(self) -> None:
        """Let go of every transfer: the operator ends."""
        self.others.stop()
        self.jobs.stop()

    def abandon(self) -> None:
        """End at once what would end with this process."""
        self.others.abandon()
        self.jobs.abandon()
