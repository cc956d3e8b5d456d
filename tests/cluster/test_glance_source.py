"""Images of another project's Glance, by id and by name, in both runners."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import RETRY_ANNOTATION
from support.namespaces import Namespace, condition_of, content_of, images_of, wait_until
from support.openstack_actions import make_image
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.kubernetes.node import Node
from testbed.openstack import OpenStack
from testbed.operator import Operator

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

OTHER = {"secretName": "old-cloud", "cloudName": "old"}

OTHERS_ID = "0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f"

Put = Callable[..., str]


@pytest.fixture
def put(openstack: OpenStack) -> Iterator[Put]:
    """Make a private image of another project, and return its id."""
    made: list[str] = []

    def image(path: Path, name: str, shape: str = "raw", **attributes: Any) -> str:
        other = openstack.connect("consumer")
        wanted = {"disk_format": shape, "visibility": "private", **attributes}
        made.append(make_image(other, path.read_bytes(), **wanted).id)
        other.image.update_image(made[-1], name=name)
        return made[-1]

    yield image
    for each in made:
        openstack.connect("admin").image.delete_image(each, ignore_missing=True)


@pytest.fixture
def images(openstack: OpenStack) -> Connection:
    """The project that the CloudImages are made in."""
    return openstack.connect("images")


def secret(namespace: Namespace, openstack: OpenStack) -> None:
    """Put the credentials of the other project, and nothing else, into a Secret of their own."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": OTHER["secretName"]},
        "stringData": {"clouds.yaml": json.dumps({"clouds": {"old": openstack.cloud("consumer")}})},
    }
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=json.dumps(body))


def create(namespace: Namespace, unique: str, **glance: Any) -> None:
    source = {"glance": {"cloudCredentialsRef": OTHER, **glance}}
    namespace.create(unique, "", source=source, image={"name": f"{unique}-here"})


def remade(namespace: Namespace, name: str, before: str | None) -> CloudImage:
    """Wait for another image than before."""
    return namespace.wait(
        name,
        lambda each: (
            each.status.image_id not in {None, before}
            and (condition_of(each, "Ready") or ("",))[:2] == ("True", "Available")
        ),
    )


def test_an_image_is_copied_by_its_id_and_stays_when_its_cloud_goes(
    watchful_namespace: Namespace,
    openstack: OpenStack,
    images: Connection,
    put: Put,
    qcow2_disk: Path,
    unique: str,
) -> None:
    namespace = watchful_namespace
    secret(namespace, openstack)
    image_id = put(qcow2_disk, unique, "qcow2")
    create(namespace, unique, id=image_id)
    ready = namespace.wait_condition(unique, "Ready")
    assert (condition_of(ready, "Verified") or ("",))[:2] == ("True", "ChecksumMatched")
    [image] = images_of(images, ready.metadata.uid)
    assert content_of(images, image["id"]) == sha256_of(qcow2_disk)
    assert ready.status.revisions[0].source == f"image {image_id} of cloud old"
    # Neither the other Secret nor the other image is needed now.
    namespace.core.delete_namespaced_secret(OTHER["secretName"], namespace.name)
    openstack.connect("consumer").image.delete_image(image_id)
    before = ready.status.last_sync_time
    later = namespace.wait(unique, lambda each: each.status.last_sync_time != before)
    assert (condition_of(later, "Ready") or ("",))[:2] == ("True", "Available")
    namespace.delete(unique)
    namespace.wait_gone(unique)


