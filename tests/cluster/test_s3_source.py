"""Objects of buckets, in both runners."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudimage.api.names import RETRY_ANNOTATION
from support.namespaces import Namespace, condition_of, content_of, images_of
from testbed.buckets import OWNER, REGION, Buckets, Key
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.kubernetes.node import Node
from testbed.openstack import OpenStack
from testbed.operator import Operator

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

BUCKET = "operators"


@pytest.fixture(scope="module")
def bucket(buckets: Buckets) -> Buckets:
    """The server, with a bucket."""
    buckets.make(BUCKET)
    return buckets


@pytest.fixture
def job_namespace(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Namespace]:
    """A namespace with an operator whose transfers are Jobs, and a node that runs them."""
    if request.config.getoption("--cluster") == "kubeconfig":
        pytest.skip("a cluster with controllers would run the Jobs itself, by their image")
    node = Node(cluster, cluster.new_namespace("jobs"), tmp_path / "node")
    node.start()
    settings = {"transfer": {"runner": "job"}}
    operator = Operator(cluster, node.namespace, tmp_path / "operator", settings)
    operator.install()
    operator.start(CLOUDIMAGE_RUNNER="job", CLOUDIMAGE_JOB_IMAGE="operator:test")
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    assert OWNER.secret not in node.logs() + operator.log()
    operator.stop()
    node.stop()


def secret(namespace: Namespace, bucket: Buckets, key: Key) -> None:
    data = {
        "AWS_ACCESS_KEY_ID": key.id,
        "AWS_SECRET_ACCESS_KEY": key.secret,
        "ca.crt": bucket.authority.read_text(),
    }
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "bucket"},
        "stringData": data,
    }
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=json.dumps(body))


def source(bucket: Buckets, key: str, **more: Any) -> dict[str, Any]:
    found = {
        "endpoint": bucket.secure_endpoint,
        "region": REGION,
        "bucket": BUCKET,
        "key": key,
        "credentialsRef": {"secretName": "bucket"},
        "caCertificate": {"secret": {"name": "bucket", "key": "ca.crt"}},
    }
    return {"s3": found | more}


def test_an_object_becomes_an_image_once_its_key_is_right(
    namespace: Namespace, openstack: OpenStack, bucket: Buckets, qcow2_disk: Path, unique: str
) -> None:
    images = openstack.connect("images")
    bucket.put(BUCKET, unique, qcow2_disk, "--checksum-algorithm", "SHA256")
    secret(namespace, bucket, Key(OWNER.id, "wrong"))
    namespace.create(unique, "", source=source(bucket, unique))
    stalled = namespace.wait_condition(unique, "Stalled", reason="InvalidCredentials")
    assert "spec.source.s3.credentialsRef" in (condition_of(stalled, "Stalled") or ("",) * 3)[2]

    secret(namespace, bucket, OWNER)
    namespace.patch(unique, {"metadata": {"annotations": {RETRY_ANNOTATION: "now"}}})
    ready = namespace.wait_condition(unique, "Ready")
    assert (condition_of(ready, "Verified") or ("",))[:2] == ("True", "ChecksumMatched")
    [image] = images_of(images, ready.metadata.uid)
    assert content_of(images, image["id"]) == sha256_of(qcow2_disk)
    assert ready.status.source is not None
    assert ready.status.source.version
    assert str(ready.status.revisions[0].source).endswith(f"/{BUCKET}/{unique}")

    # The same bytes by a checksum, and no longer by a store's word.
    checksum = {"sha256": sha256_of(qcow2_disk)}
    namespace.patch(unique, {"spec": {"source": source(bucket, "gone", checksum=checksum)}})
    stalled = namespace.wait_condition(unique, "Stalled", reason="SourceNotFound")
    assert stalled.status.image_id == ready.status.image_id
    namespace.delete(unique)
    namespace.wait_gone(unique)


@pytest.mark.slow
def test_an_object_is_fetched_by_a_job(
    job_namespace: Namespace, openstack: OpenStack, bucket: Buckets, qcow2_disk: Path, unique: str
) -> None:
    namespace, images = job_namespace, openstack.connect("images")
    bucket.put(BUCKET, unique, qcow2_disk)
    secret(namespace, bucket, OWNER)
    namespace.create(unique, "", source=source(bucket, unique))
    ready = namespace.wait_condition(unique, "Ready")
    assert (condition_of(ready, "Verified") or ("",))[:2] == ("True", "WeakChecksum")
    [image] = images_of(images, ready.metadata.uid)
    assert content_of(images, image["id"]) == sha256_of(qcow2_disk)
    namespace.delete(unique)
    namespace.wait_gone(unique)
