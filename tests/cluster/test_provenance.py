"""What the cloud's users read of an image: its build in name, properties and tags, and provenance.

Glance is a real one, and the publisher's server says when a file was last changed.
"""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import ApiException

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import RETRY_ANNOTATION
from support.namespaces import Namespace, image_of, said
from testbed.images import disk, sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

TYPED = {
    "architecture": "x86_64",
    "os_distro": "cirros",
    "os_version": "0.6",
    "os_purpose": "minimal",
    "image_description": "https://example.org/notes",
}
IMAGE: dict[str, Any] = {
    "name": "Image $(version)",
    "tags": ["os:cirros", "built-$(built)"],
    "properties": {**TYPED, "source_hash": "$(source.checksum)", "price": "$$(free)"},
    "minDiskGiB": 1,
    "minRamMiB": 128,
}


def publish(sources: Sources, folder: str, *builds: tuple[str, Path, datetime]) -> str:
    """Publish builds by their version, with the day of their files; return the URL of the list."""
    listed = ""
    for version, path, changed in builds:
        sources.put(f"{folder}/disk-{version}.raw", path)
        served = sources.folder / folder / f"disk-{version}.raw"
        os.utime(served, (changed.timestamp(), changed.timestamp()))
        listed += f"{sha256_of(path)}  disk-{version}.raw\n"
    return sources.put(f"{folder}/SHA256SUMS", listed.encode())


def test_the_build_is_told_and_the_next_one_too(
    namespace: Namespace, openstack: OpenStack, sources: Sources, tmp_path: Path, unique: str
) -> None:
    first, second = tmp_path / "1.raw", tmp_path / "2.raw"
    disk(first, "raw", virtual_size=8 << 20, data_bytes=1 << 20)
    disk(second, "raw", virtual_size=8 << 20, data_bytes=2 << 20)
    one = ("0.6.2", first, datetime(2025, 3, 4, 5, 6, 7, tzinfo=UTC))
    two = ("0.6.3", second, datetime(2025, 4, 5, 6, 7, 8, tzinfo=UTC))
    sums = publish(sources, unique, one)
    http = {
        "index": {"checksums": sums, "pattern": r"disk-(?P<version>[\d.]+)\.raw"},
        "checksum": {"from": {"url": sums, "filename": "$(name)"}},
    }
    source = {"http": http}
    spec: dict[str, Any] = {"provenance": "SCS", "revisionHistoryLimit": 2}
    spec |= {"follow": {"every": "6h"}}
    namespace.create(unique, "", image=IMAGE, source=source, **spec)
    made = namespace.wait_condition(unique, "ProvenanceComplete", "False")
    missing = said(made, "ProvenanceComplete")[2]
    assert "spec.image.properties.image_original_user must be given" in missing
    assert missing.count("must be given") == 1
    user = {"spec": {"image": {"properties": {"image_original_user": "cirros"}}}}
    namespace.patch(unique, user)
    made = namespace.wait_condition(unique, "ProvenanceComplete")
    url = f"{sums.rpartition('/')[0]}/disk-0.6.2.raw"
    expected = {
        **TYPED,
        "image_original_user": "cirros",
        "image_source": url,
        "image_build_date": "2025-03-04",
        "replace_frequency": "daily",
        "uuid_validity": "last-3",
        "provided_until": "none",
        "hotfix_hours": "0",
        "source_hash": f"sha256:{sha256_of(first)}",
        "price": "$(free)",
    }
    images = openstack.connect("images")
    assert told(image_of(images, made), expected) == expected
    shown = image_of(images, made)
    assert (shown["name"], set(shown["tags"])) == (
        "Image 0.6.2",
        {"os:cirros", "built-2025-03-04"},
    )

    publish(sources, unique, one, two)
    namespace.patch(unique, {"metadata": {"annotations": {RETRY_ANNOTATION: "now"}}})
    made = namespace.wait(unique, lambda each: names(each, "Image 0.6.3"))
    shown = image_of(images, made)
    assert shown["image_build_date"] == "2025-04-05"
    assert shown["image_source"] == url.replace("0.6.2", "0.6.3")
    assert set(shown["tags"]) == {"os:cirros", "built-2025-04-05"}
    revisions = {each.version: (each.built, each.current) for each in made.status.revisions}
    assert revisions == {"0.6.3": ("2025-04-05", True), "0.6.2": ("2025-03-04", False)}

    namespace.delete(unique)
    namespace.wait_gone(unique)


def told(shown: dict[str, Any], expected: dict[str, str]) -> dict[str, Any]:
    return {name: shown.get(name) for name in expected}


def names(resource: CloudImage, name: str) -> bool:
    """Return whether the served image has the name."""
    image = resource.status.image
    return image is not None and image.name == name and said(resource, "Ready")[0] == "True"


def test_what_is_not_known_is_said_and_nothing_else_waits_for_it(
    namespace: Namespace, openstack: OpenStack, sources: Sources, raw_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.raw", raw_disk)
    namespace.create(
        unique,
        url,
        sha256_of(raw_disk),
        image={"name": "x $(version)", "properties": {"kept": "$(source.checksum)"}},
    )
    made = namespace.wait_condition(unique, "Synced", "False", "TemplateNotFilled")
    assert "spec.image.name (x $(version))" in said(made, "Synced")[2]
    assert said(made, "Ready")[0] == "True"
    shown = image_of(openstack.connect("images"), made)
    assert (shown["name"], shown["kept"]) == (unique, f"sha256:{sha256_of(raw_disk)}")
    namespace.delete(unique)
    namespace.wait_gone(unique)


@pytest.mark.parametrize(
    "image",
    [
        {"name": "x $(verison)"},
        {"tags": ["$(release)"]},
        {"properties": {"a": "$(source.size)"}},
        {"properties": {"a": "$(version"}},
    ],
)
def test_an_unknown_variable_is_not_admitted(
    namespace: Namespace, unique: str, image: dict[str, Any]
) -> None:
    with pytest.raises(ApiException) as caught:
        namespace.create(unique, "https://example.org/x", image=image)
    assert caught.value.status == 422
    assert "$(version), $(built) and $(source.checksum)" in str(caught.value.body)
