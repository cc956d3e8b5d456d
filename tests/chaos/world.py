"""The servers and operators of a kill campaign: their own, since it stops and freezes them."""

import contextlib
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import psutil

from support.namespaces import Namespace
from support.shares import Shares
from testbed.kubernetes import KubectlError, Kubernetes
from testbed.kubernetes.node import Node
from testbed.openstack import OpenStack
from testbed.operator import RELEASE, Operator, install_crds
from testbed.process import Service
from testbed.sources import Sources

Runner = Literal["child", "job"]
LEASE_SECONDS = 6
_TRIES = 60
RESYNC_SECONDS = 15
SERVICES = ("keystone", "glance", "nova", "kube-apiserver")
FROZEN = (*SERVICES, "sources")


@dataclass
class World:
    """What a campaign acts on."""

    clouds: OpenStack
    cluster: Kubernetes
    sources: Sources
    operators: list[Operator]
    runner: Runner
    node: Node | None
    folder: Path
    namespace: Namespace = field(init=False)
    shares: Shares = field(init=False)

    def __post_init__(self) -> None:
        self.namespace = Namespace.of(self.operators[0])
        self.shares = Shares(self.namespace)

    def start(self) -> None:
        """Start the operators that do not run."""
        environment = {"CLOUDIMAGE_RESYNC_SECONDS": str(RESYNC_SECONDS)}
        if len(self.operators) > 1:
            environment["CLOUDIMAGE_LEASE"] = f"{self.namespace.name}/{RELEASE}"
            environment["CLOUDIMAGE_LEASE_SECONDS"] = str(LEASE_SECONDS)
        if self.runner == "job":
            environment |= {"CLOUDIMAGE_RUNNER": "job", "CLOUDIMAGE_JOB_IMAGE": "operator:test"}
        for operator in self.operators:
            for _ in range(_TRIES):
                # The API server may need a moment after an outage.
                with contextlib.suppress(KubectlError):
                    operator.start(**environment)
                    break
                time.sleep(1)

    def processes(self, kind: str) -> list[psutil.Process]:
        """Return the processes of a kind: operator, server, transfer, tool, or all."""
        operators = [found for each in self.operators if (found := each.service.process())]
        servers = [child for each in operators for child in _children(each)]
        transfers = [child for each in servers for child in _children(each)]
        if self.node is not None:
            containers = [found for found in _children(psutil.Process()) if _is_job(found)]
            transfers += containers
        tools = [child for each in transfers for child in _children(each, recursive=True)]
        return {
            "operator": operators,
            "server": servers,
            "transfer": transfers,
            "tool": tools,
            "all": [*operators, *servers, *transfers, *tools],
        }[kind]

    @contextmanager
    def outage(self, name: str) -> Iterator[None]:
        """Stop a service for the block."""
        if name == "kube-apiserver":
            self.cluster.stop_service("kube-apiserver")
        else:
            self.clouds.stop_service(name)
        try:
            yield
        finally:
            if name == "kube-apiserver":
                self.cluster.start_service("kube-apiserver")
            else:
                self.clouds.start_service(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Have a service not answer for the block; afterwards it answers what it was asked."""
        folder = {"kube-apiserver": self.cluster.folder, "sources": self.sources.state}
        service = Service(name, folder.get(name, self.clouds.folder))
        process = service.process()
        family = [process, *_children(process, recursive=True)] if process else []
        for each in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.suspend()
        try:
            yield
        finally:
            for each in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.resume()

    def leftovers(self) -> list[str]:
        """Return what is in the scratch of the operators besides what transfers share."""
        return [name for operator in self.operators for name in operator.leftovers()]


def kill(processes: list[psutil.Process], chance: random.Random) -> None:
    """SIGKILL processes, in any order."""
    for process in chance.sample(processes, len(processes)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            process.wait(10)


@contextmanager
def world(runner: Runner, replicas: int) -> Iterator[World]:
    """Start everything, and take it away in the end."""
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.chmod(0o755)  # PostgreSQL's user must be able to enter it
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        clouds, cluster = OpenStack(folder / "openstack"), Kubernetes(folder / "kubernetes")
        sources = Sources(folder / "sources")
        for part in (clouds, cluster, sources):
            stack.callback(part.down)
            part.up()
        install_crds(cluster)
        name = cluster.new_namespace("chaos")
        values = {"replicas": replicas, "transfer": {"runner": runner}}
        operators = [
            Operator(cluster, name, folder / f"operator-{number}", values)
            for number in range(replicas)
        ]
        operators[0].install()
        node = None
        if runner == "job":
            node = Node(cluster, name, folder / "node")
            node.start()
            stack.callback(node.stop)
        made = World(clouds, cluster, sources, operators, runner, node, folder)
        stack.callback(lambda: [operator.stop() for operator in operators])
        made.start()
        made.namespace.put_secret(clouds)
        yield made


def _children(process: psutil.Process, *, recursive: bool = False) -> list[psutil.Process]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.children(recursive=recursive)
    return []


def _is_job(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return "transfer-job" in process.cmdline()
    return False
