"""Which hosts and addresses a cloud may be at; pure."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_network
from typing import Final

from pydantic import BaseModel, ConfigDict

from cloudimage.addresses import ANYWHERE, Address, Networks, any_in, judged

SPECIAL: Final = (
    "0.0.0.0/8",  # this host
    "127.0.0.0/8",
    "169.254.0.0/16",  # link-local, with most clouds' metadata
    "168.63.129.16/32",  # Azure's metadata
    "100.100.100.200/32",  # Alibaba's
    "192.0.0.192/32",  # Oracle's first one
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved, and broadcast
    "::/128",
    "::1/128",
    "fe80::/10",  # link-local, with OpenStack's own metadata
    "fec0::/10",
    "fd00:ec2::/32",  # Amazon's metadata and its like
    "fd20:ce::/32",  # Google's
    "fd00:c1::/32",  # Oracle's
    "ff00::/8",
)
"""No cloud is there, unless a network of ``allow_networks`` names just that address."""

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")

_WITH_IPV4_AT_THE_END: Final = (IPv6Network("::/96"), IPv6Network("64:ff9b:1::/48"))


class CloudPolicy(BaseModel):
    """Where requests to clouds may go; judged is the address that is connected to.

    Attributes:
        hosts: Names that a cloud's URLs may have, ``*.example.org`` for all below; empty: any.
        allow_networks: CIDRs that clouds may be in. One that lies wholly in a range of
            :data:`SPECIAL` opens that part of it, which ``0.0.0.0/0`` does not.
        deny_networks: CIDRs that are refused whatever else allows them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hosts: tuple[str, ...] = ()
    allow_networks: Networks = ANYWHERE
    deny_networks: Networks = ()

    def allows_host(self, host: str) -> bool:
        """Return whether a URL may have that host."""
        name = host.rstrip(".").lower()
        return not self.hosts or any(_fits(name, each.lower()) for each in self.hosts)

    def allows_address(self, text: str) -> bool:
        """Return whether an address, as the resolver gives it, may be connected to."""
        forms = _forms(text)
        if any_in(forms, self.deny_networks):
            return False
        if any_in(forms, SPECIAL):
            return any_in(forms, tuple(filter(_is_special, self.allow_networks)))
        return any_in(forms, self.allow_networks)


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:])
    return name == pattern


def _forms(text: str) -> tuple[Address, ...]:
    """Return an address and every IPv4 address that it may stand for."""
    forms = judged(text)
    address = forms[0]
    if isinstance(address, IPv6Address):
        if address.sixtofour is not None:
            return (*forms, address.sixtofour)
        if any(address in network for network in _WITH_IPV4_AT_THE_END) and int(address) > 1:
            return (*forms, IPv4Address(int(address) & 0xFFFFFFFF))
    return forms


def _is_special(text: str) -> bool:
    network = ip_network(text)
    return any(
        network.version == special.version and network.subnet_of(special)  # type: ignore[arg-type]  # of one version
        for special in map(ip_network, SPECIAL)
    )


OPEN: Final = CloudPolicy(allow_networks=(*ANYWHERE, *LOOPBACK))
"""Any address but link-local and metadata ones: for commands by hand."""
