"""URLs, checksums, promises and properties of openstack-image-manager's lists, as imported."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudimage.api.cloudimage import CloudImageSpec
from cloudimage.images.logic import retention
from cloudimage.images.logic.revisions import PreviousImage
from cloudimage.vocabulary.marks import Marks
from support.oim import BASE, ENTRY, SHA256, changed, made, run
from support.resources import NOW, cloud_image, glance_image

SECRET = "hunter2"


@pytest.mark.parametrize(
    "url",
    [
        f"https://user:{SECRET}@h.example/x.qcow2.xz?token={SECRET}",
        f"https://h.example/x.qcow2.xz#{SECRET}",
        f"ftp://user:{SECRET}@h.example/x.qcow2.xz",
    ],
)
def test_a_url_that_is_not_fetched_is_named_without_its_secrets(tmp_path: Path, url: str) -> None:
    done = run(tmp_path, changed(f"^ +{BASE}/20240703.*", f"          {url}"))
    assert done.exit_code == 0, done.output
    assert SECRET not in done.output
    spec = yaml.safe_load(done.stdout)["spec"]
    assert spec["source"]["http"]["url"] == "https://mirror.example.org/20240703-example-12.qcow2"
    shown = f"{url.partition(':')[0]}://h.example/x.qcow2.xz"
    assert spec["image"]["properties"]["image_source"] == shown
    assert "# The property image_source is without the user and the query" in done.stdout


@pytest.mark.parametrize(
    "secret",
    [f"https://h.example/x?token={SECRET}", f"https://u:{SECRET}@h.example/x", f"http://[{SECRET}"],
    ids=["query", "password", "not valid"],
)
@pytest.mark.parametrize(
    ("field", "pattern", "text"),
    [
        ("url", f"^ +{BASE}/20240703.*\n.*\n", "          SECRET\n"),
        ("url", f"^ +{BASE}/20240703.*", "          SECRET"),
        ("mirror_url", "mirror_url: .*", "mirror_url: SECRET"),
        ("checksums_url", 'checksum: "sha256.*', "checksums_url: SECRET"),
        ("checksum_url", 'checksum: "sha256.*', "checksum_url: SECRET"),
        ("checksums_url", "version: '20240703'", "version: latest\n        checksums_url: SECRET"),
        (
            "latest_url",
            "^    tags",
            f"    latest_url: SECRET\n    latest_checksum_url: {BASE}\n    tags",
        ),
        (
            "latest_checksum_url",
            "^    tags",
            f"    latest_url: {BASE}\n    latest_checksum_url: SECRET\n    tags",
        ),
    ],
)
def test_an_entry_with_a_secret_in_a_url_is_left_out(
    tmp_path: Path, field: str, pattern: str, text: str, secret: str
) -> None:
    done = run(tmp_path, changed(pattern, text.replace("SECRET", secret)))
    assert done.exit_code == 1
    assert done.stdout == ""
    assert SECRET not in done.output
    assert f"its {field} has a user, a query or a fragment, which may be secret" in done.stderr


def test_a_question_mark_of_a_pattern_is_no_query(tmp_path: Path) -> None:
    entry = (
        f"{ENTRY}    latest_url: {BASE}/Example-12-HEREBE\\d+(-\\d)?DRAGONS.qcow2\n"
        f"    latest_checksum_url: {BASE}/CHECKSUM\n"
    )
    http = made(tmp_path, entry)["example-12"]["source"]["http"]
    assert http["index"]["pattern"] == r"Example-12-(?P<version>\d+(-\d)?)\.qcow2"


@pytest.mark.parametrize(
    ("given", "checksum"),
    [
        ("ab" * 16, {"md5": "ab" * 16}),
        ("AB" * 20, {"sha1": "AB" * 20}),
        ("1" * 64, {"sha256": "1" * 64}),
        ("ab" * 64, {"sha512": "ab" * 64}),
        (f"SHA256:{SHA256}", {"sha256": SHA256}),
        (f"Md5:{'ab' * 16}", {"md5": "ab" * 16}),
    ],
)
def test_checksums_are_taken_as_they_are_there(
    tmp_path: Path, given: str, checksum: dict[str, str]
) -> None:
    entry = changed("checksum: .*", f"checksum: {given}")
    assert made(tmp_path, entry)["example-12"]["source"]["http"]["checksum"] == checksum


@pytest.mark.parametrize("given", ["ab" * 14, "z" * 64, "ab" * 48, f"crc32:{'ab' * 16}", ":"])
def test_what_is_no_checksum_is_named(tmp_path: Path, given: str) -> None:
    done = run(tmp_path, changed("checksum: .*", f"checksum: '{given}'"))
    assert done.exit_code == 1
    assert "its checksum is not one of md5:, sha1:, sha256: and sha512:" in done.stderr


def deleted(spec: dict[str, Any]) -> int:
    """Return how many of 120 unused earlier images are deleted, of which one a day was replaced."""
    resource = cloud_image().model_copy(update={"spec": CloudImageSpec.model_validate(spec)})
    images = (
        glance_image(
            cloud_image(),
            id=f"{number:08}-0000-4000-8000-000000000000",
            hidden=True,
            properties={Marks.REPLACED: (NOW - timedelta(days=number)).isoformat()},
        )
        for number in range(1, 121)
    )
    return len(retention.surplus(resource, [PreviousImage(each, 0) for each in images], NOW))


@pytest.mark.parametrize(
    ("promise", "kept", "note"),
    [
        ("none", 0, ""),
        ("last-1", 0, ""),
        ("last-3", 2, ""),
        ("last-101", 100, ""),
        ("last-120", 120, "no revisionHistoryLimit is as large as 119"),
        ("forever", 120, ""),
        ("notice", 120, "once you have given notice, lower"),
        ("2030-01-31", 120, "no field keeps them until 2030-01-31"),
        ("sometimes", 1, "This uuid_validity is unknown"),
    ],
)
@pytest.mark.parametrize("followed", [False, True])
def test_earlier_images_stay_as_long_as_is_promised(
    tmp_path: Path, promise: str, kept: int, note: str, *, followed: bool
) -> None:
    entry = changed("uuid_validity: last-3", f"uuid_validity: {promise}")
    if followed:
        entry = entry.replace("multi: true", "multi: false")
        entry += f"    latest_url: {BASE}/x.img\n    latest_checksum_url: {BASE}/SUMS\n"
    done = run(tmp_path, entry)
    assert done.exit_code == 0, done.output
    spec = yaml.safe_load(done.stdout)["spec"]
    assert spec["image"]["properties"]["uuid_validity"] == promise
    assert 120 - deleted(spec) == kept
    assert note in done.stdout


def test_a_version_of_its_own_keeps_a_promise_about_each_image(tmp_path: Path) -> None:
    entry = changed("multi: true", "multi: false").replace("last-3", "forever")
    assert all(deleted(spec) == 0 for spec in made(tmp_path, entry).values())


def test_what_keep_promises_is_kept(tmp_path: Path) -> None:
    spec = made(tmp_path, changed("min_ram: 512", "min_ram: 512\n    keep: true"))["example-12"]
    assert deleted(spec) == 0


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("https://token@h.example/x", False),
        ("ssh://git@h.example/x", True),
        ("https://h.example/x?y=1", True),
        ("https://[", True),
        ("mail me@example.org: now", True),
    ],
)
def test_properties_are_without_a_login(tmp_path: Path, value: str, *, kept: bool) -> None:
    entry = changed("hw_disk_bus: scsi", f"note: '{value}'")
    properties = made(tmp_path, entry)["example-12"]["image"]["properties"]
    assert properties.get("note") == (value if kept else None)
