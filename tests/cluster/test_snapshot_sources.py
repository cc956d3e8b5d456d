"""Snapshots of servers as sources, with the whole operator."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from cloudimage.failpoints import Point
from cloudimage.transfer.source.snapshot.labels import PREFIX
from support.namespaces import Namespace, condition_of, content_of, images_of, wait_until
from support.openstack_actions import boot, make_image
from testbed.images import disk, sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator

pytestmark = [pytest.mark.cluster, pytest.mark.cloud, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk(tmp_path_factory.mktemp("images") / "small.raw", "raw")


@pytest.fixture
def images(openstack: OpenStack) -> Connection:
    return openstack.connect("images")


@pytest.fixture
def server(images: Connection, raw: Path, unique: str) -> Iterator[str]:
    """A server of the test's name, which is returned."""
    image = make_image(images, raw.read_bytes(), visibility="private")
    made = boot(images, image.id)
    images.compute.update_server(made, name=unique)
    yield unique
    images.compute.delete_server(made)
    images.image.delete_image(image)


def create(namespace: Namespace, name: str, server: str, **image: Any) -> None:
    source = {"server": {"name": server, "trigger": "first"}}
    namespace.create(name, "", source=source, image=image, revisionHistoryLimit=1)


def snapshots_of(images: Connection, uid: str) -> list[str]:
    """Return the images that were made for a CloudImage's transfers alone."""
    return [each["id"] for each in images_of(images, uid) if each["name"].startswith(PREFIX)]


def ready_with_another(namespace: Namespace, name: str, before: str | None) -> CloudImage:
    def holds(each: CloudImage) -> bool:
        ready = condition_of(each, "Ready") or ("", "")
        return each.status.image_id not in {None, before} and ready[:2] == ("True", "Available")

    return namespace.wait(name, holds)


def test_another_trigger_is_another_snapshot_and_nothing_else_is(
    watchful_namespace: Namespace, images: Connection, server: str, raw: Path, unique: str
) -> None:
    namespace = watchful_namespace
    create(namespace, unique, server, properties={"os_distro": "debian"}, visibility="shared")
    first = namespace.wait_condition(unique, "Ready")
    assert (condition_of(first, "Uploaded") or ("",))[:2] == ("True", "SnapshotTaken")
    assert (condition_of(first, "Verified") or ("",))[:2] == ("True", "SnapshotTaken")
    assert first.status.method == "Snapshot"
    assert first.status.revisions[0].source == f'server "{server}"'
    [image] = images_of(images, first.metadata.uid)
    assert (image["id"], image["visibility"]) == (first.status.image_id, "shared")
    assert content_of(images, image["id"]) == sha256_of(raw)

    # Neither a resync nor another way of taking it is a reason for another.
    how = {"quiesce": "IfPossible", "stopFirst": True}
    namespace.patch(unique, {"spec": {"source": {"server": how}}})
    before = first.status.last_sync_time
    later = namespace.wait(unique, lambda each: each.status.last_sync_time != before)
    later = namespace.wait_condition(unique, "Synced")
    assert (later.status.transfers_started, later.status.image_id) == (1, image["id"])
    assert (condition_of(later, "Uploaded") or ("",))[:2] == ("True", "SnapshotTaken")

    namespace.patch(unique, {"spec": {"source": {"server": {"trigger": "second"}}}})
    second = ready_with_another(namespace, unique, first.status.image_id)
    assert second.status.transfers_started == 2
    assert {each["id"] for each in images_of(images, first.metadata.uid)} == {
        first.status.image_id,
        second.status.image_id,
    }

    # What is lost is not made up for by a snapshot of another moment.
    images.image.delete_image(str(second.status.image_id))
    stalled = namespace.wait_condition(unique, "Stalled", reason="SourceChanged")
    assert "trigger" in (condition_of(stalled, "Stalled") or ("", "", ""))[2]
    assert snapshots_of(images, first.metadata.uid) == []
    namespace.delete(unique)
    namespace.wait_gone(unique)
    assert images_of(images, first.metadata.uid) == []


@pytest.fixture
def halting(
    cluster: Cluster, openstack: OpenStack, crds: Cluster, tmp_path: Path
) -> Iterator[Namespace]:
    """A namespace whose operator is not started yet."""
    operator = Operator(cluster, cluster.new_namespace("cloudimage"), tmp_path / "operator")
    operator.install()
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    yield namespace
    operator.stop()


def halted(namespace: Namespace) -> list[psutil.Process]:
    found = []
    for each in namespace.operator.transfers():
        with suppress(psutil.NoSuchProcess):
            if each.status() == psutil.STATUS_STOPPED:
                found.append(each)
    return found


@pytest.mark.slow
def test_what_a_kill_leaves_goes_with_the_object_or_with_the_next_spec(
    halting: Namespace, images: Connection, server: str, raw: Path, unique: str
) -> None:
    namespace, names = halting, [f"{unique}-deleted", f"{unique}-changed"]
    halts = " ".join(f"{Point.SNAPSHOT}:{name}" for name in names)
    namespace.operator.start(CLOUDIMAGE_HALT_AT=halts, CLOUDIMAGE_MAX_CONCURRENT_TRANSFERS="8")
    uids: list[str] = []
    for name in names:
        create(namespace, name, server, diskFormat="qcow2")
        # Nova makes one snapshot of a server at a time.
        assert wait_until(lambda: len(halted(namespace)) == len(uids) + 1, 240)
        resource = namespace.get(name)
        assert resource is not None
        uids.append(resource.metadata.uid)
    transfers = halted(namespace)
    namespace.operator.kill()
    for each in transfers:
        each.kill()
    assert [len(snapshots_of(images, uid)) for uid in uids] == [1, 1]

    namespace.delete(names[0])
    namespace.patch(names[1], {"spec": {"source": {"server": {"trigger": "second"}}}})
    namespace.operator.start()
    namespace.wait_gone(names[0])
    ready = namespace.wait_condition(names[1], "Ready")
    assert [snapshots_of(images, uid) for uid in uids] == [[], []]
    [image] = images_of(images, ready.metadata.uid)
    assert (image["id"], image["disk_format"]) == (ready.status.image_id, "qcow2")
    assert wait_until(lambda: namespace.operator.leftovers() == [], 10)
    namespace.delete(names[1])
    namespace.wait_gone(names[1])
