"""The test bed's Kubernetes: etcd and kube-apiserver of our own, or any cluster by kubeconfig."""

from testbed.kubernetes.cluster import Cluster, ServerName, StatusRow
from testbed.kubernetes.control_plane import Kubernetes
from testbed.kubernetes.errors import BinaryError, KubectlError, UnsupportedError

__all__ = [
    "BinaryError",
    "Cluster",
    "KubectlError",
    "Kubernetes",
    "ServerName",
    "StatusRow",
    "UnsupportedError",
]
