"""The chart's own pod, of the image built here, on a cluster with a node: installed to uninstalled.

The tests share one release and one CloudImage, ``kept``; what changes the release puts it back.
"""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cloudimage import __version__
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.kinds import KINDS
from support.namespaces import Namespace, content_of, images_of, said, wait_until
from support.releases import CHART, PREVIOUS_CHART, RELEASE, Helm, later_chart
from support.shares import ACCEPT_WITH, CONSUMER, Shares
from support.whole import IMAGE, SYSTEM, Platform, Pod, kind_cluster, node_cluster
from testbed.images import sha256_of
from testbed.kubernetes import KubectlError
from testbed.kubernetes.kind import Kind
from testbed.kubernetes.whole import WholeKubernetes
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

LATER = {"spec": {"image": {"later": "x"}}}


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest) -> Iterator[WholeKubernetes | Kind]:
    """A cluster whose pods run."""
    choice = request.config.getoption("--cluster")
    if choice == "kubeconfig":
        pytest.skip("somebody else's cluster has not the image that is built here")
    with kind_cluster() if choice == "kind" else node_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def platform(
    whole: WholeKubernetes | Kind,
    openstack: OpenStack,
    sources: Sources,
    tmp_path_factory: pytest.TempPathFactory,
) -> Platform:
    """The cluster, the cloud and the source; nothing is installed yet."""
    # Another test may have it started at any moment, and pods need its address from the beginning.
    openstack.start_cinder()
    helm = Helm(whole, SYSTEM, tmp_path_factory.mktemp("helm"))
    system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}
    whole.run_kubectl("apply", "-f", "-", stdin=json.dumps(system))
    platform = Platform(whole, helm, openstack, sources)
    platform.enforce(SYSTEM)
    helm("uninstall", RELEASE, "--ignore-not-found", "--wait")  # of a run with KEEP
    return platform


@pytest.fixture(scope="module")
def namespace(platform: Platform) -> Namespace:
    """The namespace of all that the tests make."""
    return platform.namespace()


@dataclass
class Kept:
    """A CloudImage that was there before the release, and its image.

    Attributes:
        before: The object as the previous version's chart took it.
        image_id: Of the image that the release made for it.
    """

    before: CloudImage
    image_id: str


