"""A whole cluster of one node: what is applied really runs, in containers of images built here.

It needs root, for it changes the machine: a bridge, iptables' rules, cgroups, mounts. ``down``
takes them away again. There is one on a machine at a time.
"""

import contextlib
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from testbed import container_image, packages
from testbed.commands import missing_rights
from testbed.kubernetes import binaries, kubelet, traces
from testbed.kubernetes.control_plane import Kubernetes
from testbed.kubernetes.errors import KubectlError
from testbed.kubernetes.network import GATEWAY, Bridge
from testbed.kubernetes.runtime import Runtime
from testbed.kubernetes.servers import Ports
from testbed.process import Service, free_ports

PROGRAMS = ("kubelet", "kube-controller-manager", "kube-scheduler")
READY_SECONDS = 120.0


def _folder() -> Path:
    # Short: containerd's sockets are in it.
    return Path(tempfile.gettempdir()) / "cloudimage-whole"


@dataclass(frozen=True)
class WholeKubernetes(Kubernetes):
    """A control plane of our own with controllers, a scheduler, and a node on this machine."""

    folder: Path = field(default_factory=_folder)

    @property
    def host(self) -> str:
        """The address by which pods reach this machine."""
        return GATEWAY

    @staticmethod
    def missing() -> str:
        """Return what this user or this machine lacks for one; empty when nothing."""
        return missing_rights()

    def install(self) -> None:
        """Make what takes minutes the first time, where there can be such a cluster at all."""
        if not self.missing():
            packages.ensure("whole")
            # First: the Go programs wait for one another's lock, and this mostly for downloads.
            container_image.build_all()
            binaries.ensure(*binaries.DEFAULT, *PROGRAMS)

    def up(self) -> None:
        """Start everything, load the operator's image, and wait until the node is Ready."""
        super().up()
        ports = Ports.load(self.folder)
        if ports is None:
            raise RuntimeError("this bed was never up")
        traces.record(self.folder / traces.RECORD)
        archives = container_image.archives(self.folder)
        self._runtime.bridge.up(ports.apiserver)
        self._runtime.up()
        for archive in archives:
            self._runtime.load(archive)
            archive.unlink()
        self._start_programs()
        self._wait_ready()

    def load(self, name: str) -> None:
        """Have the node know another image that was built here."""
        archive = container_image.archive(name, self.folder / "image.tar")
        self._runtime.load(archive)
        archive.unlink()

    @property
    def lock(self) -> FileLock:
        """Who holds it has the machine's one cluster."""
        return FileLock(self.folder.with_suffix(".lock"), is_singleton=True)

    def down(self) -> None:
        """Stop everything, and take every trace away; what another process uses is left alone."""
        if not self.folder.exists():
            return
        with contextlib.suppress(Timeout), self.lock.acquire(timeout=0):
            self._down()

    def _down(self) -> None:
        for name in PROGRAMS:
            Service(name, self.folder).stop()
        self._runtime.kill_all()
        self._runtime.service.stop()
        self._runtime.bridge.down()
        traces.remove(self.folder)
        super().down()
        shutil.rmtree(self.folder, ignore_errors=True)  # the part before has removed most

    def _start_programs(self) -> None:
        pki = self.folder / "pki"
        folder = self.folder / "kubelet"
        folder.mkdir(exist_ok=True)
        config = kubelet.write_config(folder, self._runtime.socket, pki, *free_ports(1))
        program = {name: binaries.find(name) for name in PROGRAMS}
        commands = {
            "kubelet": kubelet.kubelet_command(program["kubelet"], folder, config, self.kubeconfig),
            "kube-controller-manager": kubelet.controllers_command(
                program["kube-controller-manager"], pki, self.kubeconfig
            ),
            "kube-scheduler": kubelet.scheduler_command(program["kube-scheduler"], self.kubeconfig),
        }
        for name, command in commands.items():
            if Service(name, self.folder).process() is None:
                Service(name, self.folder).start(command)

    def _wait_ready(self) -> None:
        """Wait for the node, and for the account that pods have when they name none."""
        ready = ("wait", "--for=condition=Ready", f"node/{kubelet.NODE}", "--timeout=1s")
        service = Service("kubelet", self.folder)
        service.wait(lambda: self._succeeds(*ready), READY_SECONDS)
        service.wait(lambda: self._succeeds("get", "serviceaccount", "default"), READY_SECONDS)

    def _succeeds(self, *words: str) -> bool:
        try:
            self.run_kubectl(*words)
        except KubectlError:
            return False
        return True

    @property
    def _runtime(self) -> Runtime:
        return Runtime(self.folder / "containerd", Bridge())
