"""The status to write for each situation of a CloudImage; pure, so that each can be tested."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cloudimage.api.cloudimage import (
    CloudImage,
    CloudImageStatus,
    ServerReference,
    SourceStatus,
    Summary,
    TransferProgress,
    UsedBy,
)
from cloudimage.api.meta import RETRY_ANNOTATION
from cloudimage.cloud.types import GlanceImage, Usage
from cloudimage.reconcile import away, content, properties, retry
from cloudimage.reconcile.conditions import Draft, is_true, merged
from cloudimage.reconcile.reasons import ABSENT_REASONS, ConditionType, Reason
from cloudimage.transfer.types import Failure, Progress, Result, Stage

SAMPLE_SIZE = 5
"""How many of the servers that use an image are named."""


def size_text(size: int) -> str:
    """Return a number of bytes as Kubernetes writes quantities, for instance 2.0Gi."""
    value = float(size)
    for unit in ("", "Ki", "Mi", "Gi", "Ti"):
        if value < 1024 or unit == "Ti":  # noqa: PLR2004  # binary units go by 1024
            return f"{value:.1f}{unit}" if unit else f"{size}"
        value /= 1024
    raise AssertionError("unreachable: the last unit always returns")


def _next(
    resource: CloudImage,
    drafts: Iterable[Draft],
    now: datetime,
    changes: Mapping[str, object] | None = None,
) -> CloudImageStatus:
    generation = resource.metadata.generation
    return resource.status.model_copy(
        update={
            "cloud_unreachable_since": None,
            **(changes or {}),
            "observed_generation": generation,
            "conditions": merged(resource.status.conditions, drafts, generation, now),
        }
    )


def _not_ready(resource: CloudImage, reason: Reason, message: str) -> list[Draft]:
    """Return Ready=False, but for an image that stays usable whatever goes on beside it."""
    if is_true(resource.status.conditions, ConditionType.READY):
        return []
    return [Draft(ConditionType.READY, "False", reason, message)]


def starting(resource: CloudImage, serving: GlanceImage | None, now: datetime) -> CloudImageStatus:
    """Return the status written before a transfer starts: it is about to touch the cloud.

    Args:
        resource: The CloudImage.
        serving: The image of the previous spec, which serves meanwhile, if there is one.
        now: The present.
    """
    message = "The image is being made; status.progress shows how far it is."
    ready = (
        Draft(
            ConditionType.READY,
            "True",
            Reason.REPLACEMENT_PENDING,
            f"Image {serving.id} of the previous spec serves until the new one is there.",
        )
        if serving
        else Draft(ConditionType.READY, "False", Reason.PROGRESSING, message)
    )
    drafts = [
        ready,
        Draft(ConditionType.VERIFIED, "Unknown", Reason.PENDING, "Not downloaded yet."),
        Draft(ConditionType.UPLOADED, "False", Reason.PROGRESSING, message),
        Draft(ConditionType.SYNCED, "False", Reason.PENDING, "There is no image yet."),
        properties.draft(resource),
        Draft(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message),
    ]
    changes = {
        "digest": content.digest(resource.spec),
        "image_id": serving.id if serving else None,
        "disk_format": resource.spec.image.disk_format,
        "progress": TransferProgress(stage=Stage.PENDING),
        "summary": Summary(progress="0%"),
        "size": serving.size if serving else None,
        "virtual_size": None,
        "checksums": None,
        "source": None,
    }
    return _next(resource, drafts, now, changes)


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
            "summary": Summary(
                progress=None if percent is None else f"{percent}%",
                size=resource.status.summary.size if resource.status.summary else None,
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
    """Return the status after a transfer failed; ``retry_at``: when it is tried again, if ever."""
    reason = Reason(failure.reason)
    message = _with_outlook(failure.message, retry_at)
    drafts = [
        _ready_after_failure(resource, reason, message),
        Draft(ConditionType.UPLOADED, "False", reason, message),
        Draft(ConditionType.STALLED, "True", reason, message),
    ]
    if reason is Reason.CHECKSUM_MISMATCH:
        drafts.append(Draft(ConditionType.VERIFIED, "False", reason, message))
    changes = {"progress": TransferProgress(stage=failure.stage), "summary": None}
    return _next(resource, drafts, now, changes)


def _ready_after_failure(resource: CloudImage, reason: Reason, message: str) -> Draft:
    """Return Ready: True where an image of an earlier spec serves."""
    if not is_true(resource.status.conditions, ConditionType.READY):
        return Draft(ConditionType.READY, "False", reason, message)
    return Draft(
        ConditionType.READY,
        "True",
        Reason.REVISION_FAILED,
        f"Image {resource.status.image_id} of the previous spec goes on serving. The new one could "
        f"not be made: {message}",
    )


def _with_outlook(message: str, retry_at: datetime | None) -> str:
    sentence = away.message(message, None)
    if retry_at is None:
        return f"{sentence} {retry.outlook(None)}"
    return (
        f"{sentence} Tried again at {retry_at:%H:%M:%S} UTC, or when the annotation "
        f"{RETRY_ANNOTATION} gets a new value."
    )


def retrying(resource: CloudImage, value: str, now: datetime) -> CloudImageStatus:
    """Return the status once the annotation's value is acted on: nothing is given up any more."""
    message = f"Tried again, as the annotation {RETRY_ANNOTATION} asks."
    drafts = [Draft(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message)]
    return _next(resource, drafts, now, {"last_handled_retry": value})


