"""The test bed's Kubernetes is what tests take it for: a real API that comes and goes cleanly."""

import json
import stat
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

import testbed
from testbed.kubernetes import Cluster, KubectlError, Kubernetes, UnsupportedError
from testbed.kubernetes.pins import TOOLS
from testbed.process import bed_lock

# One worker: they share a second control plane.
pytestmark = [pytest.mark.cluster, pytest.mark.xdist_group("kubernetes-bed")]


@pytest.fixture(scope="module")
def kubernetes() -> Kubernetes:
    """The bed that all tests share; it stays up."""
    bed = Kubernetes()
    bed.up()
    return bed


@pytest.fixture
def own_bed(tmp_path: Path) -> Iterator[Kubernetes]:
    """A bed of the test's own, to do harm to."""
    bed = Kubernetes(tmp_path / "kubernetes")
    yield bed
    bed.down()


def processes_of(bed: Kubernetes) -> list[psutil.Process]:
    """Find the bed's servers by their command lines, whatever the bed itself believes."""
    return [
        process
        for process in psutil.process_iter(["name", "cmdline"])
        if process.info["name"] in {"etcd", "kube-apiserver"}
        and str(bed.folder) in " ".join(process.info["cmdline"] or ())
    ]


def with_service_account(cluster: Cluster) -> tuple[str, Path]:
    """Return a new namespace and a kubeconfig of a ServiceAccount in it without any right."""
    namespace = cluster.new_namespace("rbac")
    cluster.run_kubectl("create", "serviceaccount", "operator", "-n", namespace)
    return namespace, cluster.token_kubeconfig(namespace, "operator")


def test_client_and_server_are_the_pinned_version(kubernetes: Kubernetes) -> None:
    versions = json.loads(kubernetes.run_kubectl("version", "-o", "json"))
    assert versions["clientVersion"]["gitVersion"] == TOOLS["kubectl"].version
    assert versions["serverVersion"]["gitVersion"] == TOOLS["kube-apiserver"].version
    assert versions["serverVersion"]["minor"] == TOOLS["kube-apiserver"].version.split(".")[1]


def test_helm_is_the_pinned_version_and_reaches_the_cluster(kubernetes: Kubernetes) -> None:
    def helm(*args: str) -> str:
        command = [str(kubernetes.helm), "--kubeconfig", str(kubernetes.kubeconfig), *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert helm("version", "--template", "{{.Version}}") == TOOLS["helm"].version
    assert json.loads(helm("list", "-n", kubernetes.new_namespace("helm"), "-o", "json")) == []


def test_service_account_has_no_rights_until_a_role_binding(kubernetes: Kubernetes) -> None:
    namespace, operator = with_service_account(kubernetes)
    get_secrets = ("get", "secrets", "-n", namespace, "-o", "name")
    with pytest.raises(KubectlError, match=f"serviceaccount:{namespace}:operator.*cannot list"):
        kubernetes.run_kubectl(*get_secrets, kubeconfig=operator)

    kubernetes.run_kubectl(
        *("create", "role", "reader", "-n", namespace, "--verb=list", "--resource=secrets")
    )
    kubernetes.run_kubectl(
        *("create", "rolebinding", "reader", "-n", namespace, "--role=reader"),
        f"--serviceaccount={namespace}:operator",
    )
    assert kubernetes.run_kubectl(*get_secrets, kubeconfig=operator) == ""
    with pytest.raises(KubectlError, match="cannot list"):
        kubernetes.run_kubectl(
            "get", "secrets", "-n", kubernetes.new_namespace("other"), kubeconfig=operator
        )


def test_kubeconfigs_are_for_their_owner_only(kubernetes: Kubernetes) -> None:
    _, operator = with_service_account(kubernetes)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (kubernetes.kubeconfig, operator)}
    assert modes == {0o600}


