"""spec.customize in the status: each step, the condition, and when nothing is retried."""

import pytest

from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.controller.logic.conditions import find
from cloudimage.images.logic import available_status, schedule, status
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Failure, Result, SourceInfo, Stage
from cloudimage.transfer.contract import Reason as TransferReason
from cloudimage.transfer.step_result import StepResult
from support.resources import NOW, cloud_image, glance_image

STEPS = {"steps": [{"timezone": "UTC"}, {"run": {"script": "false"}}]}
DONE = StepResult(step="timezone", result="Succeeded", seconds=0.6)


def failure(reason: TransferReason) -> Failure:
    broken = StepResult(step="run", result="Failed", message="exit 1")
    return Failure(
        reason=reason,
        message="step 2 of spec.customize (run) failed: exit 1",
        stage=Stage.CUSTOMIZING,
        customize=(DONE, broken),
    )


def test_a_failed_step_is_told_with_those_before_it() -> None:
    found = status.failed(
        cloud_image(customize=STEPS), failure(TransferReason.CUSTOMIZE_FAILED), NOW, None
    )
    assert found.customize is not None
    assert [each.to_json() for each in found.customize] == [
        {"step": "timezone", "result": "Succeeded", "seconds": 1},
        {"step": "run", "result": "Failed", "message": "exit 1"},
    ]
    condition = find(found.conditions, ConditionType.CUSTOMIZED)
    assert condition is not None
    assert (condition.status, condition.reason) == ("False", Reason.CUSTOMIZE_FAILED)
    assert "exit 1" in condition.message


@pytest.mark.parametrize(
    ("reason", "terminal"),
    [
        (TransferReason.CUSTOMIZE_FAILED, True),
        (TransferReason.CUSTOMIZE_UNAVAILABLE, True),
        (TransferReason.CUSTOMIZE_NETWORK_FAILED, False),
    ],
)
def test_what_the_same_step_would_meet_again_is_terminal(
    reason: TransferReason, *, terminal: bool
) -> None:
    desired = Desired.of(cloud_image(customize=STEPS).spec)
    assert schedule.is_terminal(desired, reason, Stage.CUSTOMIZING) is terminal
    assert schedule.is_terminal(desired, reason, Stage.CUSTOMIZING, followed=True) is terminal


def test_another_failure_says_nothing_of_the_steps() -> None:
    started = status.starting(
        cloud_image(customize=STEPS), Desired.of(cloud_image(customize=STEPS).spec), None, NOW
    )
    resource = cloud_image(customize=STEPS, status=started.to_json())
    other = Failure(reason=TransferReason.SOURCE_NOT_FOUND, message="404", stage=Stage.FETCHING)
    found = find(status.failed(resource, other, NOW, None).conditions, ConditionType.CUSTOMIZED)
    assert found is not None
    assert (found.status, found.reason) == ("Unknown", Reason.PENDING)


@pytest.mark.parametrize(
    ("steps", "reason", "expected"),
    [
        ((DONE, DONE), TransferReason.LINT_FAILED, ("True", Reason.CUSTOMIZED)),
        ((DONE, DONE), TransferReason.CUSTOMIZE_FAILED, ("False", Reason.CUSTOMIZE_FAILED)),
        (
            (DONE, StepResult(step="run", result="Failed", message="gone")),
            TransferReason.INTERRUPTED,
            ("False", Reason.INTERRUPTED),
        ),
    ],
)
def test_what_came_of_the_steps_outlives_a_later_failure(
    steps: tuple[StepResult, ...], reason: TransferReason, expected: tuple[str, Reason]
) -> None:
    failed = Failure(reason=reason, message="no", stage=Stage.UPLOADING, customize=steps)
    found = status.failed(cloud_image(customize=STEPS), failed, NOW, None)
    condition = find(found.conditions, ConditionType.CUSTOMIZED)
    assert condition is not None
    assert (condition.status, condition.reason) == expected
    assert found.customize is not None


def test_what_the_spec_no_longer_asks_for_is_gone_at_once() -> None:
    """Not only once there is an image: the next transfer may never make one."""
    resource = cloud_image(customize=STEPS)
    desired = Desired.of(resource.spec)
    started = status.starting(resource, desired, None, NOW)
    resource = cloud_image(customize=STEPS, status=started.to_json())
    said = status.failed(resource, failure(TransferReason.CUSTOMIZE_FAILED), NOW, None)
    plain = cloud_image(lint="Skip", status=said.to_json())
    for found in (
        status.starting(plain, Desired.of(plain.spec), None, NOW),
        status.failed(plain, failure(TransferReason.SOURCE_NOT_FOUND), NOW, None),
    ):
        assert find(said.conditions, ConditionType.LINTED) is not None
        assert find(found.conditions, ConditionType.LINTED) is None
    assert find(status.starting(plain, desired, None, NOW).conditions, "Customized") is None


def result() -> Result:
    source = SourceInfo(format="qcow2", size=1, actual_size=1, virtual_size=1, checksums={})
    return Result(
        image_id="11111111-1111-4111-8111-111111111111",
        disk_format="raw",
        size=1,
        virtual_size=1,
        hash_algo="sha512",
        hash_value="cd" * 64,
        source=source,
        customize=(DONE, DONE),
    )


def test_an_image_that_was_customized_says_so() -> None:
    resource = cloud_image(customize=STEPS)
    desired, image = Desired.of(resource.spec), glance_image(resource)
    found = available_status.available(resource, desired, image, None, result(), NOW)
    assert found.customize is not None
    assert {each.result for each in found.customize} == {"Succeeded"}
    condition = find(found.conditions, ConditionType.CUSTOMIZED)
    assert condition is not None
    assert (condition.status, condition.reason) == ("True", Reason.CUSTOMIZED)
    # Taken out of the spec, it is another image, and the condition goes.
    plain = cloud_image(status=found.to_json())
    later = available_status.available(
        plain, Desired.of(plain.spec), glance_image(plain), None, None, NOW
    )
    assert find(later.conditions, ConditionType.CUSTOMIZED) is None
    assert later.customize is None


def test_the_steps_are_part_of_the_content_and_absent_without_them() -> None:
    def key(customize: object) -> str:
        return Desired.of(cloud_image(customize=customize).spec).content_key

    assert key(None) == Desired.of(cloud_image().spec).content_key
    keys = {key(None), key(STEPS), key({**STEPS, "sparsify": True}), key({"sparsify": True})}
    assert len(keys) == 4
    assert key(STEPS) == key({**STEPS, "sparsify": None})
