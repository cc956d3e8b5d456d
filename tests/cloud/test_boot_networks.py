"""Networks of boot tests by their names, in the real Neutron."""

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import Cloud, connected
from cloudimage.cloud.errors import CloudError
from cloudimage.cloud.neutron import NetworkRef, Neutron
from support.boot_servers import PUBLIC_KEY, built, keys_of, until, wanted
from support.openstack_actions import wait_until
from support.projects import Project, own_project
from testbed.openstack import OpenStack

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.slow,
    pytest.mark.timeout(900),  # the first one starts the bed
    pytest.mark.xdist_group("testbed-boot"),
]

SUBNETS = ("198.18.8.0/24", "fd7a:8::/64")


@pytest.fixture(scope="module")
def project(boot_bed: OpenStack) -> Iterator[Project]:
    """Nobody else has networks there, so Nova chooses as is expected here."""
    with own_project(boot_bed, f"boot-networks-{uuid.uuid4()}") as made:
        yield made


@contextmanager
def network(owner: Connection, name: str, *cidrs: str, **attributes: Any) -> Iterator[str]:
    """Make a network with these subnets."""
    made: Any = owner.network.create_network(name=name, **attributes)
    for cidr in cidrs:
        version = ip_network(cidr).version
        modes = {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac"} if version == 6 else {}
        owner.network.create_subnet(network_id=made.id, ip_version=version, cidr=cidr, **modes)
    try:
        yield made.id
    finally:
        # Where a test fails its server is deleted later, and the next test counts the networks.
        for port in owner.network.ports(network_id=made.id):
            if port.device_owner.startswith("compute:"):
                owner.network.delete_port(port)
        owner.network.delete_network(made)


def refused(cloud: Cloud, tenant: Connection, uid: str, image_id: str, networks: Any) -> CloudError:
    with pytest.raises(CloudError) as caught:
        cloud.boot_servers.create(wanted(uid, image_id, networks=networks), PUBLIC_KEY)
    assert keys_of(tenant, uid) == []
    return caught.value


def test_a_network_is_found_by_name_and_its_addresses_are_those_that_nova_says(
    boot_bed: OpenStack, cloud: Cloud, tenant: Connection, uid: str, image_id: str, unique: str
) -> None:
    servers, consumer = cloud.boot_servers, boot_bed.connect("consumer")
    with ExitStack() as stack:
        stack.enter_context(network(tenant, f"{unique}-other", "198.18.9.0/24"))
        # Those of other projects are not seen.
        stack.enter_context(network(consumer, unique, "198.18.9.0/24"))
        made = stack.enter_context(network(tenant, unique, *SUBNETS))
        wish = wanted(uid, image_id, networks=(NetworkRef(name=unique),))
        server_id = servers.create(wish, PUBLIC_KEY)
        server = until(servers, server_id, lambda it: built(it) and bool(it.addresses))
        assert server.status == "ACTIVE", server.fault
        [port] = tenant.network.ports(device_id=server_id)
        assert port.network_id == made
        told = {each["ip_address"] for each in port.fixed_ips}
        assert {str(address) for address in server.addresses} == told
        assert {address.version for address in server.addresses} == {4, 6}
        servers.delete(server_id)
        until_gone(cloud, server_id)
        assert [*tenant.network.ports(device_id=server_id)] == []


def until_gone(cloud: Cloud, server_id: str) -> None:
    wait_until(lambda: cloud.boot_servers.read(server_id) is None, 60)


def test_an_administrators_network_is_the_own_or_a_shared_one(
    boot_bed: OpenStack, tenant: Connection, unique: str
) -> None:
    admin = boot_bed.connect("admin")
    with (
        connected(CloudConfig(boot_bed.cloud("admin"))) as connection,
        network(tenant, unique),
        network(boot_bed.connect("consumer"), unique) as of_consumer,
    ):
        neutron = Neutron(connection)
        with pytest.raises(CloudError, match=f"2 networks .*{of_consumer}.*give the id of one"):
            neutron.network_id(unique)
        with network(admin, unique, shared=True) as shared:
            assert neutron.network_id(unique) == shared


def test_what_neutron_or_nova_with_it_refuses(
    boot_bed: OpenStack,
    project: Project,
    cloud: Cloud,
    tenant: Connection,
    uid: str,
    image_id: str,
    unique: str,
) -> None:
    admin = boot_bed.connect("admin")
    named = (NetworkRef(name=unique),)
    error = refused(cloud, tenant, uid, image_id, named)
    assert (error.reason, f"'{unique}'" in str(error)) == ("NetworkNotFound", True), error
    # Neither has the project a network, nor can one be allocated.
    error = refused(cloud, tenant, uid, image_id, None)
    assert error.reason == "NetworkNotFound", error
    with ExitStack() as stack:
        stack.enter_context(network(tenant, unique))
        error = refused(cloud, tenant, uid, image_id, named)
        assert (error.reason, "subnet" in str(error)) == ("ServerRefused", True), error
        stack.enter_context(network(tenant, unique, SUBNETS[0]))
        error = refused(cloud, tenant, uid, image_id, named)
        assert (error.reason, "give the id" in str(error)) == ("NetworkAmbiguous", True), error
        error = refused(cloud, tenant, uid, image_id, None)
        assert error.reason == "NetworkAmbiguous", error
        outside = {"is_router_external": True}
        external = stack.enter_context(network(admin, f"{unique}-out", "198.18.10.0/24", **outside))
        # Which of them Nova refuses only where it builds the server, and does not say why.
        wish = wanted(uid, image_id, networks=(NetworkRef(id=external),))
        server_id = cloud.boot_servers.create(wish, PUBLIC_KEY)
        fault = until(cloud.boot_servers, server_id, built).fault
        assert fault is not None
        assert fault.startswith("Failed to allocate the network(s)")
        cloud.boot_servers.delete(server_id)
        until_gone(cloud, server_id)
        cloud.boot_servers.delete_keys(uid)
    with network(tenant, unique, SUBNETS[0]):
        admin.network.update_quota(project.id, ports=0)
        try:
            error = refused(cloud, tenant, uid, image_id, None)
        finally:
            admin.network.delete_quota(project.id)
        assert (error.reason, "ports" in str(error)) == ("QuotaExceeded", True), error
        # The one network that there is, is what Nova chooses.
        server_id = cloud.boot_servers.create(wanted(uid, image_id, networks=None), PUBLIC_KEY)
        server = until(cloud.boot_servers, server_id, lambda it: bool(it.addresses))
        assert [each.version for each in server.addresses] == [4]
        cloud.boot_servers.delete(server_id)
        until_gone(cloud, server_id)
