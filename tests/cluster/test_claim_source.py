"""A file in a volume as a source: by a Job beside the runner child, on a node that is played."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from support.namespaces import Namespace, content_of, said, wait_until
from testbed.images import sha256_of
from testbed.kubernetes import Cluster, KubectlError
from testbed.kubernetes.node import Node
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.paths import REPOSITORY
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SAMPLE = REPOSITORY / "manifests" / "samples" / "cloudimage-from-volume-claim.yaml"


@pytest.fixture
def node(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node in a namespace where the restricted Pod Security Standard is enforced."""
    if request.config.getoption("--cluster") == "kubeconfig":
        pytest.skip("a cluster with controllers would run the Jobs itself, by their image")
    namespace = cluster.new_namespace("claims")
    enforced = "pod-security.kubernetes.io/enforce=restricted"
    cluster.run_kubectl("label", "namespace", namespace, enforced)
    node = Node(cluster, namespace, tmp_path / "node")
    node.start()
    yield node
    node.stop()


@pytest.fixture
def namespace(
    node: Node, openstack: OpenStack, crds: Cluster, tmp_path: Path
) -> Iterator[Namespace]:
    """The node's namespace, with an operator whose other transfers are its children."""
    values = {"transfer": {"persistentVolumeClaims": True}}
    operator = Operator(node.cluster, node.namespace, tmp_path / "operator", values)
    operator.install()
    operator.start(CLOUDIMAGE_JOB_IMAGE="operator:test")
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    operator.stop()


@pytest.fixture
def volume(node: Node) -> Path:
    """The content of the claim ``builds``."""
    volume = node.folder / "volumes" / "builds"
    (volume / "nightly").mkdir(parents=True)
    return volume


def test_the_sample_is_read_by_a_job_and_again_when_that_is_asked_for(
    namespace: Namespace,
    node: Node,
    volume: Path,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    qcow2_disk: Path,
    unique: str,
) -> None:
    cloud, file = openstack.connect("images"), volume / "nightly" / "disk.qcow2"
    shutil.copyfile(qcow2_disk, file)
    sample = next(yaml.safe_load_all(SAMPLE.read_text()))
    sample["spec"]["image"]["name"] = unique
    apply = ("apply", "-n", namespace.name, "-f", "-")
    namespace.cluster.run_kubectl(*apply, stdin=yaml.safe_dump(sample))
    assert wait_until(lambda: len(node.jobs()) == 1, 30)
    [job] = node.jobs()
    pod = job["spec"]["template"]["spec"]
    assert [each for each in pod["volumes"] if "persistentVolumeClaim" in each] == [
        {"name": "claim", "persistentVolumeClaim": {"claimName": "builds", "readOnly": True}}
    ]
    ready = namespace.wait_condition("nightly", "Ready")
    assert content_of(cloud, ready.status.image_id or "") == sha256_of(raw_disk)
    assert ready.status.source is not None
    assert ready.status.source.checksums == {"sha256": sha256_of(qcow2_disk)}
    assert said(ready, "Verified")[:2] == ("Unknown", "NoChecksum")
    assert wait_until(lambda: node.jobs() == node.pods() == [], 20)

    # What needs no volume is a child of the operator, as it was.
    namespace.create(unique, sources.put(unique, raw_disk))
    namespace.wait_condition(unique, "Ready")
    assert len(list(node.folder.glob("*/log"))) == 1

    # A raw file, streamed, and proven this time.
    shutil.copyfile(raw_disk, file)
    wanted = {"sha256": hashlib.sha256(raw_disk.read_bytes()).hexdigest(), "trigger": None}
    namespace.patch("nightly", {"spec": {"source": {"persistentVolumeClaim": wanted}}})
    again = namespace.wait(
        "nightly", lambda each: each.status.image_id not in {None, ready.status.image_id}
    )
    assert content_of(cloud, again.status.image_id or "") == sha256_of(raw_disk)
    assert [each.current for each in again.status.revisions] == [True, False]


@pytest.mark.slow
def test_what_leads_out_of_the_volume_or_nowhere_says_so(
    namespace: Namespace, volume: Path, unique: str
) -> None:
    (volume / "shadow").symlink_to("/etc/shadow")
    os.mkfifo(volume / "pipe")
    for path, reason in {
        "shadow": "SourceRefused",
        "pipe": "SourceNotAnImage",
        "none.raw": "SourceNotFound",
    }.items():
        name = f"{unique}-{path[:4]}"
        source = {"persistentVolumeClaim": {"claimName": "builds", "path": path}}
        namespace.create(name, "", source=source)
        failed = namespace.wait_condition(name, "Stalled", reason=reason)
        assert "of PersistentVolumeClaim builds" in said(failed, "Stalled")[2]
        namespace.delete(name)


def test_the_api_server_takes_no_path_that_leads_elsewhere(crds: Cluster) -> None:
    create = ("create", "--dry-run=server", "-n", crds.new_namespace("paths"), "-f", "-")
    sample = next(yaml.safe_load_all(SAMPLE.read_text()))
    claim = sample["spec"]["source"]["persistentVolumeClaim"]
    for path in (".a", "..a/...", "a..b/c", "a b", "ü"):
        claim["path"] = path
        crds.run_kubectl(*create, stdin=yaml.safe_dump(sample))
    for path in ("/etc/passwd", "../x", "a/../b", ".", "..", "a//b", "a/", "./a", "a\n", "a\0b"):
        claim["path"] = path
        with pytest.raises(KubectlError, match="must be a relative path"):
            crds.run_kubectl(*create, stdin=json.dumps(sample))
