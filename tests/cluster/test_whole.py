"""The chart's own pod, of the image built here, on a cluster with a node: installed to uninstalled.

The tests are steps of one release's life and follow each other.
"""

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from releases import CHART, PREVIOUS_CHART, RELEASE, Helm, later_chart
from shares import ACCEPT_WITH, CONSUMER, Shares
from support import Namespace, content_of, images_of, wait_until

from cloudimage import __version__
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.kinds import KINDS
from testbed.container_image import REPOSITORY_NAME
from testbed.images import sha256_of
from testbed.kubernetes import KubectlError
from testbed.kubernetes.kind import Kind
from testbed.kubernetes.network import BRIDGE
from testbed.kubernetes.whole import WholeKubernetes
from testbed.openstack import OpenStack
from testbed.openstack.site import Site
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SYSTEM = "cloudimage-system"
IMAGE = ("--set", f"image.repository={REPOSITORY_NAME}")
LATER = {"spec": {"image": {"later": "x"}}}


@dataclass
class Pod:
    """The operator as the chart runs it."""

    cluster: WholeKubernetes | Kind
    namespace: str

    def log(self) -> str:
        """Return what it has logged; nothing where it is not installed."""
        logs = ("logs", f"deployment/{RELEASE}", "-n", SYSTEM, "--tail=-1")
        with contextlib.suppress(KubectlError):
            return self.cluster.run_kubectl(*logs)
        return ""

    def run(self, *words: str) -> str:
        """Run a command in it, as its user."""
        return self.cluster.run_kubectl("exec", f"deployment/{RELEASE}", "-n", SYSTEM, "--", *words)


@dataclass
class Platform:
    """A cluster with the operator, and the cloud and the source beside it, as pods see them."""

    cluster: WholeKubernetes | Kind
    helm: Helm
    openstack: OpenStack
    sources: Sources

    def release(self, chart: Path = CHART, *options: str) -> None:
        """Install or upgrade the release, and wait for its pod."""
        allowed = f"urlPolicy.allowNetworks={{{self.cluster.host}/32}}"
        words = ("upgrade", "--install", RELEASE, str(chart), "--set", allowed, *IMAGE)
        self.helm(*words, "--wait", "--timeout", "120s", *options)

    def namespace(self) -> Namespace:
        """Make a namespace with the credentials, where pods keep to the strictest standard."""
        name = self.cluster.new_namespace("images")
        self.enforce(name)
        namespace = Namespace.of(Pod(self.cluster, name))  # type: ignore[arg-type]  # what it takes of an Operator, this has
        known = yaml.safe_load(self.openstack.clouds_yaml.read_text())["clouds"]
        clouds = {name: self._as_pods_see(cloud) for name, cloud in known.items()}
        namespace.put_secret(self.openstack, **clouds)
        return namespace

    def enforce(self, namespace: str) -> None:
        """Have the restricted Pod Security Standard enforced in a namespace."""
        label = "pod-security.kubernetes.io/enforce=restricted"
        self.cluster.run_kubectl("label", "namespace", namespace, label)

    def put(self, name: str, content: Path, **wish: Any) -> str:
        """Put a file on the source server and return the URL that pods use."""
        self.sources.put(name, content)
        return self._rewritten(self.sources.url(name, **wish))

    def _as_pods_see(self, cloud: dict[str, Any]) -> dict[str, Any]:
        """Return an entry of clouds.yaml for pods: the catalogue's addresses are this machine's."""
        site = Site.load(self.openstack.folder)
        assert site is not None
        overrides = {
            f"{kind}_endpoint_override": self._rewritten(site.url(name)) + path
            for kind, name, path in (
                ("identity", "keystone", "/v3"),
                ("image", "glance", ""),
                ("compute", "nova", "/v2.1"),
                # Not there, unless another test has had it started.
                ("block_storage", "cinder", "/v3"),
            )
        }
        return json.loads(self._rewritten(json.dumps(cloud))) | overrides

    def _rewritten(self, text: str) -> str:
        return text.replace("127.0.0.1", self.cluster.host)


