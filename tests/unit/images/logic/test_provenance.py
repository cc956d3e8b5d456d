"""Provenance in the words of SCS-0102 and SCS-0104.

What their own checker accepts is restated here in our own words.
"""

import re
from datetime import date
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.images.logic import effective, provenance
from cloudimage.images.logic.facts import Facts
from support.resources import cloud_image, glance_image

BOOKWORM = "https://cloud.debian.org/images/cloud/bookworm/20251124/debian-12.qcow2"
GIVEN = {
    "architecture": "x86_64",
    "os_purpose": "generic",
    "image_description": "https://cloud.debian.org/images/cloud/",
    "image_original_user": "debian",
}
KNOWN = Facts("20251124", date(2025, 11, 24), "sha256:aa")
DAILY = {"every": "12h"}


def resource(url: str = BOOKWORM, given: dict[str, str] | None = None, **spec: Any) -> CloudImage:
    """Return a CloudImage that asks for provenance."""
    sums = {"from": {"url": "https://example.org/SHA256SUMS"}}
    http = {"checksum": sums} if spec.get("follow") else {}
    image = {"minDiskGiB": 3, "minRamMiB": 512, "properties": GIVEN if given is None else given}
    return cloud_image(
        {**image, **spec.pop("image", {})},
        spec.pop("status", {}),
        {"url": url, **http, **spec.pop("http", {})},
        **{"provenance": "SCS", **spec},
    )


def told(*args: Any, **given: Any) -> dict[str, str]:
    return provenance.told(resource(*args, **given), KNOWN)


def test_it_is_off_unless_asked_for() -> None:
    given = resource(provenance=None)
    assert provenance.applied(given, KNOWN) is given
    assert provenance.draft(given) is None


def test_an_image_that_is_followed() -> None:
    assert told(follow=DAILY, revisionHistoryLimit=3) == {
        "image_source": BOOKWORM,
        "image_build_date": "2025-11-24",
        "os_distro": "debian",
        "os_version": "12",
        "replace_frequency": "daily",
        "uuid_validity": "last-4",
        "provided_until": "none",
        "hotfix_hours": "0",
    }


def test_a_source_that_cannot_be_followed_makes_no_promise() -> None:
    found = told(follow=DAILY, http={"checksum": {"sha256": "a" * 64}})
    assert "replace_frequency" not in found
    assert "hotfix_hours" not in found


def test_an_image_that_stays_as_it_is() -> None:
    found = told(revisionHistoryLimit=0)
    assert found["replace_frequency"] == "never"
    assert found["uuid_validity"] == "none"
    assert "hotfix_hours" not in found


@pytest.mark.parametrize(
    ("follow", "expected"),
    [
        ({"every": "24h"}, "daily"),
        ({"every": "25h"}, "weekly"),
        ({"every": "12h", "minimumAge": "3d"}, "weekly"),
        ({"every": "30d"}, "monthly"),
        ({"every": "92d"}, "quarterly"),
        ({"every": "365d"}, "yearly"),
        ({"every": "400d"}, None),
        ({"schedule": "0 3 * * *"}, "daily"),
        ({"schedule": "0 3 * * 1-5"}, "weekly"),
        ({"schedule": "0 3 1 * *"}, "monthly"),
        ({"every": "1h", "window": {"schedule": "0 3 * * 6", "duration": "4h"}}, "weekly"),
        ({"schedule": "0 3 * * *", "timeZone": "Nowhere"}, None),
        ({"every": "1h", "policy": "Report"}, None),
        ({"every": "1h", "suspend": True}, None),
    ],
)
def test_how_often_it_is_replaced(follow: dict[str, Any], expected: str | None) -> None:
    assert told(follow=follow).get("replace_frequency") == expected


