"""Each server is away for a while in the middle: one right image in the end, and nothing else."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloudimage.api.cloudimage import CloudImage
from support.namespaces import Namespace, condition_of, content_of, images_of, wait_until
from testbed.images import disk, sha256_of
from testbed.kubernetes import Kubernetes
from testbed.openstack import OpenStack
from testbed.operator import Operator, install_crds
from testbed.sources import Sources

# One worker: they share servers of their own, since others would miss those that are stopped.
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.cloud,
    pytest.mark.slow,
    pytest.mark.xdist_group("outages"),
]


@pytest.fixture(scope="module")
def clouds() -> Iterator[OpenStack]:
    """An OpenStack that these tests may stop."""
    parent = Path(tempfile.mkdtemp(prefix="testbed-"))
    # PostgreSQL's user must be able to enter it.
    parent.chmod(0o755)
    bed = OpenStack(parent / "openstack")
    bed.up()
    yield bed
    bed.down()
    shutil.rmtree(parent)


@pytest.fixture(scope="module")
def kubernetes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kubernetes]:
    """A Kubernetes that these tests may stop."""
    bed = Kubernetes(tmp_path_factory.mktemp("outages") / "kubernetes")
    bed.up()
    install_crds(bed)
    yield bed
    bed.down()


@pytest.fixture(scope="module")
def watched(
    kubernetes: Kubernetes, clouds: OpenStack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Namespace]:
    """A namespace with an operator."""
    folder = tmp_path_factory.mktemp("operator")
    operator = Operator(kubernetes, kubernetes.new_namespace("cloudimage"), folder)
    operator.install()
    operator.start()
    namespace = Namespace.of(operator)
    namespace.put_secret(clouds)
    yield namespace
    operator.stop()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 small to fetch, but whose 1 GiB as raw take Glance some seconds."""
    path = tmp_path_factory.mktemp("images") / "large.qcow2"
    return disk(path, "qcow2", virtual_size=1 << 30, data_bytes=8 << 20, seed=8)


@pytest.fixture(scope="module")
def large_raw(large: Path) -> str:
    """The SHA-256 of what must be in Glance."""
    raw = disk(large.with_suffix(".raw"), "raw", virtual_size=1 << 30, data_bytes=8 << 20, seed=8)
    digest = sha256_of(raw)
    raw.unlink()
    return digest


def at_stage(stage: str) -> Callable[[CloudImage], bool]:
    return lambda each: each.status.progress is not None and each.status.progress.stage == stage


def is_troubled(resource: CloudImage) -> bool:
    return any(
        each.reason in {"CloudUnreachable", "UploadFailed", "CloudError"}
        for each in resource.status.conditions
    )


@pytest.mark.parametrize(
    ("service", "stage"), [("keystone", "Fetching"), ("glance", "Uploading"), ("nova", "Fetching")]
)
def test_a_service_that_is_away_in_the_middle_of_a_transfer(
    watched: Namespace,
    clouds: OpenStack,
    sources: Sources,
    large: Path,
    large_raw: str,
    unique: str,
    service: str,
    stage: str,
) -> None:
    sources.put(unique, large)
    url = sources.url(unique, **({"rate": 4 << 20} if stage == "Fetching" else {}))
    watched.create(unique, url, sha256_of(large), image={"diskFormat": "raw"})
    watched.wait(unique, at_stage(stage))
    clouds.stop_service(service)
    try:
        # A transfer does not need Nova; the others are missed, and the status says so.
        felt = at_stage("Complete") if service == "nova" else is_troubled
        watched.wait(unique, felt)
    finally:
        clouds.start_service(service)
    ready = watched.wait_condition(unique, "Ready")
    images = clouds.connect("images")
    [image] = images_of(images, ready.metadata.uid)
    assert (image["id"], image["status"]) == (ready.status.image_id, "active")
    assert content_of(images, image["id"]) == large_raw
    assert wait_until(lambda: watched.operator.leftovers() == [], 10)
    watched.delete(unique)
    watched.wait_gone(unique)
    assert images_of(images, ready.metadata.uid) == []


