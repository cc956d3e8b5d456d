"""What the status says of how earlier images age; pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.models import Usage
from cloudimage.controller.logic.conditions import Draft, amended
from cloudimage.images.logic import retention
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.images.logic.status import SAMPLE_SIZE

_MOST_PROJECTS: Final = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """A change of an earlier image that the cloud refused, or did not answer.

    Attributes:
        message: A sentence for the user.
    """

    reason: Reason
    message: str


def told(
    resource: CloudImage,
    status: CloudImageStatus,
    previous: Sequence[PreviousImage],
    refusals: Sequence[Refusal],
    now: datetime,
) -> CloudImageStatus:
    """Return the status with the condition RetentionApplied, or without it.

    Args:
        resource: The CloudImage.
        status: As it is to be otherwise.
        previous: The earlier images that are left.
        refusals: What could not be done.
        now: The present.
    """
    kind = ConditionType.RETENTION_APPLIED
    if resource.spec.retention is None:
        kept = tuple(each for each in status.conditions if each.type != kind)
        return status.model_copy(update={"conditions": kept})
    draft = _draft(resource, previous, refusals, now)
    conditions = amended(status.conditions, [draft], resource.metadata.generation, now)
    return status.model_copy(update={"conditions": conditions})


def _draft(
    resource: CloudImage,
    previous: Sequence[PreviousImage],
    refusals: Sequence[Refusal],
    now: datetime,
) -> Draft:
    kind = ConditionType.RETENTION_APPLIED
    found = [*refusals, *(_hold(resource, each, now) for each in _overdue(resource, previous, now))]
    if not found:
        message = "Every earlier image is what spec.retention makes of it at its age."
        return Draft(kind, "True", Reason.IN_SYNC, message)
    said = " ".join(each.message for each in found[:SAMPLE_SIZE])
    more = len(found) - SAMPLE_SIZE
    rest = f" And {more} more." if more > 0 else ""
    return Draft(kind, "False", found[0].reason, f"{said}{rest}")


def _overdue(
    resource: CloudImage, previous: Sequence[PreviousImage], now: datetime
) -> list[PreviousImage]:
    """Return the images that are held, those whose users are known first."""
    return sorted(retention.held(resource, previous, now), key=lambda each: not each.users)


def _hold(resource: CloudImage, each: PreviousImage, now: datetime) -> Refusal:
    due = now - retention.age(each.image, now) + retention.policy_of(resource).delete_after
    what = f"Image {each.image.id} ({each.image.name}) was to be deleted on {due:%Y-%m-%d}"
    if each.users:
        text = f"{what}, but {_users(each.usage)}. It is deleted once nothing uses it."
        return Refusal(Reason.IN_USE, text)
    if each.users is None:
        advice = "Let the credentials list the servers of all projects"
        return Refusal(
            Reason.USAGE_UNKNOWN,
            f"{what}, but projects that these credentials cannot see may use it. {advice}.",
        )
    return Refusal(
        Reason.PROTECTED,
        f"{what}, but is protected; set spec.image.protected to false to allow it.",
    )


def _users(usage: Usage | None) -> str:
    if usage is None:
        return "it is used"
    servers, volumes = len(usage.servers), len(usage.volumes or ())
    counts = [
        f"{number} {word}{'s' * (number != 1)}"
        for number, word in ((servers, "server"), (volumes, "volume"))
        if number
    ]
    owners = {each.project_id for each in usage.servers}
    owners |= {each.project_id for each in usage.volumes or ()}
    projects = sorted(filter(None, owners))
    more = len(projects) - _MOST_PROJECTS
    named = ", ".join(projects[:_MOST_PROJECTS]) + (f" and {more} more" if more > 0 else "")
    verb = "uses" if servers + volumes == 1 else "use"
    word = "project" if len(projects) == 1 else "projects"
    return f"{' and '.join(counts)} of {word} {named or 'unknown'} {verb} it"
