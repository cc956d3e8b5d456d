"""What Glance's policies refuse is refused before a byte of the source is fetched."""

from pathlib import Path
from typing import Any

import pytest

from cloudimage.transfer.contract import Reason
from support.fault_proxy import Fault
from support.transfer_runs import Bench, fail, succeed, through

pytestmark = pytest.mark.cloud


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ({"visibility": "public"}, "visibility public"),
        ({"owner": "0123456789abcdef0123456789abcdef"}, "owner 0123456789abcdef0123456789abcdef"),
    ],
    ids=["visibility", "owner"],
)
def test_a_right_that_is_not_there_is_said_before_the_download(
    bench: Bench, qcow2: Path, image: dict[str, Any], words: str
) -> None:
    failure = fail(bench.request(bench.put(qcow2), disk_format="raw", **image), Reason.FORBIDDEN)
    assert words in failure.message
    assert "Nothing was downloaded" in failure.message
    assert bench.asked(qcow2) == 0
    assert bench.images() == []


def test_a_right_that_is_there_leaves_one_image_that_is_still_private(
    bench: Bench, qcow2: Path
) -> None:
    bench.project = "admin"
    result = succeed(bench.request(bench.put(qcow2), visibility="public"))
    [image] = bench.images()
    assert (image.id, image.visibility, image.is_hidden) == (result.image_id, "private", True)


def test_properties_that_glance_refuses_are_refused_before_the_download(
    bench: Bench, qcow2: Path
) -> None:
    properties = {f"p{number}": "v" for number in range(200)}
    failure = fail(bench.request(bench.put(qcow2), properties=properties), Reason.INVALID_IMAGE)
    assert bench.asked(qcow2) == 0, failure.message


def test_an_image_that_asks_for_nothing_special_is_not_tried_first(
    bench: Bench, qcow2: Path
) -> None:
    request = bench.request(bench.put(qcow2), properties={"cloudimage_dev_uid": "u"})
    posts = Fault("POST", "/images", "call", times=0)
    with through(bench, request, posts):
        succeed(request)
    assert posts.seen == 1
