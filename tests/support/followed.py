"""A CloudImage that follows its source, whose checks a test brings about."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import psutil

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import GROUP, RETRY_ANNOTATION, VERSION
from cloudimage.failpoints import Point
from support.namespaces import Namespace, content_of, said, wait_until
from testbed.openstack import OpenStack

LONG_AGO = "2020-01-01T00:00:00Z"


@dataclass
class Followed:
    """One of them."""

    namespace: Namespace
    openstack: OpenStack
    name: str
    requests: int = 0

    def ask(self) -> None:
        """Have the source asked now, as a person may."""
        self.requests += 1
        annotations = {RETRY_ANNOTATION: str(self.requests)}
        self.namespace.patch(self.name, {"metadata": {"annotations": annotations}})

    def make_due(self) -> None:
        """Have the next check due; the operator, which is not running, sees it when it starts."""
        self.patch_status({"follow": {"nextCheckTime": LONG_AGO}})

    def patch_status(self, status: dict[str, Any]) -> None:
        """Merge-patch the status."""
        where = (GROUP, VERSION, self.namespace.name, "cloudimages", self.name)
        self.namespace.objects.patch_namespaced_custom_object_status(*where, {"status": status})

    def wait_version(self, version: str) -> CloudImage:
        """Wait until a version is served."""
        return self.namespace.wait(
            self.name,
            lambda each: (
                each.status.follow is not None
                and each.status.follow.version == version
                and each.status.follow.previous is None
                and each.status.progress is not None
                and said(each, "Ready")[:2] == ("True", "Available")
                and said(each, "UpdateAvailable")[:2] == ("False", "UpToDate")
            ),
        )

    def wait_checked(self) -> CloudImage:
        """Wait until the check that was due has been made."""
        return self.namespace.wait(self.name, is_checked)

    def content(self, resource: CloudImage) -> str:
        """Return the SHA-256 of the image in Glance."""
        return content_of(self.openstack.connect("images"), resource.status.image_id or "")


def is_checked(resource: CloudImage) -> bool:
    """Return whether the next check lies ahead, after one that was due long ago."""
    follow = resource.status.follow
    due = follow.next_check_time if follow else None
    return due is not None and due.year > 2020


def kill_at(namespace: Namespace, name: str, points: Iterable[Point]) -> None:
    """Start the operator once for each point, and kill all of it where the work on a name halts."""
    for point in points:
        namespace.operator.start(CLOUDIMAGE_HALT_AT=f"{point}:{name}")
        processes = halted(namespace)
        namespace.operator.kill()
        for each in processes:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def halted(namespace: Namespace, seconds: float = 120) -> list[psutil.Process]:
    """Wait until the operator or one of its transfers has halted, and return which."""
    found: list[psutil.Process] = []

    def there() -> bool:
        process = namespace.operator.service.process()
        running = [process, *namespace.operator.transfers()] if process else []
        found[:] = [each for each in running if each.status() == psutil.STATUS_STOPPED]
        return bool(found)

    assert wait_until(there, seconds), namespace.operator.log()[-5000:]
    return found
