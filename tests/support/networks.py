"""Ways into the networks of the bed whose servers really boot."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from openstack.connection import Connection

from testbed.commands import run
from testbed.openstack import OpenStack
from testbed.openstack.network import HOST, Network
from testbed.openstack.site import Site
from testbed.openstack.tenant_network import network_of_both

__all__ = ["inside", "network_of_both", "open_port"]


@contextmanager
def open_port(cloud: Connection, network_id: str) -> Iterator[str]:
    """Make a port without security groups, which a server may have, and yield its id.

    What goes through one is followed by Open vSwitch 3.1's own connection tracking, of which an
    assertion (``conn_type == CT_CONN_TYPE_DEFAULT``) ends the daemon now and then.
    """
    neutron = cloud.network
    port = neutron.create_port(network_id=network_id, is_port_security_enabled=False)
    try:
        yield port.id
    finally:
        neutron.delete_port(port)


@contextmanager
def inside(bed: OpenStack, network_id: str) -> Iterator[list[str]]:
    """Make the bed's namespace a member of a network; yield what has a command run there.

    It is how Octavia's controller gets into a network: a port that is bound to this host.
    """
    site = Site.load(bed.folder)
    assert site is not None
    place = Network(site)
    neutron = bed.connect("admin").network
    network = neutron.get_network(network_id)
    port: Any = neutron.create_port(
        network_id=network.id,
        project_id=network.project_id,
        binding_host_id=HOST,
        is_port_security_enabled=False,
    )
    nic = f"hm{uuid.uuid4().hex[:8]}"
    vsctl = ("ovs-vsctl", f"--db={place.database}")
    interface = ["type=internal", f'mac="{port.mac_address}"', f"mtu_request={network.mtu}"]
    identity = f"external_ids:iface-id={port.id}"
    run(*vsctl, "add-port", "br-int", nic, "--", "set", "Interface", nic, *interface, identity)
    # Its addresses are Neutron's, and at once.
    for setting in ("accept_ra=0", "accept_dad=0"):
        run(*place.entrance, "sysctl", "-qw", f"net.ipv6.conf.{nic}.{setting}")
    run(*place.entrance, "ip", "link", "set", nic, "address", port.mac_address, "up")
    for each in port.fixed_ips:
        prefix = 64 if ":" in each["ip_address"] else 24
        run(*place.entrance, "ip", "addr", "add", f"{each['ip_address']}/{prefix}", "dev", nic)
    try:
        yield place.entrance
    finally:
        run(*vsctl, "del-port", "br-int", nic)
        neutron.delete_port(port.id)
