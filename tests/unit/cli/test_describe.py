"""What is reported about an object: its state, the reason, who holds it, and what to do."""

from datetime import timedelta
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.cli.describe import Event, age, describe, state_line
from cloudimage.cli.force_delete import stays
from support.resources import NOW, cloud_image
from support.watched import AVAILABLE, BLOCKED, MISMATCH, UPLOADING, condition, image

IMAGE_ID = "5109c637-4792-5aee-bd5a-2d73a01c0b03"
USED = {
    "servers": 2,
    "volumes": 1,
    "scope": "OwnProject",
    "sample": [{"id": "s-1", "name": "web", "projectID": "p-1"}],
}


def share(*conditions: tuple[str, str, str], **status: Any) -> ImageShare:
    """Return an ImageShare of debian-12 with conditions."""
    return ImageShare.model_validate(
        {
            "metadata": {
                "name": "to-web",
                "namespace": "images",
                "uid": "u",
                "generation": 1,
                "resourceVersion": "1",
            },
            "spec": {"imageRef": {"name": "debian-12"}, "projects": [{"id": "p-1"}]},
            "status": {
                "observedGeneration": 1,
                "conditions": [condition(*each) for each in conditions],
                **status,
            },
        }
    )


def told(resource: CloudImage | ImageShare, *shares: ImageShare) -> str:
    return describe(resource, shares, [], NOW)


@pytest.mark.parametrize(
    ("resource", "line"),
    [
        (cloud_image(), "Not reconciled yet."),
        (AVAILABLE, "Ready: Available is why."),
        (UPLOADING, "Not ready yet: Uploading 63% at 32.0MiB/s."),
        (image(), "Not ready yet: the operator is working on it."),
        (
            share(("Ready", "False", "ImageNotReady"), summary={"accepted": "0/1"}),
            "Not ready yet: ImageNotReady, 0/1 accepted.",
        ),
        (MISMATCH, "Stalled: ChecksumMismatch."),
        (
            image(("Ready", "True", "ReplacementPending"), ("Stalled", "True", "RevisionFailed")),
            "Stalled: RevisionFailed. The previous state stays in use.",
        ),
        (image(("Ready", "True", "Available"), generation=4), "has not seen the latest"),
        (image(deletion_timestamp=NOW), "Being deleted."),
        (BLOCKED, "Being deleted, blocked by InUse."),
    ],
)
def test_state(resource: CloudImage | ImageShare, line: str) -> None:
    assert line in state_line(resource)
    assert f"State:  {state_line(resource)}\n" in told(resource)


def test_what_is_wrong_is_told_once_with_the_reference_s_advice() -> None:
    text = told(MISMATCH)
    assert "ChecksumMismatch (Ready is False, Stalled is True)" in text
    assert text.count("ChecksumMismatch is why.") == 1
    assert "Advice: The source file does not match the checksum in the spec" in text
    assert "cloudimage retry cloudimage/debian-12 -n images" in text


def test_conditions_that_say_the_same_are_one() -> None:
    same = [
        condition("DeletionBlocked", "True", "InUse"),
        condition("Reconciling", "True", "InUse"),
    ]
    same[1]["reason"] = "Deleting"
    held = image(deletion_timestamp=NOW, status={"conditions": same})
    assert "InUse (DeletionBlocked is True, Reconciling is True)" in told(held)


def test_what_is_well_or_only_to_come_is_not_told() -> None:
    assert "Why, and what to do" not in told(AVAILABLE)
    assert "Pending" not in told(image(("Ready", "True", "X"), ("Synced", "False", "Pending")))


def test_who_holds_a_deletion_back() -> None:
    held = BLOCKED.model_copy(
        update={
            "metadata": BLOCKED.metadata.model_copy(
                update={"finalizers": ("cloudimage.dev/finalizer", "example.org/audit")}
            )
        }
    )
    text = told(held)
    assert "InUse (DeletionBlocked is True)" in text
    assert "Advice: Servers or volumes made from the image" in text
    assert "waits for the finalizers example.org/audit." in text
    assert "cloudimage force-delete cloudimage/debian-12 -n images" in text


def test_who_uses_it_and_its_revisions() -> None:
    used = image(
        ("Ready", "True", "Available"),
        status={
            "imageID": IMAGE_ID,
            "diskFormat": "raw",
            "size": 2**31,
            "usedBy": USED,
            "revisions": [
                {"imageID": IMAGE_ID, "digest": "d", "created": NOW, "current": True, "users": 3},
                {"imageID": "old", "digest": "e", "current": False},
            ],
        },
    )
    text = told(used, share(summary={"image": "debian-12", "accepted": "1/2"}))
    assert f"Image:  {IMAGE_ID} (raw, 2.0Gi)" in text
    assert (
        "2 servers and 1 volume; the credentials can see only those of their own project." in text
    )
    assert "web (s-1, project p-1)\n    and 1 more" in text
    assert "ImageShare images/to-web: 1/2 accepted" in text
    assert f"{IMAGE_ID}   2026-01-02 03:04   3       current" in text


