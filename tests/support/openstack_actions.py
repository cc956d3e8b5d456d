"""What tests of the test bed's OpenStack do again and again."""

import time
from collections.abc import Callable
from typing import Any

import requests
from openstack.connection import Connection
from openstack.exceptions import ResourceFailure

MIB = 1 << 20
OF_AN_IMAGE = {
    "name": "testbed",
    "disk_format": "raw",
    "container_format": "bare",
    "visibility": "shared",
}
OCTETS = {"Content-Type": "application/octet-stream", "Accept": ""}


def make_image(cloud: Connection, data: bytes | None = None, **attributes: Any) -> Any:
    image = cloud.image.create_image(allow_duplicates=True, **OF_AN_IMAGE | attributes)
    if data is not None:
        put(cloud, image.id, data).raise_for_status()
    return cloud.image.get_image(image.id)


def put(cloud: Connection, image_id: str, data: bytes) -> requests.Response:
    return cloud.image.put(f"/images/{image_id}/file", data=data, headers=OCTETS)


def boot(cloud: Connection, image_id: str) -> Any:
    flavor = cloud.compute.find_flavor("m1.tiny", ignore_missing=False)
    server = cloud.compute.create_server(
        name="testbed", image_id=image_id, flavor_id=flavor.id, networks="none"
    )
    return wait_active(cloud, server)


def wait_active(cloud: Connection, server: Any) -> Any:
    """Return the server when it is active.

    Raises:
        AssertionError: It failed; Nova's fault says why.
    """
    try:
        return cloud.compute.wait_for_server(server, interval=0.1, wait=60)
    except ResourceFailure as error:
        raise AssertionError(cloud.compute.get_server(server).fault) from error


def wait_until(ready: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def imported(cloud: Connection, image_id: str) -> bool:
    """Return whether Glance has let go of the image; until then a deletion may end in a 500."""
    image = cloud.image.get(f"/images/{image_id}").json()
    return image["status"] == "active" and not image.get("os_glance_import_task")
