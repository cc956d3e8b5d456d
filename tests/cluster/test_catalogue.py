"""The catalogue on a real API server, and five publishers' layouts with the whole operator."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.names import RETRY_ANNOTATION
from cloudimage.catalogue import KEY, entries, find
from support.layouts import LAYOUTS, Layout
from support.namespaces import SECRET, Namespace, content_of, images_of, said
from support.transfer_keys import Signer
from support.upstream import Upstream
from testbed.images import disk, sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.paths import REPOSITORY
from testbed.sources import Sources

CATALOGUE = REPOSITORY / "manifests" / "catalogue"
FIVE = (
    *("ubuntu-24.04", "fedora", "centos-stream-9"),
    *(pytest.param(each, marks=pytest.mark.slow) for each in ("debian-13-daily", "flatcar-stable")),
)


@pytest.mark.cluster
def test_the_api_server_takes_every_image(crds: Cluster) -> None:
    namespace = crds.new_namespace("catalogue")
    flags = ("--dry-run=server", "-n", namespace, "-o", "name")
    told = crds.run_kubectl("create", *flags, "-k", str(CATALOGUE)).split()
    images = {each.partition("/")[2] for each in told if each.startswith("cloudimage.")}
    assert images == {each.name for each in entries()}


@dataclass
class Provider:
    """A provider who has applied an image of the catalogue, and its publisher."""

    namespace: Namespace
    openstack: OpenStack
    net: Upstream
    layout: Layout
    folder: Path
    name: str
    checks: int = 0

    def build(self, version: str) -> bytes:
        """Return the bytes of a build; each has others."""
        path = self.folder / f"{version}.qcow2"
        if not path.exists():
            size = len(list(self.folder.glob("*.qcow2"))) + 1
            disk(path, "qcow2", virtual_size=8 << 20, data_bytes=size << 20)
        return path.read_bytes()

    def publish(self, version: str, content: bytes | None = None) -> str:
        """Publish a build; return its path."""
        return self.layout.publish(self.net, version, content or self.build(version))

    def apply(self, **spec: Any) -> CloudImage:
        """Apply what ``cloudimage new`` prints, with the bed's URLs and key, and wait for it."""
        entry = find(self.name)
        assert entry is not None
        objects: list[dict[str, Any]] = []
        for each in entry.objects(SECRET, "images"):
            body = yaml.safe_load(self.net.here(yaml.safe_dump(each)))
            if body["kind"] == "ConfigMap":
                body["data"] = {KEY: self.net.signer.public()}
            else:
                body["spec"] |= spec
            objects.append(body)
        apply = ("apply", "-n", self.namespace.name, "-f", "-")
        self.namespace.cluster.run_kubectl(*apply, stdin=yaml.safe_dump_all(objects))
        return self.namespace.wait_condition(self.name, "Ready")

    def wait_checked(self, holds: Callable[[CloudImage], bool]) -> CloudImage:
        """Have the source asked now instead of within hours, and wait for what comes of it."""
        self.checks += 1
        annotations = {RETRY_ANNOTATION: str(self.checks)}
        self.namespace.patch(self.name, {"metadata": {"annotations": annotations}})
        return self.namespace.wait(self.name, holds)

    def serves(self, resource: CloudImage, version: str) -> bool:
        """Return whether the image in Glance is of a build."""
        served = content_of(self.openstack.connect("images"), resource.status.image_id or "")
        path = self.folder / f"{version}.qcow2"
        return served == sha256_of(path)


@pytest.fixture
def provider(
    request: pytest.FixtureRequest,
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    signer: Signer,
    unique: str,
    tmp_path: Path,
) -> Iterator[Provider]:
    net = Upstream(sources, unique, signer)
    name = request.param
    yield Provider(namespace, openstack, net, LAYOUTS[name], tmp_path, name)
    namespace.delete(name)
    namespace.wait_gone(name)
    net.clear()


@pytest.mark.cluster
@pytest.mark.cloud
@pytest.mark.parametrize("provider", FIVE, indirect=True)
def test_a_new_build_is_served_and_a_bad_one_changes_nothing(
    provider: Provider, tmp_path: Path
) -> None:
    older, newer = provider.layout.older, provider.layout.newer
    provider.publish(older)
    first = provider.apply()
    assert provider.serves(first, older)
    assert said(first, "Verified")[0] == "True"

    provider.publish(newer)
    second = provider.wait_checked(lambda each: _serves(each, newer))
    assert provider.serves(second, newer)

    def refused(*reasons: str) -> None:
        """Have the source asked, and see why nothing changes."""
        told = provider.wait_checked(lambda each: said(each, "Following")[1] in reasons)
        assert said(told, "Following")[0] == "False"
        assert said(told, "Ready")[0] == "True"
        assert told.status.image_id == second.status.image_id

    provider.net.clear()
    refused("SourceNotFound")
    provider.publish(older)
    refused("SourceWentBack")
    entry = find(provider.name)
    assert entry is not None
    if entry.keyring:
        ours, provider.net.signer = provider.net.signer, Signer.made(tmp_path / "k")
        provider.publish(newer)
        provider.net.signer.stop()
        refused("SignatureInvalid")
        provider.net.signer = ours

    broken = _after(newer)
    path = provider.publish(broken)
    provider.net.spoil(path)
    bad = provider.wait_checked(lambda each: "ChecksumMismatch" in str(each.status.conditions))
    assert bad.status.image_id == second.status.image_id
    images = provider.openstack.connect("images")
    mine = [each["id"] for each in images_of(images, bad.metadata.uid) if not each["os_hidden"]]
    assert mine == [second.status.image_id]


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.cloud
@pytest.mark.parametrize("provider", ["flatcar-stable"], indirect=True)
def test_a_new_build_is_served_with_nobody_asking_for_it(provider: Provider) -> None:
    provider.publish(provider.layout.older)
    provider.apply(follow={"every": "1m"})
    newer = provider.layout.newer
    provider.publish(newer)
    # The check is spread over a share of the interval.
    served = provider.namespace.wait(provider.name, lambda each: _serves(each, newer), seconds=180)
    assert provider.serves(served, newer)


def _serves(resource: CloudImage, version: str) -> bool:
    """Return whether a version is served, and nothing else is under way."""
    follow = resource.status.follow
    return (
        follow is not None
        and follow.version == version
        and said(resource, "UpdateAvailable")[:2] == ("False", "UpToDate")
        and said(resource, "Ready")[0] == "True"
    )


def _after(version: str) -> str:
    """Return a version that comes after one."""
    head, tail = version[:-1], version[-1]
    return f"{head}{int(tail) + 1}"
