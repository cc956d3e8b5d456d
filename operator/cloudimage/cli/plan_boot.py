"""What would come of spec.bootTest, by the operator's own decisions; asks nothing."""

from collections.abc import Iterator
from datetime import datetime

from cloudimage.api.boot_test import BootTest
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import ConditionType, Reason
from cloudimage.cli.plan_report import Finding
from cloudimage.cloud.models import GlanceImage
from cloudimage.controller.logic.conditions import find
from cloudimage.images.logic import boot_test
from cloudimage.images.logic.boot_test import Phase
from cloudimage.patterns import Expression, PatternError

_WHAT = "boot test"


def tested(resource: CloudImage, image: GlanceImage | None, now: datetime) -> Iterator[Finding]:
    """Yield what would be tested of an image, and what waits for it.

    Args:
        resource: The CloudImage as it would be.
        image: Its image; None: it is yet to be made.
        now: The present.
    """
    test = resource.spec.boot_test
    if test is None:
        if resource.status.boot_test is not None:
            yield Finding(_WHAT, "change", "it is no longer wanted; its server is deleted")
        return
    try:
        Expression(test.expect.console_matches or "")
    except PatternError as error:
        text = f"{Reason.INVALID_REQUEST}: spec.bootTest.expect.consoleMatches: {error}"
        yield Finding(_WHAT, "error", text, {"reason": str(Reason.INVALID_REQUEST)})
        return
    held = test.required if image is None else boot_test.is_held(resource, image)
    phase = Phase.DUE if image is None else _phase(resource, image, test, now)
    data = {"required": held, "flavor": test.flavor}
    if phase is Phase.OVER:
        yield from _over(resource, data)
    elif phase in {Phase.RUNNING, Phase.CLEARING}:
        yield Finding(_WHAT, "ok", f"a server runs; {_waits(held)}", data)
    else:
        text = f"a server of the flavor {test.flavor} is made, {_networks(test)}; {_waits(held)}"
        yield Finding(_WHAT, "change", text, data)


def _phase(resource: CloudImage, image: GlanceImage, test: BootTest, now: datetime) -> Phase:
    of_this = boot_test.is_of(resource.status.boot_test, test, image)
    if not of_this and boot_test.known_to_pass(test, image):
        return Phase.OVER
    return boot_test.phase(resource, image, now)


def _over(resource: CloudImage, data: dict[str, object]) -> Iterator[Finding]:
    booted = find(resource.status.conditions, ConditionType.BOOTED)
    if booted is not None and booted.status == "False":
        text = f"{booted.reason}: {booted.message}"
        yield Finding(_WHAT, "error" if data["required"] else "ok", text, data)
    else:
        yield Finding(_WHAT, "ok", "the image has passed it", data)


def _networks(test: BootTest) -> str:
    if test.networks is None:
        return "on networks that Nova chooses"
    names = ", ".join(each.name or each.id or "" for each in test.networks)
    return f"on {names}" if names else "without networks"


def _waits(held: bool) -> str:  # noqa: FBT001  # the one thing that it says
    return "the image is used once it has passed" if held else "the image is used whatever it shows"
