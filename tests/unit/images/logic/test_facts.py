"""What is known of the build that an image was made from."""

from datetime import UTC, date, datetime
from typing import Any

import pytest

from cloudimage.images.logic.facts import Facts, date_in, of_image
from support.resources import SHA256, cloud_image, glance_image

IMAGE = "22222222-2222-4222-8222-222222222222"
KEPT = {"imageID": IMAGE, "digest": "d", "current": False}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("20240114", date(2024, 1, 14)),
        ("20240114-1633", date(2024, 1, 14)),
        ("2024-01-14", date(2024, 1, 14)),
        ("40.20240114.1", date(2024, 1, 14)),
        ("v20240114", date(2024, 1, 14)),
        ("Snapshot20240114", date(2024, 1, 14)),
        ("12.5.0", None),
        ("24.04", None),
        ("20241340", None),
        ("20240230", None),
        ("1202401145", None),
        ("20240114-20240115", None),
        ("20240114/20240114", date(2024, 1, 14)),
        ("sha256:ff-20240114-ff", None),
        ("", None),
    ],
)
def test_the_day_in_a_version(version: str, expected: date | None) -> None:
    assert date_in(version) == expected


def facts(image: dict[str, Any] | None = None, **status: Any) -> Facts:
    """Return what is known of the image, which was made on 2 January 2026."""
    resource = cloud_image(status=status)
    return of_image(resource, glance_image(resource, **(image or {})))


def source(**given: Any) -> dict[str, Any]:
    return {"checksums": {"md5": "00", "sha256": SHA256}, **given}


def test_nothing_is_known_of_what_was_not_made_here() -> None:
    assert facts() == Facts()
    assert facts().values == {}


def test_the_version_tells_the_day_before_the_file_does() -> None:
    found = facts(source=source(version="20251201", lastModified="2025-12-24T23:30:00Z"))
    assert found == Facts("20251201", date(2025, 12, 1), f"sha256:{SHA256}")
    assert found.values == {
        "version": "20251201",
        "built": "2025-12-01",
        "source.checksum": f"sha256:{SHA256}",
    }


def test_the_file_tells_the_day_in_utc() -> None:
    found = facts(source=source(lastModified="2025-12-24T23:30:00-02:00"))
    assert found.values["built"] == "2025-12-25"
    assert "version" not in found.values


@pytest.mark.parametrize(
    ("version", "modified", "expected"),
    [
        ("20270101", "2025-12-24T00:00:00Z", date(2025, 12, 24)),
        ("12.5", "2026-01-03T00:00:00Z", None),
        ("12.5", "2026-01-02T23:00:00Z", date(2026, 1, 2)),
    ],
)
def test_no_build_is_later_than_its_image(
    version: str, modified: str, expected: date | None
) -> None:
    assert facts(source=source(version=version, lastModified=modified)).built == expected


def test_what_was_resolved_is_the_version_if_it_is_of_this_source() -> None:
    spec = cloud_image(http={"checksum": {"from": {"url": "https://example.org/SUMS"}}})
    known = of_source_of(spec)
    status = {"source": source(version="old"), "resolvedSource": {**known, "version": "12.6"}}
    resource = spec.model_copy(update={"status": cloud_image(status=status).status})
    assert of_image(resource, glance_image(resource)).version == "12.6"
    status["resolvedSource"]["selector"] = "of another spec"
    resource = spec.model_copy(update={"status": cloud_image(status=status).status})
    assert of_image(resource, glance_image(resource)).version == "old"


def of_source_of(resource: Any) -> dict[str, Any]:
    """Return the beginning of a resolved source of the spec."""
    from cloudimage.sources.registry import source_of  # noqa: PLC0415 - the registry imports this package's

    return {"selector": source_of(resource.spec).followed()}


def test_an_earlier_image_has_its_own() -> None:
    revision = {**KEPT, "version": "12.4", "built": "2025-05-05", "sourceChecksum": "sha256:aa"}
    found = facts({"id": IMAGE}, source=source(version="12.6"), revisions=[revision])
    assert found == Facts("12.4", date(2025, 5, 5), "sha256:aa")


@pytest.mark.parametrize("built", ["yesterday", "2025-02-31", "2028-01-01"])
def test_a_day_that_is_none_is_not_known(built: str) -> None:
    revision = {**KEPT, "version": "12.4", "built": built}
    assert facts({"id": IMAGE}, revisions=[revision]).built is None


def test_what_a_publisher_calls_its_build_is_made_plain() -> None:
    found = Facts("12\u202e\n.5", datetime(2025, 1, 1, tzinfo=UTC).date())
    assert found.values["version"] == "12\ufffd .5"
