"""Disks out of a real registry's images, in both runners."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from support.namespaces import Namespace, condition_of, content_of, images_of, wait_until
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.kubernetes.node import Node
from testbed.oci_images import artifact, container, layer
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.paths import REPOSITORY
from testbed.registry import PASSWORD, Registry

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SAMPLE = REPOSITORY / "manifests" / "samples" / "cloudimage-from-registry.yaml"
CA: dict[str, Any] = {"caCertificate": {"configMap": {"name": "company-ca", "key": "ca.crt"}}}


@pytest.fixture
def images(openstack: OpenStack) -> Connection:
    """The project that the CloudImages are made in."""
    return openstack.connect("images")


def put_access(namespace: Namespace, registry: Registry) -> None:
    """Put the registry's credentials and certificate into a namespace."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "registry"},
        "type": "kubernetes.io/dockerconfigjson",
        "stringData": {".dockerconfigjson": registry.docker_config()},
    }
    authority = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "company-ca"},
        "data": {"ca.crt": registry.ca},
    }
    text = yaml.safe_dump_all([secret, authority])
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=text)


def create(namespace: Namespace, unique: str, image: str, **more: Any) -> None:
    source = {"oci": {"image": image, "pullSecret": "registry", **CA, **more}}
    namespace.create(unique, "", source=source)


def test_the_samples_become_ready(
    own_namespace: Namespace,
    images: Connection,
    registry: Registry,
    qcow2_disk: Path,
    unique: str,
    tmp_path: Path,
) -> None:
    namespace = own_namespace
    put_access(namespace, registry)
    fedora = container(
        registry, f"{unique}/fedora:41", layer(tmp_path, {"disk/f.qcow2": qcow2_disk})
    )
    (tmp_path / "gateway.qcow2").write_bytes(qcow2_disk.read_bytes())
    (tmp_path / "installer.qcow2").write_bytes(b"QFI\xfb")
    both = ("gateway.qcow2", "installer.qcow2")
    gateway = artifact(registry, f"{unique}/gateway:2.4", tmp_path, *both)
    first, second = bodies = list(yaml.safe_load_all(SAMPLE.read_text()))
    first["spec"]["source"]["oci"] |= {"image": fedora, "pullSecret": "registry", **CA}
    digest = registry.crane("digest", gateway).strip()
    second["spec"]["source"]["oci"] |= {"image": gateway, "digest": digest}
    text = yaml.safe_dump_all(bodies)
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=text)
    for body in bodies:
        ready = namespace.wait_condition(body["metadata"]["name"], "Ready")
        verified = condition_of(ready, "Verified") or ("",) * 3
        assert verified[:2] == ("True", "ChecksumMatched")
        assert "the image's manifest" in verified[2]
        of = fedora if body is first else gateway
        assert ready.status.source is not None
        assert ready.status.source.version == registry.crane("digest", of).strip()
        [image] = images_of(images, ready.metadata.uid)
        if body is first:
            assert content_of(images, image["id"]) == sha256_of(qcow2_disk)
    for body in bodies:
        namespace.delete(body["metadata"]["name"])
    for body in bodies:
        namespace.wait_gone(body["metadata"]["name"])


@pytest.mark.slow
def test_what_is_wrong_is_said_and_ends_where_it_would_come_again(
    namespace: Namespace, registry: Registry, qcow2_disk: Path, unique: str, tmp_path: Path
) -> None:
    create(namespace, unique, registry.name(f"{unique}/a:1"))
    namespace.wait_condition(unique, "Stalled", reason="SecretNotFound")
    put_access(namespace, registry)
    namespace.wait_condition(unique, "Stalled", reason="SourceNotFound")

    two = {"disk/a.qcow2": qcow2_disk, "disk/b.qcow2": qcow2_disk}
    image = container(registry, f"{unique}/a:1", layer(tmp_path, two))
    digest = registry.crane("digest", image).strip()
    source = {"oci": {"digest": digest}}
    namespace.patch(unique, {"spec": {"source": source}})
    several = namespace.wait_condition(unique, "Stalled", reason="SourceNotAnImage")
    said = condition_of(several, "Stalled") or ("",) * 3
    assert "several disks (/disk/a.qcow2, /disk/b.qcow2)" in said[2]
    # The same digest would have both again.
    asked = registry.log().count(unique)
    namespace.patch(unique, {"metadata": {"annotations": {"look": "again"}}})
    assert not wait_until(lambda: registry.log().count(unique) > asked, 8)

    namespace.patch(unique, {"spec": {"source": {"oci": {"path": "/disk/b.qcow2"}}}})
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)
    namespace.wait_gone(unique)


@pytest.mark.slow
def test_a_job_has_the_pull_secret_mounted(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    images: Connection,
    registry: Registry,
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
        put_access(namespace, registry)
        packed = layer(tmp_path, {"disk/f.qcow2": qcow2_disk}, "zstd")
        create(namespace, unique, container(registry, f"{unique}/job:1", packed))
        made: list[str] = []

        def ready(each: CloudImage) -> bool:
            made.append(json.dumps([node.jobs(), node.pods()]))
            return (condition_of(each, "Ready") or ("",))[0] == "True"

        done = namespace.wait(unique, ready)
        shown = "".join(made) + node.logs() + operator.log()
        assert "dockerconfigjson" in shown
        entry = json.loads(registry.docker_config())["auths"][registry.host]["auth"]
        assert PASSWORD not in shown
        assert entry not in shown
        assert content_of(images, done.status.image_id or "") == sha256_of(qcow2_disk)
        namespace.delete(unique)
        namespace.wait_gone(unique)
    finally:
        operator.stop()
        node.stop()
