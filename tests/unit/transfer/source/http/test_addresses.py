"""Which addresses are public, and what a policy makes of it."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cloudimage.transfer.contract import UNRESTRICTED, UrlPolicy
from cloudimage.transfer.source.http.addresses import is_allowed, is_public, judged

PRIVATE = [
    "0.0.0.0",
    "10.1.2.3",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.0.1",
    "198.18.0.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "172.15.255.255",
    "172.32.0.0",
    "169.253.255.255",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2606:4700::1111",
    "2a00:1450::1",
]
ADDRESSES = st.ip_addresses().map(str)


@pytest.mark.parametrize("address", PRIVATE)
def test_not_of_the_public_internet(address: str) -> None:
    assert not is_allowed(address, UrlPolicy())
    assert is_allowed(address, UNRESTRICTED)


@pytest.mark.parametrize("address", PUBLIC)
def test_of_the_public_internet(address: str) -> None:
    assert is_allowed(address, UrlPolicy())


@pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "64:ff9b::10.0.0.7"])
def test_networks_are_those_of_ipv4_in_any_form(address: str) -> None:
    assert is_allowed(address, UrlPolicy(allow_networks=("10.0.0.0/24",)))
    assert not is_allowed(address, UrlPolicy(allow_networks=("10.0.1.0/24",)))
    assert not is_allowed(
        address, UrlPolicy(allow_networks=("10.0.0.0/8",), deny_networks=("10.0.0.0/24",))
    )


def test_denied_networks_of_the_public_internet() -> None:
    assert not is_allowed("8.8.8.8", UrlPolicy(deny_networks=("8.8.0.0/16",)))
    assert not is_allowed("2a00::1", UrlPolicy(deny_networks=("2a00::/16",)))


@pytest.mark.parametrize("network", ["10.0.0.1/24", "10.0.0.0/33", "cluster", ""])
def test_networks_that_are_none(network: str) -> None:
    for field in ("allow_networks", "deny_networks"):
        with pytest.raises(ValidationError):
            UrlPolicy.model_validate({field: (network,)})


@given(ADDRESSES)
def test_never_more_public_than_python_says(address: str) -> None:
    """Python's own list is shorter in old releases, but what it calls private is private."""
    plain = judged(address)[-1]
    if is_public(plain):
        assert not plain.is_private
        assert not plain.is_link_local
        assert not plain.is_loopback
        assert not plain.is_multicast
        assert not plain.is_reserved
        assert not plain.is_unspecified


@given(ADDRESSES)
def test_what_is_denied_is_never_allowed(address: str) -> None:
    network = str(ipaddress.ip_network(address))
    policy = UrlPolicy(allow_networks=(network,), deny_networks=(network,))
    assert not is_allowed(address, policy)
    assert is_allowed(address, UrlPolicy(allow_networks=(network,)))
