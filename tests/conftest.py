"""Fixtures of the real servers that all tests share, across pytest-xdist's workers too."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
from hypothesis import settings

from support.transfer_images import DISK_SIZE, raw_disk
from support.transfer_keys import Signer
from testbed.buckets import Buckets
from testbed.commands import missing_rights
from testbed.kubernetes import Cluster, Kubernetes
from testbed.kubernetes.kind import Kind
from testbed.openstack import OpenStack
from testbed.paths import forget_state
from testbed.registry import Registry
from testbed.sources import Sources

# How long an example takes is the machine's affair.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

_STARTED_BY_US = pytest.StashKey[list["_Part"]]()


class _Part(Protocol):
    def down(self) -> None: ...

    def status(self) -> object: ...


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of the cluster."""
    parser.addoption(
        "--cluster",
        default="testbed",
        choices=("testbed", "kubeconfig", "kind"),
        help="testbed: our own kube-apiserver and etcd, with a node where pods are to run; "
        "kind: one that kind makes, where Docker is; "
        "kubeconfig: the cluster of KUBECONFIG (or ~/.kube/config)",
    )


@pytest.hookimpl(tryfirst=True)  # before -m chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave all but the first variant of what needs the cloud to ``make test-all``."""
    first = set()
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("cloud"):
            function = (item.path, item.originalname)
            if hasattr(item, "callspec") and function in first:
                item.add_marker(pytest.mark.slow)
            first.add(function)


def _runs(part: OpenStack | Kubernetes | Sources | Buckets) -> bool:
    return any(row[1] is not None for row in part.status())


def pytest_configure(config: pytest.Config) -> None:
    """Note what does not run yet, so that the end leaves things as the start found them."""
    # Where a test hides the home folder from kubectl, it would keep its cache in this one.
    os.environ["KUBECACHEDIR"] = str(Path(tempfile.gettempdir()) / "cloudimage-kubectl")
    if "PYTEST_XDIST_WORKER" not in os.environ:
        parts: list[OpenStack | Kubernetes | Sources | Buckets] = [
            *(OpenStack(), OpenStack.booting()),
            *(Kubernetes(), Sources(), Buckets()),
        ]
        ours: list[_Part] = [part for part in parts if not _runs(part)]
        if config.getoption("--cluster") == "kind" and not Kind.new().kubeconfig.exists():
            ours.append(Kind.new())
        config.stash[_STARTED_BY_US] = ours


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop what the tests started; what ran before them goes on."""
    if "KEEP" not in os.environ:
        for part in config.stash.get(_STARTED_BY_US, []):
            part.down()
        forget_state()


@pytest.fixture(scope="session")
def openstack() -> OpenStack:
    """The test bed's OpenStack, running."""
    bed = OpenStack()
    bed.up()
    return bed


@pytest.fixture(scope="session")
def boot_bed() -> OpenStack:
    """The OpenStack whose servers really boot, running, with Cinder."""
    if lacking := missing_rights():
        pytest.skip(f"servers that boot need {lacking}")
    bed = OpenStack.booting()
    bed.up()
    bed.start_cinder()
    return bed


@pytest.fixture(scope="session")
def sources() -> Sources:
    """The test bed's source server, running."""
    bed = Sources()
    bed.up()
    return bed


@pytest.fixture(scope="session")
def buckets() -> Buckets:
    """The test bed's S3 server, running."""
    bed = Buckets()
    bed.up()
    return bed


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """The cluster of ``--cluster``, running."""
    if request.config.getoption("--cluster") == "kind":
        kind = Kind.new()
        kind.up()
        return kind
    if request.config.getoption("--cluster") == "kubeconfig":
        default = Path.home() / ".kube" / "config"
        return Kubernetes.from_kubeconfig(Path(os.environ.get("KUBECONFIG", default)))
    bed = Kubernetes()
    bed.install()
    bed.up()
    return bed


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that wants a password."""
    with Registry.with_password(tmp_path_factory.mktemp("oci") / "registry") as registry:
        yield registry


@pytest.fixture
def unique() -> str:
    """A name that no other test has, valid in Kubernetes and OpenStack."""
    return f"t-{uuid.uuid4().hex[:12]}"


@pytest.fixture(scope="session")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A partitioned raw disk, for reading only."""
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    raw_disk(path, DISK_SIZE)
    return path


@pytest.fixture(scope="session")
def signer() -> Iterator[Signer]:
    """One whose key is good; who spoils a key makes one of his own."""
    folder = Path(tempfile.mkdtemp(prefix="g-"))
    signer = Signer.made(folder / "good")
    yield signer
    signer.stop()
    shutil.rmtree(folder)
