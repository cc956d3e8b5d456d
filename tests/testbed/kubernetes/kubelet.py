"""The kubelet, and the controllers that give it pods: how they are started."""

from pathlib import Path
from typing import Any

import yaml

from testbed.kubernetes.network import GATEWAY

NODE = "localhost"
"""Its name, by which the API server also finds it."""


def write_config(folder: Path, socket: Path, pki: Path, port: int) -> Path:
    """Write the kubelet's configuration for a machine that is shared with others."""
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": "127.0.0.1",
        "port": port,
        "healthzPort": 0,
        "readOnlyPort": 0,
        # Only who has a certificate of the bed may run something in its pods.
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": str(pki / "ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "containerRuntimeEndpoint": f"unix://{socket}",
        "cgroupDriver": "cgroupfs",
        "failCgroupV1": False,
        "failSwapOn": False,
        # Rules of iptables that it would leave here when it ends.
        "makeIPTablesUtilChains": False,
        "enforceNodeAllocatable": [],
        "podLogsDir": str(folder / "logs"),
        "volumePluginDir": str(folder / "volume-plugins"),
        # A developer's full disk is no reason to evict.
        "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%"},
        "imageGCHighThresholdPercent": 100,
        "syncFrequency": "10s",
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def kubelet_command(program: Path, folder: Path, config: Path, admin: Path) -> list[str | Path]:
    """Return the kubelet's command line."""
    return [
        program,
        f"--config={config}",
        f"--kubeconfig={admin}",
        f"--root-dir={folder / 'root'}",
        f"--cert-dir={folder / 'pki'}",
        f"--hostname-override={NODE}",
        f"--node-ip={GATEWAY}",
        "--oom-score-adj=0",
        "--v=1",
    ]


def controllers_command(program: Path, pki: Path, kubeconfig: Path) -> list[str | Path]:
    """Return kube-controller-manager's command line."""
    return [
        *_control_loop(program, kubeconfig),
        "--use-service-account-credentials=true",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
    ]


def scheduler_command(program: Path, kubeconfig: Path) -> list[str | Path]:
    """Return kube-scheduler's command line."""
    return _control_loop(program, kubeconfig)


def _control_loop(program: Path, kubeconfig: Path) -> list[str | Path]:
    """Return the arguments of both: only one of each runs, and nobody connects to it."""
    return [
        program,
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        "--secure-port=0",
        "--leader-elect=false",
    ]
