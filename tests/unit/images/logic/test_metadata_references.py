"""What kernelRef and ramdiskRef lead to, and who hears of it when that changes."""

from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from cloudimage.controller.reference_index import ReferenceIndex
from cloudimage.images.logic import metadata
from cloudimage.kube import Key
from support.resources import cloud_image

AMI = {"kernelRef": {"name": "kernel"}, "ramdiskRef": {"name": "ramdisk"}}


def condition(status: str) -> dict[str, Any]:
    return {
        "type": "Ready",
        "status": status,
        "reason": "Any",
        "message": "m",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
        "observedGeneration": 1,
    }


def named(
    name: str,
    image: dict[str, Any] | None = None,
    image_id: str | None = None,
    ready: str = "True",
    **metadata: Any,
) -> CloudImage:
    """Return a CloudImage of a name, with an image if it has one."""
    resource = cloud_image(
        image=image, status={"imageID": image_id, "conditions": [condition(ready)]}
    )
    changed = resource.metadata.model_copy(update={"name": name, **metadata})
    return resource.model_copy(update={"metadata": changed})


def test_what_is_ready_gives_its_id_and_the_others_are_named() -> None:
    links = metadata.resolve(
        cloud_image(image=AMI).spec.image,
        {"kernel": named("kernel", image_id="id"), "ramdisk": None},
    )
    assert links.ids == {"kernel_id": "id"}
    assert links.missing.keys() == {"ramdisk_id"}
    assert "CloudImage ramdisk does not exist" in links.missing["ramdisk_id"]


@pytest.mark.parametrize(
    "unusable",
    [
        named("kernel"),
        named("kernel", image_id="id", ready="False"),
        named("kernel", image_id="id", deletion_timestamp="2026-01-01T00:00:00Z"),
    ],
    ids=["no image", "not Ready", "being deleted"],
)
def test_what_cannot_be_used_leads_nowhere(unusable: CloudImage) -> None:
    image = cloud_image(image={"kernelRef": {"name": "kernel"}}).spec.image
    links = metadata.resolve(image, {"kernel": unusable})
    assert links.ids == {}
    assert "CloudImage kernel is not Ready" in links.missing["kernel_id"]


USER, KERNEL, RAMDISK = (Key("images", name) for name in ("server", "kernel", "ramdisk"))


def test_who_refers_to_it_hears_of_each_change_and_of_nothing_else() -> None:
    index = ReferenceIndex()
    assert index.set_targets(USER, (KERNEL, RAMDISK)) == set()
    assert index.set_state(KERNEL, None) == set()
    assert index.set_state(KERNEL, "1") == {USER}
    assert index.set_state(KERNEL, "1") == set()
    assert index.set_state(Key("images", "other"), "1") == set()
    assert index.set_state(KERNEL, "2") == {USER}
    assert index.set_state(KERNEL, None) == {USER}
    assert index.set_state(RAMDISK, "3") == {USER}
    assert index.set_state(RAMDISK, None) == {USER}


def test_who_refers_no_longer_hears_nothing() -> None:
    index = ReferenceIndex()
    index.set_targets(USER, (KERNEL, RAMDISK))
    assert index.set_targets(USER, (KERNEL,)) == {RAMDISK}
    assert index.set_state(RAMDISK, "1") == set()
    assert index.set_targets(USER, ()) == {KERNEL}
    assert index.set_state(KERNEL, "1") == set()


def test_a_name_of_another_namespace_is_another_object() -> None:
    index = ReferenceIndex()
    index.set_targets(USER, (KERNEL,))
    assert index.set_state(Key("elsewhere", "kernel"), "1") == set()