@dataclass(frozen=True, slots=True)
class Trouble:
    """What stands in the way of looking after an image.

    Attributes:
        stalled: Somebody has to act; else it is expected to pass.
        pauses: Between tries; None: it is not tried again by itself.
    """

    reason: Reason
    message: str
    stalled: bool
    pauses: retry.Pauses | None


def troubled(resource: CloudImage, trouble: Trouble, now: datetime) -> CloudImageStatus:
    """Return the status when the cloud or its credentials stand in the way.

    An image that is Ready stays so, unless there is none: servers boot from it whether or not we
    can look at it.
    """
    since = away.since(resource, trouble.reason, now)
    text = f"{away.message(trouble.message, since)} {retry.outlook(trouble.pauses)}"
    if since is not None:
        text = f"{text} {away.HOW_TO_LET_GO}"
    kind = ConditionType.STALLED if trouble.stalled else ConditionType.RECONCILING
    drafts = [
        *_ready_in_trouble(resource, trouble.reason, text),
        Draft(ConditionType.SYNCED, "Unknown", trouble.reason, text),
        Draft(kind, "True", trouble.reason, text),
    ]
    return _next(resource, drafts, now, {"cloud_unreachable_since": since})


def _ready_in_trouble(resource: CloudImage, reason: Reason, message: str) -> list[Draft]:
    if reason is Reason.REVISION_FAILED:
        return [_ready_after_failure(resource, reason, message)]
    if reason in ABSENT_REASONS:
        return [Draft(ConditionType.READY, "False", reason, message)]
    return _not_ready(resource, reason, message)


def adopting(resource: CloudImage, now: datetime) -> CloudImageStatus:
    """Return the status written before an image is marked as ours: a deletion must know of it."""
    message = "The image of spec.adopt is being taken over."
    drafts = [
        *_not_ready(resource, Reason.PROGRESSING, message),
        Draft(ConditionType.RECONCILING, "True", Reason.PROGRESSING, message),
    ]
    return _next(resource, drafts, now, {"digest": content.digest(resource.spec)})


def observed(
    resource: CloudImage, image: GlanceImage, usage: Usage | None, now: datetime
) -> CloudImageStatus:
    """Return the status of an image that is not ours.

    Args:
        resource: The CloudImage.
        image: The image, as Glance shows it.
        usage: Who uses it; None keeps what was known.
        now: The present.
    """
    drafts = [
        _availability(image),
        Draft(
            ConditionType.SYNCED,
            "True",
            Reason.OBSERVED,
            "The image is not managed here; the status shows it as it is in Glance.",
        ),
    ]
    changes: dict[str, object] = {
        "image_id": image.id,
        "disk_format": image.disk_format,
        "visibility": image.visibility,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksums": _checksums(image),
        "summary": Summary(size=size_text(image.size)) if image.size is not None else None,
        "last_sync_time": now,
    }
    if usage is not None:
        changes["used_by"] = used_by(usage)
    return _next(resource, drafts, now, changes)


def available(
    resource: CloudImage,
    image: GlanceImage,
    usage: Usage | None,
    result: Result | None,
    now: datetime,
    *others: Draft,
) -> CloudImageStatus:
    """Return the status of an image that is as the spec says.

    Args:
        resource: The CloudImage.
        image: The image, after its metadata was brought in line.
        usage: Who uses it; None keeps what was known.
        result: The end of the transfer that made it, when that was just now.
        now: The present.
        others: Conditions that are otherwise.
    """
    drafts = [
        _availability(image),
        _verified(resource, image),
        _uploaded(resource, image),
        Draft(ConditionType.SYNCED, "True", Reason.IN_SYNC, "Glance's metadata equals the spec."),
        properties.draft(resource),
        *others,
    ]
    changes: dict[str, object] = {
        "digest": content.digest(resource.spec),
        "image_id": image.id,
        "disk_format": image.disk_format,
        "visibility": image.visibility,
        "size": image.size,
        "checksums": _checksums(image),
        "progress": TransferProgress(stage=Stage.COMPLETE, percent=100),
        "summary": Summary(
            progress="100%", size=size_text(image.size) if image.size is not None else None
        ),
        "synced_generation": resource.metadata.generation,
        "last_sync_time": now,
    }
    if result is None and image.id != resource.status.image_id:
        # Not made just now: how it was made is not known any more.
        changes |= {"virtual_size": image.virtual_size, "source": None}
        changes |= {"method": None, "method_reason": None}
    if usage is not None:
        changes["used_by"] = used_by(usage)
    if result is not None:
        changes["method"] = result.method
        changes["method_reason"] = result.method_reason or None
        changes["virtual_size"] = result.virtual_size
        changes["source"] = SourceStatus(
            format=result.source.format,
            size=result.source.size,
            actual_size=result.source.actual_size,
            virtual_size=result.source.virtual_size,
            checksums=result.source.checksums,
        )
    return _next(resource, drafts, now, changes)


