"""What a real API server says to the chart with everything on: admission, Pod Security, schemas."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.namespaces import wait_until
from testbed.kubernetes import Cluster, KubectlError
from testbed.operator import RELEASE, Operator
from testbed.paths import REPOSITORY

CHART = REPOSITORY / "helm" / "cloudimage-operator"

pytestmark = pytest.mark.cluster

EVERYTHING: dict[str, Any] = {
    "image": {"repository": "cloudimage-operator"},
    "crds": {"install": False},
    "rbac": {"create": False, "aggregate": False},
    "metrics": {"dashboard": {"enabled": True}},
    "networkPolicy": {
        "enabled": True,
        "metricsFrom": [{"namespaceSelector": {"matchLabels": {"team": "monitoring"}}}],
        "egress": [{"cidr": "192.0.2.0/24", "ports": [443]}, {"cidr": "2001:db8::/32"}],
        "apiServer": {"cidrs": ["10.0.0.1/32"]},
    },
    "podDisruptionBudget": {"enabled": True},
    "proxy": {"http": "http://proxy:3128", "https": "http://proxy:3128", "noProxy": "a,b"},
    "caBundle": {"configMap": "company"},
    "scratch": {"persistentVolumeClaim": {"enabled": True, "storageClassName": "fast"}},
    "priorityClassName": "system-cluster-critical",
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}
    ],
    "extraEnv": [{"name": "MORE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "extraVolumes": [{"name": "more", "emptyDir": {}}],
    "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
}


@pytest.fixture
def restricted(cluster: Cluster) -> str:
    """A namespace that takes no pod but a restricted one."""
    name = cluster.new_namespace("restricted")
    label = "pod-security.kubernetes.io/enforce=restricted"
    cluster.run_kubectl("label", "namespace", name, "--overwrite", label)
    return name


def rendered(
    cluster: Cluster, namespace: str, folder: Path, values: dict[str, Any]
) -> list[dict[str, Any]]:
    path = folder / "values.json"
    path.write_text(json.dumps(EVERYTHING | values))
    words = ("template", "x", CHART, "--namespace", namespace, "--values", path)
    done = subprocess.run([cluster.helm, *words], capture_output=True, text=True, check=True)
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@pytest.mark.parametrize("runner", ["child", pytest.param("job", marks=pytest.mark.slow)])
def test_everything_on_is_admitted_and_the_pod_is_restricted(
    cluster: Cluster, restricted: str, tmp_path: Path, runner: str
) -> None:
    objects = rendered(cluster, restricted, tmp_path, {"transfer": {"runner": runner}})
    by_kind = {each["kind"]: each for each in objects}
    assert by_kind.keys() == {
        *("ServiceAccount", "Deployment", "Service", "ConfigMap"),
        *("NetworkPolicy", "PodDisruptionBudget"),
        *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    }

    def dry(*things: dict[str, Any]) -> str:
        create = ("create", "--dry-run=server", "--namespace", restricted, "-f", "-")
        return cluster.run_kubectl(*create, stdin=yaml.safe_dump_all(things))

    assert dry(*objects).count("created (server dry run)") == len(objects)
    account = json.dumps(by_kind["ServiceAccount"])  # a pod needs its account to be there
    cluster.run_kubectl("create", "--namespace", restricted, "-f", "-", stdin=account)
    template = by_kind["Deployment"]["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template, "metadata": {"generateName": "x-"}}
    assert "created (server dry run)" in dry(pod)
    [container] = template["spec"]["containers"]
    container["securityContext"]["allowPrivilegeEscalation"] = True
    with pytest.raises(KubectlError, match="violates PodSecurity"):
        dry(pod)


@pytest.fixture
def operators_own(cluster: Cluster, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A namespace with a Secret and an installed chart, and the ServiceAccount's kubeconfig."""
    operator = Operator(cluster, cluster.new_namespace("secrets"), tmp_path)
    operator.install()
    everything = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["*"]}
    role = {"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1", "rules": [everything]}
    account = {"kind": "ServiceAccount", "name": RELEASE, "namespace": operator.namespace}
    binding = {
        "kind": "RoleBinding",
        "apiVersion": role["apiVersion"],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "more"},
        "subjects": [account],
    }
    secret = {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {
            "labels": {"a": "b"},
            "annotations": {"a": "b"},
            "finalizers": ["x.org/other"],
        },
        "stringData": {"clouds.yaml": "good", "cacert": "ca"},
    }
    # With more rights than the chart gives: what is refused is refused by the policy alone.
    wanted: tuple[tuple[dict[str, Any], str], ...] = (
        *((role, "more"), (binding, "more")),
        (secret, "openstack"),
    )
    for thing, name in wanted:
        body = {**thing, "metadata": {**thing.get("metadata", {}), "name": name}}
        words = ("create", "--namespace", operator.namespace, "-f", "-")
        cluster.run_kubectl(*words, stdin=json.dumps(body))
    yield operator.namespace, cluster.token_kubeconfig(operator.namespace, RELEASE)
    mine = f"{operator.namespace}-{RELEASE}-secrets"
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        cluster.run_kubectl("delete", kind, mine)


