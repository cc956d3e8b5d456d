"""A namespace in which tests run the users' commands, and statuses as the operator writes them."""

from typing import Any

import kubernetes
import yaml
from click.testing import CliRunner

from cloudimage.api.kinds import CLOUD_IMAGE, IMAGE_SHARE
from cloudimage.api.names import API_VERSION, GROUP, VERSION
from cloudimage.cli.app import app
from testbed.kubernetes import Cluster
from testbed.paths import REPOSITORY

SHARES = IMAGE_SHARE.plural
IMAGE = REPOSITORY / "manifests" / "samples" / "cloudimage-minimal.yaml"
SHARE: dict[str, Any] = {
    "apiVersion": API_VERSION,
    "kind": "ImageShare",
    "metadata": {"name": "to-web"},
    "spec": {"imageRef": {"name": "debian-12"}, "projects": [{"id": "p-1"}]},
}
IMAGE_ID = "5a6f6c1e-0000-4000-8000-00000000000a"


def condition(kind: str, status: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": f"{reason} is why.",
        "lastTransitionTime": "2026-01-02T03:04:05Z",
        "observedGeneration": 1,
    }


READY = {
    "observedGeneration": 1,
    "imageID": IMAGE_ID,
    "digest": "d",
    "diskFormat": "raw",
    "conditions": [condition("Ready", "True", "Available")],
}
UPLOADING = {
    "observedGeneration": 1,
    "progress": {"stage": "Uploading", "percent": 63},
    "conditions": [condition("Ready", "False", "Progressing")],
}
STALLED = {
    "observedGeneration": 1,
    "conditions": [
        condition("Ready", "False", "ChecksumMismatch"),
        condition("Stalled", "True", "ChecksumMismatch"),
    ],
}


class Bench:
    """A namespace of its own, and the commands run in it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.namespace = cluster.new_namespace("commands")
        self.options = ("--kubeconfig", str(cluster.kubeconfig), "-n", self.namespace)
        client = kubernetes.config.new_client_from_config(str(cluster.kubeconfig))
        self.objects = kubernetes.client.CustomObjectsApi(client)
        self.core = kubernetes.client.CoreV1Api(client)

    def address(self, plural: str = CLOUD_IMAGE.plural) -> tuple[str, str, str, str]:
        """Return where the objects of a kind are."""
        return (GROUP, VERSION, self.namespace, plural)

    def create(self, name: str, status: dict[str, Any] | None = None) -> None:
        """Create a CloudImage, with a status if there is one."""
        body = yaml.safe_load(IMAGE.read_text()) | {"metadata": {"name": name}}
        self.objects.create_namespaced_custom_object(*self.address(), body)
        if status:
            self.put_status(name, status)

    def create_share(self) -> None:
        """Create an ImageShare of debian-12 that is called to-web."""
        self.objects.create_namespaced_custom_object(*self.address(SHARES), SHARE)

    def put_status(
        self, name: str, status: dict[str, Any], plural: str = CLOUD_IMAGE.plural
    ) -> None:
        """Replace the status, as the operator does."""
        address = (*self.address(plural), name)
        body: Any = self.objects.get_namespaced_custom_object(*address)
        self.objects.replace_namespaced_custom_object_status(*address, body | {"status": status})

    def put_finalizers(self, *finalizers: str) -> None:
        """Replace those of debian-12."""
        body = {"metadata": {"finalizers": finalizers}}
        self.objects.patch_namespaced_custom_object(*self.address(), "debian-12", body)

    def kubectl(self, *words: str) -> str:
        """Run kubectl in the namespace."""
        return self.cluster.run_kubectl(*words, "-n", self.namespace)

    def metadata(self, name: str) -> Any:
        """Return the metadata of a CloudImage."""
        found: Any = self.objects.get_namespaced_custom_object(*self.address(), name)
        metadata: dict[str, Any] = found["metadata"]
        return metadata

    def run(self, *words: str, status: int = 0, stdin: str | None = None) -> str:
        """Run a command that ends with that exit status; return all that it printed."""
        done = CliRunner().invoke(app, [*words, *self.options], input=stdin)
        assert done.exit_code == status, done.output
        assert "Traceback" not in done.output
        return done.output
