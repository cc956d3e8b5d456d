"""What the status says of a look into an image; pure."""

from dataclasses import dataclass, field
from typing import Final

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.meta import Event
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.api.status import LintFinding
from cloudimage.controller.logic.conditions import ConditionStatus, Draft, find
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Failure, Result
from cloudimage.transfer.findings import LintResult

_UNSEEN: Final = (
    "The image was not looked into when it was made, or what was found is no longer known. With "
    "spec.lint Warn or Enforce the next transfer looks."
)
_PASSING: Final = frozenset({Reason.PENDING, Reason.LINT_FAILED})
"""What is said of an image that is being made, or was not."""
_UNCHECKED: Final = frozenset({Reason.NOT_LOOKED_INTO, Reason.FILE_SYSTEM_UNKNOWN})
_STATUSES: Final[dict[str, ConditionStatus]] = {"Clean": "True", "FindingsFound": "False"}


@dataclass(frozen=True, slots=True)
class Told:
    """A part of the status.

    Attributes:
        drafts: The condition Linted, where it is to change.
        changes: Fields of the status, likewise.
    """

    drafts: tuple[Draft, ...] = ()
    changes: dict[str, object] = field(default_factory=dict)


def awaited(resource: CloudImage) -> tuple[Draft, ...]:
    """Return the condition while an image is made."""
    if resource.spec.lint == "Skip":
        return ()
    return (Draft(ConditionType.LINTED, "Unknown", Reason.PENDING, "Not downloaded yet."),)


def of_image(resource: CloudImage, desired: Desired, result: Result | None) -> Told:
    """Return what the status says of an image that is there.

    Args:
        resource: The CloudImage.
        desired: What its spec wants.
        result: The end of the transfer that made the image, when that was just now.
    """
    if resource.spec.lint == "Skip":
        return Told(changes={"lint": ()})
    if result is not None and result.lint is not None:
        return _told(result.lint)
    standing = find(resource.status.conditions, ConditionType.LINTED)
    known = standing is not None and standing.reason not in _PASSING
    if result is None and known and resource.status.digest == desired.content_key:
        return Told()
    unseen = Draft(ConditionType.LINTED, "Unknown", Reason.NOT_LOOKED_INTO, _UNSEEN)
    return Told((unseen,), {"lint": ()})


def of_refusal(failure: Failure) -> Told:
    """Return what the status says of a failed transfer, if it refused what is in the image."""
    if failure.lint is None:
        return Told()
    message = failure.lint.message
    draft = Draft(ConditionType.LINTED, "False", Reason.LINT_FAILED, message)
    return Told((draft,), _told(failure.lint).changes)


def warnings(result: Result) -> list[Event]:
    """Return the Event for findings: once for each image, since a result comes once."""
    if result.lint is None or result.lint.outcome != "FindingsFound":
        return []
    return [Event("Warning", Reason.FINDINGS_FOUND, result.lint.message)]


def unchecked(before: CloudImage, after: CloudImage) -> list[Event]:
    """Return the Event for an image that Enforce lets pass, because what is in it is unknown.

    Args:
        before: The CloudImage before a look.
        after: It after that look; only a change is an Event.
    """
    told = find(after.status.conditions, ConditionType.LINTED)
    if after.spec.lint != "Enforce" or told is None or told.reason not in _UNCHECKED:
        return []
    known = find(before.status.conditions, ConditionType.LINTED)
    if known is not None and known.reason == told.reason:
        return []
    said = f"{told.message} spec.lint is Enforce, which has not checked this image."
    return [Event("Warning", Reason(told.reason), said)]


def _told(lint: LintResult) -> Told:
    status = _STATUSES.get(lint.outcome, "Unknown")
    draft = Draft(ConditionType.LINTED, status, Reason(lint.outcome), lint.message)
    found = tuple(
        LintFinding(rule=each.rule, path=each.path, message=each.message) for each in lint.findings
    )
    return Told((draft,), {"lint": found})
