"""A name in Glance that means several images is said."""

from pathlib import Path

import pytest

from support.namespaces import Namespace, said
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def test_two_objects_with_one_name_and_a_strangers_image_are_warned_of(
    watchful_namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    unique: str,
) -> None:
    namespace, url = watchful_namespace, sources.put(f"{unique}.raw", raw_disk)
    images = openstack.connect("images").image
    names = [f"{unique}-one", f"{unique}-two"]
    for name in names:
        namespace.create(name, url, sha256_of(raw_disk), image={"name": unique})
    made = [
        namespace.wait_condition(name, "NameUnique", "False", "NameNotUnique") for name in names
    ]
    for resource, other in zip(made, reversed(made), strict=True):
        assert (other.status.image_id or "?") in said(resource, "NameUnique")[2]
        assert said(resource, "Ready")[0] == "True"
        assert namespace.told_once(resource.metadata.name, "Warning", "NameNotUnique")

    namespace.delete(names[1])
    namespace.wait_gone(names[1])
    namespace.wait_condition(names[0], "NameUnique", "True")
    stranger = images.post("/images", json={"name": unique}).json()["id"]
    namespace.wait_condition(names[0], "NameUnique", "False")
    images.patch(
        f"/images/{stranger}",
        json=[{"op": "replace", "path": "/os_hidden", "value": True}],
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
    )
    namespace.wait_condition(names[0], "NameUnique", "True")
    images.delete(f"/images/{stranger}")
    namespace.delete(names[0])
    namespace.wait_gone(names[0])
