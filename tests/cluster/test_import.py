"""``cloudimage import``: what it printed of other tools' lists becomes images, or adopts them."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from cloudimage.api.names import RETRY_ANNOTATION
from cloudimage.cli.app import app
from support.namespaces import Namespace, content_of, image_of, said
from support.openstack_actions import make_image
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

INTO = ("--secret", "openstack", "--cloud", "images")


def listed(path: Path, images: list[dict[str, Any]]) -> Path:
    """Write a list of images, without aliases as people do."""

    class Dumper(yaml.SafeDumper):
        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002  # PyYAML's
            return True

    path.write_text(yaml.dump({"images": images}, Dumper=Dumper))
    return path


def imported(path: Path, *options: str) -> str:
    """Return what the command prints of a file."""
    done = CliRunner().invoke(app, ["import", str(path), *INTO, *options])
    assert done.exit_code == 0, done.output
    return done.stdout


def entry(name: str, versions: list[dict[str, Any]], **changes: Any) -> dict[str, Any]:
    """Return an image as openstack-image-manager's lists have it."""
    meta = {
        "architecture": "x86_64",
        "hw_disk_bus": "scsi",
        "hw_rng_model": "virtio",
        "hw_scsi_model": "virtio-scsi",
        "hw_watchdog_action": "reset",
        "hypervisor_type": "qemu",
        "os_distro": "debian",
        "os_purpose": "generic",
        "replace_frequency": "quarterly",
        "uuid_validity": "last-3",
        "provided_until": "none",
    }
    return {
        "name": name,
        "enable": True,
        "shortname": name.lower(),
        "format": "raw",
        "login": "debian",
        "min_disk": 1,
        "min_ram": 64,
        "status": "active",
        "visibility": "private",
        "multi": True,
        "meta": meta,
        "tags": [],
        "versions": versions,
        **changes,
    }


def terraform(name: str, image: dict[str, Any], url: str) -> dict[str, Any]:
    """Return a resource as Terraform prints it of an image."""
    return {
        "address": "module.images.openstack_images_image_v2.golden",
        "mode": "managed",
        "type": "openstack_images_image_v2",
        "name": "golden",
        "values": {
            "checksum": image["checksum"],
            "container_format": image["container_format"],
            "disk_format": image["disk_format"],
            "hidden": image["os_hidden"],
            "id": image["id"],
            "image_source_password": "hunter2",
            "image_source_url": url,
            "image_source_username": "reader",
            "min_disk_gb": image["min_disk"],
            "min_ram_mb": image["min_ram"],
            "name": name,
            "properties": {"os_hash_algo": image["os_hash_algo"], "our_own": image["our_own"]},
            "protected": image["protected"],
            "status": image["status"],
            "tags": image["tags"],
            "visibility": image["visibility"],
        },
        "sensitive_values": {"image_source_password": True, "properties": {}},
    }


def shown(*resources: dict[str, Any]) -> str:
    values = {"root_module": {"child_modules": [{"resources": list(resources)}]}}
    return json.dumps({"format_version": "1.0", "terraform_version": "1.9.5", "values": values})


def test_a_list_of_openstack_image_manager_becomes_ready_and_is_followed(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    qcow2_disk: Path,
    unique: str,
    tmp_path: Path,
) -> None:
    title, digest = unique.upper(), f"sha256:{sha256_of(raw_disk)}"
    url = sources.put(f"{unique}/20240703/disk.raw", raw_disk)
    versions = [
        {"version": "20231002", "url": f"{url}.old", "build_date": "2023-10-02"},
        {"version": "20240703", "url": url, "checksum": digest, "build_date": "2024-07-03"},
    ]
    latest = sources.put(f"{unique}/current/disk.qcow2", qcow2_disk)
    sums = f"{sha256_of(qcow2_disk)} *disk.qcow2\n"
    followed = {
        "latest_url": latest,
        "latest_checksum_url": sources.put(f"{unique}/current/SHA256SUMS", sums.encode()),
        "format": "qcow2",
    }
    images = [entry(title, versions), entry(f"{title}-F", versions, **followed)]
    text = imported(listed(tmp_path / "list.yml", images))
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=text)
    glance = openstack.connect("images")

    ready = namespace.wait_condition(unique, "Ready")
    image = image_of(glance, ready)
    assert said(ready, "Verified")[0] == "True"
    assert content_of(glance, image["id"]) == sha256_of(raw_disk)
    wanted = {"name": title, "disk_format": "raw", "min_disk": 1, "min_ram": 64}
    wanted |= {"image_original_user": "debian", "os_distro": "debian", "hw_disk_bus": "scsi"}
    assert wanted.items() <= image.items()
    assert image["tags"] == ["os:debian"]

    follows = namespace.wait_condition(f"{unique}-f", "Ready")
    assert follows.status.follow is not None
    assert content_of(glance, follows.status.image_id or "") == sha256_of(qcow2_disk)
    for name in (unique, f"{unique}-f"):
        namespace.delete(name)
    for name in (unique, f"{unique}-f"):
        namespace.wait_gone(name)


