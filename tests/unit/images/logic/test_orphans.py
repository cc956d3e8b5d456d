"""Which images are nobody's, and which of these may be deleted."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.cloud.models import GlanceImage
from cloudimage.images.logic.orphans import is_finished, may_be_deleted, orphans
from cloudimage.transfer.contract import SECRET_MARK
from cloudimage.vocabulary.marks import Marks
from support.resources import NOW, UID, cloud_image, glance_image

SECRET = "5ec7e700-0000-4000-8000-000000000000"
HOUR = timedelta(hours=1)


def image(**properties: Any) -> GlanceImage:
    """Return a finished image that the Secret's credentials made."""
    return glance_image(cloud_image(), properties={SECRET_MARK: SECRET, **properties})


def unfinished(**changes: Any) -> GlanceImage:
    """Return an image that was never finished."""
    return glance_image(
        cloud_image(),
        **{
            "status": "queued",
            "properties": {SECRET_MARK: SECRET, Marks.VERIFIED: None},
            **changes,
        },
    )


@pytest.mark.parametrize(
    ("found", "living", "is_one"),
    [
        (image(), set(), True),
        (unfinished(), set(), True),
        (image(), {UID}, False),
        # Of another cluster, or of another Secret; of an operator before this mark.
        (image(**{SECRET_MARK: "other"}), set(), False),
        (image(**{SECRET_MARK: None}), set(), False),
        # A snapshot of a server; an image of the user's that was let go.
        (image(**{Marks.IMAGE_ID: "other"}), set(), False),
        (image(**{Marks.UID: None}), set(), False),
    ],
)
def test_an_orphan_is_ours_by_every_mark_and_its_cloudimage_is_gone(
    found: GlanceImage, living: set[str], is_one: bool
) -> None:
    assert orphans([found], SECRET, living) == ((found,) if is_one else ())


def temporary(name: str, **properties: Any) -> GlanceImage:
    """Return an image that a cloud made for a transfer, of a server that has marks itself."""
    marks = {SECRET_MARK: SECRET, Marks.DIGEST: "d", Marks.IMAGE_ID: "other", **properties}
    return glance_image(cloud_image(), name=name, properties=marks)


def test_a_snapshot_that_was_made_for_a_transfer_is_one_and_is_never_finished() -> None:
    found = temporary(f"cloudimage-snapshot-{UID}-d")
    assert orphans([found], SECRET, set()) == (found,)
    assert orphans([found], SECRET, {UID}) == ()
    assert may_be_deleted(found, NOW + HOUR, HOUR)
    # A user's snapshot of a server that was made of it has its marks.
    assert orphans([temporary("nightly")], SECRET, set()) == ()


@pytest.mark.parametrize(
    "status", ["active", "deactivated", "deleted", "pending_delete", "killed", "new"]
)
def test_what_servers_may_use_or_what_is_not_known_is_never_deleted(status: str) -> None:
    assert not may_be_deleted(unfinished(status=status), NOW + 9 * HOUR, HOUR)


def test_only_what_is_old_and_unfinished_is_deleted() -> None:
    assert is_finished(image())
    assert not may_be_deleted(image(), NOW + 9 * HOUR, HOUR)
    for status in ("queued", "saving", "uploading", "importing"):
        assert may_be_deleted(unfinished(status=status), NOW + HOUR, HOUR)
    assert not may_be_deleted(unfinished(), NOW + HOUR / 2, HOUR)
    assert not may_be_deleted(unfinished(protected=True), NOW + HOUR, HOUR)
    verified = unfinished(properties={SECRET_MARK: SECRET})
    assert not may_be_deleted(verified, NOW + HOUR, HOUR)
