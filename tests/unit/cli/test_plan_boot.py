"""What ``cloudimage plan`` says of a boot test."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cli.plan_boot import tested as findings
from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic import boot_test
from cloudimage.vocabulary.marks import Marks
from support.boot_states import state_of, untested, wanted_of, with_test
from support.resources import NOW, cloud_image, glance_image

LATER = NOW + timedelta(hours=1)


def told(resource: CloudImage, image: GlanceImage | None) -> tuple[str, str]:
    """Return state and text of the one finding."""
    [finding] = findings(resource, image, LATER)
    assert finding.what == "boot test"
    return finding.state, finding.text


def with_state(**state: Any) -> tuple[CloudImage, GlanceImage]:
    """Return an image that waits, with a test of it."""
    resource = with_test()
    image = untested(resource)
    return with_test(status={"bootTest": state_of(resource, image, **state)}), image


def test_without_a_test_nothing_is_said() -> None:
    resource = cloud_image()
    assert list(findings(resource, None, LATER)) == []
    assert list(findings(resource, glance_image(resource), LATER)) == []


@pytest.mark.parametrize(
    ("networks", "where"),
    [
        (None, "on networks that Nova chooses"),
        ([], "without networks"),
        ([{"name": "a"}, {"name": "b"}], "on a, b"),
    ],
)
def test_a_new_image_is_tested(networks: list[Any] | None, where: str) -> None:
    test = {} if networks is None else {"networks": networks}
    state, text = told(with_test(**test), None)
    assert state == "change"
    assert "m1.small" in text
    assert where in text
    assert "used once it has passed" in text
    assert "whatever it shows" in told(with_test(required=False), None)[1]


def test_a_pattern_that_cannot_be_is_an_error_before_anything_is_made() -> None:
    state, text = told(with_test(expect={"consoleMatches": "("}), None)
    assert state == "error"
    assert text.startswith("InvalidRequest: spec.bootTest.expect.consoleMatches: '('")


def test_an_image_that_has_passed_is_not_tested_again() -> None:
    resource, image = with_state(result="Passed", finishTime=NOW)
    assert told(resource, image) == ("ok", "the image has passed it")
    digest = boot_test.digest_of(wanted_of(resource), image)
    marked = untested(resource, properties={Marks.BOOTED: boot_test.booted_mark(digest, NOW)})
    assert told(with_test(), marked) == ("ok", "the image has passed it")
    assert told(with_test(flavor="m1.large"), marked)[0] == "change"


def test_a_test_that_runs_is_no_change() -> None:
    assert told(*with_state(serverID="s"))[0] == "ok"


def test_an_image_that_has_failed_stays_what_it_is() -> None:
    resource, image = with_state(result="Failed", reason="Timeout", finishTime=NOW)
    condition = {
        "type": "Booted",
        "status": "False",
        "reason": "Timeout",
        "message": "It does not boot.",
        "lastTransitionTime": NOW,
        "observedGeneration": 3,
    }
    status = {"bootTest": resource.status.boot_test, "conditions": [condition]}
    failed = with_test(status=status)
    assert told(failed, image) == ("error", "Timeout: It does not boot.")
    used = with_test(status={**status, "imageID": image.id})
    assert told(used, image) == ("ok", "Timeout: It does not boot.")


def test_what_a_test_has_left_goes_with_the_spec() -> None:
    _, image = with_state()
    resource, _ = with_state()
    bare = cloud_image(status={"bootTest": resource.status.boot_test})
    assert told(bare, image)[0] == "change"
