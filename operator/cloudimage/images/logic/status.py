"""The status of a CloudImage in each situation; pure, so that each can be tested."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import RETRY_ANNOTATION
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import (
    CloudImageStatus,
    CopiedMetadata,
    ServerReference,
    Summary,
    TransferProgress,
    UsedBy,
)
from cloudimage.cloud.models import GlanceImage, Usage
from cloudimage.controller.logic import conditions, retry
from cloudimage.controller.logic.conditions import Draft, with_conditions
from cloudimage.images.logic import (
    boot_test_state,
    customize_status,
    lint_status,
    property_checks,
    readiness,
)
from cloudimage.images.logic.desired import Desired
from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Failure, Progress, Stage

SAMPLE_SIZE = 5
"""How many of the servers that use an image are named."""

_TOLD_AGAIN = timedelta(minutes=5)
"""How old an answer that has not changed may look while a deletion waits."""


def next_status(
    resource: CloudImage,
    drafts: Iterable[Draft],
    now: datetime,
    changes: Mapping[str, object] | None = None,
) -> CloudImageStatus:
    """Return the status with other conditions and other fields, for the present generation.

    Conditions that the spec no longer asks for are gone.
    """
    spec = resource.spec
    unasked: dict[str, bool] = {
        ConditionType.PROVENANCE_COMPLETE: spec.provenance is None,
        ConditionType.LINTED: spec.lint == "Skip",
        ConditionType.CUSTOMIZED: spec.customize is None,
    }
    left = tuple(each for each in resource.status.conditions if not unasked.get(each.type))
    status = resource.status.model_copy(update={"conditions": left})
    return with_conditions(status, resource.metadata.generation, drafts, now, changes)


def starting(
    resource: CloudImage, desired: Desired, serving: GlanceImage | None, now: datetime
) -> CloudImageStatus:
    """Return the status written before a transfer starts: it is about to touch the cloud.

    Args:
        resource: The CloudImage.
        desired: What its spec wants.
        serving: The image of the previous spec, which serves meanwhile, if there is one.
        now: The present.
    """
    message = "The image is being made; see status.progress."
    drafts = [
        readiness.while_made(serving, message),
        Draft(ConditionType.VERIFIED, "Unknown", Reason.PENDING, "Not downloaded yet."),
        Draft(ConditionType.UPLOADED, "False", Reason.PROGRESSING, message),
        *lint_status.awaited(resource),
        Draft(ConditionType.SYNCED, "False", Reason.PENDING, "There is no image yet."),
        property_checks.draft(resource),
        *customize_status.begun(resource),
        Draft(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message),
    ]
    changes = {
        "customize": None,
        "digest": desired.content_key,
        "transfers_started": (resource.status.transfers_started or 0) + 1,
        "image_id": serving.id if serving else None,
        "disk_format": resource.spec.image.disk_format,
        "progress": TransferProgress(stage=Stage.PENDING),
        "summary": Summary(progress="0%"),
        "size": serving.size if serving else None,
        "virtual_size": None,
        "checksums": None,
        "image": None,
        "source": None,
        "described_image_id": None,
        # The image that comes is not as this spec wants it before that was applied to it.
        "synced_generation": None,
        "upload": None,
        "lint": (),
    }
    return next_status(resource, drafts, now, changes)


def transferring(resource: CloudImage, progress: Progress) -> CloudImageStatus:
    """Return the status while bytes move: only the numbers change."""
    percent = _percent(progress)
    return resource.status.model_copy(
        update={
            "progress": TransferProgress(
                stage=progress.stage,
                percent=percent,
                transferred_bytes=progress.transferred or None,
                total_bytes=progress.total,
                bytes_per_second=int(progress.rate) or None,
            ),
            "summary": (resource.status.summary or Summary()).model_copy(
                update={"progress": None if percent is None else f"{percent}%"}
            ),
        }
    )


def _percent(progress: Progress) -> int | None:
    if not progress.total:
        return None
    return min(100, progress.transferred * 100 // progress.total)


def failed(
    resource: CloudImage, failure: Failure, now: datetime, retry_at: datetime | None
) -> CloudImageStatus:
    """Return the status after a transfer failed; ``retry_at``: when it is retried, if ever."""
    reason = Reason(failure.reason)
    message = _with_outlook(failure.message, retry_at)
    lint = lint_status.of_refusal(failure)
    drafts = [
        readiness.after_failure(resource, reason, message),
        Draft(ConditionType.UPLOADED, "False", reason, message),
        *lint.drafts,
        Draft(ConditionType.STALLED, "True", reason, message),
        *customize_status.failed(failure, message),
    ]
    if reason is Reason.CHECKSUM_MISMATCH:
        drafts.append(Draft(ConditionType.VERIFIED, "False", reason, message))
    changes = {
        "progress": TransferProgress(stage=failure.stage),
        "summary": None,
        **lint.changes,
        "customize": customize_status.after(resource, failure),
    }
    return next_status(resource, drafts, now, changes)


def _with_outlook(message: str, retry_at: datetime | None) -> str:
    sentence = conditions.sentences(message, None)
    if retry_at is None:
        return f"{sentence} {retry.outlook(None)}"
    return (
        f"{sentence} Retried at {retry_at:%H:%M:%S} UTC, or when the annotation {RETRY_ANNOTATION} "
        "gets a new value."
    )


def retrying(resource: CloudImage, value: str, now: datetime) -> CloudImageStatus:
    """Return the status once the annotation's value was acted on: every failure is retried."""
    message = f"Retrying, as requested by the annotation {RETRY_ANNOTATION}."
    drafts = [Draft(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message)]
    changes: dict[str, object] = {
        "last_handled_retry": value,
        "boot_test": boot_test_state.retried(resource.status.boot_test, now),
    }
    if (follow := resource.status.follow) is not None:
        # The source is asked at once, and a version that failed is retried.
        seen = follow.available
        kept = seen if seen is not None and not seen.failed else None
        changes["follow"] = follow.model_copy(update={"next_check_time": None, "available": kept})
    elif resource.status.image_id is None:
        changes["resolved_source"] = None
    return next_status(resource, drafts, now, changes)


