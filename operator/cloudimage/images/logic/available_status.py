"""The status of a CloudImage whose image is there; pure, like the others in ``status``."""

import re
from datetime import datetime

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Event
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import (
    CloudImageStatus,
    ImageStatus,
    SourceStatus,
    Summary,
    TransferProgress,
)
from cloudimage.cloud.models import GlanceImage, Usage
from cloudimage.controller.logic.conditions import Draft
from cloudimage.images.logic import (
    copied_metadata,
    customize_status,
    lint_status,
    property_checks,
    readiness,
)
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.status import in_use, next_status, used_by
from cloudimage.plaintext import plain
from cloudimage.sizes import quantity
from cloudimage.transfer.contract import Result, Stage
from cloudimage.vocabulary.marks import SOURCE_MARK

_MOST_LISTED = 128
"""Properties and tags in a status; Glance has as many by default."""
_LONGEST_VALUE = 1024
"""Bytes of a property's value in a status."""


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
        readiness.of_image(image),
        Draft(
            ConditionType.SYNCED,
            "True",
            Reason.OBSERVED,
            "The image is only observed, not managed; the status shows it as it is in Glance.",
        ),
    ]
    changes: dict[str, object] = {
        "image_id": image.id,
        "disk_format": image.disk_format,
        "visibility": image.visibility,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "checksums": _checksums(image),
        "image": image_status(image, properties=True),
        "summary": _summary(resource, image, usage),
        "last_sync_time": now,
    }
    if usage is not None:
        changes["used_by"] = used_by(usage, now)
    return next_status(resource, drafts, now, changes)


def delivered(  # noqa: PLR0913 - what a look found, each from elsewhere
    resource: CloudImage,
    desired: Desired,
    image: GlanceImage,
    result: Result,
    now: datetime,
    *,
    held: bool = False,
) -> CloudImageStatus:
    """Return the status once all bytes are in Glance, whatever its metadata still needs.

    Args:
        resource: The CloudImage.
        desired: What its spec wants.
        image: The image; one of an earlier spec may still be served.
        result: The end of its transfer.
        now: The present.
        held: It is used only once it has passed its boot test.
    """
    lint = lint_status.of_image(resource, desired, result)
    drafts = [
        verified(resource, desired, image, result),
        uploaded(resource, image, result),
        *lint.drafts,
    ]
    changes: dict[str, object] = {
        **lint.changes,
        "progress": TransferProgress(stage=Stage.COMPLETE, percent=100),
        "summary": _summary(resource, image, None, "100%"),
        # One that is to be tested first is not to be booted from yet.
        "image_id": resource.status.image_id or (None if held else image.id),
        "described_image_id": image.id,
        **_made(result),
    }
    return next_status(resource, drafts, now, changes)


def _summary(
    resource: CloudImage, image: GlanceImage, usage: Usage | None, progress: str | None = None
) -> Summary:
    """Return the columns; without usage they keep what was known."""
    before = resource.status.summary or Summary()
    return Summary(
        progress=progress,
        size=None if image.size is None else quantity(image.size),
        in_use=in_use(usage, private=image.visibility == "private") if usage else before.in_use,
    )


def _made(result: Result) -> dict[str, object]:
    """Return the fields of the status that say how an image was made."""
    return {
        "method": result.method,
        "method_reason": result.method_reason or None,
        "virtual_size": result.virtual_size,
        "customize": customize_status.results(result.customize),
        "source": SourceStatus(
            format=result.source.format,
            size=result.source.size,
            actual_size=result.source.actual_size,
            virtual_size=result.source.virtual_size,
            checksums=result.source.checksums,
            verified_by=result.source.verified_by,
            version=result.source.version,
            last_modified=result.source.modified,
        ),
    }


