"""Many CloudImages with an operator of their own, and what that operator did, counted by others."""

import base64
import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import kubernetes
import psutil
import requests
import yaml

from bench.clones import Clone, clone, date
from bench.clouds import CountedCloud, counted_clouds
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.api.names import API_VERSION, FINALIZER, GROUP, VERSION
from cloudimage.images.logic import transfer_request
from cloudimage.images.logic.desired import Desired
from cloudimage.transfer.glance.image_lifecycle import image_id, new_image
from cloudimage.vocabulary.marks import Marks
from testbed.kubernetes import Cluster, Kubernetes
from testbed.openstack import OpenStack
from testbed.operator import Operator, install_crds
from testbed.process import free_ports

_ANYWHERE: Final = "http://127.0.0.1/"
"""Begins the URLs of objects whose bytes are never fetched."""

_SECRET: Final = "openstack"  # noqa: S105 - its name
BYTES: Final = bytes(512)
"""Of each image."""
_AT_ONCE: Final = 4
_FIRST_SECONDS: Final = 300.0
_QUIET_SECONDS: Final = 7.0
"""An object that waits for something comes back sooner."""
_CHANGED: Final = timedelta(days=3)
_COMPARED: Final = timedelta(hours=2)
"""How long ago that was: without listings each is due again after half an hour."""
_METRIC: Final = re.compile(r"^(\w+)(?:\{([^}]*)\})? (\S+)$", re.MULTILINE)
_WRITTEN: Final = re.compile(
    r"^apiserver_request_total\{(?=[^}]*group=\"cloudimage\.dev\")"
    r"(?=[^}]*verb=\"(?:POST|PUT|PATCH|APPLY|DELETE)\")[^}]*\} (\S+)$",
    re.MULTILINE,
)


@contextmanager
def kubernetes_bed() -> Iterator[Cluster]:
    """Yield the test bed's cluster with our CRDs; what ran before goes on afterwards."""
    bed = Kubernetes()
    ran = any(row[1] for row in bed.status())
    bed.install()
    bed.up()
    try:
        install_crds(bed)
        # The API server may still be preparing their storage (429); kubectl asks until it has.
        bed.run_kubectl("get", CLOUD_IMAGE.plural, "--all-namespaces")
        yield bed
    finally:
        if not ran:
            bed.down()


