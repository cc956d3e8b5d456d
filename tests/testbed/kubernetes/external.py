"""A cluster that somebody else runs, kind's or any other, given by its kubeconfig."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from testbed.kubernetes import binaries
from testbed.kubernetes.cluster import Cluster, ServerName, StatusRow
from testbed.kubernetes.errors import UnsupportedError
from testbed.paths import state_dir


def _default_folder() -> Path:
    return state_dir() / "external-cluster"


@dataclass(frozen=True)
class ExternalCluster(Cluster):
    """Somebody else's cluster: tests use it and never start or stop it.

    Attributes:
        admin: The kubeconfig given by the user; its current context must be an administrator's.
        folder: Where kubeconfigs made for tests go.
    """

    admin: Path
    folder: Path = field(default_factory=_default_folder)

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig given by the user."""
        return self.admin

    @property
    def kubectl(self) -> Path:
        """Ours, when it was built; else the user's."""
        return binaries.find_client("kubectl")

    @property
    def helm(self) -> Path:
        """Ours, when it was built; else the user's."""
        return binaries.find_client("helm")

    def install(self) -> None:
        """Nothing: the servers are somebody else's."""

    def up(self) -> None:
        """Nothing: it is up or it is not."""

    def down(self) -> None:
        """Forget what was made for tests; the cluster is not ours to take away."""
        shutil.rmtree(self.folder, ignore_errors=True)  # it may never have been up

    def status(self) -> list[StatusRow]:
        """Say where the cluster is, without a process of ours."""
        config = yaml.safe_load(self.admin.read_text())
        return [("cluster", None, entry["cluster"]["server"]) for entry in config["clusters"]]

    def stop_service(self, name: ServerName) -> None:
        """Refuse."""
        raise UnsupportedError(f"{name} of somebody else's cluster cannot be stopped")

    def start_service(self, name: ServerName) -> None:
        """Refuse."""
        raise UnsupportedError(f"{name} of somebody else's cluster cannot be started")
