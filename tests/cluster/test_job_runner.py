"""Transfers as Jobs: the whole operator on a real API server, with a node that is played."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from cloudimage.api.cloudimage import CloudImage
from cloudimage.images.logic import transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.runners.logic.job_manifest import JobTemplate, manifest
from cloudimage.sources.registry import source_of
from cloudimage.transfer.contract import Cloud
from cloudimage.transfer.request import TransferRequest
from support.namespaces import SECRET, Namespace, condition_of, content_of, images_of, wait_until
from support.transfer_keys import Signer
from testbed.images import sha256_of
from testbed.kubernetes import Cluster
from testbed.kubernetes.node import Node
from testbed.openstack import OpenStack
from testbed.operator import Operator
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

GOING = {None, "Pending", "Running"}

SLOW = 4 << 20
"""Bytes per second: the 24 MiB of the disk take six seconds."""


@pytest.fixture
def node(cluster: Cluster, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node in a namespace where the restricted Pod Security Standard is enforced."""
    if request.config.getoption("--cluster") == "kubeconfig":
        pytest.skip("a cluster with controllers would run the Jobs itself, by their image")
    namespace = cluster.new_namespace("jobs")
    enforced = "pod-security.kubernetes.io/enforce=restricted"
    cluster.run_kubectl("label", "namespace", namespace, enforced)
    node = Node(cluster, namespace, tmp_path / "node")
    node.start()
    yield node
    node.stop()