REFUSED: dict[str, list[dict[str, Any]]] = {
    "data": [{"op": "replace", "path": "/data/clouds.yaml", "value": "ZXZpbA=="}],
    "a new key": [{"op": "add", "path": "/data/new", "value": "ZXZpbA=="}],
    "a key less": [{"op": "remove", "path": "/data/cacert"}],
    "no data": [{"op": "remove", "path": "/data"}],
    "immutable": [{"op": "add", "path": "/immutable", "value": True}],
    "a label": [{"op": "replace", "path": "/metadata/labels/a", "value": "c"}],
    "a new label": [{"op": "add", "path": "/metadata/labels/new", "value": "c"}],
    "no labels": [{"op": "remove", "path": "/metadata/labels"}],
    "an annotation": [{"op": "replace", "path": "/metadata/annotations/a", "value": "c"}],
    "no annotations": [{"op": "remove", "path": "/metadata/annotations"}],
    "an owner": [
        {
            "op": "add",
            "path": "/metadata/ownerReferences",
            "value": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}],
        }
    ],
    "data beside a finalizer": [
        {"op": "add", "path": "/metadata/finalizers/-", "value": "cloudimage.dev/credentials"},
        {"op": "replace", "path": "/data/clouds.yaml", "value": "ZXZpbA=="},
    ],
}


def test_the_operator_changes_nothing_of_a_secret_but_its_finalizers(
    cluster: Cluster, operators_own: tuple[str, Path]
) -> None:
    namespace, account = operators_own

    def patch(change: Any, kind: str = "json", user: Path | None = account) -> str:
        words = ("patch", "secret", "openstack", "-n", namespace, f"--type={kind}", "-p")
        return cluster.run_kubectl(*words, json.dumps(change), kubeconfig=user)

    def is_refused(change: list[dict[str, Any]]) -> bool:
        try:
            patch(change)
        except KubectlError as error:
            return "nothing of a Secret but its finalizers" in str(error)
        return False

    def is_refused_by_now() -> bool:
        value = str(time.monotonic())  # another one each time: what changes nothing is let through
        return is_refused([{"op": "add", "path": "/metadata/annotations/probe", "value": value}])

    # The API server takes a moment to know of a policy.
    assert wait_until(is_refused_by_now, 30)
    for name, change in REFUSED.items():
        assert is_refused(change), name
    held = {"metadata": {"finalizers": ["cloudimage.dev/credentials"]}}
    assert "patched" in patch(held, "strategic")
    let_go = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["cloudimage.dev/credentials"]}}
    assert "patched" in patch(let_go, "strategic")
    for words in (("create", "secret", "generic", "mine"), ("delete", "secret", "openstack")):
        with pytest.raises(KubectlError, match="makes and deletes no Secret"):
            cluster.run_kubectl(*words, "-n", namespace, kubeconfig=account)
    # Others are not meant.
    assert "patched" in patch({"metadata": {"annotations": {"mine": "1"}}}, "merge", None)
    text = cluster.run_kubectl("get", "secret", "openstack", "-n", namespace, "-o", "json")
    secret = json.loads(text)
    assert secret["metadata"]["finalizers"] == ["x.org/other"]
    assert secret["data"]["clouds.yaml"] == "Z29vZA=="
    patch({"metadata": {"finalizers": None}}, "merge", None)