def looking(resource: CloudImage, now: datetime) -> CloudImageStatus:
    """Return the status while the source is asked for the first time which bytes it means."""
    message = "The source is being asked which version it has."
    drafts = [
        *readiness.unless_ready(resource, Reason.PROGRESSING, message),
        Draft(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message),
    ]
    return next_status(resource, drafts, now)


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way of looking after an image.

    Attributes:
        stalled: A user has to act; otherwise it is expected to pass.
        pauses: Between tries; None if it is not retried automatically.
    """

    reason: Reason
    message: str
    stalled: bool
    pauses: retry.Pauses | None


def blocked_by_cloud(resource: CloudImage, obstacle: Obstacle, now: datetime) -> CloudImageStatus:
    """Return the status when the cloud or its credentials stand in the way.

    An image that is Ready stays so, unless it is gone: servers boot from it whether or not we can
    look at it.
    """
    since = conditions.unreachable_since(resource, obstacle.reason, now)
    text = f"{conditions.sentences(obstacle.message, since)} {retry.outlook(obstacle.pauses)}"
    if since is not None:
        text = f"{text} {conditions.HOW_TO_LET_GO}"
    text = conditions.keep_first(resource, ConditionType.RECONCILING, obstacle.reason, text)
    kind = ConditionType.STALLED if obstacle.stalled else ConditionType.RECONCILING
    drafts = [
        *readiness.in_trouble(resource, obstacle.reason, text),
        Draft(ConditionType.SYNCED, "Unknown", obstacle.reason, text),
        Draft(kind, "True", obstacle.reason, text),
    ]
    return next_status(resource, drafts, now, {"cloud_unreachable_since": since})


def copied(resource: CloudImage, found: CopiedMetadata | None) -> CloudImageStatus:
    """Return the status once it is known what is copied of the source's metadata."""
    return resource.status.model_copy(update={"copied_metadata": found})


def adopting(resource: CloudImage, desired: Desired, now: datetime) -> CloudImageStatus:
    """Return the status written before an image is marked as ours: a deletion must know of it."""
    message = "The image of spec.adopt is being adopted."
    drafts = [
        *readiness.unless_ready(resource, Reason.PROGRESSING, message),
        Draft(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message),
    ]
    return next_status(resource, drafts, now, {"digest": desired.content_key})


def in_use(usage: Usage, *, private: bool) -> str:
    """Return the number of servers made from the image, for people; ``?`` where Nova tells none.

    Args:
        usage: Who uses it.
        private: Only the credentials' own project can use it.
    """
    if usage.scope == "Refused":
        return "?"
    unseen = usage.scope == "OwnProject" and not private
    return f"{len(usage.servers)}{'+' * unseen}"


def used_by(usage: Usage, now: datetime) -> UsedBy:
    """Return who uses the image at present, in numbers and a few names."""
    return UsedBy(
        servers=None if usage.scope == "Refused" else len(usage.servers),
        volumes=None if usage.volumes is None else len(usage.volumes),
        sample=tuple(
            ServerReference(
                id=plain(server.id), name=plain(server.name), project_id=plain(server.project_id)
            )
            for server in usage.servers[:SAMPLE_SIZE]
        ),
        last_check_time=now,
        scope=usage.scope,
    )


def deletion_blocked(
    resource: CloudImage, reason: Reason, message: str, usage: Usage | None, now: datetime
) -> CloudImageStatus:
    """Return the status of an object that is to go and cannot yet."""
    drafts = [
        Draft(ConditionType.DELETION_BLOCKED, "True", reason, message),
        Draft(ConditionType.RECONCILING, "True", Reason.DELETING, message),
    ]
    changes: dict[str, object] = {
        "cloud_unreachable_since": conditions.unreachable_since(resource, reason, now)
    }
    if usage:
        changes["used_by"] = _told_again(resource, used_by(usage, now), now)
        private = resource.status.visibility == "private"
        changes["summary"] = (resource.status.summary or Summary()).model_copy(
            update={"in_use": in_use(usage, private=private)}
        )
    return next_status(resource, drafts, now, changes)


def _told_again(resource: CloudImage, new: UsedBy, now: datetime) -> UsedBy:
    """Return who uses the image; the same as before where only the time is another.

    A deletion that waits asks every few seconds: each answer must not be a version in etcd.
    """
    before = resource.status.used_by
    if before is None or before.last_check_time is None:
        return new
    same = before.model_copy(update={"last_check_time": now}) == new
    return before if same and now - before.last_check_time < _TOLD_AGAIN else new


def nothing_left(resource: CloudImage) -> CloudImageStatus:
    """Return the status of a deleted object that has nothing left in the cloud.

    Written before its Secret is let go: a restart between the two must not look for the Secret.
    """
    return resource.status.model_copy(update={"digest": None, "image_id": None})
