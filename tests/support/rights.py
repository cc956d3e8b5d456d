"""What a ServiceAccount may do: as the API server lists it, and as a role grants it."""

import json
import os
from pathlib import Path
from typing import NamedTuple

from testbed.kubernetes import Cluster
from testbed.paths import REPOSITORY

SNAPSHOTS = REPOSITORY / "tests" / "cluster" / "snapshots"


class Right(NamedTuple):
    """One verb on one kind of resource, as RBAC knows it.

    Attributes:
        resource: With its subresource, for instance ``pods/log``.
    """

    verb: str
    group: str
    resource: str


def assert_rights(cluster: Cluster, user: Path, namespace: str, snapshot: str) -> None:
    """Check that a user may do in a namespace exactly what a file of ``snapshots`` says.

    The file is what ``kubectl auth can-i --list`` prints, including what every user may do.
    ``UPDATE_SNAPSHOTS=1`` writes it.
    """
    printed = cluster.run_kubectl("auth", "can-i", "--list", "-n", namespace, kubeconfig=user)
    text = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
    path = SNAPSHOTS / f"rights-{snapshot}.txt"
    if "UPDATE_SNAPSHOTS" in os.environ:
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} says otherwise"


def granted(cluster: Cluster, kind: str, name: str, namespace: str) -> set[Right]:
    """Return all that a Role or ClusterRole grants."""
    role = json.loads(cluster.run_kubectl("get", kind, name, "-n", namespace, "-o", "json"))
    return {
        Right(verb, group, resource)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
