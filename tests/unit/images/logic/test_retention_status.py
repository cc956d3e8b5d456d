"""What the status says of earlier images."""

from datetime import datetime

import pytest

from cloudimage.api.reasons import Reason
from cloudimage.cloud.models import Server, Usage, Volume
from cloudimage.images.logic import retention_status, revisions
from cloudimage.images.logic.desired import Desired
from cloudimage.images.logic.retention_status import Refusal
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.vocabulary.marks import Marks
from support.resources import NOW, cloud_image, glance_image
from support.retention import EARLIER, WHOLE, aged, old, replaced

DUE = f"Image {old().id} (old 1) was to be deleted on 2025-11-28, but"
SEEN = Usage(
    (Server("s", "web", "p2"), Server("t", "web", "p2")),
    "AllProjects",
    (Volume("v", "disk", "p1"),),
)


@pytest.mark.parametrize(
    ("previous", "refusals", "expected"),
    [
        (
            [],
            [],
            (
                "True",
                "InSync",
                "Every earlier image is what spec.retention makes of it at its age.",
            ),
        ),
        (
            [PreviousImage(replaced(400), 3, SEEN)],
            [],
            ("False", "InUse", f"{DUE} 2 servers and 1 volume of projects p1, p2 use it."),
        ),
        (
            [PreviousImage(replaced(400), None, None)],
            [],
            (
                "False",
                "UsageUnknown",
                f"{DUE} projects that these credentials cannot see may use it.",
            ),
        ),
        (
            [PreviousImage(replaced(400, protected=True), 0)],
            [],
            ("False", "Protected", f"{DUE} is protected;"),
        ),
        (
            [],
            [Refusal(Reason.FORBIDDEN, f"No {n}.") for n in range(7)],
            ("False", "Forbidden", "No 0. No 1. No 2. No 3. No 4. And 2 more."),
        ),
    ],
    ids=["nothing", "used", "perhaps used", "protected", "refused"],
)
def test_what_holds_an_image_is_said(
    previous: list[PreviousImage], refusals: list[Refusal], expected: tuple[str, str, str]
) -> None:
    resource = aged(EARLIER, **WHOLE | {"keep": 0})
    new = retention_status.told(resource, resource.status, previous, refusals, NOW)
    [found] = [each for each in new.conditions if each.type == "RetentionApplied"]
    assert (found.status, found.reason) == expected[:2]
    assert found.message.startswith(expected[2])
    simple = cloud_image(status=new.to_json())
    gone = retention_status.told(simple, simple.status, previous, refusals, NOW)
    assert not gone.conditions


def test_a_revision_says_which_projects_use_it_and_since_when_it_ages() -> None:
    resource = cloud_image()
    servers = tuple(Server(f"s{n}", "web", f"p{n % 12:02}") for n in range(25))
    usage = Usage(servers, "AllProjects", (Volume("v", "disk", "p05"), Volume("w", "disk", "p05")))
    image = replaced(3)
    new = revisions.listed(
        resource.status,
        Desired.of(resource.spec),
        glance_image(resource),
        [PreviousImage(image, 27, usage)],
        Usage((Server("s", "web", "now"),), "AllProjects"),
    )
    current, earlier = new.revisions
    assert [each.to_json() for each in current.projects or ()] == [
        {"projectID": "now", "servers": 1, "volumes": 0}
    ]
    assert current.replaced is None
    assert earlier.replaced == datetime.fromisoformat(image.properties[Marks.REPLACED])
    assert earlier.projects is not None
    assert len(earlier.projects) == 10
    assert earlier.other_projects == 2
    assert earlier.projects[0].to_json() == {"projectID": "p05", "servers": 2, "volumes": 2}
    assert [each.image_id for each in revisions.without(new, {image.id}).revisions] == [
        current.image_id
    ]