# Without Keystone it may well end: it is logged in, and the others know its token.
@pytest.mark.parametrize("service", ["glance", "nova"])
def test_a_deletion_outlasts_an_outage_and_says_since_when_once(
    watched: Namespace, clouds: OpenStack, sources: Sources, large: Path, unique: str, service: str
) -> None:
    watched.create(unique, sources.put(unique, large), sha256_of(large))
    ready = watched.wait_condition(unique, "Ready")
    clouds.stop_service(service)
    try:
        watched.delete(unique)
        blocked = watched.wait_condition(unique, "DeletionBlocked", reason="CloudUnreachable")
        message = (condition_of(blocked, "DeletionBlocked") or ("", "", ""))[2]
        since = blocked.status.cloud_unreachable_since
        assert since is not None
        assert f"unreachable since {since:%Y-%m-%d %H:%M} UTC" in message
        assert 'cloudimage.dev/force-delete="true"' in message
        # The deletion is retried after 5 and 10 seconds, and nothing is written.
        version = blocked.metadata.resource_version
        assert not wait_until(lambda: _version(watched, unique) != version, 14)
    finally:
        clouds.start_service(service)
    watched.wait_gone(unique)
    assert images_of(clouds.connect("images"), ready.metadata.uid) == []


def _version(namespace: Namespace, name: str) -> str | None:
    resource = namespace.get(name)
    return resource.metadata.resource_version if resource else None


def test_a_ready_image_outlasts_an_outage_and_its_edit_is_made_up_for(
    watched: Namespace, clouds: OpenStack, sources: Sources, large: Path, unique: str
) -> None:
    watched.create(unique, sources.put(unique, large), sha256_of(large))
    before = watched.wait_condition(unique, "Ready")
    clouds.stop_service("keystone")
    clouds.stop_service("glance")
    try:
        watched.patch(unique, {"spec": {"image": {"tags": ["later"]}}})
        troubled = watched.wait_condition(unique, "Synced", "Unknown", "CloudUnreachable")
        assert (condition_of(troubled, "Ready") or ("",))[0] == "True"
        assert troubled.status.cloud_unreachable_since is not None
    finally:
        clouds.start_service("keystone")
        clouds.start_service("glance")
    after = watched.wait_condition(unique, "Synced")
    assert after.status.cloud_unreachable_since is None
    [image] = images_of(clouds.connect("images"), after.metadata.uid)
    assert (image["id"], image["tags"]) == (before.status.image_id, ["later"])
    watched.delete(unique)
    watched.wait_gone(unique)


def test_the_api_server_away_in_the_middle_of_an_upload(
    watched: Namespace,
    kubernetes: Kubernetes,
    clouds: OpenStack,
    sources: Sources,
    large: Path,
    large_raw: str,
    unique: str,
) -> None:
    watched.create(
        unique, sources.put(unique, large), sha256_of(large), image={"diskFormat": "raw"}
    )
    moving = watched.wait(unique, at_stage("Uploading"))
    images = clouds.connect("images")
    kubernetes.stop_service("kube-apiserver")
    try:
        # The bytes go on: what moves them knows nothing of Kubernetes.
        def is_stored() -> bool:
            return [each["status"] for each in images_of(images, moving.metadata.uid)] == ["active"]

        assert wait_until(is_stored, 60)
    finally:
        kubernetes.start_service("kube-apiserver")
    ready = watched.wait_condition(unique, "Ready")
    [image] = images_of(images, ready.metadata.uid)
    assert image["id"] == ready.status.image_id
    assert content_of(images, image["id"]) == large_raw
    assert wait_until(lambda: watched.operator.leftovers() == [], 10)
    watched.delete(unique)
    watched.wait_gone(unique)
    assert images_of(images, ready.metadata.uid) == []