@dataclass
class Fleet:
    """CloudImages of one namespace, the operator that manages them, and its clouds.

    Attributes:
        folder: For the operator's files.
        clouds: Where their images are, in turn.
        resources: The objects, as the API server had them when they were last listed.
    """

    cluster: Cluster
    openstack: OpenStack
    folder: Path
    clouds: tuple[CountedCloud, ...]
    operator: Operator = field(init=False)
    resources: list[CloudImage] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the namespace, what the chart makes in it, and the Secret."""
        namespace = self.cluster.new_namespace("many")
        self.operator = Operator(self.cluster, namespace, self.folder / "operator")
        self.operator.install()
        text = yaml.safe_dump({"clouds": {each.name: each.entry for each in self.clouds}})
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": _SECRET},
            "data": {"clouds.yaml": base64.b64encode(text.encode()).decode()},
        }
        self.cluster.run_kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(secret))

    @classmethod
    @contextmanager
    def of(
        cls, cluster: Cluster, openstack: OpenStack, folder: Path, clouds: int = 1
    ) -> Iterator["Fleet"]:
        """Yield a fleet without objects yet; at the end its operator and its images go.

        The objects stay: there is no controller that deletes a namespace.
        """
        with counted_clouds(openstack, clouds) as counted:
            fleet = cls(cluster, openstack, folder, counted)
            try:
                yield fleet
            finally:
                fleet.operator.stop()
                fleet.discard()

    def create(
        self,
        name: str,
        url: str,
        sha256: str | None = None,
        *finalizers: str,
        http: Mapping[str, Any] | None = None,
    ) -> None:
        """Create one object of a URL, or of all that ``http`` says of a source."""
        checksum = {"checksum": {"sha256": sha256}} if sha256 else {}
        spec = {
            "cloudCredentialsRef": {"secretName": _SECRET, "cloudName": self._cloud_of(name).name},
            "source": {"http": http or {"url": url, **checksum}},
            "image": {"diskFormat": "raw", "properties": {"os_distro": "debian"}},
        }
        body = {
            "apiVersion": API_VERSION,
            "kind": "CloudImage",
            "metadata": {"name": name, "finalizers": list(finalizers)},
            "spec": spec,
        }
        self.objects.create_namespaced_custom_object(*self._address, body)

    def prepare(self, count: int, http: Mapping[str, Any] | None = None) -> None:
        """Have the operator settle one object, and make the others as that one is.

        The first one's image is made by Glance's API as a transfer makes it; the copies' images are
        rows in Glance's database, their statuses are written by the API server. The operator does
        not run afterwards.

        Args:
            count: How many.
            http: The source of all of them; None: each has a URL of its own.
        """
        name = "image-00000"
        digest = hashlib.sha256(BYTES).hexdigest()
        self.create(name, f"{_ANYWHERE}{name}", digest, http=http)
        [first] = self.listed()
        self._make_image(first)
        self.start()
        wait(lambda: self.listed()[0].status.last_sync_time is not None, _FIRST_SECONDS, every=0.2)
        wait(lambda: not self.metric("cloudimage_queue_depth"), _FIRST_SECONDS, every=0.2)
        self.operator.stop()
        self.grow(count, http)

    def grow(self, count: int, http: Mapping[str, Any] | None = None) -> None:
        """Make others as the first one is, until there are so many; the operator must not run."""
        first, *known = self.listed()
        digest = hashlib.sha256(BYTES).hexdigest()
        names = [f"image-{number:05}" for number in range(1 + len(known), count)]

        def create(name: str) -> None:
            self.create(name, _ANYWHERE + name, digest, FINALIZER, http=http)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(create, names))
            new = self.listed()[1 + len(known) :]  # by their names
            clones = [
                Clone(
                    str(uuid.uuid4()),
                    each.metadata.uid,
                    each.metadata.name,
                    self._cloud_of(each.metadata.name).project_id,
                )
                for each in new
            ]
            clone(self.openstack, first.status.image_id or "", clones)
            list(pool.map(lambda each: self._write_status(first, each), clones))

    def _write_status(self, first: CloudImage, copy: Clone) -> None:
        text = json.dumps({"status": first.status.to_json()})
        body = json.loads(text.replace(first.status.image_id or "", copy.image_id))
        self.objects.patch_namespaced_custom_object_status(*self._address, copy.name, body)

    def _cloud_of(self, name: str) -> CountedCloud:
        return self.clouds[int(name.rpartition("-")[2]) % len(self.clouds)]

    def _make_image(self, resource: CloudImage) -> None:
        wanted = transfer_request.new_image(
            resource, Desired.of(resource.spec), resource.metadata.name
        )
        identifier = image_id(wanted.id_seed, 0)
        body = new_image(wanted, identifier, "raw") | {
            "os_hidden": False,
            "owner": self.clouds[0].project_id,
            Marks.VERIFIED.value: f"sha512:{hashlib.sha512(BYTES).hexdigest()}",
        }
        self.glance("POST", "/images", json=body)
        self.glance(
            "PUT",
            f"/images/{identifier}/file",
            data=BYTES,
            headers={"Content-Type": "application/octet-stream"},
        )

    def discard(self) -> None:
        """Delete the images that are left of these objects."""
        known = [each.status.image_id for each in self.listed() if each.status.image_id]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda each: self.glance("DELETE", f"/images/{each}"), known))

    def read(self, name: str) -> CloudImage:
        """Return one object as it is now."""
        body: Any = self.objects.get_namespaced_custom_object(*self._address, name)
        return CloudImage.model_validate(body)

    def listed(self) -> list[CloudImage]:
        """Return the objects as they are now."""
        listed: Any = self.objects.list_namespaced_custom_object(*self._address)
        self.resources = [CloudImage.model_validate(each) for each in listed["items"]]
        return self.resources

    def under_way(self) -> int:
        """Return how many objects have a transfer that runs or waits for its turn."""
        stages = [each.status.progress.stage for each in self.listed() if each.status.progress]
        return sum(stage != "Complete" for stage in stages)

    def versions(self) -> Mapping[str, str]:
        """Return the version of each object: a write makes another."""
        return {each.metadata.uid: each.metadata.resource_version for each in self.listed()}

    def age(self) -> None:
        """Date all images as if they were changed days ago, and compared with Glance hours ago.

        The operator must not run.
        """
        now, resources = datetime.now(UTC), self.listed()
        changed, compared = (f"{now - each:%Y-%m-%dT%H:%M:%SZ}" for each in (_CHANGED, _COMPARED))
        date(self.openstack, [each.status.image_id or "" for each in resources], changed)
        status = {"lastSyncTime": compared, "image": {"updated": changed}}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(lambda each: self.patch_status(each.metadata.name, status), resources))

    def patch(self, name: str, body: dict[str, Any]) -> None:
        """Merge-patch an object."""
        self.objects.patch_namespaced_custom_object(*self._address, name, body)

    def patch_status(self, name: str, status: dict[str, Any]) -> None:
        """Merge-patch an object's status."""
        address = (*self._address, name)
        self.objects.patch_namespaced_custom_object_status(*address, {"status": status})

    def delete(self, name: str) -> None:
        """Ask for the deletion of an object."""
        self.objects.delete_namespaced_custom_object(*self._address, name)

    def start(self) -> None:
        """Start the operator and wait until it answers; its metrics begin again from zero."""
        [port] = free_ports(1)
        self._metrics_url = f"http://127.0.0.1:{port}/metrics"
        self.operator.start(CLOUDIMAGE_METRICS_ADDRESS=f"127.0.0.1:{port}")

    @property
    def process(self) -> psutil.Process:
        """The operator's process.

        Raises:
            RuntimeError: It does not run.
        """
        process = self.operator.service.process()
        if process is None:
            raise RuntimeError(f"the operator has ended:\n{self.operator.log()[-2000:]}")
        return process

    @property
    def pid(self) -> int:
        """The id of the operator's process."""
        return self.process.pid

    @property
    def probe_url(self) -> str:
        """The operator's liveness probe, which its event loop answers."""
        return f"http://{self.process.environ()['CLOUDIMAGE_PROBE_ADDRESS']}/healthz"

    def metric(self, name: str, label: str = "") -> float:
        """Return one of the operator's own metrics, its series summed up; 0 when it has none.

        Args:
            name: Of the metric.
            label: As Prometheus' text has it; only series with it count.
        """
        text = requests.get(self._metrics_url, timeout=30).text
        found = (each for each in _METRIC.findall(text) if each[0] == name and label in each[1])
        return sum(float(value) for _, _, value in found)

    def looks(self) -> int:
        """Return how often the operator has looked at an object since it was started."""
        return int(self.metric("cloudimage_reconcile_seconds_count", 'kind="cloudimages"'))

    def wait_settled(self, seconds: float) -> float:
        """Wait until the operator knows every object and has nothing to do.

        Returns:
            Since when, by the monotonic clock: that nothing follows is known some seconds later.

        Raises:
            TimeoutError: It did not come to that in time.
        """
        count, looks, begin = len(self.resources), -1, time.monotonic()
        since = begin
        while time.monotonic() - since < _QUIET_SECONDS:
            time.sleep(0.2)
            known = self.metric("cloudimage_objects", 'kind="cloudimages"')
            busy = self.metric("cloudimage_queue_depth") or known < count
            before, looks = looks, self.looks()
            if busy or looks != before:
                since = time.monotonic()
            if since - begin > seconds:
                raise TimeoutError(f"not within {seconds:.0f} s")
        return since

    def glance_requests(self) -> int:
        """Return how many requests Glance had from this fleet's operator so far."""
        return sum(self.asked())

    def asked(self) -> list[int]:
        """Return the same for each cloud."""
        return [each.requests for each in self.clouds]

    def writes(self) -> int:
        """Return how many writes of CloudImages the API server has counted so far."""
        text = self.cluster.run_kubectl("get", "--raw", "/metrics")
        return int(sum(float(value) for value in _WRITTEN.findall(text)))

    def glance(self, method: str, path: str, **options: Any) -> requests.Response:  # noqa: ANN401 - those of requests
        """Ask Glance itself, from any thread; that an image is gone is an answer too.

        Raises:
            requests.HTTPError: Glance refuses.
        """
        options["headers"] = {"X-Auth-Token": self._token, **options.get("headers", {})}
        url = f"{self._glance_url}/v2{path}"
        response = requests.request(method, url, timeout=60, **options)
        if response.status_code != requests.codes.not_found:
            response.raise_for_status()
        return response

    @cached_property
    def _glance_url(self) -> str:
        url = str(self.openstack.connect("admin").image.get_endpoint())
        return url.rstrip("/").removesuffix("/v2")

    @cached_property
    def _token(self) -> str:
        return str(self.openstack.connect("admin").session.get_token())

    @cached_property
    def objects(self) -> kubernetes.client.CustomObjectsApi:
        """The API server's custom objects."""
        client = kubernetes.config.new_client_from_config(str(self.cluster.kubeconfig))
        return kubernetes.client.CustomObjectsApi(client)

    @property
    def _address(self) -> tuple[str, str, str, str]:
        return (GROUP, VERSION, self.operator.namespace, CLOUD_IMAGE.plural)


def wait(ready: Callable[[], bool], seconds: float, every: float = 0.05) -> float:
    """Wait until ``ready()`` and return the seconds that took.

    Raises:
        TimeoutError: It did not come to that in time.
    """
    begin = time.monotonic()
    while not ready():
        if time.monotonic() - begin > seconds:
            raise TimeoutError(f"not within {seconds:.0f} s")
        time.sleep(every)
    return time.monotonic() - begin
