"""Samples that can work here do: applied as they are but for what only their reader has.

Replaced are the URLs (by files of the test bed's source server), the hashes (by those of these
files), the keyring's key and the names of Glance's stores. Secrets have the samples' names.
"""

import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from openstack.connection import Connection

from support.boot_tests import boot_test
from support.namespaces import Namespace, server
from support.openstack_actions import make_image
from support.transfer_keys import Signer
from support.upstream import Upstream
from support.volumes import volume, wait_available
from testbed.buckets import OWNER, REGION, Buckets
from testbed.images import disk
from testbed.openstack import OpenStack
from testbed.openstack.swift import Swift
from testbed.paths import REPOSITORY
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SAMPLES = REPOSITORY / "manifests" / "samples"
IMAGES = (
    *("ageing", "ami", "archive", "boot-test", "ceph-raw", "checksums", "clearsigned", "community"),
    "compressed",
    *(
        "following",
        "from-glance",
        "from-s3",
        "from-swift",
        "from-server",
        "from-volume",
        "iso",
        "kernel-ramdisk",
        "linted",
        "migrated",
        "minimal",
        "orphan",
        "provenance",
        "published",
        "revisions",
        "snapshots",
    ),
    *("shareable", "two-clouds", "web-download"),
)
"""Not glance-direct: it is for a Glance that converts, which that of these tests does not."""
ALGORITHMS = ("sha256", "sha512")

Body = dict[str, Any]


def documents(*names: str) -> Iterator[Body]:
    """Yield the objects of samples."""
    for name in names:
        yield from yaml.safe_load_all((SAMPLES / f"{name}.yaml").read_text())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a file of the kind that the name in a sample's URL promises."""
    folder = tmp_path_factory.mktemp("samples")

    def file(name: str) -> Path:
        path, suffix = folder / name, PurePosixPath(name).suffix.removeprefix(".")
        if path.exists():
            return path
        if suffix in {"raw", "vmdk", "iso"}:
            return disk(path, suffix)  # type: ignore[arg-type]  # one of its formats
        if suffix == "xz":
            with tarfile.open(path, "w:xz") as archive:
                archive.add(disk(folder / "disk.raw", "raw"), "disk.raw")
            return path
        if name in {"vmlinuz", "initrd.img"}:
            path.write_bytes(b"not looked into")
            return path
        return disk(path, "raw" if suffix == "img" else "qcow2")

    return file


@pytest.fixture
def glance(openstack: OpenStack, files: Callable[[str], Path]) -> Iterator[Callable[[Body], None]]:
    """Make an image in the other cloud that a source is to find."""
    other, made = openstack.connect("consumer"), []

    def make(source: Body) -> None:
        content, selected = files("disk.raw").read_bytes(), source.get("filter", source)
        tags = selected.get("tags", [])
        image = make_image(other, content, visibility="private", tags=tags)
        made.append(image.id)
        if "id" in source:
            source["id"] = image.id
        else:
            other.image.update_image(image.id, name=selected["name"])
        if "owner" in selected:
            selected["owner"] = image.owner

    yield make
    for each in made:
        other.image.delete_image(each)


@pytest.fixture
def stores(
    buckets: Buckets, openstack: OpenStack, files: Callable[[str], Path], unique: str
) -> dict[str, Callable[[Body], None]]:
    """Put an object into a store where a source is to find it, by the kind of source."""
    swift = Swift(openstack)
    swift.up()
    buckets.make(unique, versions=True)

    def s3(source: Body) -> None:
        file = files(PurePosixPath(source["key"]).name)
        hashed(source.get("checksum", {}), file)
        done = buckets.put(unique, source["key"], file)
        source |= {"endpoint": buckets.secure_endpoint, "region": REGION, "bucket": unique}
        if "versionID" in source:
            source["versionID"] = done["VersionId"]

    def in_container(source: Body) -> None:
        file = files(PurePosixPath(source["object"]).name)
        hashed(source.get("checksum", {}), file)
        source["container"] = unique
        swift.put("consumer", unique, file, "--object-name", source["object"])

    return {"s3": s3, "swift": in_container}


def hashed(checksum: Body, file: Path) -> None:
    """Put the hashes of a file into a checksum."""
    for algorithm in checksum.keys() & ALGORITHMS:
        checksum[algorithm] = hashlib.new(algorithm, file.read_bytes()).hexdigest()


