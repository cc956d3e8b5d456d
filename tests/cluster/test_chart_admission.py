"""What a real API server says to the chart with everything on: admission, Pod Security, schemas."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from testbed.kubernetes import Cluster, KubectlError
from testbed.paths import REPOSITORY

CHART = REPOSITORY / "helm" / "cloudimage-operator"

pytestmark = pytest.mark.cluster

EVERYTHING: dict[str, Any] = {
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