@pytest.fixture(scope="module")
def kept(platform: Platform, namespace: Namespace, qcow2_disk: Path) -> Iterator[Kept]:
    """The CloudImage ``kept``, Ready, and with it the release, upgraded from the version before."""
    # The previous operator's own image is no longer built; everything else is upgraded.
    tag = ("--set", f"image.tag={__version__}")
    platform.helm("install", RELEASE, str(PREVIOUS_CHART), *IMAGE, *tag)
    url = platform.put("whole.qcow2", qcow2_disk)
    assert wait_until(lambda: "cloudimages" in platform.cluster.run_kubectl("api-resources"), 30)
    namespace.create("kept", url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
    before = namespace.wait("kept", lambda each: each.metadata.uid != "")
    platform.release()
    ready = namespace.wait_condition("kept", "Ready")
    yield Kept(before, ready.status.image_id or "")
    _deleted(namespace, "kept")


def test_the_previous_version_is_upgraded_and_its_objects_stay(
    platform: Platform, namespace: Namespace, kept: Kept
) -> None:
    after = namespace.wait_condition("kept", "Ready")
    assert after.metadata.uid == kept.before.metadata.uid
    served = platform.cluster.run_kubectl("api-resources", "-o", "name").split()
    assert {kind.crd_name for kind in KINDS} <= set(served)


def test_the_pod_made_the_image_from_end_to_end(
    platform: Platform, kept: Kept, raw_disk: Path
) -> None:
    images = platform.openstack.connect("images")
    [image] = images_of(images, kept.before.metadata.uid)
    assert (image["id"], image["disk_format"]) == (kept.image_id, "raw")
    assert content_of(images, image["id"]) == sha256_of(raw_disk)


def test_an_image_share_is_accepted_by_the_pod(
    platform: Platform, namespace: Namespace, kept: Kept
) -> None:
    shares = Shares(namespace)
    shares.create("kept", {**CONSUMER, **ACCEPT_WITH})
    shares.wait_condition("kept", "Accepted", "AllAccepted")
    seen = platform.openstack.connect("consumer").image.get_image(kept.image_id)
    assert seen.name == "kept"
    shares.delete("kept")
    shares.wait_gone("kept")


@pytest.mark.usefixtures("kept")
def test_the_container_is_what_was_built_and_no_more(platform: Platform) -> None:
    pod = Pod(platform.cluster, SYSTEM)
    version = pod.run("cloudimage", "--version")
    assert version.startswith(f"cloudimage {__version__} (commit ")
    assert pod.run("id", "--user").strip() == "65532"
    with pytest.raises(KubectlError, match="Read-only file system"):
        pod.run("touch", "/anywhere")
    packages = {
        component["name"]
        for name in ("debian", "python")
        for component in json.loads(pod.run("cat", f"/usr/share/sbom/{name}.cdx.json"))[
            "components"
        ]
    }
    assert {"qemu-utils", "gpgv", "openstacksdk", "kopf", "cloudimage-operator"} <= packages
    for tool in ("pip", "gcc", "curl"):
        with pytest.raises(KubectlError):
            pod.run("sh", "-c", f"command -v {tool}")


@pytest.mark.usefixtures("kept")
def test_names_resolve_in_the_pod(platform: Platform) -> None:
    if not isinstance(platform.cluster, Kind):
        pytest.skip("the node of our own has no DNS, and the operator needs none")
    found = Pod(platform.cluster, SYSTEM).run("getent", "hosts", "kubernetes.default.svc")
    address = "jsonpath={.spec.clusterIP}"
    service = platform.cluster.run_kubectl("get", "service", "kubernetes", "-o", address)
    assert found.split() == [service, "kubernetes.default.svc.cluster.local"]


@pytest.mark.usefixtures("kept")
def test_nothing_is_left_of_a_transfer(
    platform: Platform, namespace: Namespace, qcow2_disk: Path
) -> None:
    namespace.create("passing", platform.put("passing.qcow2", qcow2_disk))
    namespace.wait_condition("passing", "Ready")
    pod = Pod(platform.cluster, SYSTEM)
    states = pod.run("sh", "-c", "cat /proc/[0-9]*/stat").splitlines()
    assert [line for line in states if line.split(") ")[1].startswith("Z")] == []
    assert pod.run("find", "/scratch", "-type", "f", "-not", "-path", "*/cache/*") == ""
    # kopf calls it an error that an API server which has just learnt of a kind asks for patience.
    said = [json.loads(line) for line in pod.log().splitlines() if line.startswith("{")]
    ours = [each for each in said if each["logger"].startswith("cloudimage")]
    assert [each for each in ours if each["level"] not in {"info", "warning"}] == []
    assert ours != []
    _deleted(namespace, "passing")


@pytest.mark.usefixtures("kept")
def test_with_the_runner_job_a_transfer_is_a_job_that_runs(
    platform: Platform, namespace: Namespace, qcow2_disk: Path, raw_disk: Path, tmp_path: Path
) -> None:
    def jobs() -> list[str]:
        return platform.cluster.run_kubectl(
            "get", "jobs", "-n", namespace.name, "-o", "name"
        ).split()

    with platform.changed(CHART, "--set", "transfer.runner=job"):
        url = platform.put("job.qcow2", qcow2_disk, rate=4 << 20)
        namespace.create("by-job", url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
        namespace.wait("by-job", _is_moving)
        assert len(jobs()) == 1
        ready = namespace.wait_condition("by-job", "Ready")
        assert ready.status.source is not None, "the result came back"
        images = platform.openstack.connect("images")
        assert content_of(images, ready.status.image_id or "") == sha256_of(raw_disk)
        assert wait_until(lambda: jobs() == [], 30)
        if isinstance(platform.cluster, WholeKubernetes):
            _read_from_a_volume(platform, namespace, qcow2_disk, tmp_path)
    _deleted(namespace, "by-job")


def _read_from_a_volume(
    platform: Platform, namespace: Namespace, qcow2_disk: Path, folder: Path
) -> None:
    """Have a file of a volume read, which the kubelet of our own mounts from this machine."""
    shutil.copyfile(qcow2_disk, folder / "disk.qcow2")
    (folder / "secret.qcow2").write_bytes(b"not for everybody")
    (folder / "secret.qcow2").chmod(0o600)
    platform.claim(namespace, "builds", folder)
    for name, path in (("by-claim", "disk.qcow2"), ("by-secret", "secret.qcow2")):
        source = {"persistentVolumeClaim": {"claimName": "builds", "path": path}}
        namespace.create(name, "", source=source)
    ready = namespace.wait_condition("by-claim", "Ready")
    images = platform.openstack.connect("images")
    assert content_of(images, ready.status.image_id or "") == sha256_of(qcow2_disk)
    refused = namespace.wait_condition("by-secret", "Stalled", reason="SourceRefused")
    assert "which runs as user 65532" in said(refused, "Stalled")[2]
    for name in ("by-claim", "by-secret"):
        _deleted(namespace, name)


@pytest.mark.slow
@pytest.mark.usefixtures("kept")
def test_jobs_that_share_a_scratch_fetch_once(
    platform: Platform, namespace: Namespace, qcow2_disk: Path, raw_disk: Path, tmp_path: Path
) -> None:
    if not isinstance(platform.cluster, WholeKubernetes):
        pytest.skip("only the node of our own has a folder of this machine for a volume")
    names = [f"shared-{number}" for number in range(3)]
    url = platform.put("shared.qcow2", qcow2_disk)
    asked = len(platform.sources.requests("shared.qcow2"))
    platform.claim(namespace, "scratch", tmp_path)
    job = ("--set", "transfer.runner=job", "--set", "transfer.job.scratchClaim=scratch")
    with platform.changed(CHART, *job):
        for name in names:
            namespace.create(name, url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
        images = platform.openstack.connect("images")
        for name in names:
            ready = namespace.wait_condition(name, "Ready")
            assert content_of(images, ready.status.image_id or "") == sha256_of(raw_disk)
    sent = [each.sent for each in platform.sources.requests("shared.qcow2")[asked:]]
    whole = qcow2_disk.stat().st_size
    assert [size for size in sent if size > whole // 2] == [whole]
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
    assert {path.suffix for path in (tmp_path / "cache").iterdir()} == {".data", ".json", ".lock"}
    for name in names:
        _deleted(namespace, name)


def _is_moving(resource: CloudImage) -> bool:
    progress = resource.status.progress
    return progress is not None and bool(progress.transferred_bytes)


def _deleted(namespace: Namespace, name: str) -> None:
    namespace.delete(name)
    namespace.wait_gone(name)


@pytest.mark.slow
@pytest.mark.usefixtures("kept")
def test_of_two_pods_the_other_takes_over(
    platform: Platform, namespace: Namespace, qcow2_disk: Path
) -> None:
    kubectl = platform.cluster.run_kubectl

    def leader() -> str:
        """Return the pod that holds the Lease, or an empty string while no existing pod does."""
        holder = "jsonpath={.spec.holderIdentity}"
        held = kubectl("get", "lease", RELEASE, "-n", SYSTEM, "-o", holder).partition("_")[0]
        pods = kubectl("get", "pods", "-n", SYSTEM, "-o", "name").split()
        return held if f"pod/{held}" in pods else ""

    # A pod without a Lease does not know of one: the documented way is by none at all.
    platform.stop()
    with platform.changed(CHART, "--set", "replicas=2"):
        assert wait_until(lambda: leader() != "", 30)
        first = leader()
        kubectl("delete", "pod", first, "-n", SYSTEM, "--force", "--grace-period=0")
        assert wait_until(lambda: leader() not in {"", first}, 60)
        namespace.create("by-the-other", platform.put("other.qcow2", qcow2_disk))
        namespace.wait_condition("by-the-other", "Ready")
        _deleted(namespace, "by-the-other")
        platform.stop()


def test_an_upgrade_changes_a_crd_field_and_keeps_every_object(
    platform: Platform, namespace: Namespace, kept: Kept, tmp_path: Path, qcow2_disk: Path
) -> None:
    namespace.create("beside", platform.put("beside.qcow2", qcow2_disk))
    names = ("kept", "beside")
    before = {name: _identity(namespace, name) for name in names}
    asked = len(platform.sources.requests("whole.qcow2"))
    change = ("patch", "cimg", "kept", "-n", namespace.name, "--type=merge", "--dry-run=server")
    patch = (*change, "--patch", json.dumps(LATER), "-o", "yaml")
    with platform.changed(later_chart(tmp_path)):
        assert wait_until(lambda: "later: x" in platform.cluster.run_kubectl(*patch), 20)
        for name in names:
            namespace.wait_condition(name, "Ready")
        assert {name: _identity(namespace, name) for name in names} == before
        assert len(platform.sources.requests("whole.qcow2")) == asked, "it was fetched again"
    _deleted(namespace, "beside")


def _identity(namespace: Namespace, name: str) -> tuple[str, str | None]:
    resource = namespace.wait_condition(name, "Ready")
    return resource.metadata.uid, resource.status.image_id


@pytest.mark.usefixtures("kept")
def test_uninstalled_with_objects_left_they_wait_for_the_next_release(
    platform: Platform, namespace: Namespace, qcow2_disk: Path
) -> None:
    namespace.create("left", platform.put("left.qcow2", qcow2_disk))
    image_id = namespace.wait_condition("left", "Ready").status.image_id
    platform.helm("uninstall", RELEASE, "--wait", "--timeout", "120s")
    try:
        namespace.delete("left")
        assert not wait_until(lambda: namespace.get("left") is None, 5)
        admin = platform.openstack.connect("admin")
        assert admin.image.get(f"/images/{image_id}").status_code == 200
    finally:
        platform.release()
    namespace.wait_gone("left")
    assert admin.image.get(f"/images/{image_id}").status_code == 404
