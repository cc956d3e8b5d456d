"""What Ready means: an image serves that is as the spec, or an earlier one, says.

It stays True while something else goes wrong: servers boot from the image whether or not we can
look at it, and an image of an earlier spec serves until the next one is there.
"""

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ABSENT_REASONS, ConditionType, Reason
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import Draft, is_true


def of_image(image: GlanceImage) -> Draft:
    """Return Ready by the status that Glance shows of the image."""
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


def while_made(serving: GlanceImage | None, message: str) -> Draft:
    """Return Ready while an image is made: True where one of an earlier spec serves."""
    return (
        Draft(
            ConditionType.READY,
            "True",
            Reason.REPLACEMENT_PENDING,
            f"The previous image {serving.id} stays in use until the new one is ready.",
        )
        if serving
        else Draft(ConditionType.READY, "False", Reason.PROGRESSING, message)
    )


def unless_ready(resource: CloudImage, reason: Reason, message: str) -> list[Draft]:
    """Return Ready=False, but for an image that stays usable whatever goes on beside it."""
    if is_true(resource.status.conditions, ConditionType.READY):
        return []
    return [Draft(ConditionType.READY, "False", reason, message)]


def after_failure(resource: CloudImage, reason: Reason, message: str) -> Draft:
    """Return Ready: True where an image of an earlier spec serves."""
    if not is_true(resource.status.conditions, ConditionType.READY):
        return Draft(ConditionType.READY, "False", reason, message)
    return Draft(
        ConditionType.READY,
        "True",
        Reason.REVISION_FAILED,
        f"The previous image {resource.status.image_id} stays in use. The new one could not be "
        f"made: {message}",
    )


def in_trouble(resource: CloudImage, reason: Reason, message: str) -> list[Draft]:
    """Return Ready when the cloud or its credentials stand in the way."""
    if reason is Reason.REVISION_FAILED:
        return [after_failure(resource, reason, message)]
    if reason in ABSENT_REASONS:
        return [Draft(ConditionType.READY, "False", reason, message)]
    return unless_ready(resource, reason, message)


def refused(reason: Reason, message: str) -> Draft:
    """Return Ready=False: the image must not be used as it is."""
    return Draft(ConditionType.READY, "False", reason, message)
