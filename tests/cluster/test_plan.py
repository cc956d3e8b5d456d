"""``cloudimage plan`` on a real API server and a real cloud: what it says is what happens."""

from collections.abc import Callable
from pathlib import Path

import pytest

from cloudimage.api.names import API_VERSION
from support.namespaces import Namespace, change_image, image_of, images_of
from support.openstack_actions import make_image
from support.plans import Planner, manifest, sha256
from support.viewer import viewer
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def test_from_the_first_plan_to_nothing_to_do(
    plan: Planner,
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    no_probe_left: Callable[[], bool],
    unique: str,
) -> None:
    size = qcow2_disk.stat().st_size
    url = sources.put(f"{unique}.qcow2", qcow2_disk)
    right = sha256(qcow2_disk)["sha256"]
    # As coreutils write it.
    sums = sources.put(f"{unique}-SUMS", f"{right}  {unique}.qcow2\n".encode())
    first = manifest(unique, url, {"diskFormat": "raw"}, checksum={"from": {"url": sums}})

    status, found = plan(first)
    assert status == 2
    assert (found["CloudImage"]["state"], found["image"]["new"]) == ("change", True)
    assert found["checksum"]["checksum"] == f"sha256:{right}"
    assert found["checksum"]["listed"] is True
    assert found["bytes"]["size"] == size
    assert (found["content"]["format"], found["content"]["virtualSize"]) == ("qcow2", 64 << 20)
    assert "converted to raw" in found["content"]["text"]
    assert found["quota"]["bytes"] == 64 << 20
    assert (found["rights"]["state"], found["method"]["method"]) == ("ok", "Upload")
    # Nothing was made, and the file was not fetched but for its ends.
    assert namespace.get(unique) is None
    assert no_probe_left()
    asked = sources.requests(f"{unique}.qcow2")
    assert asked
    assert all("range" in each.headers for each in asked), asked

    plan.apply(first)
    made = namespace.wait_condition(unique, "Ready")
    assert plan(first)[0] == 0

    second = manifest(
        unique,
        url,
        {"diskFormat": "raw", "properties": {"os_distro": "debian"}},
        checksum={"from": {"url": sums}},
    )
    status, found = plan(second)
    assert status == 2
    assert found["image"]["state"] == "ok"
    patch = {each["path"]: each.get("value") for each in found["metadata"]["patch"]}
    assert patch["/os_distro"] == "debian"
    assert "bytes" not in found
    assert "os_distro" not in image_of(openstack.connect("admin"), made)
    assert len(images_of(openstack.connect("admin"), made.metadata.uid)) == 1

    plan.apply(second)
    namespace.wait_condition(unique, "Synced")
    image = image_of(openstack.connect("admin"), made)
    assert {each: image[each[1:]] for each in patch} == patch
    assert plan(second)[0] == 0


def test_another_source_then_back_to_the_first(
    plan: Planner,
    namespace: Namespace,
    sources: Sources,
    qcow2_disk: Path,
    raw_disk: Path,
    unique: str,
) -> None:
    old = manifest(unique, sources.put(f"{unique}.qcow2", qcow2_disk), checksum=sha256(qcow2_disk))
    new = manifest(unique, sources.put(f"{unique}.raw", raw_disk), checksum=sha256(raw_disk))
    plan.apply(old)
    made = namespace.wait_condition(unique, "Ready").status.image_id

    status, found = plan(new)
    assert status == 2
    assert found["image"]["why"] == "its source changes"
    assert found["image"]["replaces"] == made
    assert "spec.source.http.checksum.sha256" in found["CloudImage"]["changes"]
    assert found["content"]["format"] == "raw"

    plan.apply(new)
    second = namespace.wait(
        unique, lambda each: each.status.image_id not in {None, made}
    ).status.image_id
    namespace.wait_condition(unique, "Ready")
    status, found = plan(old)
    assert status == 2
    assert (found["image"]["image"], found["image"]["replaces"]) == (made, second)
    assert "bytes" not in found