def _availability(image: GlanceImage) -> Draft:
    if image.status == "active":
        return Draft(
            ConditionType.READY, "True", Reason.AVAILABLE, f"Image {image.id} can be used."
        )
    if image.status != "deactivated":
        return Draft(
            ConditionType.READY,
            "False",
            Reason.PENDING,
            f"Image {image.id} cannot be used yet: its status in Glance is {image.status}.",
        )
    return Draft(
        ConditionType.READY,
        "False",
        Reason.DEACTIVATED,
        f"Image {image.id} was deactivated in Glance; an administrator can reactivate it.",
    )


def _was_adopted(resource: CloudImage, image: GlanceImage) -> bool:
    adopt = resource.spec.adopt
    return adopt is not None and adopt.id.lower() == image.id


def _uploaded(resource: CloudImage, image: GlanceImage) -> Draft:
    if _was_adopted(resource, image):
        message = f"Image {image.id} was in Glance already; it is managed here from now on."
        return Draft(ConditionType.UPLOADED, "True", Reason.ADOPTED, message)
    return Draft(
        ConditionType.UPLOADED,
        "True",
        Reason.HASH_MATCHED,
        f"Glance's {image.hash_algo} and size equal those of the bytes sent.",
    )


def _verified(resource: CloudImage, image: GlanceImage) -> Draft:
    if resource.spec.source is None or _was_adopted(resource, image):
        return Draft(
            ConditionType.VERIFIED,
            "Unknown",
            Reason.NO_CHECKSUM,
            "The image was in Glance already: where its bytes come from is not known here.",
        )
    http = content.http_source(resource.spec)
    wanted = content.checksum(http)
    if http.checksum is None:
        return Draft(
            ConditionType.VERIFIED,
            "Unknown",
            Reason.NO_CHECKSUM,
            "The spec gives no checksum of the source: give one, so that nobody can swap the file.",
        )
    if http.checksum.signature is not None:
        reason, message = Reason.SIGNATURE_MATCHED, "The signature is by a key of the keyring."
    elif wanted is None:
        reason, message = Reason.CHECKSUM_MATCHED, "The file has the checksum of its publisher."
    elif wanted.algorithm in {"md5", "sha1"}:
        reason = Reason.WEAK_CHECKSUM
        message = f"The file has the {wanted.algorithm} of the spec, which can be forged."
    else:
        reason = Reason.CHECKSUM_MATCHED
        message = f"The file has the {wanted.algorithm} of the spec."
    return Draft(ConditionType.VERIFIED, "True", reason, message)


def _checksums(image: GlanceImage) -> dict[str, str]:
    pairs = {"md5": image.checksum, image.hash_algo or "": image.hash_value}
    return {name: value for name, value in pairs.items() if name and value}


def used_by(usage: Usage) -> UsedBy:
    """Return who uses the image, in numbers and a few names."""
    return UsedBy(
        servers=len(usage.servers),
        volumes=None if usage.volumes is None else len(usage.volumes),
        sample=tuple(
            ServerReference(id=each.id, name=each.name, project_id=each.project_id)
            for each in usage.servers[:SAMPLE_SIZE]
        ),
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
    changes: dict[str, object] = {"cloud_unreachable_since": away.since(resource, reason, now)}
    if usage:
        changes["used_by"] = used_by(usage)
    return _next(resource, drafts, now, changes)


def holding(resource: CloudImage) -> CloudImageStatus:
    """Return the status that says which Secret is held for the object."""
    secret = resource.spec.cloud_credentials_ref.secret_name
    return resource.status.model_copy(update={"credentials_secret": secret})


def nothing_left(resource: CloudImage) -> CloudImageStatus:
    """Return the status of a deleted object of which nothing is in the cloud any more.

    Written before its Secret is let go: a restart between the two must not look for the Secret.
    """
    return resource.status.model_copy(update={"digest": None, "image_id": None})
