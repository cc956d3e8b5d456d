"""When failures are retried, and what the annotation asks for."""

import pytest

from cloudimage.api.names import RETRY_ANNOTATION
from cloudimage.api.reasons import CREDENTIALS_REASONS, Reason
from cloudimage.controller.logic import retry
from cloudimage.images.logic import schedule, status
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Failure, Stage
from cloudimage.transfer.contract import Reason as TransferReason
from support.resources import NOW, cloud_image


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        (Reason.CLOUD_UNREACHABLE, [5, 10, 20, 40, 80, 160, 300, 300]),
        (Reason.INTERNAL_ERROR, [5, 10, 20, 40, 80, 160, 300, 300]),
        (Reason.SOURCE_UNREACHABLE, [5, 10, 20, 40, 80, 160, 320, 600]),
        (Reason.QUOTA_EXCEEDED, [20, 40, 80, 160, 320, 640, 1280, 1800]),
        (Reason.FORBIDDEN, [20, 40, 80, 160, 320, 640, 1280, 1800]),
        (Reason.SOURCE_REFUSED, [20, 40, 80, 160, 320, 640, 1280, 1800]),
        (Reason.SECRET_NOT_FOUND, [10, 20, 40, 60, 60, 60, 60, 60]),
        (Reason.INVALID_CREDENTIALS, [30, 60, 120, 240, 300, 300, 300, 300]),
    ],
)
def test_pauses_double_up_to_a_bound_that_goes_by_the_kind_of_failure(
    reason: Reason, expected: list[float]
) -> None:
    assert [retry.pauses(reason).after(count) for count in range(1, 9)] == expected


def test_what_only_a_change_of_the_secret_mends_says_so() -> None:
    said = retry.outlook(retry.pauses(Reason.CLOUD_MISCONFIGURED))
    assert "within 60 seconds of a change of the Secret" in said
    assert "pauses of up to 30 minutes" in said


def test_a_thousandth_failure_is_no_larger_number_than_the_bound() -> None:
    assert retry.AWAY.after(10_000) == retry.AWAY.last


def test_whatever_a_secret_can_mend_is_looked_at_often() -> None:
    assert {retry.pauses(each).last for each in CREDENTIALS_REASONS} <= {60, 300}


@pytest.mark.parametrize(
    ("annotation", "handled", "expected"),
    [
        (None, None, None),
        ("", None, None),
        ("1", None, "1"),
        ("1", "1", None),
        ("2", "1", "2"),
        (None, "1", None),
        ("x" * 300, None, "x" * 253),
        ("x" * 300, "x" * 253, None),
    ],
)
def test_each_value_of_the_annotation_counts_once(
    annotation: str | None, handled: str | None, expected: str | None
) -> None:
    annotations = {} if annotation is None else {RETRY_ANNOTATION: annotation}
    resource = cloud_image(annotations=annotations, status={"lastHandledRetry": handled})
    assert retry.asked(resource) == expected


def test_a_try_that_was_asked_for_is_no_longer_given_up() -> None:
    resource = cloud_image(annotations={RETRY_ANNOTATION: "1"})
    failure = Failure(
        reason=TransferReason.UNSAFE_IMAGE, message="it is unsafe", stage=Stage.INSPECTING
    )
    failed = resource.model_copy(update={"status": status.failed(resource, failure, NOW, None)})
    assert schedule.has_failed_for_good(failed, Desired.of(failed.spec))
    new = status.retrying(failed, "1", NOW)
    tried = failed.model_copy(update={"status": new})
    assert not schedule.has_failed_for_good(tried, Desired.of(tried.spec))
    assert retry.asked(tried) is None
    assert {each.type for each in new.conditions if each.status == "True"} == {"Reconciling"}


def test_the_outlook_says_what_the_user_can_do() -> None:
    assert retry.outlook(None) == (
        "Not retried until the spec changes or the annotation cloudimage.dev/retry gets a new "
        "value."
    )
    assert retry.outlook(retry.AWAY) == (
        "Retried with pauses of up to 5 minutes, and at once when the annotation "
        "cloudimage.dev/retry gets a new value."
    )
    assert "up to 60 seconds" in retry.outlook(retry.SECRET)