def test_drift_and_an_image_that_somebody_deleted(
    plan: Planner,
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    document = manifest(unique, sources.put(f"{unique}.raw", raw_disk), {"minRamMiB": 64})
    plan.apply(document)
    made = namespace.wait_condition(unique, "Ready")
    admin = openstack.connect("admin")
    change_image(admin, made, min_ram=128)
    status, found = plan(document)
    assert status == 2
    assert found["metadata"]["patch"] == [{"op": "replace", "path": "/min_ram", "value": 64}]
    assert image_of(admin, made)["min_ram"] == 128

    admin.image.delete(f"/images/{made.status.image_id}")
    status, found = plan(document)
    assert status == 2
    assert f"{made.status.image_id} was deleted in Glance" in found["image"]["why"]


def test_several_documents(plan: Planner, sources: Sources, raw_disk: Path, unique: str) -> None:
    url = sources.put(f"{unique}.raw", raw_disk)
    share = {
        "apiVersion": API_VERSION,
        "kind": "ImageShare",
        "metadata": {"name": "to-web"},
        "spec": {"imageRef": {"name": unique}, "projects": [{"id": "p-1"}]},
    }
    items = [manifest(f"{unique}-b", url), share]
    documents = [
        manifest(f"{unique}-a", url),
        {"apiVersion": "v1", "kind": "List", "items": items},
        manifest(f"{unique}-c", url, {"diskFormat": "floppy"}),
    ]
    done = plan.run(documents)
    assert done.returncode == 1
    assert "ImageShare to-web is passed over: only CloudImages are planned" in done.stderr
    heads = [line for line in done.stdout.splitlines() if line.startswith("CloudImage ")]
    assert [line.partition(": ")[2] for line in heads] == [
        "would change",
        "would change",
        "would fail",
    ]
    assert done.stdout.endswith("CloudImages: 2 would change, 1 would fail.\n")


def test_an_image_that_is_only_shown(
    plan: Planner, namespace: Namespace, sources: Sources, raw_disk: Path, unique: str
) -> None:
    plan.apply(manifest(unique, sources.put(f"{unique}.raw", raw_disk)))
    made = namespace.wait_condition(unique, "Ready").status.image_id
    document = manifest(
        f"{unique}-shown", "", managementPolicy="Unmanaged", **{"import": {"id": made}}
    )
    del document["spec"]["source"]
    status, found = plan(document)
    assert (status, found["image"]["image"]) == (2, made)


def test_a_user_who_may_only_read(
    plan: Planner,
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    tmp_path: Path,
    unique: str,
) -> None:
    url = sources.put(f"{unique}.raw", raw_disk)
    plan.apply(manifest(unique, url))
    made = namespace.wait_condition(unique, "Ready").status.image_id
    as_viewer = {
        "KUBECONFIG": str(viewer(namespace, tmp_path)),
        "OS_CLIENT_CONFIG_FILE": str(openstack.clouds_yaml),
    }
    changed = manifest(unique, url, {"minRamMiB": 64})
    status, found = plan(changed, **as_viewer)
    assert status == 1
    assert "You are not allowed to do that" in found["cloud"]["text"]
    status, found = plan(changed, "--local", "images", **as_viewer)
    assert status == 2
    assert (found["image"]["state"], found["image"]["image"]) == ("ok", made)
    assert found["metadata"]["patch"] == [{"op": "replace", "path": "/min_ram", "value": 64}]
    done = plan.run([changed], "--local", "images", **as_viewer)
    assert "you may not apply it, so the API server did not check it" in done.stdout
    status, found = plan(manifest(unique, url), "--local", "images", **as_viewer)
    assert status == 0


def test_a_right_that_a_change_of_metadata_needs(
    plan: Planner, namespace: Namespace, sources: Sources, raw_disk: Path, unique: str
) -> None:
    url = sources.put(f"{unique}.raw", raw_disk)
    plan.apply(manifest(unique, url))
    namespace.wait_condition(unique, "Ready")
    status, found = plan(manifest(unique, url, {"visibility": "public"}))
    assert status == 1
    assert found["metadata"]["patch"][0]["value"] == "public"
    assert found["rights"]["reason"] == "Forbidden"


def test_an_image_that_is_taken_over(plan: Planner, openstack: OpenStack, unique: str) -> None:
    glance = openstack.connect("images").image
    body = {"name": "by hand", "disk_format": "raw", "container_format": "bare"}
    there = glance.post("/images", json=body).json()["id"]
    ref = {"adopt": {"id": there}}
    document = manifest(unique, "", **ref)
    del document["spec"]["source"]
    status, found = plan(document)
    assert (status, found["image"]["reason"]) == (1, "AdoptionRefused")
    assert "it has no bytes yet" in found["image"]["text"]
    headers = {"Content-Type": "application/octet-stream"}
    assert glance.put(f"/images/{there}/file", data=b"x" * 512, headers=headers).status_code == 204
    before = glance.get(f"/images/{there}").json()
    status, found = plan(document)
    assert (status, found["image"]["image"]) == (2, there)
    patch = {each["path"]: each["value"] for each in found["metadata"]["patch"]}
    assert patch["/name"] == unique
    assert patch["/cloudimage_dev_image_id"] == there
    assert glance.get(f"/images/{there}").json() == before
    glance.delete(f"/images/{there}")


def test_a_source_that_needs_a_secret(
    plan: Planner, namespace: Namespace, sources: Sources, raw_disk: Path, unique: str
) -> None:
    sources.put(f"{unique}.raw", raw_disk)
    document = manifest(unique, sources.url(f"{unique}.raw", auth="reader:hush"))
    status, found = plan(document)
    assert (status, found["source"]["reason"]) == (1, "SourceRefused")
    document["spec"]["source"]["http"]["auth"] = {"secretName": unique}
    status, found = plan(document)
    assert (status, found["source"]["reason"]) == (1, "SecretNotFound")
    assert found["image"]["new"] is True
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": unique},
        "stringData": {"username": "reader", "password": "hush"},
    }
    plan.apply(secret)
    done = plan.run([document])
    assert done.returncode == 2, done.stdout
    assert "raw with a virtual size of 64.0 MiB" in done.stdout
    assert "hush" not in done.stdout + done.stderr


