"""Bytes that are not the publisher's disk, or not all of it, are never Ready."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from support.amplified_images import qcow2
from support.hostile_server import Hostile, Script
from support.namespaces import Namespace, condition_of, content_of, images_of
from support.transfer_images import MIB, raw_disk
from support.transfer_keys import Signer
from support.vhd_writers import CREATORS, dynamic
from testbed.images import sha256_of
from testbed.kubernetes.certificates import Authority
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]

SIZE = 8 * MIB + 5 * 512
"""No geometry says this one."""


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("disk") / "disk.raw"
    raw_disk(path, SIZE)
    with path.open("r+b") as file:
        file.seek(SIZE - 4096)
        file.write(b"the end of the disk".ljust(4096, b"."))
    return path


def test_a_vhd_by_virtualbox_arrives_to_its_last_byte(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    small_disk: Path,
    tmp_path: Path,
    unique: str,
) -> None:
    path = tmp_path / "disk.vhd"
    dynamic(CREATORS["VirtualBox"])(small_disk, path)
    url = sources.put(unique, path)
    namespace.create(unique, url, sha256_of(path), image={"diskFormat": "raw"})
    ready = namespace.wait_condition(unique, "Ready")
    assert ready.status.image_id
    stored = content_of(openstack.connect("images"), ready.status.image_id)
    assert stored == sha256_of(small_disk)
    namespace.delete(unique)


def test_a_signed_text_with_the_hash_of_another_file_verifies_nothing(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    signer: Signer,
    unique: str,
) -> None:
    url = sources.put(f"{unique}/disk.qcow2", qcow2_disk)
    note = f"Release 7 of other.qcow2\n{sha256_of(qcow2_disk)}\n".encode()
    _config_map(namespace, unique, {"keys.asc": signer.public()})
    checksum = {
        "from": {"url": sources.put(f"{unique}/SHA256SUMS", signer.clearsigned(note))},
        "signature": {"keyring": {"configMap": {"name": unique, "key": "keys.asc"}}},
    }
    namespace.create(unique, url, source={"http": {"url": url, "checksum": checksum}})
    _stalls(namespace, openstack, unique, "SumsFileInvalid", "without a file name")


def _cut(content: bytes) -> Script:
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
    return lambda connection, _: connection.sendall(head + content)


@pytest.mark.parametrize("secure", [False, True])
def test_a_part_of_a_disk_that_nothing_proves_whole(
    namespace: Namespace,
    openstack: OpenStack,
    small_disk: Path,
    tmp_path: Path,
    unique: str,
    secure: bool,
) -> None:
    """A file system without a table: nothing in it tells where it ends."""
    part = bytes(0x438) + b"\x53\xef" + small_disk.read_bytes()[: 3 * MIB]
    authority = Authority.new()
    authority.issue_server(tmp_path / "server")
    http: dict[str, Any] = {}
    if secure:
        _config_map(namespace, unique, {"ca.crt": authority.pem})
        http["caCertificate"] = {"configMap": {"name": unique, "key": "ca.crt"}}
    with Hostile(_cut(part), tmp_path / "server" if secure else None) as server:
        namespace.create(unique, "", source={"http": {"url": server.url(), **http}})
        _stalls(namespace, openstack, unique, "SourceTruncated", "Retried at")


def test_the_same_data_again_and_again(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    small_disk: Path,
    tmp_path: Path,
    unique: str,
) -> None:
    path = tmp_path / "disk.qcow2"
    qcow2(64)(small_disk, path)
    url = sources.put(unique, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    namespace.create(unique, url, digest, image={"diskFormat": "raw"})
    _stalls(namespace, openstack, unique, "UnsafeImage", "again and again")


def _config_map(namespace: Namespace, name: str, data: dict[str, str]) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=json.dumps(body))


def _stalls(namespace: Namespace, openstack: OpenStack, name: str, reason: str, words: str) -> None:
    stalled = namespace.wait_condition(name, "Stalled", reason=reason)
    message = (condition_of(stalled, "Stalled") or ("", "", ""))[2]
    assert words in message
    assert condition_of(stalled, "Ready") == ("False", reason, message)
    assert images_of(openstack.connect("images"), stalled.metadata.uid) == []
    namespace.delete(name)
    namespace.wait_gone(name)
