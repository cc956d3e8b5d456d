"""Jobs and their pods as the runner uses them: one adapter over the official client."""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import kubernetes
from kubernetes.client import ApiException
from pydantic import ValidationError
from urllib3.exceptions import HTTPError

from cloudimage.kube import REQUEST_TIMEOUT_SECONDS, Key
from cloudimage.runners.logic import job_outcome
from cloudimage.runners.logic.job_manifest import CONTAINER, DIGEST_LABEL, SELECTOR, UID_LABEL
from cloudimage.transfer.contract import EVENTS, Progress

API_ERRORS: Final = (ApiException, HTTPError)
"""Errors that any request here may raise: an error response, or no response."""

_LOG_SECONDS = 10
_LOG_LINES = 20


@dataclass(frozen=True)
class Found:
    """A Job of ours that is there already.

    Attributes:
        key: The Job's name.
        owner: The CloudImage's, as the Job says.
        uid: The CloudImage's, as the Job says.
    """

    key: Key
    owner: Key
    uid: str
    digest: str


@dataclass(frozen=True)
class Jobs:
    """The few requests that transfers as Jobs need; each may raise :data:`API_ERRORS`."""

    client: kubernetes.client.ApiClient

    def create(self, manifest: Any) -> bool:  # noqa: ANN401  # to the client it is a V1Job
        """Create a Job; return whether its name was free."""
        try:
            self._batch.create_namespaced_job(
                manifest["metadata"]["namespace"],
                manifest,
                _request_timeout=REQUEST_TIMEOUT_SECONDS,
            )
        except ApiException as error:
            if error.status == HTTPStatus.CONFLICT:
                return False
            raise
        return True

    def look(self, key: Key) -> job_outcome.Job | None:
        """Return the Job with its pod as they are now; None when the Job is gone."""
        job: Any  # the client's types say of nearly all that it may be None
        try:
            job = self._batch.read_namespaced_job(
                key.name, key.namespace, _request_timeout=REQUEST_TIMEOUT_SECONDS
            )
        except ApiException as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise
        pods: Any = self._core.list_namespaced_pod(
            key.namespace,
            label_selector=f"batch.kubernetes.io/controller-uid={job.metadata.uid}",
            _request_timeout=REQUEST_TIMEOUT_SECONDS,
        ).items
        newest: Any = max(pods, key=lambda each: each.metadata.creation_timestamp, default=None)
        true = {each.type: each for each in job.status.conditions or () if each.status == "True"}
        failed = true.get("Failed")
        return job_outcome.Job(
            age=_seconds_since(job.metadata.creation_timestamp),
            failed=(failed.reason or "Failed") if failed else "",
            failed_message=(failed.message or "") if failed else "",
            complete="Complete" in true,
            deleting=job.metadata.deletion_timestamp is not None,
            pod=_pod(newest) if newest else None,
        )

    def progress(self, namespace: str, pod: str) -> Progress | None:
        """Return the newest progress in a pod's log; None while it cannot be read."""
        try:
            answer: Any = self._core.read_namespaced_pod_log(
                pod,
                namespace,
                container=CONTAINER,
                tail_lines=_LOG_LINES,
                _preload_content=False,
                _request_timeout=_LOG_SECONDS,
            )
            log = answer.data
        except API_ERRORS:  # the kubelet's, not ours: the state of the pod tells more
            return None
        return newest_progress(log)

    def delete(self, key: Key, *, wait_for_pods: bool) -> None:
        """Delete a Job with its pods; one that is gone already is fine.

        Args:
            key: Its name.
            wait_for_pods: Have the Job stay until its pods are gone.
        """
        policy = "Foreground" if wait_for_pods else "Background"
        try:
            self._batch.delete_namespaced_job(
                key.name,
                key.namespace,
                propagation_policy=policy,
                _request_timeout=REQUEST_TIMEOUT_SECONDS,
            )
        except ApiException as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise

    def find(self, namespaces: tuple[str, ...]) -> list[Found]:
        """Return every Job of ours in the namespaces; none named: in all of them."""
        options: dict[str, Any] = {
            "label_selector": SELECTOR,
            "_request_timeout": REQUEST_TIMEOUT_SECONDS,
        }
        if namespaces:
            lists: list[Any] = [
                self._batch.list_namespaced_job(each, **options) for each in namespaces
            ]
        else:
            lists = [self._batch.list_job_for_all_namespaces(**options)]
        jobs = (_found(job) for listed in lists for job in listed.items)
        return [job for job in jobs if job is not None]

    @property
    def _batch(self) -> kubernetes.client.BatchV1Api:
        return kubernetes.client.BatchV1Api(self.client)

    @property
    def _core(self) -> kubernetes.client.CoreV1Api:
        return kubernetes.client.CoreV1Api(self.client)


def newest_progress(log: bytes) -> Progress | None:
    """Return the last progress of a log, which has the transfer's own log between."""
    for line in reversed(log.splitlines()):
        try:
            event = EVENTS.validate_json(line)
        except ValidationError:
            continue
        if isinstance(event, Progress):
            return event
    return None


def _found(job: Any) -> Found | None:  # noqa: ANN401  # the client has no types
    """Return a Job that looks like ours; None for another, whose labels may be anybody's."""
    metadata = job.metadata
    if not metadata.owner_references or UID_LABEL not in (metadata.labels or {}):
        return None
    return Found(
        key=Key(metadata.namespace, metadata.name),
        owner=Key(metadata.namespace, metadata.owner_references[0].name),
        uid=metadata.labels[UID_LABEL],
        digest=metadata.labels.get(DIGEST_LABEL, ""),
    )


def _pod(pod: Any) -> job_outcome.Pod:  # noqa: ANN401  # the client has no types
    status, deleted = pod.status, pod.metadata.deletion_timestamp
    conditions = {each.type: each for each in status.conditions or ()}
    container = next(iter(status.container_statuses or ()), None)
    waiting = container.state.waiting if container and container.state else None
    ended = container.state.terminated if container and container.state else None
    disrupted, scheduled = conditions.get("DisruptionTarget"), conditions.get("PodScheduled")
    return job_outcome.Pod(
        name=pod.metadata.name,
        phase=status.phase or "Pending",
        reason=status.reason or "",
        message=status.message or "",
        disruption=(disrupted.message or "") if disrupted else "",
        unschedulable=(scheduled.message or "")
        if scheduled and scheduled.status == "False"
        else "",
        waiting=(waiting.reason or "") if waiting else "",
        waiting_message=(waiting.message or "") if waiting else "",
        ended=(ended.reason or "") if ended else "",
        exit_code=ended.exit_code if ended else None,
        termination_message=(ended.message or "") if ended else "",
        # Kubernetes sets it to when the grace period ends.
        overdue=_seconds_since(deleted) if deleted else None,
    )


def _seconds_since(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
