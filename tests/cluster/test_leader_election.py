"""Two operators and a Lease: one acts; whatever becomes of it, the other one goes on."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cloudimage.api.cloudimage import CloudImage
from support.namespaces import Namespace, content_of, images_of, wait_until
from testbed.images import sha256_of
from testbed.kubernetes import Kubernetes
from testbed.openstack import OpenStack
from testbed.operator import RELEASE, Operator, install_crds
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SECONDS = 6
"""Of the Lease: it is renewed within 4 s, and looked at every 0.8 s."""
SLOW = 4 << 20
"""Bytes per second: the 24 MiB of the disk take six seconds."""


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A Kubernetes that these tests may stop."""
    bed = Kubernetes(tmp_path_factory.mktemp("leader") / "kubernetes")
    bed.up()
    install_crds(bed)
    yield bed
    bed.down()


@pytest.fixture
def pair(
    kubernetes: Kubernetes, openstack: OpenStack, tmp_path: Path
) -> Iterator[tuple[Operator, Operator]]:
    """Two operators of one namespace: the first acts, the second stands by."""
    namespace = kubernetes.new_namespace("cloudimage")
    first, second = (
        Operator(kubernetes, namespace, tmp_path / name, {"replicas": 2})
        for name in ("first", "second")
    )
    first.install()
    begin(first)
    assert wait_until(lambda: leads(first), 20)
    begin(second)
    assert wait_until(lambda: "standing by" in second.log(), 20)
    yield first, second
    for operator in (first, second):
        operator.stop()


@pytest.fixture
def namespace(pair: tuple[Operator, Operator], openstack: OpenStack) -> Namespace:
    """The namespace of both."""
    namespace = Namespace.of(pair[0])
    namespace.put_secret(openstack)
    return namespace


@pytest.fixture
def moving(
    pair: tuple[Operator, Operator],
    namespace: Namespace,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> Callable[[], psutil.Process]:
    """Create a CloudImage and return the process of its transfer, in the middle of it."""

    def create() -> psutil.Process:
        sources.put(unique, qcow2_disk)
        url = sources.url(unique, rate=SLOW)
        namespace.create(unique, url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
        namespace.wait(unique, fetching)
        [transfer] = pair[0].transfers()
        assert pair[1].transfers() == []
        return transfer

    return create


def fetching(resource: CloudImage) -> bool:
    """Return whether bytes have been seen to move."""
    progress = resource.status.progress
    return progress is not None and bool(progress.transferred_bytes)


def begin(operator: Operator) -> None:
    """Start an operator as the chart does for two replicas."""
    lease = f"{operator.namespace}/{RELEASE}"
    operator.start(CLOUDIMAGE_LEASE=lease, CLOUDIMAGE_LEASE_SECONDS=str(SECONDS))


def leads(operator: Operator) -> bool:
    return '"leading"' in operator.log()


def assert_one_right_image(
    namespace: Namespace, openstack: OpenStack, name: str, raw_disk: Path
) -> None:
    """Wait until the CloudImage is Ready, and check that Glance holds one image of it."""
    ready = namespace.wait_condition(name, "Ready")
    images = openstack.connect("images")
    [image] = images_of(images, ready.metadata.uid)
    assert (image["id"], image["status"]) == (ready.status.image_id, "active")
    assert content_of(images, image["id"]) == sha256_of(raw_disk)


def test_the_other_one_takes_over_from_one_that_is_killed(
    pair: tuple[Operator, Operator],
    namespace: Namespace,
    openstack: OpenStack,
    moving: Callable[[], psutil.Process],
    raw_disk: Path,
    unique: str,
) -> None:
    first, second = pair
    moving()
    first.kill()
    killed = time.monotonic()
    assert wait_until(lambda: leads(second), 3 * SECONDS)
    # It was renewed up to 0.8 s before.
    assert time.monotonic() - killed > SECONDS - 1.5
    assert_one_right_image(namespace, openstack, unique, raw_disk)
    # Back again it stands by, without what its transfer has left.
    (first.scratch / "run-left").mkdir()
    begin(first)
    assert wait_until(lambda: first.leftovers() == [], 10)
    assert first.log().count('"leading"') == 1


@pytest.mark.slow
def test_one_that_is_told_to_stop_hands_over_at_once(
    pair: tuple[Operator, Operator], namespace: Namespace
) -> None:
    first, second = pair
    path = ("get", "lease", RELEASE, "-n", namespace.name, "-o", "json")

    def spec() -> dict[str, object]:
        found: dict[str, object] = json.loads(namespace.cluster.run_kubectl(*path))["spec"]
        return found

    before = spec()
    first.stop()
    stopped = time.monotonic()
    assert wait_until(lambda: leads(second), SECONDS)
    assert time.monotonic() - stopped < SECONDS / 2
    after = spec()
    assert (before["leaseTransitions"], after["leaseTransitions"]) == (0, 1)
    assert before["holderIdentity"] != after["holderIdentity"]
    # Back again it stands by, and can be stopped while it does so.
    begin(first)
    assert wait_until(lambda: "standing by" in first.log(), 20)
    first.stop()
    assert spec()["holderIdentity"] == after["holderIdentity"]


@pytest.mark.slow
def test_without_the_api_server_the_leader_ends_with_its_transfers(
    pair: tuple[Operator, Operator],
    kubernetes: Kubernetes,
    namespace: Namespace,
    openstack: OpenStack,
    moving: Callable[[], psutil.Process],
    raw_disk: Path,
    unique: str,
) -> None:
    first, second = pair
    transfer = moving()
    leader = first.service.process()
    assert leader is not None
    kubernetes.stop_service("kube-apiserver")
    _, alive = psutil.wait_procs([leader, transfer], timeout=SECONDS)
    assert alive == [], "it acts on although another one may take the Lease"
    assert "the Lease is lost, ending at once: it could not be renewed for 4 s" in first.log()
    kubernetes.start_service("kube-apiserver")
    assert wait_until(lambda: leads(second), 3 * SECONDS)
    assert_one_right_image(namespace, openstack, unique, raw_disk)


@pytest.mark.slow
def test_a_leader_whose_lease_is_anothers_ends(
    pair: tuple[Operator, Operator], namespace: Namespace
) -> None:
    leader = pair[0].service.process()
    assert leader is not None
    patch = ("patch", "lease", RELEASE, "-n", namespace.name, "--type=merge", "-p")
    namespace.cluster.run_kubectl(*patch, '{"spec": {"holderIdentity": "somebody"}}')
    assert psutil.wait_procs([leader], timeout=SECONDS / 2)[1] == []
    assert "another process holds it now" in pair[0].log()
