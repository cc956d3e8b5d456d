"""What the tests of ImageShares do with them, and with the projects that get an image."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes.client import ApiException
from openstack.connection import Connection

from cloudimage.api.imageshare import ImageShare
from cloudimage.api.kinds import IMAGE_SHARE
from cloudimage.api.names import API_VERSION, GROUP, VERSION
from support.namespaces import SECRET, Namespace, said, wait_until

CONSUMER = {"name": "consumer", "domain": "Default"}
ACCEPT_WITH = {"acceptWith": {"secretName": SECRET, "cloudName": "consumer"}}

Make = Callable[..., str]
"""Makes a CloudImage of a name and a spec, and returns the id of its image."""


@dataclass(frozen=True)
class Shares:
    """The ImageShares of a namespace."""

    namespace: Namespace

    def create(self, name: str, *projects: dict[str, Any], **spec: Any) -> None:
        """Create an ImageShare; of the CloudImage of its own name, unless the spec says another."""
        ref = {} if "image" in spec else {"imageRef": {"name": name}}
        body = {
            "apiVersion": API_VERSION,
            "kind": "ImageShare",
            "metadata": {"name": name},
            "spec": {**ref, "projects": list(projects), **spec},
        }
        self.namespace.objects.create_namespaced_custom_object(*self._address, body)

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """Merge-patch an ImageShare."""
        self.namespace.objects.patch_namespaced_custom_object(*self._address, name, body)

    def delete(self, name: str) -> None:
        """Ask for the deletion of an ImageShare; it may take its time."""
        self.namespace.objects.delete_namespaced_custom_object(*self._address, name)

    def get(self, name: str) -> ImageShare | None:
        """Return the ImageShare; None when it is gone."""
        try:
            body = self.namespace.objects.get_namespaced_custom_object(*self._address, name)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return ImageShare.model_validate(body)

    def wait(
        self, name: str, ready: Callable[[ImageShare], bool], seconds: float = 60
    ) -> ImageShare:
        """Wait until the ImageShare is as asked; else fail with its status and the log."""
        seen: ImageShare | None = None

        def there() -> bool:
            nonlocal seen
            seen = self.get(name)
            return seen is not None and ready(seen)

        if not wait_until(there, seconds) or seen is None:
            raise AssertionError(f"{name} never came to that:\n{self._describe(name)}")
        return seen

    def wait_condition(
        self, name: str, kind: str, reason: str, status: str = "True", seconds: float = 60
    ) -> str:
        """Wait for a condition of the present generation, and return its message."""

        def holds(share: ImageShare) -> bool:
            return any(
                (each.type, each.status, each.reason) == (kind, status, reason)
                and each.observed_generation == share.metadata.generation
                for each in share.status.conditions
            )

        return said(self.wait(name, holds, seconds), kind)[2]

    def wait_gone(self, name: str, seconds: float = 40) -> None:
        """Wait until the ImageShare is gone."""
        if not wait_until(lambda: self.get(name) is None, seconds):
            raise AssertionError(f"{name} is still there:\n{self._describe(name)}")

    def _describe(self, name: str) -> str:
        share = self.get(name)
        status = share.status.to_json() if share else None
        tail = "\n".join(self.namespace.operator.log().splitlines()[-30:])
        return f"{json.dumps(status, indent=1)}\n{tail}"

    @property
    def _address(self) -> tuple[str, str, str, str]:
        return (GROUP, VERSION, self.namespace.name, IMAGE_SHARE.plural)


def members(owner: Connection, image_id: str | None) -> dict[str, str]:
    """Return the status of each member of an image by the id of its project."""
    response = owner.image.get(f"/images/{image_id}/members")
    assert response.status_code == 200, response.text
    return {each["member_id"]: each["status"] for each in response.json()["members"]}


def say(member: Connection, image_id: str | None, project_id: str, status: str) -> None:
    """Have a consumer accept or reject an image."""
    path = f"/images/{image_id}/members/{project_id}"
    response = member.image.put(path, json={"status": status})
    assert response.status_code == 200, response.text


def listed(consumer: Connection, image_id: str | None) -> bool:
    """Return whether an image is in the list that a consumer sees without asking for more."""
    images: Any = consumer.image
    return any(each.id == image_id for each in images.images())


@contextmanager
def domain(admin: Connection, name: str, count: int) -> Iterator[list[str]]:
    """Make a domain with projects, yield their ids, and delete it in the end."""
    identity: Any = admin.identity
    made = identity.create_domain(name=name)
    try:
        yield [
            identity.create_project(name=f"{name}-{number}", domain_id=made.id).id
            for number in range(count)
        ]
    finally:
        identity.update_domain(made, is_enabled=False)
        identity.delete_domain(made)
