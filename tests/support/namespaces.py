"""What the tests of the whole operator do with CloudImages and their cloud."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import kubernetes
import yaml
from kubernetes.client import ApiException
from openstack.connection import Connection

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.imageshare import ImageShare
from cloudimage.api.names import API_VERSION, GROUP, VERSION
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.operator import Operator

SECRET = "openstack"


@dataclass(frozen=True)
class Namespace:
    """One namespace with an operator, seen by an administrator."""

    cluster: Cluster
    operator: Operator
    name: str
    objects: kubernetes.client.CustomObjectsApi
    core: kubernetes.client.CoreV1Api

    @classmethod
    def of(cls, operator: Operator) -> "Namespace":
        """Return the namespace that the operator manages."""
        client = kubernetes.config.new_client_from_config(str(operator.cluster.kubeconfig))
        return cls(
            operator.cluster,
            operator,
            operator.namespace,
            kubernetes.client.CustomObjectsApi(client),
            kubernetes.client.CoreV1Api(client),
        )

    def beside(self, name: str) -> "Namespace":
        """Return another namespace that the same operator manages."""
        return replace(self, name=name)

    def put_secret(self, openstack: OpenStack, name: str = SECRET, **clouds: Any) -> None:
        """Create or replace a Secret with clouds.yaml: every cloud of the bed, and changed ones."""
        known = yaml.safe_load(openstack.clouds_yaml.read_text())["clouds"]
        # JSON is YAML, and has no anchors where one entry is there twice.
        text = json.dumps({"clouds": known | clouds})
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name},
            "stringData": {"clouds.yaml": text},
        }
        self.cluster.run_kubectl("apply", "-n", self.name, "-f", "-", stdin=json.dumps(secret))

    def create(
        self,
        name: str,
        url: str,
        sha256: str | None = None,
        image: dict[str, Any] | None = None,
        **spec: Any,
    ) -> None:
        """Create a CloudImage from a URL; ``spec`` adds to its spec or replaces a part of it.

        A part that is None is taken away.
        """
        http: dict[str, Any] = {"url": url}
        if sha256:
            http["checksum"] = {"sha256": sha256}
        whole = {
            "cloudCredentialsRef": {"secretName": SECRET, "cloudName": "images"},
            "source": {"http": http},
            "image": image or {},
            **spec,
        }
        body = {
            "apiVersion": API_VERSION,
            "kind": "CloudImage",
            "metadata": {"name": name},
            "spec": {key: part for key, part in whole.items() if part is not None},
        }
        self.objects.create_namespaced_custom_object(*self.address, body)

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """Merge-patch a CloudImage, as ``kubectl patch --type=merge`` does."""
        self.objects.patch_namespaced_custom_object(*self.address, name, body)

    def delete(self, name: str) -> None:
        """Ask for the deletion of a CloudImage; it may take its time."""
        self.objects.delete_namespaced_custom_object(*self.address, name)

    def get(self, name: str) -> CloudImage | None:
        """Return the CloudImage; None when it is gone."""
        try:
            body = self.objects.get_namespaced_custom_object(*self.address, name)
        except ApiException as error:
            if error.status == 404:
                return None
            raise
        return CloudImage.model_validate(body)

    def wait(
        self, name: str, ready: Callable[[CloudImage], bool], seconds: float = 90
    ) -> CloudImage:
        """Wait until the CloudImage is as asked; else fail with its status and the log."""
        seen: CloudImage | None = None

        def there() -> bool:
            nonlocal seen
            seen = self.get(name)
            return seen is not None and ready(seen)

        if not wait_until(there, seconds) or seen is None:
            raise AssertionError(f"{name} never came to that:\n{self._describe(seen)}")
        return seen

    def wait_gone(self, name: str, seconds: float = 60) -> None:
        """Wait until the CloudImage is gone."""
        if not wait_until(lambda: self.get(name) is None, seconds):
            raise AssertionError(f"{name} is still there:\n{self._describe(self.get(name))}")

    def wait_condition(
        self, name: str, kind: str, status: str = "True", reason: str | None = None
    ) -> CloudImage:
        """Wait for a condition of the present generation."""

        def holds(resource: CloudImage) -> bool:
            condition = condition_of(resource, kind)
            return (
                condition is not None
                and condition[0] == status
                and reason in {None, condition[1]}
                and resource.status.observed_generation == resource.metadata.generation
            )

        return self.wait(name, holds)

    def events(self, name: str) -> list[tuple[str, str]]:
        """Return type and reason of the Events about a CloudImage, in their order."""
        listed = self.core.list_namespaced_event(
            self.name, field_selector=f"involvedObject.name={name}"
        )
        ordered = sorted(listed.items, key=lambda each: str(each.metadata.creation_timestamp))
        return [(str(each.type), str(each.reason)) for each in ordered]

    def told_once(self, name: str, kind: str, reason: str) -> bool:
        """Return whether the Event came exactly once; it may follow the status by a moment."""
        said = (kind, reason)
        wait_until(lambda: said in self.events(name), 10)
        return self.events(name).count(said) == 1

    def _describe(self, resource: CloudImage | None) -> str:
        status = resource.status.to_json() if resource else None
        tail = "\n".join(self.operator.log().splitlines()[-30:])
        return f"{json.dumps(status, indent=1)}\n{tail}"

    @property
    def address(self) -> tuple[str, str, str, str]:
        """The first arguments of each request for its CloudImages."""
        return (GROUP, VERSION, self.name, "cloudimages")


def condition_of(resource: CloudImage | ImageShare, kind: str) -> tuple[str, str, str] | None:
    """Return status, reason and message of a condition; None when it is absent."""
    for each in resource.status.conditions:
        if each.type == kind:
            return each.status, each.reason, each.message
    return None


def said(resource: CloudImage | ImageShare, kind: str) -> tuple[str, str, str]:
    """Return status, reason and message of a condition that must be there."""
    condition = condition_of(resource, kind)
    assert condition is not None, f"{kind} is not among the conditions"
    return condition


def wait_until(ready: Callable[[], bool], seconds: float) -> bool:
    """Wait until ``ready()``; tell whether it came to that in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return True
        time.sleep(0.3)
    return ready()


