"""What holds a deleted CloudImage besides servers, and how it is let go."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from support.fault_proxy import Fault, FaultProxy
from support.namespaces import Namespace, condition_of, images_of, wait_until
from support.volumes import volume
from testbed.images import disk, sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

IN_THE_STORE = (
    b'{"title": "Conflict", "code": "409 Conflict", "message": "Image could not be deleted because '
    b"it is in use: The image cannot be deleted because it is in use through the backend store "
    b'outside of Glance.<br /><br />"}'
)
"""Glance's answer where Ceph has clones of the image, from another store's point of view."""

FORBIDDEN = b"""{"title": "Forbidden", "code": "403 Forbidden",
 "message": "You are not authorized to complete delete_image action.<br /><br />"}"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk(tmp_path_factory.mktemp("images") / "small.qcow2", "qcow2")


@contextmanager
def behind_proxy(namespace: Namespace, openstack: OpenStack, *faults: Fault) -> Iterator[str]:
    """Yield the name of a cloud in the Secret whose Glance answers through a proxy with faults."""
    upstream: Any = openstack.connect("images").session.get_endpoint(service_type="image")
    with FaultProxy(upstream, *faults) as proxy:
        behind = openstack.cloud("images") | {"image_endpoint_override": proxy.url}
        namespace.put_secret(openstack, "behind-proxy", behind=behind)
        yield "behind"


def through(cloud: str) -> dict[str, str]:
    return {"secretName": "behind-proxy", "cloudName": cloud}


def blocked(namespace: Namespace, name: str, reason: str) -> tuple[CloudImage, str]:
    """Wait until the deletion is blocked, and return the object and the message."""
    resource = namespace.wait_condition(name, "DeletionBlocked", reason=reason)
    return resource, (condition_of(resource, "DeletionBlocked") or ("", "", ""))[2]


def test_volumes_hold_an_image_and_are_named(
    openstack: OpenStack, own_namespace: Namespace, sources: Sources, source: Path, unique: str
) -> None:
    openstack.start_cinder()
    url = sources.put(unique, source)
    own_namespace.create(unique, url, sha256_of(source))
    ready = own_namespace.wait_condition(unique, "Ready")
    images = openstack.connect("images")
    with volume(images, f"{unique}-root", ready.status.image_id) as volume_id:
        own_namespace.delete(unique)
        resource, message = blocked(own_namespace, unique, "InUse")
        project = openstack.project_id("images")
        assert f"{unique}-root ({volume_id}, project {project})" in message
        assert resource.status.used_by is not None
        assert (resource.status.used_by.servers, resource.status.used_by.volumes) == (0, 1)
        assert images_of(images, ready.metadata.uid) != []
    own_namespace.wait_gone(unique)
    assert images_of(images, ready.metadata.uid) == []


@pytest.mark.parametrize(
    ("status", "content", "reason", "words"),
    [
        (409, IN_THE_STORE, "InUse", "in use through the backend store outside of Glance."),
        (403, FORBIDDEN, "Forbidden", "You are not authorized to complete delete_image action."),
    ],
)
def test_what_glance_does_not_delete_waits_until_it_does(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    source: Path,
    unique: str,
    status: int,
    content: bytes,
    reason: str,
    words: str,
) -> None:
    refusal = Fault("DELETE", "", "answer", times=1000, status=status, content=content)
    with behind_proxy(namespace, openstack, refusal) as cloud:
        url = sources.put(unique, source)
        namespace.create(unique, url, sha256_of(source), cloudCredentialsRef=through(cloud))
        ready = namespace.wait_condition(unique, "Ready")
        namespace.delete(unique)
        _, message = blocked(namespace, unique, reason)
        assert words in message
        assert "cloudimage.dev/force-delete" in message
        assert "<" not in message
        refusal.times = 0
        namespace.wait_gone(unique)
    assert images_of(openstack.connect("images"), ready.metadata.uid) == []


def test_force_leaves_what_the_store_holds(
    namespace: Namespace, openstack: OpenStack, sources: Sources, source: Path, unique: str
) -> None:
    refusal = Fault("DELETE", "", "answer", times=1000, status=409, content=IN_THE_STORE)
    with behind_proxy(namespace, openstack, refusal) as cloud:
        url = sources.put(unique, source)
        namespace.create(unique, url, sha256_of(source), cloudCredentialsRef=through(cloud))
        ready = namespace.wait_condition(unique, "Ready")
        namespace.delete(unique)
        blocked(namespace, unique, "InUse")
        force = {"cloudimage.dev/force-delete": "true"}
        namespace.patch(unique, {"metadata": {"annotations": force}})
        namespace.wait_gone(unique)
    images = openstack.connect("images")
    [image] = images_of(images, ready.metadata.uid)
    images.image.delete(f"/images/{image['id']}")


def test_an_image_that_somebody_else_deletes_meanwhile_is_gone_all_the_same(
    namespace: Namespace, openstack: OpenStack, sources: Sources, source: Path, unique: str
) -> None:
    """Between our look at it and our unprotecting it."""
    images = openstack.connect("images")
    marked: list[str] = []

    def delete(_: str) -> None:
        for image in images_of(images, marked[0]):
            images.image.update_image(image["id"], is_protected=False)
            images.image.delete(f"/images/{image['id']}")

    race = Fault("PATCH", "", "call", times=0, call=delete)
    with behind_proxy(namespace, openstack, race) as cloud:
        url = sources.put(unique, source)
        namespace.create(
            unique,
            url,
            sha256_of(source),
            cloudCredentialsRef=through(cloud),
            image={"protected": True},
        )
        ready = namespace.wait_condition(unique, "Ready")
        marked.append(ready.metadata.uid)
        namespace.delete(unique)
        blocked(namespace, unique, "Protected")
        race.times = race.seen + 1
        namespace.patch(unique, {"spec": {"image": {"protected": False}}})
        namespace.wait_gone(unique)
        assert race.seen == race.times, "the image was not asked for after it was deleted"
    assert images_of(images, ready.metadata.uid) == []


@pytest.mark.slow
def test_protected_images_of_earlier_specs_wait_with_the_current_one(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    source: Path,
    tmp_path: Path,
    unique: str,
) -> None:
    images = openstack.connect("images")
    url = sources.put(unique, source)
    namespace.create(unique, url, sha256_of(source), image={"protected": True})
    first = namespace.wait_condition(unique, "Ready")
    other = disk(tmp_path / "other.qcow2", "qcow2", seed=2)
    http = {"url": sources.put(f"{unique}-2", other), "checksum": {"sha256": sha256_of(other)}}
    namespace.patch(unique, {"spec": {"source": {"http": http}}})
    namespace.wait(unique, lambda each: each.status.image_id not in {None, first.status.image_id})
    assert len(images_of(images, first.metadata.uid)) == 2
    namespace.delete(unique)
    _, message = blocked(namespace, unique, "Protected")
    assert "1 more image is also waiting" in message
    namespace.patch(unique, {"spec": {"image": {"protected": False}}})
    namespace.wait_gone(unique)
    assert wait_until(lambda: images_of(images, first.metadata.uid) == [], 10)
