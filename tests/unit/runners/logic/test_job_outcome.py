"""What the state of a Job and its pod means for the transfer in it."""

import pytest

from cloudimage.runners.job_client import newest_progress
from cloudimage.runners.logic.job_outcome import Job, Pod, outcome
from cloudimage.transfer.contract import Failure, Reason, Stage

TOLD = Failure(
    reason=Reason.INTERRUPTED, message="the transfer was asked to stop", stage="Fetching"
)  # type: ignore[arg-type]  # pydantic reads it
REFUSED = Failure(reason=Reason.SOURCE_REFUSED, message="403", stage=Stage.FETCHING)

MIXED = (
    b'{"type":"progress","stage":"Fetching","transferred":1}\n'
    b'{"type":"progress","stage":"Fetching","transferred":2}\n'
    b'{"event": "{\\"type\\":\\"progress\\",\\"stage\\":\\"Complete\\"}"}\n'
    b'{"type":"progress","stage":"Fetch'
)


def ended(failure: Failure | None = None, **more: str | int) -> Job:
    """Return a Job whose pod ended, with the transfer's last words."""
    words = failure.model_dump_json() if failure else ""
    pod = Pod("p", phase="Failed", exit_code=1, termination_message=words)
    changed = {name: value for name, value in more.items() if name in Pod.__slots__}
    return Job(age=100, pod=_with(pod, changed), failed="BackoffLimitExceeded")


def _with(pod: Pod, changes: dict[str, str | int]) -> Pod:
    values = {name: getattr(pod, name) for name in Pod.__slots__} | changes
    return Pod(**values)


@pytest.mark.parametrize(
    ("job", "reason", "message"),
    [
        (None, Reason.INTERRUPTED, "was deleted"),
        (Job(age=1, deleting=True, pod=Pod("p", "Running")), Reason.INTERRUPTED, "deleted"),
        (ended(REFUSED), Reason.SOURCE_REFUSED, "403"),
        (ended(REFUSED, reason="Evicted", message="no memory"), Reason.SOURCE_REFUSED, "403"),
        (ended(TOLD, reason="Evicted", message="no memory"), Reason.INTERRUPTED, "no memory"),
        (ended(TOLD), Reason.INTERRUPTED, "asked to stop"),
        (ended(reason="Evicted", message="The node was low."), Reason.INTERRUPTED, "was low"),
        (
            ended(
                reason="Evicted",
                message='Usage of EmptyDir volume "scratch" exceeds the limit "1Gi". ',
            ),
            Reason.INSUFFICIENT_SCRATCH,
            "Raise scratch.sizeLimit",
        ),
        (ended(disruption="preempted"), Reason.INTERRUPTED, "preempted"),
        (ended(reason="NodeLost"), Reason.INTERRUPTED, "NodeLost"),
        (ended(ended="OOMKilled", exit_code=137), Reason.INTERRUPTED, "out of memory"),
        (ended(exit_code=7), Reason.INTERNAL_ERROR, "status 7 and without a result"),
        (
            Job(age=9, failed="DeadlineExceeded"),
            Reason.INTERRUPTED,
            "transfer.job.deadlineSeconds",
        ),
        (
            Job(age=9, failed="BackoffLimitExceeded", failed_message="Job has reached it"),
            Reason.INTERRUPTED,
            "pod is gone: Job has reached it",
        ),
        (Job(age=9, complete=True), Reason.INTERRUPTED, "pod is gone"),
        (
            Job(age=900, pod=Pod("p", "Running", overdue=31)),
            Reason.INTERRUPTED,
            "node does not answer",
        ),
        (Job(age=601), Reason.JOB_NOT_STARTED, "no pod"),
        (
            Job(age=61, pod=Pod("p", waiting="ImagePullBackOff", waiting_message="no such image")),
            Reason.JOB_NOT_STARTED,
            "ImagePullBackOff: no such image",
        ),
        (
            Job(age=601, pod=Pod("p", unschedulable="0/3 nodes are available")),
            Reason.JOB_NOT_STARTED,
            "0/3 nodes",
        ),
        (
            Job(age=601, pod=Pod("p", waiting="ContainerCreating")),
            Reason.JOB_NOT_STARTED,
            "ContainerCreating",
        ),
    ],
)
def test_an_end_has_a_plain_reason(job: Job | None, reason: Reason, message: str) -> None:
    failure = outcome(job, Stage.UPLOADING)
    assert isinstance(failure, Failure)
    assert failure.reason is reason
    assert message in failure.message


@pytest.mark.parametrize(
    "job",
    [
        Job(age=599),
        Job(age=599, pod=Pod("p", unschedulable="0/3 nodes are available")),
        Job(age=59, pod=Pod("p", waiting="ImagePullBackOff")),
        Job(age=9999, pod=Pod("p", "Running")),
        Job(age=9999, pod=Pod("p", "Running", overdue=29)),
        Job(age=9999, pod=Pod("p", "Unknown")),
    ],
)
def test_there_is_hope(job: Job) -> None:
    assert outcome(job, Stage.PENDING) is None


def test_a_result_counts_whatever_became_of_the_pod() -> None:
    words = (
        '{"type":"result","image_id":"i","disk_format":"raw","size":1,"virtual_size":1,'
        '"hash_algo":"sha512","hash_value":"ab","source":{"format":"raw","size":1,'
        '"actual_size":1,"virtual_size":1,"checksums":{}}}'
    )
    pod = Pod("p", "Failed", reason="Evicted", message="no memory", termination_message=words)
    found = outcome(Job(age=1, pod=pod, failed="DeadlineExceeded"), Stage.UPLOADING)
    assert found is not None
    assert found.type == "result"


@pytest.mark.parametrize(
    ("log", "transferred"),
    [
        (b"", None),
        (b'{"event": "hello", "level": "info"}\nnonsense \xff', None),
        (
            MIXED,
            2,
        ),
    ],
    ids=["empty", "other", "mixed"],
)
def test_progress_is_picked_from_the_log(log: bytes, transferred: int | None) -> None:
    progress = newest_progress(log)
    assert (progress.transferred if progress else None) == transferred