def images_of(connection: Connection, uid: str) -> list[dict[str, Any]]:
    """Return every Glance image that carries the UID of a CloudImage, in whatever state."""
    # Hidden ones are listed last, so that one that is hidden in between is not missed.
    found = {
        image["id"]: image
        for hidden in ("false", "true")
        for image in connection.image.get(
            "/images", params={"cloudimage_dev_uid": uid, "os_hidden": hidden, "visibility": "all"}
        ).json()["images"]
    }
    return list(found.values())


def image_of(connection: Connection, resource: CloudImage) -> dict[str, Any]:
    """Return the CloudImage's image as Glance shows it."""
    response = connection.image.get(f"/images/{resource.status.image_id}")
    assert response.status_code == 200, response.text
    image: dict[str, Any] = response.json()
    return image


def change_image(connection: Connection, resource: CloudImage, **values: Any) -> None:
    """Change attributes of the CloudImage's image by hand; None takes a property away."""
    operations = [
        {"op": "remove", "path": f"/{name}"}
        if value is None
        else {"op": "add", "path": f"/{name}", "value": value}
        for name, value in values.items()
    ]
    response = connection.image.patch(
        f"/images/{resource.status.image_id}",
        json=operations,
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
    )
    assert response.status_code == 200, response.text


def content_of(connection: Connection, image_id: str) -> str:
    """Return the SHA-256 of the bytes that Glance hands out."""
    response = connection.image.get(f"/images/{image_id}/file", stream=True)
    digest = hashlib.sha256()
    for chunk in response.iter_content(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def server(connection: Connection, name: str, image_id: str) -> Iterator[str]:
    """Boot a Nova server from an image, and delete it at the end."""
    flavor = connection.compute.find_flavor("m1.tiny", ignore_missing=False)
    made = connection.compute.create_server(
        name=name, image_id=image_id, flavor_id=flavor.id, networks="none"
    )
    connection.compute.wait_for_server(made, interval=0.3, wait=60)
    try:
        yield made.id
    finally:
        connection.compute.delete_server(made)
        connection.compute.wait_for_delete(made, interval=0.3, wait=60)
