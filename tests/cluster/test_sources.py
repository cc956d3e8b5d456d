"""Where bytes come from and what proves them, as a CloudImage says it."""

import base64
import json
import lzma
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from support.namespaces import Namespace, condition_of, content_of, images_of, wait_until
from support.transfer_keys import Signer
from testbed.images import sha256_of
from testbed.openstack import OpenStack
from testbed.sources import Sources

pytestmark = [pytest.mark.cluster, pytest.mark.cloud]


def _apply(namespace: Namespace, kind: str, name: str, data: dict[str, str]) -> None:
    key = "stringData" if kind == "Secret" else "data"
    body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, key: data}
    namespace.cluster.run_kubectl("apply", "-n", namespace.name, "-f", "-", stdin=json.dumps(body))


def test_a_signed_file_of_checksums_proves_the_image(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, signer: Signer, unique: str
) -> None:
    url = sources.put(f"{unique}/disk.qcow2", qcow2_disk)
    sums = f"{'0' * 64}  other.qcow2\n{sha256_of(qcow2_disk)}  disk.qcow2\n".encode()
    _apply(namespace, "ConfigMap", unique, {"keys.asc": signer.public()})
    checksum = {
        "from": {"url": sources.put(f"{unique}/SHA256SUMS", sums)},
        "signature": {
            "url": sources.put(f"{unique}/SHA256SUMS.sign", signer.detached(sums)),
            "keyring": {"configMap": {"name": unique, "key": "keys.asc"}},
        },
    }
    namespace.create(unique, url, source={"http": {"url": url, "checksum": checksum}})
    ready = namespace.wait_condition(unique, "Ready")
    assert (condition_of(ready, "Verified") or ("", ""))[:2] == ("True", "SignatureMatched")
    namespace.delete(unique)


def test_a_signature_by_another_key_stalls_and_leaves_nothing(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    qcow2_disk: Path,
    signer: Signer,
    unique: str,
) -> None:
    url = sources.put(f"{unique}/disk.qcow2", qcow2_disk)
    sums = f"{sha256_of(qcow2_disk)}  disk.qcow2\n".encode()
    signature = signer.detached(sums)
    _apply(namespace, "ConfigMap", unique, {"keys.asc": signer.public()})
    checksum = {
        "from": {"url": sources.put(f"{unique}/SHA256SUMS", sums + b"#")},
        "signature": {
            "url": sources.put(f"{unique}/SHA256SUMS.sign", signature),
            "keyring": {"configMap": {"name": unique, "key": "keys.asc"}},
        },
    }
    namespace.create(unique, url, source={"http": {"url": url, "checksum": checksum}})
    stalled = namespace.wait_condition(unique, "Stalled", reason="SignatureInvalid")
    assert images_of(openstack.connect("images"), stalled.metadata.uid) == []
    namespace.delete(unique)


def test_a_missing_keyring_is_waited_for(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, signer: Signer, unique: str
) -> None:
    url = sources.put(f"{unique}/disk.qcow2", qcow2_disk)
    signature = signer.detached(qcow2_disk.read_bytes())
    checksum = {
        "signature": {
            "url": sources.put(f"{unique}/disk.qcow2.sig", signature),
            "keyring": {"secret": {"name": unique, "key": "keys.asc"}},
        }
    }
    namespace.create(unique, url, source={"http": {"url": url, "checksum": checksum}})
    namespace.wait_condition(unique, "Stalled", reason="SecretNotFound")
    _apply(namespace, "Secret", unique, {"keys.asc": signer.public()})
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)


