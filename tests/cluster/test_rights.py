"""The operator's rights: what the API server lists, and that each of them is used.

The cluster is these tests' own: its API server writes down what ServiceAccounts ask for.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.namespaces import SECRET, Namespace
from support.rights import Right, assert_rights, granted
from support.shares import ACCEPT_WITH, CONSUMER, Shares
from support.transfer_keys import Signer
from testbed.kubernetes import Kubernetes
from testbed.kubernetes.node import Node
from testbed.openstack import OpenStack
from testbed.operator import RELEASE, Operator, install_crds
from testbed.sources import Sources

pytestmark = pytest.mark.cluster

JOB = {"transfer": {"runner": "job"}}
HA = {"replicas": 2}
ELSEWHERE = {"watchNamespaces": ["default"]}
EVERYWHERE: dict[str, Any] = {"watchNamespaces": []}
POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "userGroups": ["system:serviceaccounts"]}],
}
SLOW = 8 << 20
"""Bytes per second: the transfer takes long enough for its Job's log to be read."""


@dataclass(frozen=True)
class Audited:
    """A cluster, and the file of its audit log."""

    cluster: Kubernetes
    log: Path

    def asked(self, namespace: str) -> list[dict[str, Any]]:
        """Return what the operator of a namespace has asked of the API server, and has got."""
        user = f"system:serviceaccount:{namespace}:{RELEASE}"
        events = map(json.loads, self.log.read_text().splitlines())
        return [event for event in events if event["user"]["username"] == user]


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """A cluster that logs each request of a ServiceAccount."""
    folder = tmp_path_factory.mktemp("rights")
    policy, log = folder / "policy.yaml", folder / "audit.log"
    policy.write_text(yaml.safe_dump(POLICY))
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={log}")
    bed = Kubernetes(folder / "kubernetes", flags)
    bed.up()
    install_crds(bed)
    yield Audited(bed, log)
    bed.down()


def installed(bed: Kubernetes, folder: Path, **values: Any) -> Operator:
    """Apply what the chart makes with these values, in a namespace of its own."""
    operator = Operator(bed, bed.new_namespace("rights"), folder, values)
    operator.install()
    return operator


def test_rights_are_the_snapshots(audited: Audited, tmp_path: Path) -> None:
    bed = audited.cluster
    operator = installed(bed, tmp_path)
    user = bed.token_kubeconfig(operator.namespace, RELEASE)
    assert_rights(bed, user, operator.namespace, "namespaced")
    assert_rights(bed, user, bed.new_namespace("other"), "elsewhere")


def test_rights_of_the_runner_job_are_the_snapshot(audited: Audited, tmp_path: Path) -> None:
    operator = installed(audited.cluster, tmp_path, **JOB)
    user = audited.cluster.token_kubeconfig(operator.namespace, RELEASE)
    assert_rights(audited.cluster, user, operator.namespace, "jobs")


def test_rights_on_leases_are_the_snapshot(audited: Audited, tmp_path: Path) -> None:
    operator = installed(audited.cluster, tmp_path, **HA, **ELSEWHERE)
    user = audited.cluster.token_kubeconfig(operator.namespace, RELEASE)
    assert_rights(audited.cluster, user, operator.namespace, "leader-election")


def test_cluster_wide_rights_are_the_same_everywhere(audited: Audited, tmp_path: Path) -> None:
    bed = audited.cluster
    operator = installed(bed, tmp_path, **EVERYWHERE)
    user = bed.token_kubeconfig(operator.namespace, RELEASE)
    for namespace in (operator.namespace, bed.new_namespace("other")):
        assert_rights(bed, user, namespace, "cluster-wide")


@pytest.mark.cloud
@pytest.mark.parametrize(
    ("kind", "values"),
    [("role", JOB | HA), ("clusterrole", EVERYWHERE)],
    ids=["namespaced-jobs-lease", "cluster-wide"],
)
def test_every_right_is_used_and_no_other_is_missed(
    audited: Audited,
    openstack: OpenStack,
    sources: Sources,
    signer: Signer,
    qcow2_disk: Path,
    tmp_path: Path,
    kind: str,
    values: dict[str, Any],
) -> None:
    bed = audited.cluster
    operator = installed(bed, tmp_path, **values)
    node = Node(bed, operator.namespace, tmp_path / "node")
    node.start()
    operator.start(**environment(operator))
    try:
        namespace = Namespace.of(operator)
        namespace.put_secret(openstack)
        live(namespace, sources, signer, qcow2_disk)
    finally:
        operator.stop()
        node.stop()
    asked = audited.asked(operator.namespace)
    refused = [event["requestURI"] for event in asked if event["responseStatus"]["code"] == 403]
    assert refused == []
    used = {used_by(event) for event in asked if "resource" in event.get("objectRef", {})}
    allowed = granted(bed, kind, RELEASE, operator.namespace)
    if "replicas" in values:
        allowed |= granted(bed, "role", f"{RELEASE}-lease", operator.namespace)
    assert used == allowed


def environment(operator: Operator) -> dict[str, str]:
    """Return what the chart would set for these values, besides what every test sets."""
    if operator.values == EVERYWHERE:
        return {"CLOUDIMAGE_NAMESPACES": ""}
    return {
        "CLOUDIMAGE_RUNNER": "job",
        "CLOUDIMAGE_JOB_IMAGE": "operator:test",
        "CLOUDIMAGE_LEASE": f"{operator.namespace}/{RELEASE}",
    }


def live(namespace: Namespace, sources: Sources, signer: Signer, disk: Path) -> None:
    """Lead a CloudImage and an ImageShare through their lives, by Secrets and a ConfigMap."""
    keys: Any = {"metadata": {"name": "keys"}, "data": {"keys.asc": signer.public()}}
    namespace.core.create_namespaced_config_map(namespace.name, keys)
    name = namespace.name
    sources.put(name, disk)
    signature = {
        "url": sources.put(f"{name}.sig", signer.detached(disk.read_bytes())),
        "keyring": {"configMap": {"name": "keys", "key": "keys.asc"}},
    }
    http = {"url": sources.url(name, rate=SLOW), "checksum": {"signature": signature}}
    namespace.create("image", "", source={"http": http})
    namespace.wait_condition("image", "Ready")
    namespace.patch("image", {"spec": {"image": {"tags": ["later"]}}})
    namespace.wait_condition("image", "Synced")
    shares = Shares(namespace)
    shares.create("image", CONSUMER | ACCEPT_WITH)
    shares.wait_condition("image", "Ready", "Shared")
    shares.delete("image")
    shares.wait_gone("image")
    namespace.delete("image")
    namespace.wait_gone("image")
    secret: Any = namespace.core.read_namespaced_secret(SECRET, namespace.name)
    assert not secret.metadata.finalizers


def used_by(event: dict[str, Any]) -> Right:
    """Return the right that the API server looked for before it granted a request."""
    ref = event["objectRef"]
    parts = (ref["resource"], ref.get("subresource"))
    return Right(event["verb"], ref.get("apiGroup", ""), "/".join(filter(None, parts)))
