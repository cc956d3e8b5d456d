"""What the real Nova refuses a boot test, each with its reason, and no key pair is left."""

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from openstack.connection import Connection

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, open_cloud
from cloudimage.cloud.errors import CloudError, CloudUnreachableError
from cloudimage.cloud.neutron import NetworkRef
from support.boot_servers import (
    PUBLIC_KEY,
    built,
    flavor,
    keys_of,
    quota,
    until,
    wanted,
)
from support.fault_proxy import Fault, FaultProxy
from support.openstack_actions import make_image, wait_until
from support.projects import Project, own_project
from testbed.openstack import OpenStack
from testbed.paths import REPOSITORY

pytestmark = [pytest.mark.cloud, pytest.mark.xdist_group("boot-refusals")]


@pytest.fixture(scope="module")
def project(openstack: OpenStack) -> Iterator[Project]:
    with own_project(openstack, f"boot-refusals-{uuid.uuid4()}") as made:
        yield made


@contextmanager
def image_with(tenant: Connection, data: bytes | None = b"\0", **attributes: Any) -> Iterator[str]:
    made = make_image(tenant, data, **attributes)
    try:
        yield made.id
    finally:
        tenant.image.delete_image(made)


def refused(
    cloud: Cloud, tenant: Connection, uid: str, image_id: str, **changes: Any
) -> CloudError:
    """Return how a server is refused; no key pair is left of it."""
    with pytest.raises(CloudError) as caught:
        cloud.boot_servers.create(wanted(uid, image_id, **changes), PUBLIC_KEY)
    assert keys_of(tenant, uid) == []
    return caught.value


def test_what_does_not_fit_the_image_or_is_not_there(
    openstack: OpenStack, cloud: Cloud, tenant: Connection, uid: str, image_id: str, unique: str
) -> None:
    admin, nowhere = openstack.connect("admin"), str(uuid.uuid4())
    with ExitStack() as stack:
        memory = stack.enter_context(image_with(tenant, min_ram=1000))
        disk = stack.enter_context(image_with(tenant, min_disk=10))
        queued = stack.enter_context(image_with(tenant, None))
        odd = stack.enter_context(image_with(tenant, hw_cpu_policy="odd"))
        stack.enter_context(flavor(admin, f"{unique}-none", disk=0))
        stack.enter_context(flavor(admin, f"{unique}-theirs", openstack.project_id("consumer")))
        by_name, by_id = (NetworkRef(name="office"),), (NetworkRef(id=nowhere),)
        cases: list[tuple[str, str, str, dict[str, Any]]] = [
            (memory, "FlavorTooSmall", "memory is too small.*choose a larger flavor$", {}),
            (disk, "FlavorTooSmall", "10737418240 bytes; choose a larger flavor, or boot from", {}),
            (disk, "FlavorTooSmall", "make the volume larger", {"volume_gib": 9}),
            (image_id, "FlavorTooSmall", "boot from a volume", {"flavor": f"{unique}-none"}),
            (image_id, "FlavorNotFound", "'m1.none'.*choose another", {"flavor": "m1.none"}),
            (image_id, "FlavorNotFound", "available", {"flavor": f"{unique}-theirs"}),
            (image_id, "FlavorNotFound", "'detail'", {"flavor": "detail"}),
            (image_id, "FlavorNotFound", "'[.][.]/ä'", {"flavor": "../ä"}),
            (image_id, "NetworkNotFound", "'office'.*give the network's id", {"networks": by_name}),
            (image_id, "NetworkNotFound", f"{nowhere} could not be found", {"networks": by_id}),
            (image_id, "ServerRefused", "not in proper", {"networks": (NetworkRef(id="office"),)}),
            (image_id, "ServerRefused", "65535", {"user_data": b"\0" * 49152}),
            (odd, "ServerRefused", "making the test server: Invalid image metadata", {}),
            (queued, "Conflict", "is not active", {}),
            (nowhere, "NotFound", "not find requested image", {}),
        ]
        for image, reason, words, changes in cases:
            error = refused(cloud, tenant, uid, image, **changes)
            assert error.reason == reason, (error, changes)
            assert re.search(words, str(error)), error
        assert cloud.boot_servers.find(uid) == ()
    assert len(b"\0" * 49151) * 4 / 3 < 65536  # the largest that fits


def test_a_quota_that_is_used_up_is_told_by_its_name(
    openstack: OpenStack,
    project: Project,
    cloud: Cloud,
    tenant: Connection,
    uid: str,
    image_id: str,
) -> None:
    admin = openstack.connect("admin")
    words = {
        "instances": "instances",
        "cores": "cores",
        "ram": "ram",
        "key_pairs": "too many key pairs",
        "metadata_items": "metadata items",
    }
    for resource, word in words.items():
        with quota(admin, project.id, **{resource: 0}):
            error = refused(cloud, tenant, uid, image_id)
        assert (error.reason, word in str(error)) == ("QuotaExceeded", True), error


