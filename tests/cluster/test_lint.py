"""Images are inspected before a real Glance gets them: findings are reported, or refused."""

from pathlib import Path

import pytest

from support.guests import CLEAN, Files, disk, file_system, tree
from support.namespaces import Namespace, images_of, said
from support.transfer_images import make
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def image(folder: Path, *layers: Files) -> Path:
    folder.mkdir()
    system = file_system(folder / "system", "ext4", tree(folder / "guest", CLEAN, *layers))
    make(disk(folder / "raw", "gpt", system), folder / "image", "qcow2", compress=True)
    return folder / "image"


def test_findings_are_told_and_refused_where_the_spec_wants_it(
    namespace: Namespace, openstack: OpenStack, sources: Sources, tmp_path: Path, unique: str
) -> None:
    path = image(tmp_path / "bad", {"etc/machine-id": "5b1f0fdc1c7b4f1a8f0a6c2f35f2a0d1\n"})
    checksum = {"sha256": sha256_of(path)}
    source = {"http": {"url": sources.put(unique, path), "checksum": checksum}}
    namespace.create(unique, "", source=source, lint="Enforce")
    refused = namespace.wait_condition(unique, "Stalled")
    assert said(refused, "Stalled")[1] == "LintFailed"
    assert said(refused, "Linted")[:2] == ("False", "LintFailed")
    assert "/etc/machine-id" in said(refused, "Ready")[2]
    assert [(each.rule, each.path) for each in refused.status.lint] == [
        ("MachineID", "/etc/machine-id")
    ]
    connection = openstack.connect("images")
    assert images_of(connection, refused.metadata.uid) == []

    namespace.patch(unique, {"spec": {"lint": None}})  # as Warn, where the bytes are at hand
    ready = namespace.wait_condition(unique, "Ready")
    assert said(ready, "Linted")[:2] == ("False", "FindingsFound")
    assert [each.rule for each in ready.status.lint] == ["MachineID"]
    assert namespace.told_once(unique, "Warning", "FindingsFound")
    assert len(images_of(connection, ready.metadata.uid)) == 1

    namespace.patch(unique, {"spec": {"lint": "Skip"}})
    off = namespace.wait(unique, lambda each: not each.status.lint)
    assert "Linted" not in {each.type for each in off.status.conditions}
    assert off.status.image_id == ready.status.image_id


def test_raw_image_is_streamed_unless_a_look_is_asked_for(
    namespace: Namespace, openstack: OpenStack, sources: Sources, tmp_path: Path, unique: str
) -> None:
    path = tmp_path / "clean" / "raw"
    image(tmp_path / "clean")
    checksum = {"sha256": sha256_of(path)}
    source = {"http": {"url": sources.put(unique, path), "checksum": checksum}}
    shape = {"diskFormat": "raw"}
    # One after the other: what the second has downloaded would be at hand for the first as well.
    namespace.create(unique, "", source=source, image={"name": unique, **shape})
    unasked = namespace.wait_condition(unique, "Ready")
    assert said(unasked, "Linted")[:2] == ("Unknown", "NotLookedInto")
    name = f"{unique}-asked"
    namespace.create(name, "", source=source, image={"name": name, **shape}, lint="Warn")
    asked = namespace.wait_condition(name, "Ready")
    assert said(asked, "Linted")[:2] == ("True", "Clean")


def test_what_enforce_could_not_check_is_said(
    namespace: Namespace, sources: Sources, tmp_path: Path, unique: str
) -> None:
    system = file_system(tmp_path / "system", "ext4", tree(tmp_path / "data", {"notes": "x"}))
    make(disk(tmp_path / "raw", "gpt", system), tmp_path / "image", "qcow2", compress=True)
    checksum = {"sha256": sha256_of(tmp_path / "image")}
    source = {"http": {"url": sources.put(unique, tmp_path / "image"), "checksum": checksum}}
    namespace.create(unique, "", source=source, lint="Enforce")
    ready = namespace.wait_condition(unique, "Ready")
    assert said(ready, "Linted")[:2] == ("Unknown", "FileSystemUnknown")
    assert namespace.told_once(unique, "Warning", "FileSystemUnknown")
