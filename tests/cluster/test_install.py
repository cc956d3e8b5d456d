"""What a platform team does: install by Helm or kustomize, upgrade, uninstall, install again."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.releases import CHART, RELEASE, Helm, later_chart
from support.rights import assert_rights
from testbed.kubernetes import Cluster, KubectlError, Kubernetes
from testbed.operator import wait_until_served
from testbed.paths import REPOSITORY

MANIFESTS = REPOSITORY / "manifests"
SAMPLE = MANIFESTS / "samples" / "cloudimage-minimal.yaml"

# One worker, because the tests of a release follow each other.
pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("install")]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A cluster of these tests alone: a CRD belongs to one release, and here it changes."""
    bed = Kubernetes(tmp_path_factory.mktemp("install") / "kubernetes")
    bed.up()
    yield bed
    bed.down()


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Kubernetes]:
    """A cluster without CRDs that is the test's own."""
    bed = Kubernetes(tmp_path / "kubernetes")
    bed.up()
    yield bed
    bed.down()


@pytest.fixture(scope="module")
def release(own: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """The chart, installed for all namespaces."""
    helm = Helm(own, own.new_namespace("operator"), tmp_path_factory.mktemp("helm"))
    helm("install", RELEASE, str(CHART))
    wait_until_served(own)
    return helm


def identity(cluster: Cluster, namespace: str) -> str:
    """Return the UID and the spec of the sample."""
    path = "-o=jsonpath={.metadata.uid} {.spec}"
    return cluster.run_kubectl("get", "cimg", "debian-12", "-n", namespace, path)


def test_the_rendered_chart_passes_the_server(own: Kubernetes, release: Helm) -> None:
    rendered = release("template", "another", str(CHART), "--set", "crds.install=false")
    apply = ("apply", "--server-side", "--dry-run=server", "--namespace", release.namespace)
    out = own.run_kubectl(*apply, "-f", "-", stdin=rendered)
    assert "deployment.apps/another-cloudimage-operator serverside-applied" in out


def test_pods_pass_the_restricted_standard(own: Kubernetes, release: Helm) -> None:
    own.run_kubectl(
        *("label", "namespace", release.namespace, "--overwrite"),
        "pod-security.kubernetes.io/enforce=restricted",
    )
    path = ("get", "deployment", RELEASE, "-n", release.namespace, "-o", "json")
    template = json.loads(own.run_kubectl(*path))["spec"]["template"]

    def create() -> str:
        pod = {"apiVersion": "v1", "kind": "Pod", **template}
        pod["metadata"] = {"generateName": "pod-"}
        create = ("create", "--dry-run=server", "-n", release.namespace, "-f", "-")
        return own.run_kubectl(*create, stdin=json.dumps(pod))

    assert "created (server dry run)" in create()
    template["spec"]["securityContext"].pop("seccompProfile")
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        create()


def test_an_upgrade_changes_the_crd_and_keeps_the_objects(
    own: Kubernetes, release: Helm, tmp_path: Path
) -> None:
    images = own.new_namespace("images")
    own.run_kubectl("create", "-n", images, "-f", str(SAMPLE))
    before = identity(own, images)
    with_field = ("patch", "cimg", "debian-12", "-n", images, "--type=merge", "--dry-run=server")
    change = ("--patch", '{"spec": {"image": {"later": "x"}}}', "-o", "yaml")
    assert "later: x" not in own.run_kubectl(*with_field, *change)

    release("upgrade", RELEASE, str(later_chart(tmp_path)))
    _until(lambda: "later: x" in own.run_kubectl(*with_field, *change))
    assert identity(own, images) == before
    release("rollback", RELEASE)
    _until(lambda: "later: x" not in own.run_kubectl(*with_field, *change))
    assert identity(own, images) == before


def test_uninstalling_keeps_crds_and_objects_and_a_new_release_finds_them(
    own: Kubernetes, release: Helm
) -> None:
    images = own.new_namespace("images")
    own.run_kubectl("create", "-n", images, "-f", str(SAMPLE))
    before = identity(own, images)
    release("uninstall", RELEASE)
    with pytest.raises(KubectlError, match="not found"):
        own.run_kubectl("get", "deployment", RELEASE, "-n", release.namespace)
    assert identity(own, images) == before

    release("install", RELEASE, str(CHART))
    assert identity(own, images) == before
    own.run_kubectl("get", "deployment", RELEASE, "-n", release.namespace)


def test_crds_that_came_by_kubectl_are_taken_over_as_the_docs_say(
    another: Kubernetes, tmp_path: Path
) -> None:
    another.run_kubectl("apply", "--server-side", "-k", str(REPOSITORY / "crds"))
    namespace = "cloudimage-system"
    another.run_kubectl("create", "namespace", namespace)
    helm = Helm(another, namespace, tmp_path / "helm")
    with pytest.raises(AssertionError, match="invalid ownership metadata"):
        helm("install", RELEASE, str(CHART))
    page = (REPOSITORY / "docs" / "troubleshooting.md").read_text()
    found = re.search(r"```\n(for crd in .*?)```", page, re.DOTALL)
    assert found is not None
    env = {"PATH": f"{another.kubectl.parent}:{os.environ['PATH']}"}
    kubeconfig = {"KUBECONFIG": str(another.kubeconfig)}
    subprocess.run(["/bin/bash", "-euc", found[1]], env=env | kubeconfig, check=True)
    helm("install", RELEASE, str(CHART))
    another.run_kubectl("get", "deployment", RELEASE, "-n", namespace)


@pytest.mark.parametrize("overlay", ["cluster-wide", "namespaced"])
def test_kustomize_installs(another: Kubernetes, overlay: str) -> None:
    # First the namespaces alone: a dry run makes none for the objects in them.
    another.run_kubectl("create", "namespace", "images")
    namespace = MANIFESTS / "base" / "operator" / "namespace.yaml"
    another.run_kubectl("apply", "--server-side", "-f", str(namespace))
    apply = ("apply", "--server-side", "-k", str(MANIFESTS / "overlays" / overlay))
    dry = another.run_kubectl(*apply, "--dry-run=server").splitlines()
    done = another.run_kubectl(*apply).splitlines()
    assert [line.removesuffix(" (server dry run)") for line in dry] == done
    assert "deployment.apps/cloudimage-operator serverside-applied" in done
    wait_until_served(another)
    user = another.token_kubeconfig("cloudimage-system", RELEASE)
    assert_rights(another, user, "images", overlay)
    if overlay == "namespaced":
        assert_rights(another, user, another.new_namespace("other"), "elsewhere")


def _until(holds: Callable[[], bool]) -> None:
    """Wait: the server takes a moment to validate by a CRD that was changed."""
    for _ in range(100):
        if holds():
            return
        time.sleep(0.2)
    pytest.fail("the changed CRD is not in force after 20 s")
