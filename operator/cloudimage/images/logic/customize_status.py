"""What the status says of spec.customize."""

from collections.abc import Iterable

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.customize import StepStatus
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic.conditions import Draft
from cloudimage.transfer.contract import Failure
from cloudimage.transfer.step_result import StepResult

_FAILURES = frozenset(
    {
        Reason.CUSTOMIZE_FAILED,
        Reason.CUSTOMIZE_NETWORK_FAILED,
        Reason.CUSTOMIZE_UNAVAILABLE,
    }
)


def begun(resource: CloudImage) -> list[Draft]:
    """Return the condition before a transfer starts."""
    if resource.spec.customize is None:
        return []
    return [Draft(ConditionType.CUSTOMIZED, "Unknown", Reason.PENDING, "Not customized yet.")]


def failed(failure: Failure, message: str) -> list[Draft]:
    """Return the condition after a transfer failed, if it came to the steps.

    Args:
        failure: Why it failed.
        message: The same, and what happens next.
    """
    reason = Reason(failure.reason)
    unfinished = any(each.result != "Succeeded" for each in failure.customize)
    if reason in _FAILURES or unfinished:
        return [Draft(ConditionType.CUSTOMIZED, "False", reason, message)]
    return [_done(len(failure.customize))] if failure.customize else []


def current(resource: CloudImage, *, adopted: bool) -> list[Draft]:
    """Return the condition of the image that has the spec's bytes.

    Args:
        resource: The CloudImage.
        adopted: The image was in Glance already.
    """
    if resource.spec.customize is None:
        return []
    if adopted:
        message = "The image was already in Glance; the operator does not know how it was made."
        return [Draft(ConditionType.CUSTOMIZED, "Unknown", Reason.ADOPTED, message)]
    return [_done(len(resource.spec.customize.steps or ()))]


def _done(number: int) -> Draft:
    message = "What spec.customize asks for was done."
    if number:
        message = f"All steps of spec.customize ({number}) were done."
    return Draft(ConditionType.CUSTOMIZED, "True", Reason.CUSTOMIZED, message)


def results(of: Iterable[StepResult]) -> tuple[StepStatus, ...] | None:
    """Return what came of each step, for the status; None: no step was to be done."""
    steps = tuple(
        StepStatus(
            step=each.step,
            result=each.result,
            seconds=None if each.seconds is None else round(each.seconds),
            message=each.message or None,
        )
        for each in of
    )
    return steps or None


def after(resource: CloudImage, failure: Failure) -> tuple[StepStatus, ...] | None:
    """Return what came of each step once a transfer failed; else what was known."""
    return results(failure.customize) or resource.status.customize