def available(  # noqa: PLR0913, PLR0917 - what came of a look, each from elsewhere
    resource: CloudImage,
    desired: Desired,
    image: GlanceImage,
    usage: Usage | None,
    result: Result | None,
    now: datetime,
    *others: Draft,
) -> CloudImageStatus:
    """Return the status of an image that matches the spec.

    Args:
        resource: The CloudImage.
        desired: What its spec wants.
        image: The image, after its metadata was brought in line.
        usage: Who uses it; None keeps what was known.
        result: The end of the transfer that made it, when that was just now.
        now: The present.
        others: Conditions that are otherwise.
    """
    lint = lint_status.of_image(resource, desired, result)
    drafts = [
        readiness.of_image(image),
        verified(resource, desired, image, result),
        uploaded(resource, image, result),
        *lint.drafts,
        Draft(ConditionType.SYNCED, "True", Reason.IN_SYNC, _in_sync(resource)),
        property_checks.draft(resource),
        *customize_status.current(resource, adopted=_was_adopted(resource, image)),
        *others,
    ]
    changes: dict[str, object] = {
        "digest": desired.content_key,
        "image_id": image.id,
        "described_image_id": image.id,
        "disk_format": image.disk_format,
        "visibility": image.visibility,
        "size": image.size,
        "checksums": _checksums(image),
        "image": image_status(image),
        "progress": TransferProgress(stage=Stage.COMPLETE, percent=100),
        "summary": _summary(resource, image, usage, "100%"),
        "synced_generation": resource.metadata.generation,
        "last_sync_time": now,
        "upload": None,
        **lint.changes,
    }
    if result is not None:
        changes |= _made(result)
    elif resource.status.digest != desired.content_key or not _is_told(resource, image):
        # Not made just now: how it was made is no longer known.
        changes |= {"virtual_size": image.virtual_size, "source": _uploaded_file(image)}
        changes |= {"method": None, "method_reason": None, "customize": None}
    if usage is not None:
        changes["used_by"] = used_by(usage, now)
    return next_status(resource, drafts, now, changes)


def _is_told(resource: CloudImage, image: GlanceImage) -> bool:
    """Return whether the status tells how this image was made."""
    # One of an earlier version of this operator does not say of which image.
    return image.id == (resource.status.described_image_id or resource.status.image_id)


def _uploaded_file(image: GlanceImage) -> SourceStatus | None:
    """Return what is known of the file that a person uploaded; None: nobody did."""
    sha256 = image.properties.get(SOURCE_MARK, "")
    known = re.fullmatch("[0-9a-f]{64}", sha256) is not None
    return SourceStatus(checksums={"sha256": sha256}) if known else None


def _in_sync(resource: CloudImage) -> str:
    said = f"Glance's metadata equals the spec. {copied_metadata.sentence(resource)}"
    return said.rstrip()


def image_status(image: GlanceImage, *, properties: bool = False) -> ImageStatus:
    """Return the image as Glance has it.

    Args:
        image: The image.
        properties: Whether with its properties, which the spec of a managed image has already.
    """
    return ImageStatus(
        name=image.name,
        status=image.status,
        owner=image.owner,
        created=image.created_at,
        updated=image.updated_at,
        container_format=image.container_format,
        min_disk_gib=image.min_disk,
        min_ram_mib=image.min_ram,
        protected=image.protected,
        hidden=image.hidden,
        tags=tuple(sorted(image.tags))[:_MOST_LISTED],
        stores=tuple(sorted(image.stores)),
        properties={
            plain(name): plain(value, _LONGEST_VALUE)
            for name, value in sorted(image.properties.items())[:_MOST_LISTED]
        }
        if properties
        else None,
    )


def _was_adopted(resource: CloudImage, image: GlanceImage) -> bool:
    adopt = resource.spec.adopt
    return adopt is not None and adopt.id.lower() == image.id


def _is_snapshot(resource: CloudImage, image: GlanceImage, result: Result | None) -> bool:
    """Return whether the image is the snapshot itself, so that no byte of it was sent."""
    known = _is_told(resource, image) and resource.status.method
    return (result.method if result else known) == "Snapshot"


