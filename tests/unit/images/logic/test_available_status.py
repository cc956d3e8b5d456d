"""The status of an image that is there."""

from datetime import timedelta

import pytest

from cloudimage.api.reasons import Reason
from cloudimage.api.source import Source
from cloudimage.cloud.models import Scope, Server, Usage
from cloudimage.controller.logic import retry
from cloudimage.images.logic import available_status, status
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.contract import Result
from support.image_status import LATER, RESULT, after, ready, states
from support.resources import NOW, cloud_image, glance_image


def test_what_was_left_out_is_not_called_a_weak_checksum() -> None:
    result = Result.model_construct(
        warnings=("md5 can be forged",), left_out=("README was left out",)
    )
    assert [
        (each.type, each.reason, each.message) for each in available_status.warnings(result)
    ] == [
        ("Warning", Reason.WEAK_CHECKSUM, "md5 can be forged"),
        ("Warning", Reason.SOURCE_PARTLY_USED, "README was left out"),
    ]


def test_available_is_ready_and_no_longer_reconciling() -> None:
    started = after(
        cloud_image(), status.starting(cloud_image(), Desired.of(cloud_image().spec), None, NOW)
    )
    usage = Usage((Server("s", "web", "p"),), "AllProjects")
    new = available_status.available(
        started, Desired.of(started.spec), glance_image(started), usage, RESULT, LATER
    )
    assert states(new) == {
        "Ready": ("True", "Available"),
        "Verified": ("True", "ChecksumMatched"),
        "Uploaded": ("True", "HashMatched"),
        "Linted": ("Unknown", "NotLookedInto"),
        "Synced": ("True", "InSync"),
        "PropertiesValid": ("True", "PropertiesKnown"),
    }
    assert new.to_json()["source"] == {
        "format": "qcow2",
        "virtualSize": 7,
        "actualSize": 6,
        "size": 5,
        "checksums": {"sha256": "s"},
    }
    assert new.to_json()["usedBy"]["servers"] == 1
    assert new.to_json()["summary"] == {"progress": "100%", "size": "2.0Gi", "inUse": "1"}


@pytest.mark.parametrize(
    ("scope", "visibility", "shown"),
    [
        ("AllProjects", "public", "0"),
        ("OwnProject", "private", "0"),
        ("OwnProject", "public", "0+"),
        ("OwnProject", "shared", "0+"),
        ("Refused", "private", "?"),
    ],
)
def test_no_user_is_a_fact_only_where_all_would_be_seen(
    scope: Scope, visibility: str, shown: str
) -> None:
    resource = ready(cloud_image())
    image = glance_image(resource, visibility=visibility)
    desired, usage = Desired.of(resource.spec), Usage((), scope)
    new = available_status.available(resource, desired, image, usage, None, LATER)
    assert new.summary is not None
    assert new.summary.in_use == shown
    assert new.used_by is not None
    assert new.used_by.last_check_time == LATER
    # Where the cloud does not answer, what was known stays, with its time.
    resource = after(resource, new)
    kept = available_status.available(
        resource, desired, image, None, None, LATER + timedelta(hours=1)
    )
    assert (kept.summary, kept.used_by) == (new.summary, new.used_by)


def test_the_image_is_shown_as_glance_has_it() -> None:
    resource = cloud_image()
    image = glance_image(
        resource,
        updated_at=LATER,
        min_disk=3,
        min_ram=512,
        tags=frozenset({"b", "a"}),
        stores=("slow", "fast"),
        properties={"x" * 9: "v" * 5000},
    )
    new = available_status.available(resource, Desired.of(resource.spec), image, None, None, NOW)
    assert new.to_json()["image"] == {
        "name": "debian-12",
        "status": "active",
        "owner": "project",
        "created": "2026-01-02T03:04:05Z",
        "updated": "2026-01-02T03:09:05Z",
        "containerFormat": "bare",
        "minDiskGiB": 3,
        "minRamMiB": 512,
        "protected": False,
        "hidden": False,
        "tags": ["a", "b"],
        "stores": ["fast", "slow"],
    }
    seen = available_status.observed(resource, image, None, NOW).image
    assert seen is not None
    assert seen.properties is not None
    assert len(seen.properties["x" * 9].encode()) == 1024


def test_a_refusal_after_the_transfer_does_not_deny_what_is_there() -> None:
    resource = cloud_image()
    desired, image = Desired.of(resource.spec), glance_image(resource)
    resource = after(resource, status.starting(resource, desired, None, NOW))
    resource = after(resource, available_status.delivered(resource, desired, image, RESULT, LATER))
    refusal = status.Obstacle(
        Reason.FORBIDDEN, "no right", stalled=True, pauses=retry.pauses(Reason.FORBIDDEN)
    )
    resource = after(resource, status.blocked_by_cloud(resource, refusal, LATER))
    new = resource.status
    found = states(new)
    assert found["Verified"] == ("True", "ChecksumMatched")
    assert found["Uploaded"] == ("True", "HashMatched")
    assert found["Ready"] == ("False", "Forbidden")
    assert new.image_id == image.id
    assert new.progress is not None
    assert (new.progress.stage, new.progress.percent) == ("Complete", 100)
    # Once the right is there, it is still known how the image was made.
    later = available_status.available(resource, desired, image, None, None, LATER)
    assert later.source == new.source is not None


def test_while_the_old_image_serves_its_id_stays_until_the_new_one_takes_over() -> None:
    resource = ready(cloud_image())
    old = resource.status.image_id
    image = glance_image(resource, id="22222222-2222-4222-8222-222222222222")
    new = available_status.delivered(resource, Desired.of(resource.spec), image, RESULT, LATER)
    assert new.image_id == old


def test_without_a_checksum_the_source_is_not_called_verified() -> None:
    resource = cloud_image(http={"checksum": None})
    new = available_status.available(
        resource, Desired.of(resource.spec), glance_image(resource), None, None, NOW
    )
    assert states(new)["Verified"] == ("Unknown", "NoChecksum")


@pytest.mark.parametrize(
    ("algorithm", "expected"),
    [
        ("sha512", ("True", "ChecksumMatched")),
        ("md5", ("True", "WeakChecksum")),
        (None, ("Unknown", "NoChecksum")),
    ],
)
def test_what_another_glance_says_of_its_bytes_is_told_now_and_later(
    algorithm: str | None, expected: tuple[str, str]
) -> None:
    spec = cloud_image().spec.model_copy(
        update={"source": Source.model_validate({"glance": {"name": "debian"}})}
    )
    resource = cloud_image().model_copy(update={"spec": spec})
    desired, image = Desired.of(spec), glance_image(resource)
    source = RESULT.source.model_copy(update={"verified_by": algorithm})
    result = RESULT.model_copy(update={"source": source})
    new = available_status.available(resource, desired, image, None, result, NOW)
    assert states(new)["Verified"] == expected
    later = available_status.available(after(resource, new), desired, image, None, None, LATER)
    assert states(later)["Verified"] == expected


def test_a_deactivated_image_is_not_ready() -> None:
    resource = cloud_image()
    image = glance_image(resource, status="deactivated")
    new = available_status.available(resource, Desired.of(resource.spec), image, None, None, NOW)
    assert states(new)["Ready"] == ("False", "Deactivated")
