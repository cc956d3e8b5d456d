"""Gets a cluster ready for CloudImages."""

import time

from cloudimage.api.kinds import KINDS
from testbed.kubernetes import Cluster
from testbed.operator import install_crds

SERVED_SECONDS = 30


def serve_crds(cluster: Cluster) -> Cluster:
    """Apply the CRDs and wait until kubectl finds our kinds."""
    install_crds(cluster)
    wait_until_served(cluster)
    return cluster


def wait_until_served(cluster: Cluster) -> None:
    """Wait: a CRD is Established a moment before the API server's discovery knows of it."""
    deadline = time.monotonic() + SERVED_SECONDS
    names = {kind.crd_name for kind in KINDS}
    while not names <= set(cluster.run_kubectl("api-resources", "-o", "name").split()):
        assert time.monotonic() < deadline, f"the API server does not serve {names}"
        time.sleep(0.2)