def test_what_proves_the_source_and_what_each_revision_was_made_from() -> None:
    revision = {
        "imageID": IMAGE_ID,
        "digest": "d",
        "current": True,
        "source": "https://example.org/disk.raw",
        "sourceChecksum": "sha256:ab",
    }
    used = {**USED, "lastCheckTime": NOW - timedelta(minutes=12)}
    made = image(
        ("Ready", "True", "Available"),
        ("Verified", "Unknown", "NoChecksum"),
        status={"imageID": IMAGE_ID, "usedBy": used, "revisions": [revision]},
    )
    text = told(made)
    assert "Source: not verified (NoChecksum)" in text
    assert "The cloud was asked 12m ago." in text
    assert "current   https://example.org/disk.raw   sha256:ab" in text
    verified = image(("Verified", "True", "ChecksumMatched"), status={"imageID": IMAGE_ID})
    assert "Source: verified (ChecksumMatched)" in told(verified)


def test_how_it_follows_its_source() -> None:
    follow = {"every": "6h"}
    status = {
        "follow": {
            "version": "1.10",
            "lastCheckTime": NOW - timedelta(minutes=5),
            "nextCheckTime": NOW + timedelta(hours=5),
        }
    }
    lines = told(cloud_image(status=status, follow=follow)).splitlines()
    assert "Follow: every 6h, 1.10 is served, asked 5m ago, next in 5h" in lines
    scheduled = cloud_image(follow={"schedule": "0 3 * * *"})
    assert "Follow: by the schedule 0 3 * * * (UTC)" in told(scheduled).splitlines()
    assert "Follow:" not in told(cloud_image())


def test_a_share_has_members_and_a_vocabulary_of_its_own() -> None:
    waiting = share(
        ("Ready", "True", "Shared"),
        ("Accepted", "False", "AwaitingAcceptance"),
        members=[
            {
                "projectID": "p-1",
                "projectName": "web",
                "status": "pending",
                "acceptCommand": "openstack image set --accept x",
            }
        ],
    )
    text = told(waiting)
    assert "AwaitingAcceptance (Accepted is False)" in text
    assert "Advice: Some projects have not accepted yet" in text
    assert "web (p-1): pending; its users run: openstack image set --accept x" in text
    assert "Advice: Glance has no image with that id or name." in told(
        share(("Ready", "False", "ImageNotFound"))
    )
    assert "Advice: Keystone, or the store of the source's bucket" in told(
        share(("Stalled", "True", "InvalidCredentials"))
    )


def test_the_last_events_oldest_first() -> None:
    events = [
        Event(NOW - timedelta(seconds=number), "Normal", f"R{number}", "words")
        for number in range(12)
    ]
    text = describe(AVAILABLE, [], events, NOW)
    assert text.index("R9 ") < text.index("R0 ")
    assert "R10" not in text


def test_what_the_user_may_not_read() -> None:
    text = describe(AVAILABLE, None, None, NOW)
    assert "You may not read Events here." in text
    assert "You may not read ImageShares here." in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (41, "41s"), (125, "2m"), (7200, "2h"), (2 * 86400, "2d")],
)
def test_age(seconds: int, text: str) -> None:
    assert age(NOW - timedelta(seconds=seconds), NOW) == text


def test_what_stays_after_a_deletion_by_force() -> None:
    made = image(status={"imageID": IMAGE_ID, "digest": "d", "usedBy": USED})
    images, unfinished, users = stays(made)
    assert images == f"image {IMAGE_ID} in cloud prod of Secret openstack"
    assert f"cloudimage_dev_uid={made.metadata.uid}" in unfinished
    assert users == "its users: 2 servers, 1 volume"
    state = {"imageID": "tested", "specDigest": "d", "startTime": NOW}
    _, tested, _, server = stays(image(status={"imageID": "i", "digest": "d", "bootTest": state}))
    assert tested.startswith("image tested in cloud")
    assert f"called cloudimage-boot-test-{made.metadata.uid}-" in server
    assert stays(cloud_image()) == []
    assert stays(share(projects=["p-1"], imageID=IMAGE_ID)) == [
        f"project p-1 as a member of image {IMAGE_ID}"
    ]


def test_a_boot_test_is_told_in_a_line() -> None:
    state = {"imageID": IMAGE_ID, "specDigest": "d", "startTime": NOW - timedelta(seconds=40)}
    progress = {"stage": "Complete", "percent": 100}
    runs = image(
        ("Ready", "False", "Progressing"),
        ("Booted", "Unknown", "Progressing"),
        status={"bootTest": state, "progress": progress},
    )
    assert "Boot:   under way, begun 40s ago" in told(runs)
    assert state_line(runs) == "Not ready yet: boot test."
    over = {
        **state,
        "result": "Passed",
        "finishTime": NOW - timedelta(hours=5),
        "addresses": ["198.51.100.7/24"],
        "user": "debian",
        "nextTestTime": NOW + timedelta(days=3),
    }
    passed = image(("Booted", "True", "BootTestPassed"), status={"bootTest": over})
    line = "Boot:   passed 5h ago; addresses 198.51.100.7/24; user debian; next in 3d"
    assert line in told(passed)
    failed = {**state, "result": "Failed", "reason": "NoAddress", "finishTime": NOW}
    text = told(image(("Booted", "False", "NoAddress"), status={"bootTest": failed}))
    assert "Boot:   failed (NoAddress) 0s ago" in text
    assert "NoAddress (Booted is False)" in text
