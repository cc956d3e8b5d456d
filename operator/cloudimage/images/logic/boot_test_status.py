"""The status of a CloudImage while, and once, its image is boot tested; pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cloudimage.api.boot_test import BootTest, BootTestStatus
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import BOOT_VERDICTS, ConditionType, Reason
from cloudimage.api.status import CloudImageStatus
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic import conditions, retry
from cloudimage.controller.logic.conditions import Draft, amended, find
from cloudimage.images.logic import available_status, follow_status, property_checks, readiness
from cloudimage.images.logic.boot_test import RETRIED, next_time
from cloudimage.images.logic.boot_verdict import Outcome
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.metadata import MetadataPlan
from cloudimage.images.logic.status import next_status

_BY_ITSELF: Final = frozenset({Reason.NO_VALID_HOST, Reason.BUILD_FAILED})
"""What is retried automatically, and needs no user to act."""

_SYNCED_LATER: Final = (
    "The image is brought in line with the spec once it has passed its boot test."
)
_STEADY: Final = 15
"""Failures in a row after which the pauses no longer grow."""


@dataclass(frozen=True, slots=True)
class Gate:
    """An image that may not be used before it has passed.

    Attributes:
        desired: What the spec wants.
        image: The image.
        serving: The image of an earlier spec that serves meanwhile, if there is one.
        lacks: What the image lacks that it needs to boot, such as its kernel; empty: nothing.
    """

    desired: Desired
    image: GlanceImage
    serving: GlanceImage | None
    lacks: str = ""


def told(
    resource: CloudImage,
    state: BootTestStatus | None,
    draft: Draft | None,
    gate: Gate | None,
    now: datetime,
) -> CloudImageStatus:
    """Return the status with how a boot test stands.

    Args:
        resource: The CloudImage.
        state: How it stands; None: it has not begun, or nothing is left of it.
        draft: The condition Booted; None: it stays as it is.
        gate: What must not be used before; None: the image is in use already.
        now: The present.
    """
    if draft is None:
        return resource.status.model_copy(update={"boot_test": state})
    if gate is None:
        drafts, generation = [draft], resource.metadata.generation
        merged = amended(resource.status.conditions, drafts, generation, now)
        return resource.status.model_copy(update={"boot_test": state, "conditions": merged})
    return _held(resource, state, draft, gate, now)


def _held(
    resource: CloudImage,
    state: BootTestStatus | None,
    booted: Draft,
    gate: Gate,
    now: datetime,
) -> CloudImageStatus:
    drafts = [
        *_progress(resource, booted, gate),
        available_status.verified(resource, gate.desired, gate.image, None),
        available_status.uploaded(resource, gate.image, None),
        Draft(ConditionType.SYNCED, "False", Reason.PENDING, _SYNCED_LATER),
        property_checks.draft(resource),
        booted,
    ]
    changes = {
        "boot_test": state,
        "digest": gate.desired.content_key,
        "image_id": gate.serving.id if gate.serving else None,
    }
    return next_status(resource, drafts, now, changes)


def _progress(resource: CloudImage, booted: Draft, gate: Gate) -> list[Draft]:
    """Return Ready, and Reconciling or Stalled."""
    reason, message = Reason(booted.reason), booted.message
    if booted.status == "True":
        message = "The image has passed its boot test, and takes its place."
    ready = readiness.while_made(gate.serving, message)
    if booted.status == "False":
        if reason in BOOT_VERDICTS:
            ready = readiness.after_failure(resource, reason, message)
        elif gate.serving is None:
            ready = readiness.refused(reason, message)
        if reason not in _BY_ITSELF:
            return [ready, Draft(ConditionType.STALLED, "True", reason, message)]
    known = booted.status == "Unknown" and reason is not Reason.PENDING
    why = reason if known else Reason.PROGRESSING
    return [ready, Draft(ConditionType.RECONCILING, "True", why, message)]


def without(resource: CloudImage, state: BootTestStatus | None) -> CloudImageStatus:
    """Return the status without the condition: no boot test is wanted.

    Args:
        resource: The CloudImage.
        state: What is yet to be cleared away; None: nothing is left.
    """
    left = tuple(each for each in resource.status.conditions if each.type != ConditionType.BOOTED)
    return resource.status.model_copy(update={"boot_test": state, "conditions": left})


def lacking(plan: MetadataPlan) -> str:
    """Return what an image lacks of what its spec refers to, so that a test would prove nothing."""
    unusable = (each for each in plan.drafts if each.type == ConditionType.READY)
    return next((x.message for x in unusable if x.reason == Reason.REFERENCE_NOT_READY), "")


def waiting(message: str, reason: Reason = Reason.PROGRESSING) -> Draft:
    """Return the condition while a test waits or runs."""
    said = f"The image is boot tested; see status.bootTest. {message}"
    return Draft(ConditionType.BOOTED, "Unknown", reason, said)


def as_told(resource: CloudImage) -> Draft | None:
    """Return the condition as it stands, for the present generation; None: it says nothing."""
    booted = find(resource.status.conditions, ConditionType.BOOTED)
    if booted is None or booted.status == "Unknown":
        return None
    return Draft(ConditionType.BOOTED, booted.status, Reason(booted.reason), booted.message)


def finished(
    test: BootTest, state: BootTestStatus, outcome: Outcome, now: datetime, *, held: bool
) -> tuple[BootTestStatus, Draft]:
    """Return the state once something has come of a test, and the condition Booted.

    Args:
        test: What was wanted.
        state: The test.
        outcome: What came of it.
        now: The present.
        held: The image is not used before it has passed.
    """
    done = state.model_copy(
        update={
            "result": outcome.result,
            "reason": outcome.reason,
            "finish_time": now,
            "cleanup": "Pending",
        }
    )
    kind = ConditionType.BOOTED
    periodic = None if held else next_time(test, done)
    if outcome.result == "Passed":
        due = next_time(test, done)
        draft = Draft(kind, "True", outcome.reason, outcome.message)
    elif outcome.reason in BOOT_VERDICTS:
        due = periodic
        draft = Draft(kind, "False", outcome.reason, f"{outcome.message} {_outlook(due)}")
    elif outcome.reason in RETRIED:
        pauses = retry.pauses(outcome.reason)
        due = now + timedelta(seconds=pauses.after(min(state.attempts, _STEADY)))
        said = f"{conditions.sentences(outcome.message, None)} {retry.outlook(pauses)}"
        draft = Draft(kind, "False", outcome.reason, said)
    else:
        due = periodic
        said = f"{conditions.sentences(outcome.message, None)} {_outlook(due)}"
        draft = Draft(kind, "False", outcome.reason, said)
    return done.model_copy(update={"next_test_time": due}), draft


def _outlook(due: datetime | None) -> str:
    # Not when: spec.bootTest.every may change without another test.
    if due is None:
        return retry.outlook(None)
    return "Tested again as spec.bootTest.every says: status.bootTest.nextTestTime."


def given_up(resource: CloudImage, now: datetime) -> CloudImageStatus | None:
    """Return the status once a version that is followed has failed its test: the one before serves.

    Returns:
        None: The test has not shown that, or there is no version before.
    """
    booted = find(resource.status.conditions, ConditionType.BOOTED)
    if booted is None or booted.status != "False" or booted.reason not in BOOT_VERDICTS:
        return None
    back = follow_status.given_up(resource, booted.message, now)
    if back is None:
        return None
    # The version before is meant again, which nothing stands in the way of.
    left = tuple(each for each in back.conditions if each.type != ConditionType.STALLED)
    return back.model_copy(update={"conditions": left})
