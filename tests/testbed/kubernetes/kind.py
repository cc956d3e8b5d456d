"""A cluster of kind: on the machine's own Docker, else on one of ours while it is needed.

Where Docker reaches its registry, nodes are of kind's own image and the operator's of the public
base; else both are made here. Pods reach the test bed's servers by the gateway of Docker's
network ``kind``, this machine, as they do in our own whole cluster.
"""

import hashlib
import ipaddress
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import container_image, packages
from testbed.commands import CommandError, run
from testbed.container_image import OPERATOR, build_arguments, say
from testbed.kubernetes import binaries, node_image
from testbed.kubernetes.cluster import StatusRow
from testbed.kubernetes.docker import Docker
from testbed.kubernetes.external import ExternalCluster
from testbed.kubernetes.network import close_loopback, open_loopback
from testbed.paths import REPOSITORY, state_dir
from testbed.process import bed_lock

READY = "180s"
CLIENTS = ("kind", "kubectl", "helm")


@dataclass(frozen=True)
class Kind(ExternalCluster):
    """A cluster that kind makes and takes away."""

    @classmethod
    def new(cls) -> "Kind":
        """Return the one of this bed; `up` makes it."""
        folder = state_dir() / "kind"
        return cls(folder / "kubeconfig", folder)

    @property
    def name(self) -> str:
        """What kind calls it: each checkout has its own, on whatever Docker."""
        return f"cloudimage-{hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]}"

    @property
    def docker(self) -> Docker:
        """Where its node is."""
        return Docker(self.folder / "docker")

    @property
    def host(self) -> str:
        """The address by which pods reach this machine."""
        for config in self._network()["IPAM"]["Config"]:
            gateway: str = config.get("Gateway", "")
            if gateway and ipaddress.ip_address(gateway).version == 4:
                return gateway
        raise LookupError("Docker's network kind has no IPv4 gateway")

    def install(self) -> None:
        """Make kind, the clients, and the images that cannot be pulled.

        Raises:
            DockerError: No Docker answers, and this user cannot start one.
        """
        self.docker.install()
        binaries.ensure(*CLIENTS)
        with bed_lock(self.folder), self._engine():
            if not self._pulls():
                packages.ensure("whole")
                container_image.build_all()
                node_image.install()
                node_image.ensure(self.docker)

    def up(self) -> None:
        """Make the cluster unless it is there; build the operator's image and load it."""
        binaries.ensure(*CLIENTS)
        with bed_lock(self.folder):
            self.docker.up()
            self.folder.mkdir(parents=True, exist_ok=True)
            pulls = self._pulls()
            if not self.kubeconfig.exists():
                self._create(pulls=pulls)
            self._load_operator(pulls=pulls)
            open_loopback(self._link(), self.host)
            available = ("--for=condition=Available", "-n", "kube-system", "deployment/coredns")
            self.run_kubectl("wait", *available, "--timeout=100s")

    def down(self) -> None:
        """Delete the cluster, Docker if it is ours, and also what a crash left behind."""
        if not self.folder.exists():
            return
        with bed_lock(self.folder) as lock:
            if self.docker.is_ours:
                self.docker.up()  # killed, it still knows best what it has made
            if self.docker.answers():
                self._delete()
            self.docker.down()
            shutil.rmtree(self.folder, ignore_errors=True)  # it may never have been up
            Path(lock.lock_file).unlink()

    def status(self) -> list[StatusRow]:
        """Say where the cluster is, and which process Docker is where it is ours."""
        process = self.docker.service.process()
        urls = [url for _, _, url in super().status()] if self.kubeconfig.exists() else [""]
        return [("dockerd", process.pid if process else None, url) for url in urls]

    def _create(self, *, pulls: bool) -> None:
        self._kind("delete", "cluster")  # what a run that was killed has left
        made = self.folder / "made"
        create: list[str | Path] = ["create", "cluster", "--wait", READY, "--kubeconfig", made]
        if not pulls:
            image = node_image.ensure(self.docker)
            create += ["--image", image, "--config", node_image.CLUSTER]
        self._kind(*create)
        made.rename(self.kubeconfig)

    def _load_operator(self, *, pulls: bool) -> None:
        if pulls:
            build = ("build", "--quiet", *build_arguments(), "--tag", OPERATOR)
            self.docker.run(*build, REPOSITORY)
            self._kind("load", "docker-image", OPERATOR)
            return
        container_image.build_all()
        archive = container_image.archive(OPERATOR, self.folder / "operator.tar")
        self._kind("load", "image-archive", archive)
        archive.unlink()

    def _delete(self) -> None:
        with suppress(CommandError):  # it may not have come to a network
            close_loopback(self._link())
        self._kind("delete", "cluster", "--kubeconfig", self.kubeconfig)
        if self.docker.is_ours:
            with suppress(CommandError):
                self.docker.run("network", "rm", "kind")

    @contextmanager
    def _engine(self) -> Iterator[None]:
        """Have Docker answer for a while; one that was started for that is stopped at the end."""
        before = self.docker.answers()
        self.docker.up()
        try:
            yield
        finally:
            if not before:
                self.docker.down()
                with suppress(OSError):  # there is a cluster in it
                    self.folder.rmdir()

    def _pulls(self) -> bool:
        """Return whether Docker reaches its registry; do not ask ours, as we know where it runs.

        The image pulled is the base of the operator's image.
        """
        if self.docker.is_ours:
            return False
        [base] = re.findall(
            r"^ARG BASE=(\S+)", (REPOSITORY / "Dockerfile").read_text(), re.MULTILINE
        )
        try:
            self.docker.run("pull", "--quiet", base)
        except CommandError as error:
            say(f"kind: images are made here, since {error}")
            return False
        return True

    def _network(self) -> dict[str, Any]:
        [network] = json.loads(self.docker.run("network", "inspect", "kind"))
        return dict(network)

    def _link(self) -> str:
        return f"br-{self._network()['Id'][:12]}"

    def _kind(self, *words: str | Path) -> str:
        """Run kind for this cluster, and return what it printed."""
        provider = {"KIND_EXPERIMENTAL_PROVIDER": "docker"}
        env = {**self.docker.environment, **provider}
        return run(binaries.find("kind"), *words, "--name", self.name, env=env)