def test_a_mirror_behind_a_password_serves_when_the_first_url_does_not(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    sources.put(unique, qcow2_disk)
    _apply(namespace, "Secret", unique, {"username": "user", "password": "sesame-77"})
    http = {
        "url": sources.url(unique, status=404, key=f"{unique}-first"),
        "mirrors": [sources.url(unique, auth="user:sesame-77", key=f"{unique}-mirror")],
        "auth": {"secretName": unique},
        "checksum": {"sha256": sha256_of(qcow2_disk)},
    }
    namespace.create(unique, "", source={"http": http})
    ready = namespace.wait_condition(unique, "Ready")
    assert [each.status for each in sources.requests(f"{unique}-mirror")][-1] == 200
    told = json.dumps(ready.status.to_json()) + namespace.operator.log()
    assert "sesame-77" not in told
    assert base64.b64encode(b"user:sesame-77").decode() not in told
    namespace.delete(unique)


@pytest.mark.slow
def test_a_compressed_image_is_expanded(
    namespace: Namespace,
    openstack: OpenStack,
    sources: Sources,
    raw_disk: Path,
    tmp_path: Path,
    unique: str,
) -> None:
    packed = tmp_path / "disk.raw.xz"
    packed.write_bytes(lzma.compress(raw_disk.read_bytes(), preset=0))
    url = sources.put(unique, packed)
    namespace.create(unique, url, sha256_of(packed))
    ready = namespace.wait_condition(unique, "Ready")
    images = openstack.connect("images")
    assert content_of(images, str(ready.status.image_id)) == sha256_of(raw_disk)
    namespace.delete(unique)


def test_addresses_of_the_cluster_are_refused_unless_allowed(
    own_namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    own_namespace.operator.stop()
    own_namespace.operator.start(CLOUDIMAGE_ALLOW_NETWORKS="")
    url = sources.put(unique, qcow2_disk)
    own_namespace.create(unique, url, sha256_of(qcow2_disk))
    stalled = own_namespace.wait_condition(unique, "Stalled", reason="SourceRefused")
    assert "127.0.0.1" in (condition_of(stalled, "Stalled") or ("", "", ""))[2]
    assert sources.requests(unique) == []


def test_a_disk_larger_than_the_spec_allows_is_refused(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(unique, qcow2_disk)
    namespace.create(unique, url, sha256_of(qcow2_disk), image={"maxSize": "63Mi"})
    namespace.wait_condition(unique, "Stalled", reason="ImageTooLarge")
    namespace.patch(unique, {"spec": {"image": {"maxSize": "64Mi"}}})
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)


def test_two_of_the_same_source_download_it_once(
    own_namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(unique, qcow2_disk)
    own_namespace.create(unique, url, sha256_of(qcow2_disk))
    own_namespace.create(f"{unique}-raw", url, sha256_of(qcow2_disk), image={"diskFormat": "raw"})
    own_namespace.wait_condition(unique, "Ready")
    own_namespace.wait_condition(f"{unique}-raw", "Ready")
    # A source that may be raw is looked at (206) before it is fetched.
    statuses = [each.status for each in sources.requests(unique)]
    assert statuses.count(HTTPStatus.OK) == 1


def test_a_store_is_chosen(
    namespace: Namespace, openstack: OpenStack, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    url = sources.put(unique, qcow2_disk)
    stores = {"method": "Upload", "stores": ["slow"]}
    spec: dict[str, Any] = {"import": stores, "revisionHistoryLimit": 0}
    namespace.create(unique, url, sha256_of(qcow2_disk), **spec)
    ready = namespace.wait_condition(unique, "Ready")
    [image] = images_of(openstack.connect("images"), ready.metadata.uid)
    assert image["stores"] == "slow"
    assert ready.status.method == "Upload"
    namespace.patch(unique, {"spec": {"import": {"stores": ["fast"]}}})
    connection = openstack.connect("images")

    def stores_of_all() -> list[str | None]:
        return [each.get("stores") for each in images_of(connection, ready.metadata.uid)]

    assert wait_until(lambda: stores_of_all() == ["fast"], 60)
    namespace.delete(unique)


def test_a_secret_goes_only_to_the_hosts_that_it_names(
    namespace: Namespace, sources: Sources, qcow2_disk: Path, unique: str
) -> None:
    sources.put(unique, qcow2_disk)
    _apply(namespace, "Secret", unique, {"username": "user", "password": "sesame-78"})
    annotate = ("annotate", "--overwrite", "-n", namespace.name, "secret", unique)
    namespace.cluster.run_kubectl(*annotate, "cloudimage.dev/hosts=images.example.org")
    http = {
        "url": sources.url(unique, auth="user:sesame-78", key=unique),
        "auth": {"secretName": unique},
    }
    namespace.create(unique, "", source={"http": http})
    stalled = namespace.wait_condition(unique, "Stalled", reason="SecretNotForHost")
    assert "is not for 127.0.0.1" in (condition_of(stalled, "Stalled") or ("", "", ""))[2]
    assert sources.requests(unique) == []
    namespace.cluster.run_kubectl(*annotate, "cloudimage.dev/hosts=127.0.0.1")
    namespace.wait_condition(unique, "Ready")
    namespace.delete(unique)