@pytest.fixture(scope="module")
def whole(request: pytest.FixtureRequest) -> Iterator[WholeKubernetes | Kind]:
    """A cluster whose pods run."""
    choice = request.config.getoption("--cluster")
    if choice == "kubeconfig":
        pytest.skip("somebody else's cluster has not the image that is built here")
    if choice == "kind":
        kind = Kind.new()
        kind.up()
        yield kind
        return
    if missing := WholeKubernetes.missing():
        pytest.skip(f"a node of our own needs {missing}; --cluster=kind needs Docker instead")
    bed = WholeKubernetes()
    with bed.lock:
        bed.install()
        bed.down()  # what a run that was killed has left
        try:
            bed.up()
            yield bed
        finally:
            bed.down()
    mounts = Path("/proc/self/mounts").read_text()
    links = [path.name for path in Path("/sys/class/net").iterdir()]
    assert str(bed.folder) not in mounts
    assert BRIDGE not in links


@pytest.fixture(scope="module")
def platform(
    whole: WholeKubernetes | Kind,
    openstack: OpenStack,
    sources: Sources,
    tmp_path_factory: pytest.TempPathFactory,
) -> Platform:
    """The cluster, the cloud and the source; nothing is installed yet."""
    helm = Helm(whole, SYSTEM, tmp_path_factory.mktemp("helm"))
    whole.run_kubectl("create", "namespace", SYSTEM)
    platform = Platform(whole, helm, openstack, sources)
    platform.enforce(SYSTEM)
    return platform


@pytest.fixture(scope="module")
def namespace(platform: Platform) -> Namespace:
    """The namespace of all that the tests make."""
    return platform.namespace()


def test_the_previous_version_is_upgraded_and_its_objects_stay(
    platform: Platform, namespace: Namespace, qcow2_disk: Path
) -> None:
    # The previous operator's own image is not built any more; what upgrades is all the rest.
    tag = ("--set", f"image.tag={__version__}")
    platform.helm("install", RELEASE, str(PREVIOUS_CHART), *IMAGE, *tag)
    url = platform.put("whole.qcow2", qcow2_disk)
    assert wait_until(lambda: "cloudimages" in platform.cluster.run_kubectl("api-resources"), 30)
    namespace.create("kept", url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
    before = namespace.wait("kept", lambda each: each.metadata.uid != "")
    platform.release()
    after = namespace.wait_condition("kept", "Ready")
    assert after.metadata.uid == before.metadata.uid
    served = platform.cluster.run_kubectl("api-resources", "-o", "name").split()
    assert {kind.crd_name for kind in KINDS} <= set(served)


def test_the_pod_made_the_image_from_end_to_end(
    platform: Platform, namespace: Namespace, raw_disk: Path
) -> None:
    ready = namespace.wait_condition("kept", "Ready")
    images = platform.openstack.connect("images")
    [image] = images_of(images, ready.metadata.uid)
    assert (image["id"], image["disk_format"]) == (ready.status.image_id, "raw")
    assert content_of(images, image["id"]) == sha256_of(raw_disk)


def test_an_image_share_is_accepted_by_the_pod(platform: Platform, namespace: Namespace) -> None:
    shares = Shares(namespace)
    shares.create("kept", {**CONSUMER, **ACCEPT_WITH})
    shares.wait_condition("kept", "Accepted", "AllAccepted")
    image_id = namespace.wait_condition("kept", "Ready").status.image_id
    seen = platform.openstack.connect("consumer").image.get_image(image_id)
    assert seen.name == "kept"
    shares.delete("kept")
    shares.wait_gone("kept")


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


def test_nothing_is_left_of_a_transfer(platform: Platform, namespace: Namespace) -> None:
    namespace.wait_condition("kept", "Ready")
    pod = Pod(platform.cluster, SYSTEM)
    states = pod.run("sh", "-c", "cat /proc/[0-9]*/stat").splitlines()
    assert [line for line in states if line.split(") ")[1].startswith("Z")] == []
    assert pod.run("find", "/scratch", "-type", "f", "-not", "-path", "*/cache/*") == ""
    # kopf calls it an error that an API server which has just learnt of a kind asks for patience.
    said = [json.loads(line) for line in pod.log().splitlines() if line.startswith("{")]
    ours = [each for each in said if each["logger"].startswith("cloudimage")]
    assert [each for each in ours if each["level"] not in {"info", "warning"}] == []
    assert ours != []


def test_with_the_runner_job_a_transfer_is_a_job_that_runs(
    platform: Platform, namespace: Namespace, qcow2_disk: Path, raw_disk: Path
) -> None:
    platform.release(CHART, "--set", "transfer.runner=job")
    url = platform.put("job.qcow2", qcow2_disk, rate=4 << 20)
    namespace.create("by-job", url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})

    def jobs() -> list[str]:
        return platform.cluster.run_kubectl(
            "get", "jobs", "-n", namespace.name, "-o", "name"
        ).split()

    namespace.wait("by-job", _is_moving)
    assert len(jobs()) == 1
    ready = namespace.wait_condition("by-job", "Ready")
    assert ready.status.source is not None, "the result came back"
    images = platform.openstack.connect("images")
    assert content_of(images, ready.status.image_id or "") == sha256_of(raw_disk)
    assert wait_until(lambda: jobs() == [], 30)


