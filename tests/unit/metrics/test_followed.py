"""What the metrics say of images that follow their sources."""

from datetime import UTC, datetime

from cloudimage.api.status import Revision
from cloudimage.images.logic import follow_status
from cloudimage.metrics.followed import FollowedImages
from support.image_status import after
from support.resources import NOW, cloud_image

EARLY = datetime(2026, 1, 1, tzinfo=UTC)


def samples(images: FollowedImages) -> dict[str, float]:
    """Return the numbers by the metric's name."""
    return {
        each.name.removeprefix("cloudimage_followed_image"): each.value
        for family in images.collect()
        for each in family.samples
    }


def test_the_oldest_image_that_is_followed_counts() -> None:
    images = FollowedImages()
    images.update("a", NOW)
    images.update("b", EARLY)
    images.update("c", None)
    assert samples(images) == {"s": 2, "_oldest_timestamp_seconds": EARLY.timestamp()}
    # It was renewed, and the other one is gone.
    images.update("b", NOW)
    images.update("a", None)
    assert samples(images) == {"s": 1, "_oldest_timestamp_seconds": NOW.timestamp()}


def test_without_an_image_there_is_no_age() -> None:
    images = FollowedImages()
    images.update("a", None)
    assert samples(images) == {"s": 0}


def test_only_what_is_served_has_an_age() -> None:
    revisions = (
        Revision(image_id="new", digest="2", created=NOW, current=True),
        Revision(image_id="old", digest="1", created=EARLY, current=False),
    )
    followed, plain = cloud_image(follow={"every": "6h"}), cloud_image()
    status = followed.status.model_copy(update={"revisions": revisions})
    assert follow_status.made(after(followed, status)) == NOW
    assert follow_status.made(after(plain, status)) is None
    assert follow_status.made(followed) is None
