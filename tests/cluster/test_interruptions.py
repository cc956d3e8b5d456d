"""Killed, stopped, cut off from the API server: one right image in the end, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from support.namespaces import (
    Namespace,
    condition_of,
    content_of,
    images_of,
    wait_until,
)
from testbed.images import disk, sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


@pytest.fixture(scope="session")
def slow_upload(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 small to fetch, but whose 1 GiB as raw take Glance some seconds."""
    path = tmp_path_factory.mktemp("images") / "slow.qcow2"
    return disk(path, "qcow2", virtual_size=1 << 30, data_bytes=8 << 20, seed=7)


@pytest.fixture(scope="session")
def slow_upload_raw(slow_upload: Path) -> str:
    """The SHA-256 of what must be in Glance."""
    raw = disk(
        slow_upload.with_suffix(".raw"), "raw", virtual_size=1 << 30, data_bytes=8 << 20, seed=7
    )
    digest = sha256_of(raw)
    raw.unlink()
    return digest


def _stage(name: str, namespace: Namespace) -> Callable[[str], object]:
    def wait(stage: str) -> object:
        return namespace.wait(
            name,
            lambda each: each.status.progress is not None and each.status.progress.stage == stage,
        )

    return wait


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["Fetching", "Uploading"])
def test_killed_in_the_middle_it_ends_with_one_right_image(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    slow_upload: Path,
    slow_upload_raw: str,
    unique: str,
    stage: str,
) -> None:
    sources.put(unique, slow_upload)
    rate = {"rate": 2 << 20} if stage == "Fetching" else {}
    url = sources.url(unique, **rate)
    own_namespace.create(unique, url, sha256_of(slow_upload), image={"diskFormat": "raw"})
    _stage(unique, own_namespace)(stage)
    process = own_namespace.operator.service.process()
    assert process is not None
    family = process.children(recursive=True)
    [transfer] = own_namespace.operator.transfers()
    assert transfer in family
    own_namespace.operator.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == [], "the transfer, a tool of it or the server outlived the operator"
    own_namespace.operator.start()
    ready = own_namespace.wait_condition(unique, "Ready")
    images = openstack.connect("images")
    [image] = images_of(images, ready.metadata.uid)
    assert (image["id"], image["status"]) == (ready.status.image_id, "active")
    assert content_of(images, image["id"]) == slow_upload_raw
    assert wait_until(lambda: own_namespace.operator.leftovers() == [], 10)
    own_namespace.delete(unique)
    own_namespace.wait_gone(unique)


def test_stopped_politely_it_takes_the_half_image_away(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    slow_upload: Path,
    unique: str,
) -> None:
    url = sources.put(unique, slow_upload)
    own_namespace.create(unique, url, sha256_of(slow_upload), image={"diskFormat": "raw"})
    _stage(unique, own_namespace)("Uploading")
    resource = own_namespace.get(unique)
    assert resource is not None
    own_namespace.operator.stop()
    assert images_of(openstack.connect("images"), resource.metadata.uid) == []
    assert own_namespace.operator.leftovers() == []


@pytest.mark.slow
def test_a_killed_transfer_is_tried_again(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    slow_upload: Path,
    slow_upload_raw: str,
    unique: str,
) -> None:
    url = sources.put(unique, slow_upload)
    own_namespace.create(unique, url, sha256_of(slow_upload), image={"diskFormat": "raw"})
    _stage(unique, own_namespace)("Uploading")
    [transfer] = own_namespace.operator.transfers()
    transfer.kill()
    own_namespace.wait_condition(unique, "Stalled", reason="InternalError")
    assert own_namespace.operator.leftovers() == []
    ready = own_namespace.wait_condition(unique, "Ready")
    images = openstack.connect("images")
    [image] = images_of(images, ready.metadata.uid)
    assert content_of(images, image["id"]) == slow_upload_raw


@pytest.mark.slow
def test_a_restart_of_the_operator_moves_nothing_and_writes_nothing(
    own_namespace: Namespace, sources: Sources, slow_upload: Path, unique: str
) -> None:
    url = sources.put(unique, slow_upload)
    own_namespace.create(unique, url, sha256_of(slow_upload))
    before = own_namespace.wait_condition(unique, "Ready")
    asked = len(sources.requests(unique))
    own_namespace.operator.kill()
    own_namespace.operator.start()
    # Once a later object is Ready, the first one has also had its turn.
    own_namespace.create(f"{unique}-later", url, sha256_of(slow_upload))
    own_namespace.wait_condition(f"{unique}-later", "Ready")
    after = own_namespace.get(unique)
    assert after is not None
    assert after.metadata.resource_version == before.metadata.resource_version
    # The later one has the same source: it is in the scratch.
    assert len(sources.requests(unique)) == asked
    own_namespace.patch(unique, {"spec": {"image": {"tags": ["after", "restart"]}}})
    own_namespace.wait_condition(unique, "Synced")


def test_a_snapshot_of_a_server_is_nobodys_but_its_owners(
    own_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    unique: str,
) -> None:
    """Nova copies our marks to the snapshot: the image goes, the snapshot must stay."""
    url = sources.put(unique, qcow2_disk)
    own_namespace.create(unique, url, sha256_of(qcow2_disk))
    ready = own_namespace.wait_condition(unique, "Ready")
    images = openstack.connect("images")
    flavor = images.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = images.compute.create_server(
        name=unique, image_id=ready.status.image_id, flavor_id=flavor.id, networks="none"
    )
    images.compute.wait_for_server(server, interval=0.3, wait=60)
    snapshot = images.compute.create_server_image(server, f"{unique}-snapshot", wait=True)
    images.compute.delete_server(server)
    images.compute.wait_for_delete(server, interval=0.3, wait=60)
    marked = {each["id"] for each in images_of(images, ready.metadata.uid)}
    assert marked == {ready.status.image_id, snapshot.id}, "Nova no longer copies properties"
    own_namespace.delete(unique)
    own_namespace.wait_gone(unique)
    assert [each["id"] for each in images_of(images, ready.metadata.uid)] == [snapshot.id]
    images.image.delete_image(snapshot.id)


@pytest.mark.slow
def test_keystone_away_for_a_while_takes_nothing_from_a_ready_image(
    own_namespace: Namespace, sources: Sources, qcow2_disk: Path, openstack: OpenStack, unique: str
) -> None:
    url = sources.put(unique, qcow2_disk)
    away = openstack.cloud("images")
    dead = away | {"auth": away["auth"] | {"auth_url": "http://127.0.0.1:9/v3"}}
    ref = {"secretName": "openstack", "cloudName": "moving"}
    own_namespace.put_secret(openstack, moving=away)
    own_namespace.create(unique, url, sha256_of(qcow2_disk), cloudCredentialsRef=ref)
    own_namespace.wait_condition(unique, "Ready")
    own_namespace.put_secret(openstack, moving=dead)
    own_namespace.patch(unique, {"spec": {"image": {"tags": ["t"]}}})
    troubled = own_namespace.wait_condition(unique, "Synced", "Unknown", "CloudUnreachable")
    assert (condition_of(troubled, "Ready") or ("",))[0] == "True"
    own_namespace.put_secret(openstack, moving=away)
    own_namespace.wait_condition(unique, "Synced", "True")
