"""Application credentials with access rules, enforced by the real Keystone and its middleware."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cloudimage.api.cloudimage import CloudImage
from support.namespaces import Namespace, condition_of, images_of, server
from support.openstack_actions import make_image
from support.volumes import volume
from testbed.images import disk, sha256_of
from testbed.openstack import OpenStack
from testbed.paths import REPOSITORY
from testbed.sources import Sources

# One worker: Keystone keeps the rules of a user's credentials once, and fails where two are made.
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.cloud,
    pytest.mark.xdist_group("access-rules"),
]

Rules = list[Mapping[str, str]]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disk(tmp_path_factory.mktemp("images") / "small.qcow2", "qcow2")


def documented(page: str = "credentials.md") -> Rules:
    """Return the least rules as a page of the documentation has them first."""
    text = (REPOSITORY / "docs" / page).read_text()
    block, *_ = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    rules: Rules = json.loads(block)
    return rules


@contextmanager
def limited(openstack: OpenStack, name: str, rules: Rules) -> Iterator[dict[str, Any]]:
    """Yield an entry of clouds.yaml whose application credential has these access rules."""
    connection = openstack.connect("images-password")
    identity: Any = connection.identity
    user = connection.current_user_id
    path = f"/users/{user}/application_credentials"
    body = {"application_credential": {"name": name, "access_rules": rules}}
    made = identity.post(path, json=body).json()["application_credential"]
    entry = openstack.cloud("images")
    try:
        yield entry | {
            "auth": {
                "auth_url": entry["auth"]["auth_url"],
                "application_credential_id": made["id"],
                "application_credential_secret": made["secret"],
            }
        }
    finally:
        identity.delete(f"{path}/{made['id']}")
        for each in made["access_rules"]:
            identity.delete(f"/users/{user}/access_rules/{each['id']}")


def made(
    namespace: Namespace, sources: Sources, source: Path, name: str, **spec: Any
) -> CloudImage:
    ref = {"secretName": name, "cloudName": "limited"}
    url = sources.put(name, source)
    namespace.create(name, url, sha256_of(source), cloudCredentialsRef=ref, **spec)
    return namespace.wait_condition(name, "Ready")


def test_rules_for_the_image_service_alone_make_an_image_and_say_why_it_stays(
    openstack: OpenStack, namespace: Namespace, sources: Sources, source: Path, unique: str
) -> None:
    rules = [each for each in documented() if each["service"] == "image"]
    with limited(openstack, unique, rules) as entry:
        namespace.put_secret(openstack, unique, limited=entry)
        ready = made(namespace, sources, source, unique)
        assert ready.status.used_by is not None
        assert (ready.status.used_by.scope, ready.status.used_by.servers) == ("Refused", None)
        namespace.delete(unique)
        blocked = namespace.wait_condition(unique, "DeletionBlocked", reason="UsageUnknown")
        message = (condition_of(blocked, "DeletionBlocked") or ("", "", ""))[2]
        assert "compute, GET, /v2.1/servers/detail" in message
        assert "spec.usageCheck" in message
        assert images_of(openstack.connect("images"), ready.metadata.uid) != []
        namespace.patch(unique, {"spec": {"usageCheck": "IfPermitted"}})
        namespace.wait_gone(unique)
    assert images_of(openstack.connect("images"), ready.metadata.uid) == []


def test_the_documented_rules_are_enough_for_an_images_whole_life(
    openstack: OpenStack, namespace: Namespace, sources: Sources, source: Path, unique: str
) -> None:
    with limited(openstack, unique, documented()) as entry:
        namespace.put_secret(openstack, unique, limited=entry)
        ready = made(namespace, sources, source, unique, image={"diskFormat": "raw"})
        assert ready.status.used_by is not None
        assert ready.status.used_by.scope == "OwnProject"
        namespace.patch(unique, {"spec": {"image": {"tags": ["changed"]}}})
        namespace.wait_condition(unique, "Synced")
        namespace.delete(unique)
        namespace.wait_gone(unique)
    assert images_of(openstack.connect("images"), ready.metadata.uid) == []


@pytest.mark.slow
def test_the_documented_rules_are_enough_for_snapshots_of_a_server_and_a_volume(
    openstack: OpenStack, namespace: Namespace, source: Path, unique: str
) -> None:
    openstack.start_cinder()
    images = openstack.connect("images")
    rules = [
        *documented(),
        *documented("sources/server.md"),
        *documented("sources/volume.md"),
    ]
    image = make_image(images, source.read_bytes(), disk_format="qcow2", visibility="private")
    with (
        limited(openstack, unique, rules) as entry,
        server(images, unique, image.id) as server_id,
        volume(images, unique) as volume_id,
    ):
        namespace.put_secret(openstack, unique, limited=entry)
        ref = {"secretName": unique, "cloudName": "limited"}
        kinds = {
            "server": {"id": server_id, "stopFirst": True},
            "volume": {"id": volume_id},
        }
        for kind, given in kinds.items():
            name, image_of = f"{unique}-{kind}", {"diskFormat": "qcow2"}
            namespace.create(
                name, "", source={kind: given}, image=image_of, cloudCredentialsRef=ref
            )
        for kind in kinds:
            ready = namespace.wait_condition(f"{unique}-{kind}", "Ready")
            assert ready.status.method == "Snapshot"
            namespace.delete(f"{unique}-{kind}")
            namespace.wait_gone(f"{unique}-{kind}")
            assert images_of(images, ready.metadata.uid) == []
    images.image.delete_image(image)