def test_a_name_that_comes_to_mean_another_image_is_a_new_revision(
    watchful_namespace: Namespace,
    openstack: OpenStack,
    images: Connection,
    put: Put,
    raw_disk: Path,
    qcow2_disk: Path,
    unique: str,
) -> None:
    namespace, other = watchful_namespace, openstack.connect("consumer")
    secret(namespace, openstack)
    create(namespace, unique, name=unique)
    stalled = namespace.wait_condition(unique, "Stalled", reason="SourceNotFound")
    assert stalled.status.resolved_source is None
    first = put(raw_disk, unique)
    namespace.patch(unique, {"metadata": {"annotations": {RETRY_ANNOTATION: "now"}}})
    ready = namespace.wait_condition(unique, "Ready")
    assert ready.status.resolved_source is not None
    assert ready.status.resolved_source.version == first

    # Two of that name: what was made stays, and is said to stay.
    second = put(qcow2_disk, unique, "qcow2")

    def said() -> list[str]:
        listed = namespace.core.list_namespaced_event(
            namespace.name, field_selector=f"involvedObject.name={unique}"
        )
        return [str(each.message) for each in listed.items if each.reason == "SourceAmbiguous"]

    assert wait_until(lambda: bool(said()), 30)
    assert first in said()[0]
    assert second in said()[0]
    assert namespace.wait_condition(unique, "Ready").status.image_id == ready.status.image_id

    other.image.update_image(first, is_hidden=True)
    new = remade(namespace, unique, ready.status.image_id)
    assert new.status.disk_format == "qcow2"
    assert content_of(images, new.status.image_id or "") == sha256_of(qcow2_disk)

    # By its id it is the same image: nothing is made again.
    started = new.status.transfers_started
    by_id = {"glance": {"name": None, "id": second}}
    namespace.patch(unique, {"spec": {"source": by_id}})
    same = namespace.wait_condition(unique, "Ready", reason="Available")
    assert (same.status.image_id, same.status.transfers_started) == (new.status.image_id, started)
    namespace.delete(unique)
    namespace.wait_gone(unique)


@pytest.mark.slow
def test_a_filter_finds_the_image_of_the_own_cloud_and_not_what_was_made_of_it(
    watchful_namespace: Namespace, images: Connection, raw_disk: Path, unique: str
) -> None:
    namespace = watchful_namespace
    image = make_image(images, raw_disk.read_bytes(), visibility="private", tags=[unique])
    try:
        source = {"glance": {"filter": {"tags": [unique]}}}
        namespace.create(unique, "", source=source, image={"name": "testbed", "tags": [unique]})
        ready = namespace.wait_condition(unique, "Ready")
        assert ready.status.resolved_source is not None
        assert ready.status.resolved_source.version == image.id
        assert ready.status.image_id != image.id
        before = ready.status.last_sync_time
        namespace.wait(unique, lambda each: each.status.last_sync_time != before)
        assert ("Warning", "SourceAmbiguous") not in namespace.events(unique)
        namespace.delete(unique)
        namespace.wait_gone(unique)
    finally:
        images.image.delete_image(image.id)