@pytest.fixture
def job_namespace(
    node: Node,
    openstack: OpenStack,
    crds: Cluster,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> Iterator[Namespace]:
    """The node's namespace with an operator whose transfers are Jobs; a parameter adds settings."""
    values = {"transfer": {"runner": "job"}}
    operator = Operator(node.cluster, node.namespace, tmp_path / "operator", values)
    operator.install()
    start(operator, **getattr(request, "param", {}))
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    operator.stop()


def start(operator: Operator, **environment: str) -> None:
    """Start an operator as the chart does for the runner job."""
    operator.start(CLOUDIMAGE_RUNNER="job", CLOUDIMAGE_JOB_IMAGE="operator:test", **environment)


def fetching(resource: CloudImage) -> bool:
    """Return whether bytes have been seen to move."""
    progress = resource.status.progress
    return progress is not None and bool(progress.transferred_bytes)


@pytest.fixture
def moving(
    job_namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> Callable[[], CloudImage]:
    """Create a CloudImage whose transfer takes its time; return it in the middle of that."""

    def create() -> CloudImage:
        sources.put(unique, qcow2_disk)
        url = sources.url(unique, rate=SLOW)
        job_namespace.create(unique, url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
        return job_namespace.wait(unique, fetching)

    return create


def assert_one_right_image(openstack: OpenStack, ready: CloudImage, raw_disk: Path) -> None:
    """Check that Glance holds one image of the CloudImage, with the right bytes."""
    images = openstack.connect("images")
    [image] = images_of(images, ready.metadata.uid)
    assert (image["id"], image["status"]) == (ready.status.image_id, "active")
    assert content_of(images, image["id"]) == sha256_of(raw_disk)


@pytest.mark.slow
def test_a_job_makes_the_image_and_tells_how_far_it_is(
    job_namespace: Namespace,
    node: Node,
    openstack: OpenStack,
    moving: Callable[[], CloudImage],
    raw_disk: Path,
    unique: str,
) -> None:
    resource = moving()
    [job] = node.jobs()
    [owner] = job["metadata"]["ownerReferences"]
    assert owner["uid"] == resource.metadata.uid
    ready = job_namespace.wait_condition(unique, "Ready")
    assert_one_right_image(openstack, ready, raw_disk)
    assert ready.status.source is not None, "the result came back"
    assert wait_until(lambda: node.jobs() == node.pods() == [], 20)


def test_all_secrets_reach_the_transfer_and_are_nowhere_else(
    job_namespace: Namespace,
    node: Node,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    signer: Signer,
    unique: str,
) -> None:
    token = f"sesame-{unique}"
    _put(job_namespace, "Secret", unique, {"token": token})
    _put(job_namespace, "ConfigMap", unique, {"keys.asc": signer.public()})
    sources.put(unique, qcow2_disk)
    signature = {
        "url": sources.put(f"{unique}.sig", signer.detached(qcow2_disk.read_bytes())),
        "keyring": {"configMap": {"name": unique, "key": "keys.asc"}},
    }
    http = {
        "url": sources.url(unique, rate=SLOW),
        "auth": {"secretName": unique},
        "checksum": {"signature": signature},
    }
    job_namespace.create(unique, "", source={"http": http})
    job_namespace.wait(unique, fetching)
    shown = json.dumps([node.jobs(), node.pods()])
    job_namespace.wait_condition(unique, "Ready")
    shown += node.logs() + job_namespace.operator.log()
    assert {each.headers.get("authorization") for each in sources.requests(unique)} == {
        f"Bearer {token}"
    }
    clouds = yaml.safe_load(openstack.clouds_yaml.read_text())["clouds"]
    credential = clouds["images"]["auth"]["application_credential_secret"]
    assert [each for each in (token, credential) if each in shown] == []
    assert SECRET in shown


def _put(namespace: Namespace, kind: str, name: str, data: dict[str, str]) -> None:
    key = "stringData" if kind == "Secret" else "data"
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, key: data}
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=json.dumps(body))


def test_a_killed_operator_goes_on_with_the_same_job(
    job_namespace: Namespace,
    node: Node,
    openstack: OpenStack,
    moving: Callable[[], CloudImage],
    raw_disk: Path,
    unique: str,
) -> None:
    moving()
    [before] = node.pods()
    job_namespace.operator.kill()
    start(job_namespace.operator)
    [after] = node.pods()
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    ready = job_namespace.wait_condition(unique, "Ready")
    assert "going on with a Job" in job_namespace.operator.log()
    assert len(list(node.folder.glob("*/log"))) == 1, "a second pod was made"
    assert_one_right_image(openstack, ready, raw_disk)
    assert ready.status.source is not None, "the result came back"


@pytest.mark.slow
def test_a_job_that_only_claims_to_be_an_images_holds_up_nothing(
    job_namespace: Namespace, node: Node, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    job_namespace.operator.stop()
    job_namespace.create(unique, sources.put(unique, qcow2_disk))
    resource = job_namespace.get(unique)
    assert resource is not None
    forged = manifest(
        resource,
        Desired.of(resource.spec).content_key,
        _request(resource),
        JobTemplate(image="forged"),
    )
    forged["metadata"]["name"] = "forged"
    forged["metadata"]["ownerReferences"][0]["name"] = "somebody-else"
    forged["spec"]["suspend"] = True
    job_namespace.cluster.run_kubectl("create", "-f", "-", stdin=json.dumps(forged))
    start(job_namespace.operator)
    job_namespace.wait_condition(unique, "Ready")
    assert [job["metadata"]["name"] for job in node.jobs()] == ["forged"]


def _request(resource: CloudImage) -> TransferRequest:
    return TransferRequest(
        source=source_of(resource.spec).request(),
        image=transfer_request.new_image(resource, Desired.of(resource.spec), "debian-12"),
        cloud=Cloud(config={}),
        scratch=Path("/scratch"),
    )


@pytest.mark.slow
def test_what_ended_while_the_operator_was_away_is_learnt(
    job_namespace: Namespace, node: Node, moving: Callable[[], CloudImage], unique: str
) -> None:
    moving()
    job_namespace.operator.stop()
    assert wait_until(lambda: "succeeded" in node.jobs()[0]["status"], 60)
    start(job_namespace.operator)
    ready = job_namespace.wait_condition(unique, "Ready")
    assert ready.status.source is not None, "the result came back"
    assert len(list(node.folder.glob("*/log"))) == 1, "a second pod was made"


@pytest.mark.slow
@pytest.mark.parametrize("ended", ["evict", "lose"])
def test_a_pod_that_is_taken_away_is_made_again(
    job_namespace: Namespace,
    node: Node,
    openstack: OpenStack,
    moving: Callable[[], CloudImage],
    raw_disk: Path,
    unique: str,
    ended: str,
) -> None:
    moving()
    getattr(node, ended)()
    failed = job_namespace.wait_condition(unique, "Stalled", reason="Interrupted")
    _, _, message = condition_of(failed, "Stalled") or ("", "", "")
    assert {"evict": "low on resource", "lose": "pod is gone"}[ended] in message
    ready = job_namespace.wait_condition(unique, "Ready")
    assert_one_right_image(openstack, ready, raw_disk)
    assert len(list(node.folder.glob("*/log"))) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "job_namespace", [{"CLOUDIMAGE_JOB_DEADLINE_SECONDS": "3"}], indirect=True, ids=["3s"]
)
def test_a_job_over_its_deadline_is_ended_and_tried_again(
    job_namespace: Namespace,
    node: Node,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    sources.put(unique, qcow2_disk)
    job_namespace.create(unique, sources.url(unique, rate=1 << 20))
    failed = job_namespace.wait_condition(unique, "Stalled", reason="Interrupted")
    _, _, message = condition_of(failed, "Stalled") or ("", "", "")
    assert "transfer.job.deadlineSeconds" in message
    assert images_of(openstack.connect("images"), failed.metadata.uid) == []


def test_a_deleted_object_takes_its_job_along(
    job_namespace: Namespace,
    node: Node,
    openstack: OpenStack,
    moving: Callable[[], CloudImage],
    unique: str,
) -> None:
    resource = moving()
    job_namespace.delete(unique)
    job_namespace.wait_gone(unique)
    assert node.jobs() == node.pods() == []
    assert images_of(openstack.connect("images"), resource.metadata.uid) == []


def test_without_the_right_to_make_jobs_it_says_so(
    job_namespace: Namespace, node: Node, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    job_namespace.operator.values.clear()
    job_namespace.operator.install()  # the chart as for the runner child
    job_namespace.create(unique, sources.put(unique, qcow2_disk))
    stalled = job_namespace.wait_condition(unique, "Stalled", reason="JobNotStarted")
    _, _, message = condition_of(stalled, "Stalled") or ("", "", "")
    assert 'cannot create resource "jobs"' in message


@pytest.mark.slow
@pytest.mark.parametrize(
    "job_namespace", [{"CLOUDIMAGE_MAX_CONCURRENT_TRANSFERS": "1"}], indirect=True, ids=["one"]
)
def test_no_more_jobs_than_allowed_run_at_once(
    job_namespace: Namespace, node: Node, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    sources.put(unique, qcow2_disk)
    names = [f"{unique}-{each}" for each in range(2)]
    for name in names:
        job_namespace.create(name, sources.url(unique, rate=SLOW))
    most = 0

    def both_ready() -> bool:
        nonlocal most
        # A Job that has ended stays until the operator has taken note of its outcome.
        going = [each for each in node.pods() if each["status"].get("phase") in GOING]
        most = max(most, len(going))
        found = [job_namespace.get(name) for name in names]
        return all(each and (condition_of(each, "Ready") or ("",))[0] == "True" for each in found)

    assert wait_until(both_ready, 90)
    assert most == 1
