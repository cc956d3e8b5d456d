"""CloudImages with a boot test, their images and servers, for the tests of decisions."""

from datetime import datetime, timedelta
from ipaddress import ip_address, ip_interface
from typing import Any

from cloudimage.api.boot_test import BootTest
from cloudimage.api.cloudimage import CloudImage
from cloudimage.cloud import models
from cloudimage.cloud.models import GlanceImage
from cloudimage.guest.report import GuestReport
from cloudimage.images.logic import boot_test
from cloudimage.vocabulary.marks import UNTESTED, Marks
from support.resources import NOW, cloud_image, glance_image

KEY = "SHA256:abc"
IMAGE_ID = "11111111-1111-4111-8111-111111111111"
EARLIER_ID = "22222222-2222-4222-8222-222222222222"


def with_test(status: dict[str, Any] | None = None, **test: Any) -> CloudImage:
    """Return a CloudImage with a boot test."""
    spec = {"flavor": "m1.small", **test}
    return cloud_image(status=status, bootTest=spec)


def wanted_of(resource: CloudImage) -> BootTest:
    """Return its spec.bootTest."""
    assert resource.spec.boot_test is not None
    return resource.spec.boot_test


def untested(resource: CloudImage, **changes: Any) -> GlanceImage:
    """Return its image as a transfer leaves it: not to be used yet."""
    properties = {Marks.BOOTED: UNTESTED, **changes.pop("properties", {})}
    given = {"name": "debian-12 (in the making)", "hidden": True, **changes}
    return glance_image(resource, properties=properties, **given)


def state_of(resource: CloudImage, image: GlanceImage, **changes: Any) -> dict[str, Any]:
    """Return a status.bootTest of that very test of the image, by the names of YAML."""
    digest = boot_test.digest_of(wanted_of(resource), image)
    state: dict[str, Any] = {
        "imageID": image.id,
        "specDigest": digest,
        "attempts": 1,
        "startTime": NOW,
        **changes,
    }
    return {name: value for name, value in state.items() if value is not None}


def server(resource: CloudImage, image: GlanceImage, **changes: Any) -> models.TestServer:
    """Return the server of its first test."""
    digest = boot_test.digest_of(wanted_of(resource), image)
    metadata = {
        Marks.IMAGE_ID: image.id,
        boot_test.SERVER_MARK: f"{digest}-1",
        boot_test.KEY_MARK: KEY,
        **changes.pop("metadata", {}),
    }
    values: dict[str, Any] = {
        "id": "server",
        "name": "cloudimage-boot-test-1",
        "image_id": image.id,
        "status": "ACTIVE",
        "fault": None,
        "task_state": None,
        "created_at": NOW,
        "launched_at": NOW,
        "addresses": (),
        "token": "0" * 32,
        "metadata": metadata,
        **changes,
    }
    values["addresses"] = tuple(ip_address(each) for each in values["addresses"])
    return models.TestServer(**values)


def report(*addresses: str, seconds: float = 0.0, **changes: Any) -> GuestReport:
    """Return what a guest reports that has these addresses and lets its key in."""
    values: dict[str, Any] = {"keys": {"debian": (KEY,)}, "interfaces": ("eth0",), **changes}
    found = tuple(ip_interface(each) for each in addresses)
    return GuestReport(seconds=seconds, uptime=30.0 + seconds, addresses=found, **values)


def at(**passed: float) -> datetime:
    """Return the time that is so long after the start of the test."""
    return NOW + timedelta(**passed)
