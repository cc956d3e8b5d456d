"""No image outlives its CloudImage, however late Glance hears of it; those that do are found."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from cloudimage.transfer.contract import SECRET_MARK
from cloudimage.transfer.source.snapshot.labels import label
from cloudimage.vocabulary.marks import Marks
from support.fault_proxy import Fault, FaultProxy
from support.namespaces import Namespace, images_of, wait_until
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.process import free_ports
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SLOW = {"secretName": "openstack", "cloudName": "slow"}


@contextmanager
def slow_creation(
    namespace: Namespace, openstack: OpenStack, seconds: float
) -> Iterator[tuple[Event, Fault]]:
    """Have each creation of an image take its time on the way; yield what tells of the first."""
    catalog: Any = openstack.connect("images").session.get_endpoint(service_type="image")
    came = Event()

    def hold(_token: str) -> None:
        came.set()
        time.sleep(seconds)

    fault = Fault("POST", "/v2/images", "call", times=99, call=hold)
    with FaultProxy(catalog, fault) as proxy:
        cloud = openstack.cloud("images") | {"image_endpoint_override": proxy.url}
        namespace.put_secret(openstack, slow=cloud)
        yield came, fault


@pytest.mark.parametrize(
    ("seconds", "killed"),
    [
        pytest.param(14, False, id="the object is only deleted"),
        pytest.param(6, True, id="the transfer is killed"),
    ],
)
def test_an_image_whose_creation_is_under_way_comes_too_late(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
    seconds: int,
    killed: bool,
) -> None:
    url = sources.put(unique, qcow2_disk)
    with slow_creation(own_namespace, openstack, seconds) as (came, fault):
        own_namespace.create(unique, url, sha256_of(qcow2_disk), cloudCredentialsRef=SLOW)
        resource = own_namespace.get(unique)
        assert resource is not None
        assert came.wait(60)
        if killed:
            [transfer] = own_namespace.operator.transfers()
            transfer.kill()
        own_namespace.delete(unique)
        own_namespace.wait_gone(unique, 90)
        asked = fault.seen
        time.sleep(seconds + 3)  # whatever was under way has arrived
        assert images_of(openstack.connect("images"), resource.metadata.uid) == []
        assert asked >= 2, "nothing was under way"


def test_a_creation_that_an_edit_left_under_way_does_not_outlive_the_object(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    qcow2_disk: Path,
    unique: str,
) -> None:
    """The transfer of the edited spec tries other ids, and is not slow."""
    url, other = sources.put(unique, qcow2_disk), sources.put(f"{unique}.raw", raw_disk)
    with slow_creation(own_namespace, openstack, 8) as (came, fault):
        own_namespace.create(unique, url, sha256_of(qcow2_disk), cloudCredentialsRef=SLOW)
        assert came.wait(60)
        [transfer] = own_namespace.operator.transfers()
        transfer.kill()
        fault.times = 1
        http = {"url": other, "checksum": {"sha256": sha256_of(raw_disk)}}
        own_namespace.patch(unique, {"spec": {"source": {"http": http}}})
        resource = own_namespace.wait_condition(unique, "Ready")
        own_namespace.delete(unique)
        own_namespace.wait_gone(unique)
        time.sleep(10)
        assert images_of(openstack.connect("images"), resource.metadata.uid) == []


def test_an_image_that_is_deleted_after_it_was_ready_takes_no_further_request(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    url = sources.put(unique, raw_disk)
    with slow_creation(own_namespace, openstack, 0) as (_, fault):
        own_namespace.create(unique, url, sha256_of(raw_disk), cloudCredentialsRef=SLOW)
        own_namespace.wait_condition(unique, "Ready")
        own_namespace.delete(unique)
        own_namespace.wait_gone(unique)
        assert fault.seen == 1


@pytest.mark.parametrize("deletes", [False, True])
def test_orphans_are_reported_and_unfinished_ones_deleted_when_asked_for(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    sources: Sources,
    raw_disk: Path,
    tmp_path: Path,
    unique: str,
    deletes: bool,
) -> None:
    operator = Operator(cluster, cluster.new_namespace("orphans"), tmp_path)
    operator.install()
    [port] = free_ports(1)
    operator.start(
        CLOUDIMAGE_RESYNC_SECONDS="5",
        CLOUDIMAGE_DELETE_ORPHANS=str(deletes),
        CLOUDIMAGE_METRICS_ADDRESS=f"127.0.0.1:{port}",
    )
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    glance = openstack.connect("images").image
    namespace.create(unique, sources.put(unique, raw_disk), sha256_of(raw_disk))
    ready = namespace.wait_condition(unique, "Ready")
    read: Any = namespace.core.read_namespaced_secret("openstack", namespace.name)
    secret = read.metadata.uid
    made = glance.get(f"/images/{ready.status.image_id}").json()
    assert made[SECRET_MARK] == secret

    def put(owner: str, uid: str = "gone") -> str:
        body = {"name": unique, "os_hidden": True, Marks.UID: uid, SECRET_MARK: owner}
        image_id: str = glance.post("/images", json=body).json()["id"]
        change = [{"op": "add", "path": f"/{Marks.IMAGE_ID}", "value": image_id}]
        kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        assert glance.patch(f"/images/{image_id}", json=change, headers=kind).status_code == 200
        return image_id

    def snapshot() -> str:
        """Make an image as Nova does for a transfer that is then killed."""
        marks = {Marks.UID: "gone", Marks.DIGEST: "d", SECRET_MARK: secret}
        body = {"name": label("gone/d"), "visibility": "private", **marks}
        identifier: str = glance.post("/images", json=body).json()["id"]
        return identifier

    orphan, anothers, living = put(secret), put("other"), put(secret, ready.metadata.uid)
    temporary = snapshot()
    try:
        assert wait_until(lambda: temporary in operator.log() and orphan in operator.log(), 30)

        def is_there(image_id: str) -> bool:
            return bool(glance.get(f"/images/{image_id}").status_code == 200)

        if deletes:
            assert wait_until(lambda: not is_there(orphan) and not is_there(temporary), 60)
        else:
            time.sleep(15)
            assert is_there(orphan)
            assert is_there(temporary)
        assert is_there(anothers)
        assert is_there(made["id"])

        def reported() -> list[str]:
            lines = operator.log().splitlines()
            return [line for line in lines if "image without a CloudImage" in line]

        # Each is reported once.
        assert wait_until(lambda: len(reported()) == 2 * (1 + deletes), 30)
        assert not [line for line in reported() if anothers in line or living in line]
    finally:
        for image_id in (orphan, anothers, living, temporary):
            glance.delete(f"/images/{image_id}")
        namespace.delete(unique)
        namespace.wait_gone(unique)
        operator.stop()
