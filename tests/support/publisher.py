"""A publisher of builds, and the CloudImage that follows it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import RETRY_ANNOTATION
from support.namespaces import Namespace, content_of, said
from testbed.images import disk, sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

PATTERN = r"disk-(?P<version>[\d.]+)\.raw"


@dataclass
class Publisher:
    """A publisher of builds, and the CloudImage that follows it."""

    namespace: Namespace
    sources: Sources
    openstack: OpenStack
    name: str
    folder: Path
    requests: int = 0

    def build(self, number: int) -> Path:
        """Return a build; each has other bytes."""
        path = self.folder / f"{number}.raw"
        if not path.exists():
            disk(path, "raw", virtual_size=8 << 20, data_bytes=(number + 1) << 20)
        return path

    def publish(self, **builds: Path | bytes) -> str:
        """Publish builds by their versions, with their list; return its URL."""
        listed = ""
        for version, content in builds.items():
            file = f"disk-{version.replace('_', '.').strip('v')}.raw"
            self.sources.put(f"{self.name}/{file}", content)
            listed += f"{sha256_of(self.sources.folder / self.name / file)}  {file}\n"
        return self.sources.put(f"{self.name}/SHA256SUMS", listed.encode())

    def create(self, sums: str, **follow: Any) -> CloudImage:
        """Create a CloudImage of the newest build, and wait for it."""
        http = {
            "index": {"checksums": sums, "pattern": PATTERN},
            "checksum": {"from": {"url": sums, "filename": "$(name)"}},
        }
        spec: dict[str, Any] = {"follow": {"every": "6h", **follow}}
        self.namespace.create(self.name, "", source={"http": http}, **spec)
        return self.namespace.wait_condition(self.name, "Ready")

    def ask(self) -> None:
        """Have the source asked now, as a person may."""
        self.requests += 1
        annotations = {RETRY_ANNOTATION: str(self.requests)}
        self.namespace.patch(self.name, {"metadata": {"annotations": annotations}})

    def wait_version(self, version: str) -> CloudImage:
        """Wait until a version is served."""
        return self.namespace.wait(
            self.name,
            lambda each: (
                each.status.follow is not None
                and each.status.follow.version == version
                and each.status.follow.previous is None
                and said(each, "UpdateAvailable")[:2] == ("False", "UpToDate")
            ),
        )

    def serves(self, resource: CloudImage, build: int) -> bool:
        """Return whether the image in Glance is of a build."""
        images = self.openstack.connect("images")
        served = content_of(images, resource.status.image_id or "")
        return served == sha256_of(self.build(build))
