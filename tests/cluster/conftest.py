"""The whole operator on a real API server and a real cloud; one for each worker of pytest."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.namespaces import Namespace
from support.plans import PROBE, Planner
from support.shares import Make, Shares
from testbed.images import disk
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator, install_crds
from testbed.sources import Sources


def _operator(cluster: Cluster, folder: Path, **environment: str) -> Operator:
    operator = Operator(cluster, cluster.new_namespace("cloudimage"), folder)
    operator.install()
    operator.start(**environment)
    return operator


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> Cluster:
    """The cluster, once it serves our kinds."""
    install_crds(cluster)
    return cluster


@pytest.fixture(scope="session")
def namespace(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Namespace]:
    """A namespace with a running operator and the credentials of every cloud user."""
    operator = _operator(cluster, tmp_path_factory.mktemp("operator"))
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    operator.stop()


@pytest.fixture(scope="module")
def watchful_namespace(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Namespace]:
    """Like ``namespace``, with an operator that compares with Glance every five seconds or so."""
    folder = tmp_path_factory.mktemp("operator")
    operator = _operator(cluster, folder, CLOUDIMAGE_RESYNC_SECONDS="5")
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    operator.stop()


@pytest.fixture
def own_namespace(
    cluster: Cluster, openstack: OpenStack, crds: Cluster, tmp_path: Path
) -> Iterator[Namespace]:
    """Like ``namespace``, for a test that stops or kills its operator."""
    operator = _operator(cluster, tmp_path)
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    operator.stop()


@pytest.fixture(scope="session")
def raw_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A raw disk of 64 MiB with 24 MiB of data."""
    path = tmp_path_factory.mktemp("images") / "disk.raw"
    return disk(path, "raw", virtual_size=64 << 20, data_bytes=24 << 20)


@pytest.fixture(scope="session")
def qcow2_disk(raw_disk: Path) -> Path:
    """The same disk as qcow2."""
    path = raw_disk.with_suffix(".qcow2")
    return disk(path, "qcow2", virtual_size=64 << 20, data_bytes=24 << 20)


@pytest.fixture
def shares(namespace: Namespace) -> Shares:
    """The ImageShares of ``namespace``."""
    return Shares(namespace)


@pytest.fixture
def make(namespace: Namespace, sources: Sources, raw_disk: Path) -> Make:
    """Have a CloudImage made, and return the id of its image."""

    def made(name: str, **spec: Any) -> str:
        namespace.create(name, sources.put(f"{name}.raw", raw_disk), **spec)
        return namespace.wait_condition(name, "Ready").status.image_id or ""

    return made


@pytest.fixture
def plan(namespace: Namespace, tmp_path: Path) -> Planner:
    """The command."""
    return Planner(namespace, tmp_path)


@pytest.fixture
def no_probe_left(openstack: OpenStack) -> Callable[[], bool]:
    """Return whether no record of a plan is left in Glance."""

    def looked() -> bool:
        params = {"name": PROBE, "os_hidden": "true"}
        left = openstack.connect("admin").image.get("/images", params=params).json()["images"]
        return not left

    return looked
