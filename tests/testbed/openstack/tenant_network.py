"""A project's own network, as its users make it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openstack.connection import Connection


@contextmanager
def network_of_both(cloud: "Connection", name: str, number: int = 7) -> Iterator[str]:
    """Make a network with an IPv4 and an IPv6 subnet, and yield its id.

    It has a router, without which IPv6 is not announced.
    """
    neutron = cloud.network
    network = neutron.create_network(name=name)
    made = [
        neutron.create_subnet(network_id=network.id, ip_version=4, cidr=f"198.18.{number}.0/24"),
        neutron.create_subnet(
            network_id=network.id,
            ip_version=6,
            cidr=f"fd7a:{number}::/64",
            ipv6_ra_mode="slaac",
            ipv6_address_mode="slaac",
        ),
    ]
    router = neutron.create_router(name=name)
    for subnet in made:
        neutron.add_interface_to_router(router, subnet=subnet.id)
    try:
        yield network.id
    finally:
        for subnet in made:
            neutron.remove_interface_from_router(router, subnet=subnet.id)
        neutron.delete_router(router)
        neutron.delete_network(network)
