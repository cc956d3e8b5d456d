"""ImageShares of a fleet's images."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from bench.fleet import Fleet, wait
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.kinds import IMAGE_SHARE
from cloudimage.api.names import API_VERSION, GROUP, RETRY_ANNOTATION, VERSION
from cloudimage.api.reasons import ShareCondition
from cloudimage.controller.logic.conditions import is_true

_AT_ONCE: Final = 4
_PATIENCE_SECONDS: Final = 3600.0


def prepare_shares(fleet: Fleet, count: int) -> None:
    """Have the operator give the last images to another project, which accepts them.

    It does not run afterwards.
    """
    project = fleet.openstack.project_id("consumer")
    images = fleet.listed()[-count:]
    shared = [each.metadata.name for each in images]
    fleet.start()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda name: create(fleet, name, project), shared))
    wait(lambda: _ready(fleet) >= set(shared), _PATIENCE_SECONDS, every=1)
    for each in images:
        path = f"/images/{each.status.image_id}/members/{project}"
        fleet.glance("PUT", path, json={"status": "accepted"})
        body = {"metadata": {"annotations": {RETRY_ANNOTATION: "accepted"}}}
        fleet.objects.patch_namespaced_custom_object(*_address(fleet), each.metadata.name, body)
    wait(lambda: not _pending(fleet), _PATIENCE_SECONDS, every=1)
    fleet.wait_settled(_PATIENCE_SECONDS)
    fleet.operator.stop()


def create(fleet: Fleet, name: str, project_id: str) -> None:
    """Create an ImageShare that gives an object's image to a project."""
    body = {
        "apiVersion": API_VERSION,
        "kind": IMAGE_SHARE.name,
        "metadata": {"name": name},
        "spec": {"imageRef": {"name": name}, "projects": [{"id": project_id}]},
    }
    fleet.objects.create_namespaced_custom_object(*_address(fleet), body)


def _listed(fleet: Fleet) -> list[ImageShare]:
    listed: Any = fleet.objects.list_namespaced_custom_object(*_address(fleet))
    return [ImageShare.model_validate(each) for each in listed["items"]]


def _ready(fleet: Fleet) -> set[str]:
    return {
        each.metadata.name
        for each in _listed(fleet)
        if is_true(each.status.conditions, ShareCondition.READY)
    }


def _pending(fleet: Fleet) -> list[ImageShare]:
    return [
        each for each in _listed(fleet) if any(it.status == "pending" for it in each.status.members)
    ]


def _address(fleet: Fleet) -> tuple[str, str, str, str]:
    return (GROUP, VERSION, fleet.operator.namespace, IMAGE_SHARE.plural)