def test_an_image_of_another_project(
    plan: Planner, namespace: Namespace, openstack: OpenStack, raw_disk: Path, unique: str
) -> None:
    other = openstack.connect("consumer")
    ref = {"secretName": "openstack", "cloudName": "consumer"}
    glance = {"cloudCredentialsRef": ref, "name": unique, "copyMetadata": True}
    document = manifest(unique, "", source={"glance": glance})
    status, found = plan(document)
    assert (status, found["image"]["reason"]) == (1, "SourceNotFound")
    given = {"visibility": "private", "os_distro": "debian", "boot_roles": "member"}
    image = make_image(other, raw_disk.read_bytes(), **given)
    other.image.update_image(image.id, name=unique)
    try:
        there = other.image.get(f"/images/{image.id}").json()
        status, found = plan(document)
        assert (status, found["image"]["new"]) == (2, True), found
        assert found["checksum"]["checksum"] == f"sha512:{there['os_hash_value']}"
        assert (found["bytes"]["size"], found["content"]["format"]) == (64 << 20, "raw")
        assert "boot_roles" in found["metadata"]["text"]
        assert namespace.get(unique) is None
        plan.apply(document)
        namespace.wait_condition(unique, "Ready")
        assert plan(document)[0] == 0

        # Off: what was copied would go. Another image of that name: a new one would be made.
        glance["copyMetadata"] = False
        status, found = plan(document)
        assert (status, found["image"]["state"]) == (2, "ok")
        assert {"op": "remove", "path": "/os_distro"} in found["metadata"]["patch"]
        glance.update(copyMetadata=True)
        other.image.update_image(image.id, is_hidden=True)
        second = make_image(other, raw_disk.read_bytes(), **given)
        other.image.update_image(second.id, name=unique)
        status, found = plan(document)
        assert (status, found["image"]["new"]) == (2, True)
        other.image.delete_image(second.id)
    finally:
        other.image.delete_image(image.id)


def test_an_image_that_is_being_made_and_one_that_failed(
    plan: Planner, namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    sources.put(f"{unique}.qcow2", qcow2_disk)
    slow = manifest(unique, sources.url(f"{unique}.qcow2", rate=500_000))
    plan.apply(slow)
    namespace.wait(unique, lambda each: (each.status.progress or None) is not None)
    status, found = plan(slow)
    assert (status, found["image"]["state"]) == (0, "ok")
    assert "it is being made already" in found["image"]["text"]
    other = manifest(unique, sources.url(f"{unique}.qcow2", key=unique))
    assert plan(other)[1]["image"]["why"] == "its source changes"
    # The checksum proves that the bytes are the right ones: they would be too large for ever.
    wrong = manifest(
        f"{unique}-large",
        sources.url(f"{unique}.qcow2"),
        {"maxSize": "32Mi"},
        checksum=sha256(qcow2_disk),
    )
    plan.apply(wrong)
    namespace.wait_condition(f"{unique}-large", "Stalled")
    status, found = plan(wrong)
    assert (status, found["image"]["reason"]) == (1, "ImageTooLarge")
    assert "bytes" not in found
    status, found = plan({**wrong, "spec": {**wrong["spec"], "image": {}}})
    assert (status, found["image"]["new"]) == (2, True)
