"""An image whose bytes a person uploads: how it is waited for, and which uploads go on; pure.

``cloudimage upload`` makes the image with the marks of the CloudImage, as a transfer of the
operator does, so that it is found in the same way once its bytes were verified.
"""

from datetime import datetime, timedelta
from typing import Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import CloudImageStatus, Summary, TransferProgress, UploadStatus
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import Draft
from cloudimage.images.logic import property_checks, readiness
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.status import next_status
from cloudimage.sources.upload import UploadSpecSource
from cloudimage.transfer.contract import Stage
from cloudimage.vocabulary.marks import UPLOAD_MARK, Marks

LONGEST: Final = timedelta(hours=24)
"""An upload that began longer ago is taken for one that was broken off."""


def is_awaited(desired: Desired) -> bool:
    """Return whether a person gives the bytes, and no transfer of the operator's."""
    return isinstance(desired.source, UploadSpecSource)


def goes_on(image: GlanceImage, desired: Desired, now: datetime) -> bool:
    """Return whether an unfinished image may be one that a person is uploading now."""
    return (
        UPLOAD_MARK in image.properties
        and image.properties.get(Marks.DIGEST) == desired.content_key
        and now - image.created_at < LONGEST
    )


def command(resource: CloudImage) -> str:
    """Return the command that uploads the file."""
    metadata = resource.metadata
    return f"kubectl cloudimage upload FILE --name {metadata.name} -n {metadata.namespace}"


def awaiting(
    resource: CloudImage,
    desired: Desired,
    serving: GlanceImage | None,
    upload: UploadStatus,
    now: datetime,
) -> CloudImageStatus:
    """Return the status while the bytes are waited for.

    Args:
        resource: The CloudImage.
        desired: What its spec wants.
        serving: The image of the previous spec, which serves meanwhile, if there is one.
        upload: Where the bytes are to go.
        now: The present.
    """
    message = _message(resource, desired)
    ready = readiness.while_made(serving, message)
    if serving is None:
        ready = readiness.refused(Reason.AWAITING_UPLOAD, message)
    drafts = [
        ready,
        Draft(ConditionType.VERIFIED, "Unknown", Reason.PENDING, "Not uploaded yet."),
        Draft(ConditionType.UPLOADED, "False", Reason.AWAITING_UPLOAD, message),
        Draft(ConditionType.SYNCED, "False", Reason.PENDING, "There is no image yet."),
        property_checks.draft(resource),
        Draft(ConditionType.RECONCILING, "True", Reason.AWAITING_UPLOAD, message),
    ]
    changes = {
        "digest": desired.content_key,
        "image_id": serving.id if serving else None,
        "disk_format": resource.spec.image.disk_format,
        "progress": TransferProgress(stage=Stage.PENDING),
        "summary": Summary(),
        "size": serving.size if serving else None,
        "virtual_size": None,
        "checksums": None,
        "image": None,
        "source": None,
        "upload": upload,
    }
    return next_status(resource, drafts, now, changes)


def _message(resource: CloudImage, desired: Desired) -> str:
    checksum = desired.source.proof().checksum if desired.source else None
    which = f" that has the {checksum.algorithm} {checksum.value}" if checksum else ""
    return f"Waiting until somebody uploads the file{which}: {command(resource)}"