def test_validation_rules_of_a_crd_are_enforced(kubernetes: Kubernetes) -> None:
    group = f"g{uuid.uuid4().hex}.example.org"
    rule = {"rule": "self.min <= self.max", "message": "min exceeds max"}
    number = {"type": "integer"}
    spec = {
        "type": "object",
        "required": ["min", "max"],
        "properties": {"min": number, "max": number},
        "x-kubernetes-validations": [rule],
    }
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
    }
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"spans.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "spans", "kind": "Span"},
            "versions": [version],
        },
    }

    def span(smallest: int, largest: int) -> str:
        body = {"apiVersion": f"{group}/v1", "kind": "Span", "metadata": {"generateName": "span-"}}
        return json.dumps({**body, "spec": {"min": smallest, "max": largest}})

    kubernetes.run_kubectl("create", "-f", "-", stdin=json.dumps(crd))
    try:
        kubernetes.run_kubectl("wait", "--for=condition=Established", f"crd/spans.{group}")
        kubernetes.run_kubectl("create", "-f", "-", stdin=span(1, 2))
        with pytest.raises(KubectlError, match="min exceeds max"):
            kubernetes.run_kubectl("create", "-f", "-", stdin=span(2, 1))
    finally:
        kubernetes.run_kubectl("delete", "crd", f"spans.{group}")


def test_an_outage_keeps_address_and_data(own_bed: Kubernetes) -> None:
    own_bed.up()
    before = own_bed.kubeconfig.read_text()
    own_bed.run_kubectl("create", "configmap", "kept", "--from-literal=key=value")

    own_bed.stop_service("kube-apiserver")
    with pytest.raises(KubectlError, match="refused"):
        own_bed.run_kubectl("get", "configmap", "kept")
    own_bed.stop_service("etcd")
    assert [pid for _, pid, _ in own_bed.status()] == [None, None]
    own_bed.start_service("etcd")
    own_bed.start_service("kube-apiserver")

    assert own_bed.run_kubectl("get", "configmap", "kept", "-o", "jsonpath={.data.key}") == "value"
    assert own_bed.kubeconfig.read_text() == before


def test_processes_that_race_share_one_bed(own_bed: Kubernetes) -> None:
    code = (
        "import pathlib, sys; from testbed.kubernetes import Kubernetes;"
        "Kubernetes(pathlib.Path(sys.argv[1])).up()"
    )
    command = [sys.executable, "-c", code, str(own_bed.folder)]
    tests = Path(testbed.__file__).parents[1]
    racers = [subprocess.Popen(command, cwd=tests) for _ in range(2)]
    assert [racer.wait() for racer in racers] == [0, 0]
    assert sorted(process.name() for process in processes_of(own_bed)) == ["etcd", "kube-apiserver"]
    assert own_bed.run_kubectl("get", "--raw=/readyz") == "ok"


def test_down_leaves_no_trace(own_bed: Kubernetes) -> None:
    own_bed.up()
    own_bed.run_kubectl("get", "namespaces")
    own_bed.down()
    assert processes_of(own_bed) == []
    assert list(own_bed.folder.parent.iterdir()) == []
    assert not Path(bed_lock(own_bed.folder).lock_file).exists()
    own_bed.down()


def test_down_leaves_no_trace_after_a_crash(own_bed: Kubernetes) -> None:
    own_bed.up()
    etcd = next(process for process in processes_of(own_bed) if process.name() == "etcd")
    etcd.kill()
    for record in (own_bed.folder / "run").iterdir():
        record.unlink()
    own_bed.down()
    assert processes_of(own_bed) == []
    assert not own_bed.folder.exists()


def test_a_crashed_bed_comes_up_again_with_its_data(own_bed: Kubernetes) -> None:
    own_bed.up()
    own_bed.run_kubectl("create", "configmap", "kept")
    for process in processes_of(own_bed):
        process.kill()
        process.wait()
    own_bed.up()
    assert own_bed.run_kubectl("get", "configmap", "kept", "-o", "name") == "configmap/kept\n"


def test_somebody_elses_cluster_is_used_but_never_stopped(kubernetes: Kubernetes) -> None:
    other = Kubernetes.from_kubeconfig(kubernetes.kubeconfig)
    namespace, operator = with_service_account(other)
    assert f"{namespace}:operator" in other.run_kubectl("auth", "whoami", kubeconfig=operator)
    with pytest.raises(UnsupportedError):
        other.stop_service("etcd")
    other.down()
    assert not operator.exists()
    assert kubernetes.run_kubectl("get", "--raw=/readyz") == "ok"