def uploaded(resource: CloudImage, image: GlanceImage, result: Result | None) -> Draft:
    """Return the condition Uploaded of an image whose bytes are in Glance."""
    if _was_adopted(resource, image):
        message = f"Image {image.id} was already in Glance; this object manages it from now on."
        return Draft(ConditionType.UPLOADED, "True", Reason.ADOPTED, message)
    if _is_snapshot(resource, image, result):
        message = f"Image {image.id} is the snapshot itself: no byte was moved."
        return Draft(ConditionType.UPLOADED, "True", Reason.SNAPSHOT_TAKEN, message)
    return Draft(
        ConditionType.UPLOADED,
        "True",
        Reason.HASH_MATCHED,
        f"Glance's {image.hash_algo} and size match the bytes that were sent.",
    )


def verified(
    resource: CloudImage, desired: Desired, image: GlanceImage, result: Result | None
) -> Draft:
    """Return the condition Verified: what proves the bytes of an image."""
    if desired.source is None or _was_adopted(resource, image):
        return Draft(
            ConditionType.VERIFIED,
            "Unknown",
            Reason.NO_CHECKSUM,
            "The image was already in Glance; the operator does not know where its bytes come "
            "from.",
        )
    proof = desired.source.proof()
    wanted = proof.checksum
    if not proof.is_given:
        return Draft(
            ConditionType.VERIFIED,
            "Unknown",
            Reason.NO_CHECKSUM,
            "The spec has no checksum of the source. Add one, so that a replaced file is detected.",
        )
    if _is_snapshot(resource, image, result):
        return _of_snapshot(image)
    if proof.teller is not None:
        found = result.source if result else resource.status.source
        return _verified_by(found.verified_by if found else None, proof.teller)
    if proof.signed:
        reason = Reason.SIGNATURE_MATCHED
        message = "The signature was made by a key in the keyring."
    elif wanted is None:
        reason, message = Reason.CHECKSUM_MATCHED, "The file matches the publisher's checksum."
    elif wanted.algorithm in {"md5", "sha1"}:
        reason = Reason.WEAK_CHECKSUM
        message = (
            f"The file matches the {wanted.algorithm} in the spec, but {wanted.algorithm} "
            "can be forged."
        )
    else:
        reason = Reason.CHECKSUM_MATCHED
        message = f"The file matches the {wanted.algorithm} in the spec."
    return Draft(ConditionType.VERIFIED, "True", reason, message)


def _of_snapshot(image: GlanceImage) -> Draft:
    """Return what is known of bytes that were stored by the cloud itself."""
    if not image.hash_value:
        message = "Glance has no hash of the snapshot, which its store made as a copy."
        return Draft(ConditionType.VERIFIED, "Unknown", Reason.NO_CHECKSUM, message)
    message = f"The image is the snapshot itself: Glance took its {image.hash_algo} as it came."
    return Draft(ConditionType.VERIFIED, "True", Reason.SNAPSHOT_TAKEN, message)


def _verified_by(algorithm: str | None, teller: str) -> Draft:
    """Return what a hash proved that who has the source says."""
    if algorithm is None:
        message = f"No hash that {teller} has of the image is known: only its size was compared."
        return Draft(ConditionType.VERIFIED, "Unknown", Reason.NO_CHECKSUM, message)
    message = f"The bytes match the {algorithm} that {teller} has"
    if algorithm in {"md5", "sha1"}:
        message = f"{message}, but {algorithm} can be forged."
        return Draft(ConditionType.VERIFIED, "True", Reason.WEAK_CHECKSUM, message)
    return Draft(ConditionType.VERIFIED, "True", Reason.CHECKSUM_MATCHED, f"{message}.")


def warnings(result: Result) -> list[Event]:
    """Return the Events for what succeeded, but not as well as it could."""
    weak = [Event("Warning", Reason.WEAK_CHECKSUM, each) for each in result.warnings]
    partly = [Event("Warning", Reason.SOURCE_PARTLY_USED, each) for each in result.left_out]
    return weak + partly + lint_status.warnings(result)


def _checksums(image: GlanceImage) -> dict[str, str]:
    pairs = {"md5": image.checksum, image.hash_algo or "": image.hash_value}
    return {name: value for name, value in pairs.items() if name and value}
