"""A CloudImage becomes a Glance image, is kept as the spec says, and goes again."""

from pathlib import Path

import pytest

from cloudimage.vocabulary.marks import Marks
from support.namespaces import (
    Namespace,
    condition_of,
    content_of,
    images_of,
    said,
    server,
    wait_until,
)
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def test_a_qcow2_becomes_a_raw_image_with_the_attributes_of_the_spec(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    raw_disk: Path,
    unique: str,
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create(
        unique,
        url,
        sha256_of(qcow2_disk),
        image={
            "name": f"{unique} in glance",
            "diskFormat": "raw",
            "visibility": "shared",
            "minDiskGiB": 1,
            "minRamMiB": 128,
            "tags": ["golden", "debian"],
            "properties": {"os_distro": "debian", "hw_disk_bus": "scsi"},
        },
    )
    resource = namespace.wait_condition(unique, "Ready")
    images = openstack.connect("images")
    [image] = images_of(images, resource.metadata.uid)
    assert image["id"] == resource.status.image_id
    expected = {
        "name": f"{unique} in glance",
        "status": "active",
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": "shared",
        "os_hidden": False,
        "min_disk": 1,
        "min_ram": 128,
        "size": 64 << 20,
        "os_distro": "debian",
        "hw_disk_bus": "scsi",
    }
    assert {key: image[key] for key in expected} == expected
    assert sorted(image["tags"]) == ["debian", "golden"]
    assert content_of(images, image["id"]) == sha256_of(raw_disk)
    status = resource.status.to_json()
    assert status["diskFormat"] == "raw"
    assert status["size"] == 64 << 20
    assert status["source"]["format"] == "qcow2"
    assert status["source"]["checksums"]["sha256"] == sha256_of(qcow2_disk)
    assert status["checksums"]["sha512"] == image["os_hash_value"]
    assert status["summary"] == {"progress": "100%", "size": "64.0Mi", "inUse": "0+"}
    for kind in ("Verified", "Uploaded", "Synced"):
        assert condition_of(resource, kind) is not None
        assert said(resource, kind)[0] == "True"
    for reason in ("Progressing", "ChecksumMatched", "HashMatched", "Available"):
        assert namespace.told_once(unique, "Normal", reason), reason


def test_kubectl_waits_for_it_and_shows_the_columns_of_the_design(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    namespace.create(unique, sources.put(f"{unique}.qcow2", qcow2_disk), sha256_of(qcow2_disk))
    kubectl = namespace.cluster.run_kubectl
    where = ("-n", namespace.name)
    kubectl("wait", "--for=condition=Ready", f"cloudimage/{unique}", "--timeout=90s", *where)
    header, row = kubectl("get", "cimg", unique, *where).splitlines()
    assert " ".join(header.split()) == (
        "NAME READY VERIFIED STAGE PROGRESS FORMAT SIZE VISIBILITY IN USE USE CHECKED AGE"
    )
    size = row.split()[6]
    assert row.split()[:9] == [
        *(unique, "True", "True", "Complete", "100%", "qcow2", size, "private", "0")
    ]


def test_progress_shows_while_bytes_move(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    sources.put(f"{unique}.qcow2", qcow2_disk)
    slow = sources.url(f"{unique}.qcow2", rate=3 << 20)
    namespace.create(unique, slow, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
    resource = namespace.wait(
        unique,
        lambda each: (
            each.status.progress is not None
            and each.status.progress.stage == "Fetching"
            and 0 < (each.status.progress.percent or 0) < 100
        ),
    )
    assert condition_of(resource, "Ready") is not None
    assert condition_of(resource, "Reconciling") is not None
    assert resource.status.progress is not None
    assert resource.status.progress.total_bytes == qcow2_disk.stat().st_size
    namespace.wait_condition(unique, "Ready")


def test_metadata_follows_the_spec_without_moving_bytes(
    namespace: Namespace, openstack: OpenStack, sources: Sources, raw_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.raw", raw_disk)
    namespace.create(unique, url, sha256_of(raw_disk), image={"properties": {"a": "1"}})
    before = namespace.wait_condition(unique, "Ready")
    fetched = len(sources.requests(f"{unique}.raw"))
    change = {"name": "renamed", "tags": ["t"], "properties": {"a": "2"}, "visibility": "community"}
    namespace.patch(unique, {"spec": {"image": change}})
    after = namespace.wait_condition(unique, "Synced")
    assert after.metadata.generation == before.metadata.generation + 1
    assert after.status.image_id == before.status.image_id
    [image] = images_of(openstack.connect("images"), after.metadata.uid)
    assert (image["name"], image["tags"], image["a"]) == ("renamed", ["t"], "2")
    assert image["visibility"] == "community"
    assert len(sources.requests(f"{unique}.raw")) == fetched


def test_new_bytes_make_a_new_image_and_the_old_one_serves_until_then(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create(unique, url, sha256_of(qcow2_disk), revisionHistoryLimit=0)
    first = namespace.wait_condition(unique, "Ready")
    namespace.patch(unique, {"spec": {"image": {"diskFormat": "raw"}}})
    pending = namespace.wait_condition(unique, "Ready", reason="ReplacementPending")
    assert pending.status.image_id == first.status.image_id
    second = namespace.wait_condition(unique, "Ready", reason="Available")
    assert second.status.image_id != first.status.image_id
    settled = namespace.wait(unique, lambda each: len(each.status.revisions) == 1)
    [image] = images_of(openstack.connect("images"), settled.metadata.uid)
    assert (image["id"], image["disk_format"]) == (second.status.image_id, "raw")


def test_deletion_waits_for_the_last_server_and_says_for_whom(
    namespace: Namespace, openstack: OpenStack, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create(
        unique,
        url,
        sha256_of(qcow2_disk),
        cloudCredentialsRef={"secretName": "openstack", "cloudName": "admin"},
        image={"visibility": "public"},
    )
    ready = namespace.wait_condition(unique, "Ready")
    assert ready.status.image_id is not None
    admin, consumer = openstack.connect("admin"), openstack.connect("consumer")
    with server(consumer, f"{unique}-web", ready.status.image_id) as server_id:
        namespace.delete(unique)
        blocked = namespace.wait_condition(unique, "DeletionBlocked", reason="InUse")
        message = (condition_of(blocked, "DeletionBlocked") or ("", "", ""))[2]
        assert f"{unique}-web ({server_id}, project {openstack.project_id('consumer')})" in message
        assert "all projects" in message
        assert blocked.status.used_by is not None
        assert blocked.status.used_by.servers == 1
        assert [each.id for each in blocked.status.used_by.sample] == [server_id]
        # Two more looks at it: it is still there, and nothing is said again.
        assert not wait_until(lambda: namespace.get(unique) is None, 30)
        assert admin.image.get(f"/images/{ready.status.image_id}").status_code == 200
        assert namespace.told_once(unique, "Warning", "DeletionBlocked")
    namespace.wait_gone(unique, seconds=30)
    assert admin.image.get(f"/images/{ready.status.image_id}").status_code == 404


def test_a_listing_of_servers_that_fails_is_not_read_as_none(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    # Nova's address is replaced by one where nobody listens, for this cloud only.
    broken = openstack.cloud("images") | {"compute_endpoint_override": "http://127.0.0.1:9/v2.1"}
    own_namespace.put_secret(openstack, broken=broken)
    own_namespace.create(
        unique,
        url,
        sha256_of(qcow2_disk),
        cloudCredentialsRef={"secretName": "openstack", "cloudName": "broken"},
    )
    ready = own_namespace.wait_condition(unique, "Ready")
    own_namespace.delete(unique)
    blocked = own_namespace.wait_condition(unique, "DeletionBlocked", reason="CloudUnreachable")
    message = (condition_of(blocked, "DeletionBlocked") or ("", "", ""))[2]
    assert "cloudimage.dev/force-delete" in message
    [image] = images_of(openstack.connect("images"), ready.metadata.uid)
    assert image["status"] == "active"
    own_namespace.put_secret(openstack, broken=openstack.cloud("images"))
    own_namespace.wait_gone(unique)
    assert images_of(openstack.connect("images"), ready.metadata.uid) == []


def test_a_protected_image_blocks_until_the_spec_lets_go(
    namespace: Namespace, openstack: OpenStack, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create(unique, url, sha256_of(qcow2_disk), image={"protected": True})
    ready = namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)
    namespace.wait_condition(unique, "DeletionBlocked", reason="Protected")
    namespace.patch(unique, {"spec": {"image": {"protected": False}}})
    namespace.wait_gone(unique)
    assert images_of(openstack.connect("images"), ready.metadata.uid) == []


def test_an_orphan_stays_without_our_marks(
    namespace: Namespace, openstack: OpenStack, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create(
        unique,
        url,
        sha256_of(qcow2_disk),
        image={"properties": {"os_distro": "debian"}},
        deletionPolicy="Orphan",
    )
    ready = namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)
    namespace.wait_gone(unique)
    images = openstack.connect("images")
    image = images.image.get(f"/images/{ready.status.image_id}").json()
    images.image.delete(f"/images/{ready.status.image_id}")
    assert image["status"] == "active"
    assert image["os_distro"] == "debian"
    assert not set(Marks) & set(image)


def test_force_lets_the_object_go_and_leaves_the_image(
    namespace: Namespace, openstack: OpenStack, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    namespace.create(unique, url, sha256_of(qcow2_disk), image={"protected": True})
    ready = namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)
    namespace.wait_condition(unique, "DeletionBlocked")
    force = {"cloudimage.dev/force-delete": "true"}
    namespace.patch(unique, {"metadata": {"annotations": force}})
    namespace.wait_gone(unique)
    [image] = images_of(openstack.connect("images"), ready.metadata.uid)
    assert image["status"] == "active"


def test_a_deletion_in_the_middle_of_a_transfer_leaves_nothing(
    namespace: Namespace, openstack: OpenStack, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    sources.put(f"{unique}.qcow2", qcow2_disk)
    slow = sources.url(f"{unique}.qcow2", rate=1 << 20)
    namespace.create(unique, slow, sha256_of(qcow2_disk))
    moving = namespace.wait(
        unique, lambda each: bool(each.status.progress and each.status.progress.transferred_bytes)
    )
    namespace.delete(unique)
    namespace.wait_gone(unique, seconds=30)
    assert images_of(openstack.connect("images"), moving.metadata.uid) == []