def test_an_image_of_terraform_is_taken_over_and_no_byte_moves(
    namespace: Namespace, openstack: OpenStack, sources: Sources, unique: str, tmp_path: Path
) -> None:
    glance = openstack.connect("images")
    made = make_image(glance, b"\0" * 4096, visibility="private", tags=["golden"], our_own="x")
    glance.image.update_image(made.id, name=unique)
    url = sources.put(f"{unique}.raw", b"\0" * 4096)
    before = glance.image.get(f"/images/{made.id}").json()
    path = tmp_path / "state.json"
    path.write_text(shown(terraform(unique, before, url)))
    text = imported(path)
    assert "hunter2" not in text
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=text)
    # The Secret that a comment asks for, for the next build.
    words = ("create", "secret", "generic", f"{unique}-source", "--from-literal=username=reader")
    namespace.cluster.run_kubectl(*words, "--from-literal=password=x", "-n", namespace.name)
    namespace.patch(unique, {"metadata": {"annotations": {RETRY_ANNOTATION: "1"}}})

    taken = namespace.wait_condition(unique, "Ready")
    after = glance.image.get(f"/images/{made.id}").json()
    assert taken.status.image_id == made.id
    same = ("name", "checksum", "tags", "our_own", "visibility", "min_disk", "size", "created_at")
    assert {each: after[each] for each in same} == {each: before[each] for each in same}
    assert sources.requests(f"{unique}.raw") == []

    # Both let it go, and it is there: terraform state rm, and deletionPolicy Orphan.
    namespace.delete(unique)
    namespace.wait_gone(unique)
    assert glance.image.get(f"/images/{made.id}").json()["status"] == "active"
    glance.image.delete_image(made.id)


def test_the_api_server_takes_all_that_is_printed(crds: Cluster, tmp_path: Path) -> None:
    url = "https://images.example.org/x"
    plain = [{"version": "1", "url": f"{url}/1.raw", "checksum": f"md5:{'0' * 32}"}]
    latest = {"latest_checksum_url": f"{url}/latest/SUMS", "latest_url": f"{url}/latest/a.qcow2"}
    marked = {"latest_checksum_url": f"{url}/SUMS", "latest_url": rf"{url}/a-HEREBE\d+DRAGONS.raw"}
    file = [{"version": "latest", "url": "file:///x", "checksums_url": url}]
    bad = {"hw_disk_bus": "floppy", "hw_vif_multiqueue_enabled": "perhaps", "trait:X": "wanted"}
    images = [
        entry("A", plain, multi=False, separator="_"),
        entry("B", plain, **latest),
        entry("C", plain, **marked, format="qcow2"),
        entry("D", file),
        entry("E", plain, format="aki"),
        entry("F", plain, meta=bad | {"os_glance_x": "x", "visibility": "x", "os_distro": "talos"}),
        entry("G", [{"version": "latest", "url": f"{url}/a.iso", "checksum_url": f"{url}/a.md5"}]),
    ]
    path = listed(tmp_path / "list.yml", images)
    known: dict[str, Any] = {"checksum": "0" * 32, "container_format": "bare", "tags": []}
    known |= {"disk_format": "raw"}
    known |= {"os_hidden": True, "min_disk": 1, "min_ram": 0, "os_hash_algo": "sha512"}
    known |= {"protected": True, "status": "active", "visibility": "public", "our_own": "x"}
    ids = [f"{number:08}-1111-4111-8111-111111111111" for number in range(3)]
    resources = [terraform(f"T {each}", {**known, "id": each}, f"{url}?a=b") for each in ids]
    resources[1]["values"] |= {"container_format": "ova", "disk_format": "vmdk"}
    resources[2]["values"] |= {"image_source_url": None, "local_file_path": "/x"}
    access = {"image_id": ids[0], "member_id": "1" * 32}
    for image in (ids[0], "0" * 8 + ids[0][8:]):
        share = {"mode": "managed", "type": "openstack_images_image_access_v2", "address": image}
        resources.append({**share, "values": access | {"image_id": image}})
    state = tmp_path / "state.json"
    state.write_text(shown(*resources))
    text = f"{imported(path)}---\n{imported(state)}---\n{imported(path, '--pin')}"
    assert text.count("kind: CloudImage\n") == 17
    namespace = crds.new_namespace("import")
    answer = crds.run_kubectl("create", "--dry-run=server", "-n", namespace, "-f", "-", stdin=text)
    assert answer.count("created") == 18
