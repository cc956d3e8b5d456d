"""What tests do with a cluster, whoever runs it: kubectl, namespaces, ServiceAccount tokens."""

import abc
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Literal

import yaml

from testbed.kubernetes.certificates import write_private
from testbed.kubernetes.errors import KubectlError

ServerName = Literal["etcd", "kube-apiserver"]
# A row of `status()`: the service, its process id or None when it is down, its URL.
StatusRow = tuple[str, int | None, str]

COMMAND_SECONDS = 120
# Longer than any test run, so that no token ends in the middle of one.
TOKEN_LIFETIME = "24h"


class Cluster(abc.ABC):
    """A cluster with an administrator's kubeconfig.

    Attributes:
        folder: Where the cluster's files and those made for tests go.
    """

    folder: Path

    @property
    @abc.abstractmethod
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""

    @property
    @abc.abstractmethod
    def kubectl(self) -> Path:
        """The kubectl to use with this cluster."""

    @property
    @abc.abstractmethod
    def helm(self) -> Path:
        """The helm to use with this cluster."""

    @abc.abstractmethod
    def install(self) -> None:
        """Get the programs ready."""

    @abc.abstractmethod
    def up(self) -> None:
        """Make the cluster answer; nothing happens when it does already."""

    @abc.abstractmethod
    def down(self) -> None:
        """Take the cluster away without a trace."""

    @abc.abstractmethod
    def status(self) -> list[StatusRow]:
        """Say what runs where."""

    @abc.abstractmethod
    def stop_service(self, name: ServerName) -> None:
        """Stop one server, as an outage does; its data and its port stay."""

    @abc.abstractmethod
    def start_service(self, name: ServerName) -> None:
        """Start one server again where it was, and wait until it answers."""

    def run_kubectl(
        self, *args: str, stdin: str | None = None, kubeconfig: Path | None = None
    ) -> str:
        """Run kubectl and return what it printed.

        Args:
            args: Its arguments.
            stdin: What ``-f -`` reads.
            kubeconfig: Whom to be; the administrator when left out.

        Raises:
            KubectlError: It refused.
        """
        command = [str(self.kubectl), "--kubeconfig", str(kubeconfig or self.kubeconfig), *args]
        # Neither the developer's preferences nor a cache in their home folder.
        env = {**os.environ, "KUBERC": "off", "KUBECACHEDIR": str(self.folder / "cache")}
        done = subprocess.run(
            command,
            input=stdin,
            env=env,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}", done.stderr)
        return done.stdout

    def new_namespace(self, prefix: str) -> str:
        """Create a namespace of a new name, so that tests need not clean up or share."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"generateName": f"{prefix}-"},
        }
        created = self.run_kubectl("create", "-f", "-", "-o", "name", stdin=json.dumps(manifest))
        return created.strip().removeprefix("namespace/")

    def token_kubeconfig(self, namespace: str, service_account: str) -> Path:
        """Return a kubeconfig that acts as the ServiceAccount, as a pod of it would.

        The ServiceAccount must exist: our control plane makes no ``default`` one.
        """
        token = self.run_kubectl(
            "create", "token", service_account, "-n", namespace, f"--duration={TOKEN_LIFETIME}"
        )
        user = {"name": service_account, "user": {"token": token.strip()}}
        path = self.folder / "kubeconfigs" / f"{namespace}.{service_account}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_kubeconfig(path, self._connection(), user, namespace)
        return path

    def _connection(self) -> dict[str, Any]:
        """Return the cluster entry of the administrator's kubeconfig, certificates included."""
        flags = ("--minify", "--raw", "--flatten", "-o", "json")
        view = json.loads(self.run_kubectl("config", "view", *flags))
        connection: dict[str, Any] = view["clusters"][0]
        return connection


def write_kubeconfig(
    path: Path, connection: dict[str, Any], user: dict[str, Any], namespace: str = "default"
) -> None:
    """Write a kubeconfig of one cluster and one user that only its owner can read."""
    context = {"cluster": connection["name"], "user": user["name"], "namespace": namespace}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [connection],
        "users": [user],
        "contexts": [{"name": "testbed", "context": context}],
        "current-context": "testbed",
    }
    write_private(path, yaml.safe_dump(config).encode())
