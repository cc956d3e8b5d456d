"""The operator as the chart installs it, but as a process here: its rights are the pod's."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cloudimage.api.kinds import KINDS
from testbed.kubernetes import Cluster
from testbed.paths import REPOSITORY, demo_folder
from testbed.process import Service, answers, free_ports

CHART = REPOSITORY / "helm" / "cloudimage-operator"
RELEASE = "cloudimage-operator"
SERVED_SECONDS = 30.0


def install_crds(cluster: Cluster) -> None:
    """Apply the CRDs and wait until kubectl finds our kinds."""
    crds = str(REPOSITORY / "crds")
    cluster.run_kubectl("apply", "--server-side", "--force-conflicts", "-k", crds)
    wait_until_served(cluster)


def wait_until_served(cluster: Cluster) -> None:
    """Wait: a CRD is Established a moment before the API server's discovery knows of it.

    Raises:
        TimeoutError: It never did.
    """
    deadline = time.monotonic() + SERVED_SECONDS
    names = {kind.crd_name for kind in KINDS}
    while not names <= set(cluster.run_kubectl("api-resources", "-o", "name").split()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the API server does not serve {names}")
        time.sleep(0.2)


@dataclass
class Operator:
    """An operator that manages one namespace, under the chart's ServiceAccount.

    Attributes:
        folder: For its log, its kubeconfig and its scratch.
        values: Of the chart, besides those that tie it to its namespace.
    """

    cluster: Cluster
    namespace: str
    folder: Path
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        """Where its transfers put their files."""
        return self.folder / "scratch"

    def leftovers(self) -> list[str]:
        """Return what is in the scratch besides the sources that transfers share."""
        return [path.name for path in self.scratch.iterdir() if path.name != "cache"]

    @property
    def service(self) -> Service:
        """The process."""
        return Service("operator", self.folder)

    def install(self) -> None:
        """Apply what the chart makes for this namespace, all but the Deployment's pods."""
        rendered = self._helm_template()
        self.cluster.run_kubectl("apply", "-f", "-", stdin=rendered)

    def start(self, **environment: str) -> None:
        """Start it and wait until it is live; what runs already is left alone."""
        if self.service.process() is not None:
            return
        self.scratch.mkdir(parents=True, exist_ok=True)
        [port] = free_ports(1)
        kubeconfig = self.cluster.token_kubeconfig(self.namespace, RELEASE)
        self.service.start(
            [sys.executable, "-m", "cloudimage", "run"],
            {
                "KUBECONFIG": str(kubeconfig),
                "CLOUDIMAGE_NAMESPACES": self.namespace,
                "CLOUDIMAGE_SCRATCH_DIR": str(self.scratch),
                "CLOUDIMAGE_ALLOW_NETWORKS": "127.0.0.0/8",
                "CLOUDIMAGE_PROBE_ADDRESS": f"127.0.0.1:{port}",
                **environment,
            },
        )
        self.service.wait(lambda: answers(f"http://127.0.0.1:{port}/healthz"))

    def transfers(self) -> list[psutil.Process]:
        """Return its transfers that run: the processes that its child, the server, has forked."""
        process = self.service.process()
        with contextlib.suppress(psutil.NoSuchProcess):
            servers = process.children() if process is not None else []
            return [transfer for server in servers for transfer in server.children()]
        return []

    def kill(self) -> None:
        """Kill it with SIGKILL, as a node that is lost does."""
        process = self.service.process()
        if process is not None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait(10)

    def stop(self) -> None:
        """Stop it as Kubernetes does: SIGTERM first."""
        self.service.stop()

    def log(self) -> str:
        """Return what it has logged so far."""
        return self.service.log.read_text() if self.service.log.exists() else ""

    def _helm_template(self) -> str:
        values = {
            "image": {"repository": "cloudimage-operator"},
            "watchNamespaces": [self.namespace],
            "crds": {"install": False},
            "rbac": {"aggregate": False},
            **self.values,
        }
        path = self.folder / "values.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))
        words = ("template", RELEASE, CHART, "-n", self.namespace, "-f", path)
        command = [str(self.cluster.helm), *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def end_demo() -> None:
    """Stop the operator that ``make demo`` left running with KEEP=1."""
    folder = demo_folder()
    Service("operator", folder).stop()
    shutil.rmtree(folder, ignore_errors=True)  # there may have been no demo