def test_metadata_comes_along_and_stays_when_its_cloud_goes(
    watchful_namespace: Namespace,
    openstack: OpenStack,
    images: Connection,
    put: Put,
    raw_disk: Path,
    qcow2_disk: Path,
    unique: str,
) -> None:
    namespace, other = watchful_namespace, openstack.connect("consumer")
    secret(namespace, openstack)
    bound = {"base_image_ref": unique, "our_network": OTHERS_ID, "image_state": "available"}
    own = {"os_distro": "debian", "hw_disk_bus": "scsi", "our_own": "ünïcode: 'quoted'"}
    first = put(raw_disk, unique, min_disk=1, min_ram=64, tags=["old"], **own, **bound)
    create(namespace, unique, id=first, copyMetadata=True)
    namespace.patch(unique, {"spec": {"image": {"properties": {"hw_disk_bus": "virtio"}}}})
    expected = own | {"hw_disk_bus": "virtio", "min_disk": 1, "min_ram": 64, "tags": ["old"]}

    def shown(image_id: str | None) -> dict[str, Any]:
        body = images.image.get(f"/images/{image_id}").json()
        assert not bound.keys() & body.keys()
        return {key: body.get(key) for key in expected}

    ready = namespace.wait_condition(unique, "Synced")
    ready = namespace.wait_condition(unique, "Ready", reason="Available")
    assert shown(ready.status.image_id) == expected
    copied = ready.status.copied_metadata
    assert copied is not None
    # The SDK, by which it was made, has added some of its own.
    by_sdk = [f"owner_specified.openstack.{each}" for each in ("md5", "object", "sha256")]
    assert copied.left_out == (*sorted(bound), *by_sdk)
    [synced] = [each for each in ready.status.conditions if each.type == "Synced"]
    assert f": {', '.join(copied.left_out)}." in synced.message

    # Drift is corrected, though the source says otherwise by now.
    other.image.update_image(first, our_own="later")
    images.image.update_image(str(ready.status.image_id), tags=["x"], our_own="by hand")
    assert wait_until(lambda: shown(ready.status.image_id) == expected, 60)
    assert ("Normal", "DriftCorrected") in namespace.events(unique)

    # Another image of the source has its own; going back needs neither the first nor its cloud.
    second = put(qcow2_disk, unique, "qcow2", os_distro="fedora", tags=["new"])
    namespace.patch(unique, {"spec": {"source": {"glance": {"id": second}}}})
    new = remade(namespace, unique, ready.status.image_id)
    fresh = {"os_distro": "fedora", "our_own": None, "tags": ["new"], "hw_disk_bus": "virtio"}
    assert shown(new.status.image_id).items() >= fresh.items()
    other.image.delete_image(first)
    namespace.core.delete_namespaced_secret(OTHER["secretName"], namespace.name)
    namespace.patch(unique, {"spec": {"source": {"glance": {"id": first}}}})
    back = remade(namespace, unique, new.status.image_id)
    assert back.status.image_id == ready.status.image_id
    assert back.status.transfers_started == new.status.transfers_started
    assert shown(back.status.image_id) == expected

    # What is no longer wanted goes, but for what Glance demands or the spec has.
    off = {"glance": {"copyMetadata": False}}
    namespace.patch(unique, {"spec": {"source": off}})
    less = {"os_distro": None, "our_own": None, "hw_disk_bus": "virtio"}
    assert wait_until(lambda: shown(back.status.image_id).items() >= less.items(), 60)
    done = namespace.get(unique)
    assert done is not None
    assert done.status.copied_metadata is None
    namespace.delete(unique)
    namespace.wait_gone(unique)


def test_a_job_reads_the_other_clouds_secret_by_itself(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    images: Connection,
    put: Put,
    qcow2_disk: Path,
    unique: str,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    if request.config.getoption("--cluster") == "kubeconfig":
        pytest.skip("a cluster with controllers would run the Jobs itself, by their image")
    node = Node(cluster, cluster.new_namespace("jobs"), tmp_path / "node")
    node.start()
    operator = Operator(
        cluster, node.namespace, tmp_path / "operator", {"transfer": {"runner": "job"}}
    )
    operator.install()
    operator.start(CLOUDIMAGE_RUNNER="job", CLOUDIMAGE_JOB_IMAGE="operator:test")
    try:
        namespace = Namespace.of(operator)
        namespace.put_secret(openstack)
        secret(namespace, openstack)
        image_id = put(qcow2_disk, unique, "qcow2", os_distro="debian", boot_roles="x")
        create(namespace, unique, id=image_id, copyMetadata=True)
        made: list[str] = []

        def ready(each: CloudImage) -> bool:
            made.append(json.dumps([node.jobs(), node.pods()]))
            return (condition_of(each, "Ready") or ("",))[0] == "True"

        done = namespace.wait(unique, ready)
        shown = "".join(made) + node.logs() + operator.log()
        credential = openstack.cloud("consumer")["auth"]["application_credential_secret"]
        assert OTHER["secretName"] in shown
        assert credential not in shown
        assert content_of(images, done.status.image_id or "") == sha256_of(qcow2_disk)
        made_here = images.image.get(f"/images/{done.status.image_id}").json()
        assert made_here["os_distro"] == "debian"
        assert "boot_roles" not in made_here
        namespace.delete(unique)
        namespace.wait_gone(unique)
    finally:
        operator.stop()
        node.stop()