Rules = list[dict[str, str]]


def documented() -> Rules:
    """Return the rules of docs/credentials.md for the compute service."""
    text = (REPOSITORY / "docs/credentials.md").read_text()
    blocks: list[Rules] = [
        json.loads(each) for each in re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    ]
    return [each for block in blocks for each in block if each["service"] == "compute"]


@contextmanager
def limited(project: Project, rules: Rules) -> Iterator[dict[str, Any]]:
    """Yield an entry whose application credential may make these requests alone."""
    connection = project.connect()
    identity: Any = connection.identity
    path = f"/users/{connection.current_user_id}/application_credentials"
    body = {"application_credential": {"name": str(uuid.uuid4()), "access_rules": rules}}
    made = identity.post(path, json=body).json()["application_credential"]
    auth = {
        "auth_url": project.openstack.auth_url,
        "application_credential_id": made["id"],
        "application_credential_secret": made["secret"],
    }
    try:
        yield project.entry | {"auth_type": "v3applicationcredential", "auth": auth}
    finally:
        identity.delete(f"{path}/{made['id']}")


def test_the_documented_access_rules_suffice_for_a_test(
    project: Project, tenant: Connection, uid: str, image_id: str
) -> None:
    with limited(project, documented()) as entry, open_cloud(CloudConfig(entry)) as cloud:
        servers = cloud.boot_servers
        server_id = servers.create(wanted(uid, image_id), PUBLIC_KEY)
        until(servers, server_id, built)
        assert servers.console(server_id, 1) == "LAST LINE"
        assert [each.id for each in servers.find(uid)] == [server_id]
        assert cloud.nova.usage(image_id).servers == ()
        servers.delete(server_id)
        wait_until(lambda: servers.read(server_id) is None)
        servers.delete_keys(uid)
        assert keys_of(tenant, uid) == []


def test_an_access_rule_that_is_missing_is_named(
    project: Project, tenant: Connection, uid: str, image_id: str
) -> None:
    without = {("POST", "/v2.1/servers"), ("GET", "/v2.1/servers/*"), ("GET", "/v2.1/os-keypairs")}
    rules = [each for each in documented() if (each["method"], each["path"]) not in without]
    with limited(project, rules) as entry, open_cloud(CloudConfig(entry)) as cloud:
        error = refused(cloud, tenant, uid, image_id)
        assert (error.reason, "POST /v2.1/servers" in str(error)) == ("Forbidden", True), error
        with pytest.raises(CloudError, match=r"GET /v2.1/servers/\*$") as caught:
            cloud.boot_servers.read(str(uuid.uuid4()))
        assert caught.value.reason == "Forbidden"
        with pytest.raises(CloudError, match=r"GET /v2.1/os-keypairs$"):
            cloud.boot_servers.delete_keys(uid)


OLD = {
    "computeFault": {
        "code": 406,
        "message": "Version 2.37 is not supported by the API. Minimum is 2.1 and maximum is 2.25.",
    }
}
"""What Nova 13 (Mitaka) says."""


def test_an_old_nova_is_said_to_be_one_and_needs_no_such_word_where_networks_are_named(
    project: Project, tenant: Connection, uid: str, image_id: str
) -> None:
    nova: Any = tenant.compute.get_endpoint()
    old = Fault("POST", "/servers", "answer", status=406, content=json.dumps(OLD).encode())
    lost = Fault("POST", "/servers", "lose answer", times=9)
    with FaultProxy(nova, old, lost) as proxy:
        url = f"{proxy.url}{urlsplit(nova).path}"
        config = CloudConfig(project.entry | {"compute_endpoint_override": url})
        with open_cloud(config) as cloud:
            error = refused(cloud, tenant, uid, image_id, networks=None)
            assert error.reason == "ServerRefused"
            assert "older than 14 (Newton)" in str(error)
            assert str(error).endswith("name the networks to use")
            # No answer: the server may be there, and is found.
            wish = wanted(uid, image_id)
            with pytest.raises(CloudUnreachableError):
                cloud.boot_servers.create(wish, PUBLIC_KEY)
            assert [each.name for each in cloud.boot_servers.find(uid)] == [wish.name]


def test_a_cloud_without_nova_boots_nothing(project: Project) -> None:
    absent = {"compute_service_type": "absent", "block_storage_service_type": "absent"}
    with open_cloud(CloudConfig(project.entry | absent)) as cloud:
        with pytest.raises(CloudError, match="no compute service") as caught:
            cloud.boot_servers.create(wanted(str(uuid.uuid4()), "image"), PUBLIC_KEY)
        assert caught.value.reason == "ServerRefused"
        assert cloud.boot_servers.volumes_of_tests("image") == {}
