"""Our own Kubernetes: a real etcd and a real kube-apiserver, and nothing else.

There is no controller-manager, so nothing deletes a namespace, collects garbage or makes
``default`` ServiceAccounts; and no kubelet, so no pod ever runs. The operator under test runs
as a process beside it.
"""

import base64
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from testbed.kubernetes import binaries, certificates, servers
from testbed.kubernetes.cluster import Cluster, ServerName, StatusRow, write_kubeconfig
from testbed.kubernetes.external import ExternalCluster
from testbed.kubernetes.servers import Ports
from testbed.paths import state_dir
from testbed.process import STOP_SECONDS, Service, bed_lock

# In the order of starting; they stop in the opposite one.
SERVERS: tuple[ServerName, ...] = ("etcd", "kube-apiserver")


def _default_folder() -> Path:
    return state_dir() / "kubernetes"


@dataclass(frozen=True)
class Kubernetes(Cluster):
    """A control plane of our own, shared by every process that names the same folder.

    Attributes:
        folder: All its state; `down` deletes it.
        apiserver_flags: Further ones of kube-apiserver.
    """

    folder: Path = field(default_factory=_default_folder)
    apiserver_flags: tuple[str, ...] = ()

    @staticmethod
    def from_kubeconfig(path: Path) -> Cluster:
        """Return somebody else's cluster with the same interface, to run the same tests on it."""
        return ExternalCluster(path)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it exists once the bed is up."""
        return self.folder / "kubeconfig"

    @property
    def kubectl(self) -> Path:
        """A kubectl of the API server's version."""
        return binaries.find("kubectl")

    @property
    def helm(self) -> Path:
        """The pinned helm."""
        return binaries.find("helm")

    def install(self) -> None:
        """Make the programs, unless they are there."""
        binaries.ensure(*binaries.DEFAULT)

    def up(self) -> None:
        """Start what does not run and wait until the API is ready."""
        self.install()
        with bed_lock(self.folder):
            self._prepare()
            for name in SERVERS:
                self._start(name)

    def down(self) -> None:
        """Stop the servers and delete the folder, whatever state a crash left them in."""
        with bed_lock(self.folder) as lock:
            for name in reversed(SERVERS):
                self._service(name).stop()
            self._kill_strays()
            shutil.rmtree(self.folder, ignore_errors=True)  # it may never have been up
            Path(lock.lock_file).unlink()

    def status(self) -> list[StatusRow]:
        """Say which server runs as which process, and where."""
        ports = Ports.load(self.folder)
        urls = (ports.etcd_url, ports.apiserver_url) if ports else ("", "")
        processes = (self._service(name).process() for name in SERVERS)
        return [
            (name, process.pid if process else None, url)
            for name, process, url in zip(SERVERS, processes, urls, strict=True)
        ]

    def stop_service(self, name: ServerName) -> None:
        """Stop one server; its data and its port stay."""
        with bed_lock(self.folder):
            self._service(name).stop()

    def start_service(self, name: ServerName) -> None:
        """Start one server again on its port and wait until it is ready."""
        with bed_lock(self.folder):
            self._start(name)

    def _prepare(self) -> None:
        """Make certificates, ports and the kubeconfig.

        The ports of a bed of which nothing runs may be somebody else's by now, so it gets others.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        certificates.make(self._pki)
        if not any(self._service(name).process() for name in SERVERS):
            ports = Ports.choose()
            ports.save(self.folder)
            self._write_admin(ports)

    def _write_admin(self, ports: Ports) -> None:
        def encoded(name: str) -> str:
            return base64.b64encode((self._pki / name).read_bytes()).decode()

        connection = {
            "server": ports.apiserver_url,
            "certificate-authority-data": encoded("ca.crt"),
        }
        admin = {
            "client-certificate-data": encoded("admin.crt"),
            "client-key-data": encoded("admin.key"),
        }
        write_kubeconfig(
            self.kubeconfig,
            {"name": "testbed", "cluster": connection},
            {"name": "admin", "user": admin},
        )

    def _start(self, name: ServerName) -> None:
        ports = Ports.load(self.folder)
        if ports is None:
            raise RuntimeError("this bed was never up")
        service = self._service(name)
        program = binaries.find(name)
        if name == "etcd":
            command = servers.etcd_command(program, self.folder, ports)
        else:
            command = servers.apiserver_command(program, self._pki, ports)
            command += self.apiserver_flags
        if service.process() is None:
            service.start(command)
        service.wait(lambda: self._ready(name, ports))

    def _ready(self, name: ServerName, ports: Ports) -> bool:
        if name == "etcd":
            return servers.etcd_ready(ports)
        return servers.apiserver_ready(self._pki, ports)

    def _kill_strays(self) -> None:
        """End servers that no record knows, e.g. because the folder was deleted under them."""
        strays = [
            process
            for process in psutil.process_iter(["name", "cmdline"])
            if process.info["name"] in SERVERS
            and f"={self.folder}/" in " ".join(process.info["cmdline"] or ())
        ]
        for stray in strays:
            stray.kill()
        psutil.wait_procs(strays, timeout=STOP_SECONDS)

    @property
    def _pki(self) -> Path:
        return self.folder / "pki"

    def _service(self, name: ServerName) -> Service:
        return Service(name, self.folder)