@pytest.fixture
def snapshots(
    openstack: OpenStack, files: Callable[[str], Path], unique: str
) -> Iterator[Mapping[str, Callable[[Body], None]]]:
    """Make, by its kind, the server or the volume that a source is to find."""
    stack = ExitStack()

    def project_of(source: Body) -> Connection:
        return openstack.connect("consumer" if "cloudCredentialsRef" in source else "images")

    def boot(source: Body) -> None:
        cloud, content = project_of(source), files("disk.qcow2").read_bytes()
        image = make_image(cloud, content, disk_format="qcow2", visibility="private")
        stack.callback(cloud.image.delete_image, image.id)
        name = f"{unique}-{source.get('name')}"
        server_id = stack.enter_context(server(cloud, name, image.id))
        source |= {"name": name} if "name" in source else {"id": server_id}

    def fill(source: Body) -> None:
        openstack.start_cinder()
        cloud, name = project_of(source), f"{unique}-{source.get('name')}"
        volume_id = stack.enter_context(volume(cloud, name))
        if "snapshotID" in source:
            cinder = cloud.block_storage
            snapshot = cinder.create_snapshot(name=name, volume_id=volume_id)
            wait_available(cloud, snapshot)
            stack.callback(cinder.wait_for_delete, snapshot, interval=0.1, wait=60)
            stack.callback(cinder.delete_snapshot, snapshot.id)
            source["snapshotID"] = snapshot.id
        else:
            source |= {"name": name} if "name" in source else {"id": volume_id}

    with stack:
        yield {"server": boot, "volume": fill}


@pytest.fixture
def http(
    sources: Sources, files: Callable[[str], Path], signer: Signer, unique: str
) -> Callable[[Body], None]:
    """Publish a file, and the list that has its checksum, where a source is to find them."""

    def put(url: str, content: bytes | Path) -> str:
        return sources.put(f"{unique}{urlsplit(url).path}", content)

    def indexed(source: Body) -> None:
        """Publish one build in a dated folder, as Debian does with its daily ones."""
        net, version = Upstream(sources, unique, signer), "20261101-2285"
        name = f"debian-13-genericcloud-amd64-daily-{version}.qcow2"
        folder = f"images.example.org/debian-13/daily/{version}"
        net.put(f"{folder}/{name}", files(name).read_bytes())
        net.put(f"{folder}/SHA512SUMS", net.sums(folder, "sha512"))
        source |= json.loads(net.here(json.dumps(source)))

    def publish(source: Body) -> None:
        if "index" in source:
            indexed(source)
            return
        file = files(PurePosixPath(source["url"]).name)
        checksum = source.get("checksum", {})
        hashed(checksum, file)
        if sums := checksum.get("from"):
            name = PurePosixPath(source["url"]).name
            text = f"{hashlib.sha512(file.read_bytes()).hexdigest()}  {name}\n".encode()
            signed = "signature" in checksum
            sums["url"] = put(sums["url"], signer.clearsigned(text) if signed else text)
        source["url"] = put(source["url"], file)

    return publish


@pytest.fixture
def localize(
    http: Callable[[Body], None],
    signer: Signer,
    glance: Callable[[Body], None],
    buckets: Buckets,
    stores: dict[str, Callable[[Body], None]],
    snapshots: Mapping[str, Callable[[Body], None]],
) -> Callable[[Body], Body]:
    """Put the test bed's things in the place of those that only the reader has."""

    def localized(body: Body) -> Body:
        if body["kind"] == "CloudImage":
            [(kind, source)] = body["spec"]["source"].items()
            kinds = {"http": http, "glance": glance, **stores, **snapshots}
            kinds[kind](source)
            if "stores" in body["spec"].get("import", {}):
                body["spec"]["import"]["stores"] = ["slow"]
            if "bootTest" in body["spec"]:
                # Servers of this bed have no networks, and no guests.
                body["spec"]["bootTest"] |= boot_test()
        if body["kind"] == "ConfigMap":
            text = buckets.authority.read_text() if "ca.crt" in body["data"] else signer.public()
            body["data"] = dict.fromkeys(body["data"], text)
        if body["kind"] == "Secret":
            keys = {"AWS_ACCESS_KEY_ID": OWNER.id, "AWS_SECRET_ACCESS_KEY": OWNER.secret}
            body["stringData"] = {**keys, "ca.crt": buckets.authority.read_text()}
        return body

    return localized


@pytest.mark.slow
def test_samples_become_ready(
    own_namespace: Namespace, openstack: OpenStack, localize: Callable[[Body], Body]
) -> None:
    namespace, cloud = own_namespace, openstack.cloud("images")
    namespace.put_secret(openstack, "openstack-regions", east=cloud, west=cloud)
    clouds = json.dumps({"clouds": {"old": openstack.cloud("consumer")}})
    old_cloud: Any = {"metadata": {"name": "old-cloud"}, "stringData": {"clouds.yaml": clouds}}
    namespace.core.create_namespaced_secret(namespace.name, old_cloud)
    samples = documents("keyrings", *(f"cloudimage-{name}" for name in IMAGES))
    bodies = [localize(body) for body in samples]
    apply = ("apply", "-n", namespace.name, "-f", "-")
    namespace.cluster.run_kubectl(*apply, stdin=yaml.safe_dump_all(bodies))
    images = [body["metadata"]["name"] for body in bodies if body["kind"] == "CloudImage"]
    for name in images:
        namespace.wait_condition(name, "Ready")
    # Nothing of it stays in the cloud that tests share.
    for name in images:
        namespace.patch(name, {"spec": {"deletionPolicy": "Delete", "image": {"protected": False}}})
        namespace.delete(name)
    for name in images:
        namespace.wait_gone(name)
