"""From another OpenStack, with a Keystone of its own, by credentials that can only read."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
import yaml
from click.testing import CliRunner

from cloudimage.api.cloudimage import CloudImage
from cloudimage.cli.app import app
from cloudimage.controller.logic.conditions import is_true
from support.fault_proxy import Fault, FaultProxy
from support.namespaces import Namespace, content_of, image_of, images_of, wait_until
from support.openstack_actions import make_image
from testbed.images import disk, sha256_of
from testbed.kubernetes import Cluster
from testbed.openstack import OpenStack
from testbed.openstack.another import another
from testbed.operator import Operator
from testbed.paths import REPOSITORY

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.cloud,
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("glance-clouds"),
]

SOURCE = {"secretName": "old", "cloudName": "old"}


TOKEN_SECONDS = 40
"""keystoneauth takes a token for spent half a minute before it is."""


@pytest.fixture(scope="module")
def old_cloud() -> Iterator[OpenStack]:
    """The cloud that has the images; its tokens are short-lived."""
    with another() as bed:
        bed.up()
        with (bed.folder / "etc" / "keystone.conf").open("a") as file:
            file.write(f"\n[token]\nexpiration = {TOKEN_SECONDS}\n")
        bed.stop_service("keystone")
        bed.start_service("keystone")
        yield bed


@pytest.fixture(scope="module")
def reader(old_cloud: OpenStack) -> dict[str, Any]:
    """An entry of clouds.yaml of the old cloud with the access rules of docs/sources/glance.md."""
    page = (REPOSITORY / "docs" / "sources" / "glance.md").read_text()
    [block] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    connection = old_cloud.connect("images-password")
    identity: Any = connection.identity
    body = {"name": "migration", "access_rules": json.loads(block), "roles": [{"name": "member"}]}
    path = f"/users/{connection.current_user_id}/application_credentials"
    made = identity.post(path, json={"application_credential": body}).json()
    credential = made["application_credential"]
    auth = {
        "auth_url": old_cloud.auth_url,
        "application_credential_id": credential["id"],
        "application_credential_secret": credential["secret"],
    }
    return old_cloud.cloud("images") | {"auth": auth}


@pytest.fixture
def moved(
    cluster: Cluster,
    openstack: OpenStack,
    crds: Cluster,
    reader: dict[str, Any],
    tmp_path: Path,
) -> Iterator[Namespace]:
    """A namespace with both clouds' Secrets, and an operator that is not started yet."""
    operator = Operator(cluster, cluster.new_namespace("cloudimage"), tmp_path / "operator")
    operator.install()
    namespace = Namespace.of(operator)
    namespace.put_secret(openstack)
    put_secret(namespace, reader)
    yield namespace
    operator.stop()


