"""A cluster of kind: where Docker is, and with Kubernetes as kind releases it.

Nodes are containers of Docker's network ``kind``. Pods reach the test bed's servers by that
network's gateway, this machine, as they do in our own whole cluster.
"""

import ipaddress
import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed.container_image import OPERATOR, build_arguments
from testbed.kubernetes import binaries
from testbed.kubernetes.external import ExternalCluster
from testbed.kubernetes.network import open_loopback
from testbed.paths import REPOSITORY, state_dir

NAME = "cloudimage"
UP_SECONDS = 600


@dataclass(frozen=True)
class Kind(ExternalCluster):
    """A cluster that kind makes and takes away."""

    @classmethod
    def new(cls) -> "Kind":
        """Return the one of this bed; `up` makes it."""
        folder = state_dir() / "kind"
        return cls(folder / "kubeconfig", folder)

    @property
    def host(self) -> str:
        """The address by which pods reach this machine."""
        for config in self._network()["IPAM"]["Config"]:
            gateway: str = config.get("Gateway", "")
            if gateway and ipaddress.ip_address(gateway).version == 4:
                return gateway
        raise LookupError("Docker's network kind has no IPv4 gateway")

    def install(self) -> None:
        """Make kind and the clients."""
        binaries.ensure("kind", "kubectl", "helm")

    def up(self) -> None:
        """Make the cluster unless it is there; build the operator's image and load it."""
        self.install()
        self.folder.mkdir(parents=True, exist_ok=True)
        kind, of_it = binaries.find("kind"), ("--name", NAME)
        if NAME not in _run([kind, "get", "clusters"]).split():
            create = ("create", "cluster", *of_it, "--wait", "180s")
            _run([kind, *create, "--kubeconfig", self.admin])
        build = ["docker", "build", "--quiet", *build_arguments(), "--tag", OPERATOR]
        _run([*build, str(REPOSITORY)])
        _run([kind, "load", "docker-image", OPERATOR, *of_it])
        open_loopback(f"br-{self._network()['Id'][:12]}", self.host)

    def down(self) -> None:
        """Delete the cluster."""
        _run([binaries.find("kind"), "delete", "cluster", "--name", NAME])
        shutil.rmtree(self.folder, ignore_errors=True)  # it may never have been up

    def _network(self) -> dict[str, Any]:
        [network] = json.loads(_run(["docker", "network", "inspect", "kind"]))
        return dict(network)


def _run(words: Sequence[str | Path]) -> str:
    command = list(map(str, words))
    done = subprocess.run(command, capture_output=True, text=True, timeout=UP_SECONDS, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)}:\n{done.stderr}")
    return done.stdout
