"""What a plan says of spec.follow."""

from typing import Any

import pytest

from cloudimage.cli import plan_image
from cloudimage.images.logic.desired import Desired
from support.resources import cloud_image

SUMS = {"sha256": None, "from": {"url": "https://example.org/SHA256SUMS"}}
DAILY = {"schedule": "0 3 * * *", "timeZone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("source", "follow", "kind", "text"),
    [
        ({"http": {"checksum": SUMS}}, {"every": "6h"}, "ok", "the source is asked every 6h"),
        (
            {"server": {"name": "a"}},
            DAILY,
            "ok",
            "a snapshot is taken by the schedule 0 3 * * * (Europe/Berlin)",
        ),
        ({"http": {}}, {"every": "6h"}, "error", "NotFollowable: A URL alone does not say"),
        (
            {"server": {"name": "a"}},
            {"schedule": "0 3 31 2 *"},
            "error",
            "InvalidSchedule: spec.follow: the schedule '0 3 31 2 *' never comes",
        ),
    ],
)
def test_how_a_source_would_be_followed(
    source: dict[str, Any], follow: dict[str, str], kind: str, text: str
) -> None:
    resource = cloud_image(http=source.get("http"), follow=follow)
    if "http" not in source:
        resource = cloud_image(source=source, follow=follow)
    [found] = plan_image.followed(resource, Desired.of(resource.spec))
    assert (found.what, found.state) == ("follow", kind)
    assert found.text.startswith(text)


def test_nothing_is_said_where_nothing_is_followed() -> None:
    resource = cloud_image()
    assert list(plan_image.followed(resource, Desired.of(resource.spec))) == []
