"""Kept connections against the real Keystone and Glance: how many logins, how many sockets."""

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudimage.cloud.config import CloudConfig, Origin
from cloudimage.cloud.errors import (
    CloudMisconfiguredError,
    CloudUnreachableError,
    InvalidCredentialsError,
)
from cloudimage.cloud.pool import ConnectionPool
from support.fault_proxy import Fault, FaultProxy
from testbed.kubernetes.certificates import Authority
from testbed.openstack import OpenStack

pytestmark = pytest.mark.cloud


def config(entry: dict[str, Any], version: str = "1", ca: str | None = None) -> CloudConfig:
    return CloudConfig(entry, ca, Origin("images", "openstack", version, "images"))


def through(entry: dict[str, Any], proxy: FaultProxy) -> dict[str, Any]:
    """Return the entry with its Keystone behind the proxy."""
    return entry | {"auth": entry["auth"] | {"auth_url": f"{proxy.url}/v3"}}


@pytest.fixture
def logins(openstack: OpenStack) -> Iterator[tuple[Fault, FaultProxy]]:
    """A proxy before Keystone that counts logins."""
    counted = Fault("POST", "/auth/tokens", "fail", times=0)
    with FaultProxy(openstack.auth_url, counted) as proxy:
        yield counted, proxy


def certificates_in_memory() -> int:
    """Return how many connections of this process are open: each has its CA certificate."""
    links = (each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink())
    return sum("memfd:cacert" in str(link) for link in links)


def test_ten_looks_log_in_once(
    openstack: OpenStack, logins: tuple[Fault, FaultProxy], unique: str
) -> None:
    counted, proxy = logins
    pool = ConnectionPool()
    entry = through(openstack.cloud("images"), proxy)
    for _ in range(10):
        with pool.borrow(config(entry)) as cloud:
            assert cloud.glance.find("cloudimage_test", unique) == []
            cloud.nova.usage("00000000-0000-4000-8000-000000000000")
    assert counted.seen == 1
    with pool.borrow(config(entry, version="2")) as cloud:
        cloud.glance.find("cloudimage_test", unique)
    assert counted.seen == 2
    pool.close()


def test_older_versions_and_closed_pools_hold_nothing(openstack: OpenStack, unique: str) -> None:
    pool, entry = ConnectionPool(), openstack.cloud("images")
    for version in ("1", "2", "3"):
        with pool.borrow(config(entry, version, ca="for others")) as cloud:
            cloud.glance.find("cloudimage_test", unique)
    assert certificates_in_memory() == 1
    pool.close()
    assert certificates_in_memory() == 0


def test_a_refused_login_is_tried_anew(
    openstack: OpenStack, logins: tuple[Fault, FaultProxy]
) -> None:
    counted, proxy = logins
    entry = through(openstack.cloud("images-password") | {"auth_type": "v3password"}, proxy)
    wrong = entry | {"auth": entry["auth"] | {"password": "wrong"}}
    pool = ConnectionPool()
    for expected in (1, 2):
        with pytest.raises(InvalidCredentialsError), pool.borrow(config(wrong)):
            pytest.fail("logged in with a wrong password")
        assert counted.seen == expected
    with pool.borrow(config(entry)):
        assert counted.seen == 3
    pool.close()


def test_the_wish_of_a_busy_glance_is_passed_on(openstack: OpenStack, unique: str) -> None:
    busy = Fault(*("GET", unique, "answer"), status=503, headers=(("Retry-After", "77"),), times=1)
    catalog: Any = openstack.connect("images").image.get_endpoint()
    with FaultProxy(catalog, busy) as proxy:
        entry = openstack.cloud("images") | {"image_endpoint_override": proxy.url}
        pool = ConnectionPool()
        with pytest.raises(CloudUnreachableError) as caught, pool.borrow(config(entry)) as cloud:
            cloud.glance.get(unique)
        pool.close()
    assert caught.value.retry_after == 77


def test_a_ca_certificate_is_good_for_as_long_as_the_connection_is_kept(
    openstack: OpenStack, tmp_path: Path, unique: str
) -> None:
    authority, certificate = Authority.new(), tmp_path / "server"
    authority.issue_server(certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate.with_suffix(".crt"), certificate.with_suffix(".key"))
    with FaultProxy(openstack.auth_url, tls=tls) as proxy:
        entry = through(openstack.cloud("images"), proxy)
        pool = ConnectionPool()
        for _ in range(2):
            with pool.borrow(config(entry, ca=authority.pem)) as cloud:
                # Another request to Keystone, with a new connection each time.
                cloud.glance.find("cloudimage_test", unique)
        pool.close()
        with pytest.raises(CloudMisconfiguredError), pool.borrow(config(entry)):
            pytest.fail("trusted a server that nobody vouches for")