def put_secret(namespace: Namespace, entry: dict[str, Any]) -> None:
    """Put the old cloud's entry, and nothing else, into its Secret."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SOURCE["secretName"]},
        "stringData": {"clouds.yaml": json.dumps({"clouds": {"old": entry}})},
    }
    apply = ("apply", "-n", namespace.name, "-f", "-")
    namespace.cluster.run_kubectl(*apply, stdin=json.dumps(secret))


def test_a_project_moves_to_another_openstack_as_the_docs_say(
    moved: Namespace,
    old_cloud: OpenStack,
    openstack: OpenStack,
    reader: dict[str, Any],
    unique: str,
    tmp_path: Path,
) -> None:
    old, new = old_cloud.connect("images"), openstack.connect("images")
    shapes = {"raw": disk(tmp_path / "a.raw", "raw"), "qcow2": disk(tmp_path / "a.qcow2", "qcow2")}
    ids = {}
    for shape, path in shapes.items():
        image = make_image(old, path.read_bytes(), disk_format=shape, os_distro="debian")
        old.image.update_image(image.id, name=f"{unique} {shape}")
        ids[shape] = image.id
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(yaml.safe_dump({"clouds": {"old": reader}}))
    into = ("--secret", "openstack", "--cloud", "images", "-n", moved.name)
    done = CliRunner(env={"OS_CLIENT_CONFIG_FILE": str(clouds)}).invoke(
        app, ["migrate", "--from-cloud", "old", "--all", *into, "--to", str(tmp_path / "git")]
    )
    assert done.exit_code == 0, done.output
    moved.operator.start()
    moved.cluster.run_kubectl("apply", "-f", str(tmp_path / "git"))
    for shape, path in shapes.items():
        ready = moved.wait_condition(f"{unique}-{shape}", "Ready")
        image = image_of(new, ready)
        assert content_of(new, image["id"]) == sha256_of(path)
        assert (image["name"], image["os_distro"]) == (f"{unique} {shape}", "debian")
        there = old.image.get(f"/images/{ids[shape]}").json()
        assert image["os_hash_value"] == there["os_hash_value"]
    for shape in shapes:
        moved.delete(f"{unique}-{shape}")
        moved.wait_gone(f"{unique}-{shape}")
        old.image.delete_image(ids[shape])


def test_a_token_that_expires_in_the_middle_of_a_long_read_is_renewed(
    moved: Namespace,
    old_cloud: OpenStack,
    openstack: OpenStack,
    reader: dict[str, Any],
    unique: str,
    tmp_path: Path,
) -> None:
    old, new = old_cloud.connect("images"), openstack.connect("images")
    raw = disk(tmp_path / "disk.raw", "raw")
    image = make_image(old, raw.read_bytes())
    endpoint = str(old.session.get_endpoint(service_type="image"))
    tokens: list[str] = []

    def is_refused(token: str) -> bool:
        path = f"{endpoint.rstrip('/')}/v2/images/{image.id}"
        status = requests.get(path, headers={"X-Auth-Token": token}, timeout=30).status_code
        assert status in {200, 401}
        return status == 401

    def wait_until_expired(token: str) -> None:
        tokens.append(token)
        assert wait_until(lambda: is_refused(token), 3 * TOKEN_SECONDS)

    size = raw.stat().st_size
    cut = Fault("GET", "/file", "cut answer", at=size * 3 // 4, call=wait_until_expired, times=9)
    with FaultProxy(endpoint, cut) as proxy:
        entry = reader | {"image_endpoint_override": proxy.url}
        put_secret(moved, entry)
        moved.operator.start()
        moved.create(unique, "", source={"glance": {"cloudCredentialsRef": SOURCE, "id": image.id}})
        ready = moved.wait(
            unique, lambda each: is_true(each.status.conditions, "Ready"), 6 * TOKEN_SECONDS
        )
    assert len(tokens) == 1
    assert proxy.ranges[-1] == f"bytes={cut.at}-{size - 1}", "the rest alone was asked for"
    assert content_of(new, ready.status.image_id or "") == sha256_of(raw)
    moved.delete(unique)
    moved.wait_gone(unique)
    old.image.delete_image(image.id)


@pytest.mark.parametrize("killed", ["transfer", "operator"])
def test_killed_in_the_middle_of_a_stream_it_leaves_nothing(
    moved: Namespace,
    old_cloud: OpenStack,
    openstack: OpenStack,
    unique: str,
    tmp_path: Path,
    killed: str,
) -> None:
    old, new = old_cloud.connect("images"), openstack.connect("images")
    raw = disk(tmp_path / "large.raw", "raw", virtual_size=384 << 20, data_bytes=8 << 20, seed=7)
    image = make_image(old)
    with raw.open("rb") as file:
        headers = {"Content-Type": "application/octet-stream"}
        old.image.put(f"/images/{image.id}/file", data=file, headers=headers)
    moved.operator.start()
    source = {"glance": {"cloudCredentialsRef": SOURCE, "id": image.id}}
    moved.create(unique, "", source=source)

    def is_under_way(resource: CloudImage) -> bool:
        progress = resource.status.progress
        return progress is not None and progress.stage == "Uploading" and bool(progress.percent)

    uid = moved.wait(unique, is_under_way).metadata.uid
    [transfer] = moved.operator.transfers()
    [half] = images_of(new, uid)
    assert half["status"] == "saving"
    assert not any(each.stat().st_size > 1 << 20 for each in scratch_files(moved))
    if killed == "transfer":
        transfer.kill()
        moved.wait_condition(unique, "Stalled", reason="InternalError")
        assert moved.operator.leftovers() == []
    else:
        moved.operator.kill()
        with suppress(psutil.NoSuchProcess):
            transfer.wait(20)
        moved.operator.start()
    ready = moved.wait_condition(unique, "Ready")
    [left] = images_of(new, uid)
    assert (left["id"], left["status"]) == (ready.status.image_id, "active")
    assert left["os_hash_value"] == old.image.get(f"/images/{image.id}").json()["os_hash_value"]
    assert wait_until(lambda: moved.operator.leftovers() == [], 10)
    moved.delete(unique)
    moved.wait_gone(unique)
    assert images_of(new, uid) == []
    old.image.delete_image(image.id)


def scratch_files(namespace: Namespace) -> list[Path]:
    """Return the files that transfers have on disk now."""
    return [each for each in namespace.operator.scratch.rglob("*") if each.is_file()]
