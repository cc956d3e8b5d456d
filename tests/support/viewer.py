"""A user of the cluster who may look at our objects and change nothing."""

from pathlib import Path
from typing import Any

import yaml

from cloudimage.api.names import GROUP
from support.namespaces import Namespace


def viewer(namespace: Namespace, folder: Path) -> Path:
    """Return the kubeconfig of a user who may read all and change nothing."""
    core, name = namespace.core, "viewer"
    objects = {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": {"name": name},
                "rules": [
                    {"apiGroups": [GROUP], "resources": ["*"], "verbs": ["get", "list", "watch"]}
                ],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": name},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "Role",
                    "name": name,
                },
                "subjects": [{"kind": "ServiceAccount", "name": name}],
            },
        ],
    }
    namespace.cluster.run_kubectl(
        "apply", "-n", namespace.name, "-f", "-", stdin=yaml.dump(objects)
    )
    body: Any = {"spec": {"expirationSeconds": 600}}
    made: Any = core.create_namespaced_service_account_token(name, namespace.name, body)
    config = yaml.safe_load(namespace.cluster.kubeconfig.read_text())
    for user in config["users"]:
        user["user"] = {"token": made.status.token}
    path = folder / "viewer"
    path.write_text(yaml.safe_dump(config))
    return path