def _is_moving(resource: CloudImage) -> bool:
    progress = resource.status.progress
    return progress is not None and bool(progress.transferred_bytes)


@pytest.mark.slow
def test_of_two_pods_the_other_takes_over(
    platform: Platform, namespace: Namespace, qcow2_disk: Path
) -> None:
    # A pod without a Lease does not know of one: the documented way is by none at all.
    kubectl = platform.cluster.run_kubectl
    kubectl("scale", f"deployment/{RELEASE}", "-n", SYSTEM, "--replicas=0")
    kubectl("wait", "pod", "-n", SYSTEM, "--all", "--for=delete", "--timeout=90s")
    platform.release(CHART, "--set", "replicas=2")

    def leader() -> str:
        holder = "jsonpath={.spec.holderIdentity}"
        return kubectl("get", "lease", RELEASE, "-n", SYSTEM, "-o", holder).partition("_")[0]

    assert wait_until(lambda: leader() != "", 30)
    first = leader()
    kubectl("delete", "pod", first, "-n", SYSTEM, "--force", "--grace-period=0")
    assert wait_until(lambda: leader() not in {"", first}, 60)
    namespace.create("by-the-other", platform.put("other.qcow2", qcow2_disk))
    namespace.wait_condition("by-the-other", "Ready")
    namespace.delete("by-the-other")
    namespace.wait_gone("by-the-other")
    platform.release()


def test_an_upgrade_changes_a_crd_field_and_keeps_every_object(
    platform: Platform, namespace: Namespace, tmp_path: Path
) -> None:
    names = ("kept", "by-job")
    before = {name: _identity(namespace, name) for name in names}
    asked = len(platform.sources.requests("whole.qcow2"))
    platform.release(later_chart(tmp_path))
    change = ("patch", "cimg", "kept", "-n", namespace.name, "--type=merge", "--dry-run=server")
    patch = (*change, "--patch", json.dumps(LATER), "-o", "yaml")
    assert wait_until(lambda: "later: x" in platform.cluster.run_kubectl(*patch), 20)
    for name in names:
        namespace.wait_condition(name, "Ready")
    assert {name: _identity(namespace, name) for name in names} == before
    assert len(platform.sources.requests("whole.qcow2")) == asked, "it was fetched again"


def _identity(namespace: Namespace, name: str) -> tuple[str, str | None]:
    resource = namespace.wait_condition(name, "Ready")
    return resource.metadata.uid, resource.status.image_id


def test_uninstalled_with_objects_left_they_wait_for_the_next_release(
    platform: Platform, namespace: Namespace
) -> None:
    image_id = namespace.wait_condition("kept", "Ready").status.image_id
    platform.helm("uninstall", RELEASE, "--wait", "--timeout", "120s")
    namespace.delete("kept")
    assert not wait_until(lambda: namespace.get("kept") is None, 5)
    admin = platform.openstack.connect("admin")
    assert admin.image.get(f"/images/{image_id}").status_code == 200
    platform.release()
    namespace.wait_gone("kept")
    assert admin.image.get(f"/images/{image_id}").status_code == 404
    namespace.delete("by-job")
    namespace.wait_gone("by-job")
