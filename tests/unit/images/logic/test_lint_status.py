"""What the status says of a look into an image."""

import pytest

from cloudimage.api import status as api_status
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import TERMINAL_IF_PROVEN, ConditionType, Reason
from cloudimage.controller.logic.conditions import find
from cloudimage.images.logic import available_status, lint_status, status, transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Failure, Result, Stage
from cloudimage.transfer.contract import Reason as TransferReason
from cloudimage.transfer.findings import MOST_FINDINGS, Finding, LintResult, Rule
from support.image_status import LATER, RESULT, after, states
from support.resources import NOW, cloud_image, glance_image

CLEAN = LintResult(outcome="Clean", message="Nothing was found in the image (Debian).")
UNKNOWN = LintResult(outcome="FileSystemUnknown", message="No Linux was found.")
FOUND = LintResult.of((Finding.of(Rule.HOST_KEY, "/etc/ssh/ssh_host_rsa_key", "remove it"),), "D")


def with_lint(lint: LintResult | None) -> Result:
    return RESULT.model_copy(update={"lint": lint})


def made(resource: CloudImage, lint: LintResult | None) -> CloudImage:
    """Return the CloudImage once a transfer with such a result has made its image."""
    desired = Desired.of(resource.spec)
    started = after(resource, status.starting(resource, desired, None, NOW))
    image = glance_image(started)
    new = available_status.available(started, desired, image, None, with_lint(lint), LATER)
    return after(started, new)


def looked_at_again(resource: CloudImage) -> CloudImage:
    desired = Desired.of(resource.spec)
    new = available_status.available(resource, desired, glance_image(resource), None, None, LATER)
    return after(resource, new)


@pytest.mark.parametrize(
    ("lint", "state"),
    [
        (CLEAN, ("True", "Clean")),
        (FOUND, ("False", "FindingsFound")),
        (LintResult(outcome="NotLookedInto", message="x"), ("Unknown", "NotLookedInto")),
        (LintResult(outcome="FileSystemUnknown", message="x"), ("Unknown", "FileSystemUnknown")),
    ],
)
def test_outcome_is_the_condition(lint: LintResult, state: tuple[str, str]) -> None:
    resource = made(cloud_image(), lint)
    assert states(resource.status)["Linted"] == state
    assert states(resource.status)["Ready"][0] == "True"
    assert [each.rule for each in resource.status.lint] == [each.rule for each in lint.findings]
    # A resync, or a restart of the operator, changes nothing of it.
    again = looked_at_again(resource)
    assert again.status.conditions == resource.status.conditions
    assert again.status.lint == resource.status.lint


def test_delivered_says_it_already() -> None:
    """An operator that is killed before the rest is written has it in the status."""
    resource = cloud_image()
    desired = Desired.of(resource.spec)
    started = after(resource, status.starting(resource, desired, None, NOW))
    assert states(started.status)["Linted"] == ("Unknown", "Pending")
    image = glance_image(started)
    told = available_status.delivered(started, desired, image, with_lint(FOUND), LATER)
    again = looked_at_again(after(started, told))
    assert states(again.status)["Linted"] == ("False", "FindingsFound")
    assert again.status.lint[0].path == "/etc/ssh/ssh_host_rsa_key"


def test_result_that_was_lost() -> None:
    resource = cloud_image()
    started = after(resource, status.starting(resource, Desired.of(resource.spec), None, NOW))
    assert states(looked_at_again(started).status)["Linted"] == ("Unknown", "NotLookedInto")


def test_return_to_an_earlier_image() -> None:
    """What was found in the one is not said of the other."""
    resource = made(cloud_image(), FOUND)
    other = resource.model_copy(
        update={"status": resource.status.model_copy(update={"digest": "of another spec"})}
    )
    again = looked_at_again(other)
    assert states(again.status)["Linted"] == ("Unknown", "NotLookedInto")
    assert again.status.lint == ()


def test_off_says_nothing() -> None:
    resource = made(cloud_image(), FOUND)
    off = resource.model_copy(update={"spec": resource.spec.model_copy(update={"lint": "Skip"})})
    again = looked_at_again(off)
    assert find(again.status.conditions, ConditionType.LINTED) is None
    assert again.status.lint == ()
    started = status.starting(off, Desired.of(off.spec), None, NOW)
    assert states(started).get("Linted") in {None, ("False", "FindingsFound")}


def test_refused_image() -> None:
    resource = cloud_image()
    started = after(resource, status.starting(resource, Desired.of(resource.spec), None, NOW))
    failure = Failure(
        reason=TransferReason.LINT_FAILED, message="no", stage=Stage.INSPECTING, lint=FOUND
    )
    new = status.failed(started, failure, LATER, None)
    assert states(new)["Linted"] == ("False", "LintFailed")
    assert states(new)["Stalled"] == ("True", "LintFailed")
    assert [each.rule for each in new.lint] == ["SSHHostKey"]
    assert Reason.LINT_FAILED in TERMINAL_IF_PROVEN


def test_failure_of_another_kind_says_nothing_of_it() -> None:
    resource = made(cloud_image(), CLEAN)
    failure = Failure(reason=TransferReason.UPLOAD_FAILED, message="no", stage=Stage.UPLOADING)
    assert states(status.failed(resource, failure, LATER, LATER))["Linted"] == ("True", "Clean")


def test_one_event_for_findings() -> None:
    (event,) = lint_status.warnings(with_lint(FOUND))
    assert (event.type, event.reason) == ("Warning", Reason.FINDINGS_FOUND)
    assert "/etc/ssh/ssh_host_rsa_key: remove it" in event.message
    assert lint_status.warnings(with_lint(CLEAN)) == lint_status.warnings(with_lint(None)) == []


@pytest.mark.parametrize(
    ("mode", "lint", "expected"),
    [
        ("Enforce", UNKNOWN, ["FileSystemUnknown"]),
        ("Enforce", None, ["NotLookedInto"]),
        ("Enforce", CLEAN, []),
        ("Warn", UNKNOWN, []),
    ],
)
def test_one_event_for_what_enforce_has_not_checked(
    mode: str, lint: LintResult | None, expected: list[str]
) -> None:
    resource = cloud_image(lint=mode)
    done = made(resource, lint)
    events = lint_status.unchecked(resource, done)
    assert [each.reason for each in events] == expected
    assert all(each.type == "Warning" for each in events)
    assert all("spec.lint is Enforce" in each.message for each in events)
    assert lint_status.unchecked(done, looked_at_again(done)) == []


@pytest.mark.parametrize(
    ("given", "asked"), [(None, "Auto"), ("Warn", "Warn"), ("Enforce", "Enforce"), ("Skip", "Skip")]
)
def test_what_a_transfer_is_asked_for(given: str | None, asked: str) -> None:
    spec = cloud_image().spec.model_copy(update={"lint": given})
    assert transfer_request.lint_mode(spec) == asked


def test_bounds_are_the_same() -> None:
    assert api_status.MOST_FINDINGS == MOST_FINDINGS
