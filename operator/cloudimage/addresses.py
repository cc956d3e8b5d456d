"""What kind of address an address is: public, or of which special range; pure.

What is public is written down here, after IANA's registries of special-purpose addresses and of
the IPv6 address space, since the answers of :mod:`ipaddress` differ between releases of Python.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final

from pydantic import AfterValidator

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def _parsed(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        ip_network(text)
    return texts


Networks = Annotated[tuple[str, ...], AfterValidator(_parsed)]
"""CIDRs."""
ANYWHERE: Final = ("0.0.0.0/0", "::/0")

_NOT_PUBLIC_V4: Final = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this host
            "10.0.0.0/8",
            "100.64.0.0/10",  # shared by a provider and its customers
            "127.0.0.0/8",
            "168.63.129.16/32",  # a public number, but always Azure's metadata
            "169.254.0.0/16",  # link-local, with most clouds' metadata
            "172.16.0.0/12",
            "192.0.0.0/24",
            "192.0.2.0/24",
            "192.88.99.0/24",  # relays of 6to4
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and broadcast
        ),
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
"""All of IPv6 that is given out for unicast."""

_NOT_PUBLIC_V6: Final = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # protocols, Teredo among them
            "2001:db8::/32",
            "2002::/16",  # 6to4: any IPv4 address may be behind it
            "3fff::/20",
        ),
    )
)
_NAT64: Final = IPv6Network("64:ff9b::/96")


def judged(text: str) -> tuple[Address, ...]:
    """Return what a policy looks at: the address itself and the IPv4 address it stands for.

    Args:
        text: An address as the resolver or the socket gives it, perhaps with a zone (``%eth0``).
    """
    address = ip_address(text.partition("%")[0])
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return (address, address.ipv4_mapped)
        if address in _NAT64:
            return (address, IPv4Address(int(address) & 0xFFFFFFFF))
    return (address,)


def is_public(address: Address) -> bool:
    """Return whether an address is one of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_V4)
    return address in _GLOBAL_V6 and not any(address in network for network in _NOT_PUBLIC_V6)


def any_in(addresses: tuple[Address, ...], networks: tuple[str, ...]) -> bool:
    """Return whether one of the addresses is in one of the networks, which are CIDRs."""
    parsed: tuple[Network, ...] = tuple(map(ip_network, networks))
    return any(
        address.version == network.version and address in network
        for address in addresses
        for network in parsed
    )
