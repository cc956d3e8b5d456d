"""How etcd and kube-apiserver are started: their ports and their flags."""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import requests

from testbed.process import free_ports

LOOPBACK = "127.0.0.1"
PROBE_SECONDS = 2


@dataclass(frozen=True)
class Ports:
    """The ports of one bed; recorded, so that a restart comes back where clients look for it."""

    etcd: int
    etcd_peer: int
    apiserver: int

    @classmethod
    def choose(cls) -> "Ports":
        """Choose ports that are free now."""
        return cls(*free_ports(3))

    @classmethod
    def load(cls, folder: Path) -> "Ports | None":
        """Return the recorded ports, if any."""
        with contextlib.suppress(FileNotFoundError):
            return cls(**json.loads((folder / "ports.json").read_text()))
        return None

    def save(self, folder: Path) -> None:
        """Record the ports in the bed's folder."""
        (folder / "ports.json").write_text(json.dumps(asdict(self)))

    @property
    def etcd_url(self) -> str:
        """Where kube-apiserver finds etcd."""
        return f"http://{LOOPBACK}:{self.etcd}"

    @property
    def apiserver_url(self) -> str:
        """Where clients find kube-apiserver."""
        return f"https://{LOOPBACK}:{self.apiserver}"


def etcd_command(program: Path, folder: Path, ports: Ports) -> list[str | Path]:
    """Return etcd's command line: one member, on loopback, its data not worth a disk flush."""
    peer = f"http://{LOOPBACK}:{ports.etcd_peer}"
    return [
        program,
        f"--data-dir={folder / 'etcd'}",
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--listen-client-urls={ports.etcd_url}",
        f"--advertise-client-urls={ports.etcd_url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def apiserver_command(program: Path, pki: Path, ports: Ports) -> list[str | Path]:
    """Return kube-apiserver's command line: real RBAC and tokens, default admission."""
    return [
        program,
        f"--etcd-servers={ports.etcd_url}",
        f"--bind-address={LOOPBACK}",
        f"--secure-port={ports.apiserver}",
        # It refuses to advertise loopback. Nobody uses this address: it is reserved for
        # documentation, and no endpoints are kept of it.
        "--advertise-address=192.0.2.2",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/24",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        # For logs, where there is a kubelet that asks who wants them.
        f"--kubelet-client-certificate={pki / 'admin.crt'}",
        f"--kubelet-client-key={pki / 'admin.key'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki / 'service-account.key'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        # Tests come in bursts from one client; fairness between clients would only slow them.
        "--enable-priority-and-fairness=false",
    ]


def etcd_ready(ports: Ports) -> bool:
    """Return whether etcd accepts writes."""
    return _ok(f"{ports.etcd_url}/health", requests.Session())


def apiserver_ready(pki: Path, ports: Ports) -> bool:
    """Return whether kube-apiserver is ready and has made the ``default`` namespace, which lags."""
    admin = requests.Session()
    admin.verify = str(pki / "ca.crt")
    admin.cert = (str(pki / "admin.crt"), str(pki / "admin.key"))
    paths = ("/readyz", "/api/v1/namespaces/default")
    return all(_ok(ports.apiserver_url + path, admin) for path in paths)


def _ok(url: str, session: requests.Session) -> bool:
    session.trust_env = False  # a proxy of the environment is not for loopback
    with session:
        try:
            return session.get(url, timeout=PROBE_SECONDS).ok
        except (requests.ConnectionError, requests.Timeout):
            return False