@pytest.mark.parametrize(
    ("url", "distro", "version"),
    [
        (BOOKWORM, "debian", "12"),
        ("https://cdimage.debian.org/cdimage/cloud/trixie/latest/d.qcow2", "debian", "13"),
        ("https://cloud-images.ubuntu.com/releases/noble/release/u.img", "ubuntu", "24.04"),
        ("https://cloud-images.ubuntu.com/jammy/current/j.img", "ubuntu", "22.04"),
        ("https://cloud-images.ubuntu.com/minimal/releases/noble/u.img", None, None),
        ("https://mirror.example.org/images/cloud/bookworm/d.qcow2", None, None),
        ("https://cloud.debian.org/cdimage/bookworm/d.qcow2", None, None),
    ],
)
def test_the_system_of_a_publisher(url: str, distro: str | None, version: str | None) -> None:
    found = told(url)
    assert (found.get("os_distro"), found.get("os_version")) == (distro, version)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ({"http": {"url": "https://example.org/a.img?token=x"}}, "https://example.org/a.img"),
        ({"http": {"url": "https://u.example/a", "auth": {"secretName": "s"}}}, "private"),
        ({"upload": {"sha256": "ab" * 32}}, "private"),
        ({"server": {"id": "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"}}, "private"),
        ({"oci": {"image": "quay.io/containerdisks/debian:12"}}, None),
    ],
)
def test_where_it_can_be_downloaded(source: dict[str, Any], expected: str | None) -> None:
    found = provenance.told(cloud_image(source=source, provenance="SCS"), KNOWN)
    assert found.get("image_source") == expected


def test_what_a_user_gives_wins() -> None:
    given = {**GIVEN, "os_version": "12.9", "provided_until": "2028-06-30", "hotfix_hours": "48"}
    found = provenance.applied(resource(given=given), KNOWN).spec.image.properties or {}
    assert found.items() >= given.items()
    assert found["image_build_date"] == "2025-11-24"


def test_there_is_room_for_what_the_user_gives() -> None:
    many = {f"p{number}": "x" for number in range(118)}
    found = provenance.applied(resource(given=many), KNOWN).spec.image.properties or {}
    assert len(found) == 120
    assert found.items() >= many.items()


def draft(given: CloudImage, known: Facts = KNOWN) -> Any:
    return provenance.draft(provenance.applied(given, known))


def test_what_is_complete() -> None:
    found = draft(resource())
    assert (found.type, found.status) == ("ProvenanceComplete", "True")


def test_what_cannot_be_known_is_asked_for_by_name() -> None:
    source = {"glance": {"id": "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"}}
    empty = cloud_image(source=source, provenance="SCS", follow={"every": "1h", "policy": "Report"})
    found = draft(empty, Facts())
    assert (found.status, found.reason) == ("False", "ProvenanceIncomplete")
    asked = set(re.findall(r"spec\.image\.(?:properties\.)?(\w+) must be given", found.message))
    assert asked == {
        *("architecture", "os_distro", "os_version", "os_purpose", "image_description"),
        *("image_build_date", "image_original_user", "replace_frequency", "minDiskGiB"),
        "minRamMiB",
    }


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("image_build_date", "2025-11-24 12:30", True),
        ("image_build_date", "24.11.2025", False),
        ("uuid_validity", "last-3", True),
        ("uuid_validity", "2027-01-01", True),
        ("uuid_validity", "last-three", False),
        ("provided_until", "notice", True),
        ("provided_until", "forever", False),
        ("hotfix_hours", "48", True),
        ("hotfix_hours", "two", False),
        ("replace_frequency", "critical_bug", True),
        ("replace_frequency", "hourly", False),
        ("image_source", "private", False),  # of a generic Debian; SCS-0104
        ("image_source", "https://cdimage.debian.org/cdimage/cloud/bookworm/x", True),
        ("image_source", "https://cdimage.debian.org/cdimage/cloud/trixie/x", False),
        ("image_source", "http://cloud.debian.org/images/cloud/bookworm/x", False),
        ("os_purpose", "k8snode", True),
        ("os_purpose", "desktop", False),
        ("architecture", "aarch64", True),
        ("architecture", "amd64", False),
    ],
)
def test_the_form_of_what_is_given(name: str, value: str, fits: bool) -> None:
    found = draft(resource(given={**GIVEN, name: value}))
    assert (found.status == "True") is fits, found.message
    assert fits or name in found.message


def test_it_is_told_of_the_very_image() -> None:
    given = resource(status={"source": {"version": "20251124"}})
    [told_of] = effective.drafts(given, glance_image(given))
    assert told_of.status == "True"
    image = effective.applied(given, glance_image(given)).spec.image
    assert (image.properties or {})["image_build_date"] == "2025-11-24"
