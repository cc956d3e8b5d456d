"""Where requests to clouds may go: cloudPolicy, judged on the address that is connected to."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import ValidationError

from cloudimage.access.policy import OPEN, CloudPolicy
from cloudimage.addresses import ANYWHERE
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.connection import open_cloud
from cloudimage.cloud.errors import CloudRefusedError
from cloudimage.settings import Settings
from cloudimage.transfer.contract import Cloud, Reason, TransferError
from cloudimage.transfer.glance.client import Glance
from support.fetching import resolver
from support.hostile_cloud import HostileCloud

METADATA = (
    "169.254.169.254",
    "fe80::a9fe:a9fe",
    "fe80::1%eth0",
    "fd00:ec2::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "::a9fe:a9fe",
    "168.63.129.16",
    "100.100.100.200",
    "fd20:ce::254",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
)
LOOPBACK = ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"]


@pytest.mark.parametrize("address", METADATA)
def test_metadata_and_link_local_addresses_are_refused_by_default(address: str) -> None:
    assert not OPEN.allows_address(address)
    assert not CloudPolicy().allows_address(address)
    assert not CloudPolicy(allow_networks=("169.0.0.0/8", "::/0")).allows_address(address)


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_is_allowed_by_a_network_of_its_own_alone(address: str) -> None:
    assert OPEN.allows_address(address)
    assert not CloudPolicy().allows_address(address)


def test_a_network_of_its_own_opens_a_part_of_a_special_range() -> None:
    policy = CloudPolicy(allow_networks=("169.254.7.0/24",))
    assert policy.allows_address("169.254.7.1")
    assert not policy.allows_address("169.254.169.254")
    assert not policy.allows_address("10.0.0.1")


@pytest.mark.parametrize("address", ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd12::1", "2a00::1"])
def test_clouds_may_be_in_private_networks(address: str) -> None:
    assert CloudPolicy().allows_address(address)
    assert not CloudPolicy(deny_networks=ANYWHERE).allows_address(address)
    assert not CloudPolicy(allow_networks=("172.16.0.0/12",)).allows_address(address)


def test_what_is_denied_is_denied_in_all_its_forms() -> None:
    policy = CloudPolicy(deny_networks=("10.0.0.0/8",))
    for address in ("10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::"):
        assert not policy.allows_address(address)


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("keystone.example.org", True),
        ("KEYSTONE.example.org.", True),
        ("a.cloud.test", True),
        ("cloud.test", False),
        ("evilcloud.test", False),
        ("keystone.example.org.evil.test", False),
        ("192.0.2.1", True),
        ("192.0.2.2", False),
    ],
)
def test_hosts_are_whole_names_or_all_below_one(host: str, *, allowed: bool) -> None:
    policy = CloudPolicy(hosts=("keystone.example.org", "*.cloud.test", "192.0.2.1"))
    assert policy.allows_host(host) is allowed
    assert OPEN.allows_host(host)


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValidationError):
        CloudPolicy(allow_networks=("10.0.0.1/8",))


@pytest.fixture
def cloud() -> Iterator[HostileCloud]:
    with HostileCloud() as hostile:
        yield hostile


@pytest.mark.parametrize(
    "policy",
    [
        CloudPolicy(),
        CloudPolicy(deny_networks=("127.0.0.1/32",)),
        CloudPolicy(hosts=("keystone.example.org",)),
    ],
)
def test_a_refused_keystone_is_not_even_connected_to(
    cloud: HostileCloud, tmp_path: Any, policy: CloudPolicy
) -> None:
    config = CloudConfig(cloud.options("loop"))
    with (
        pytest.raises(CloudRefusedError, match="cloudPolicy") as caught,
        open_cloud(config, policy),
    ):
        pytest.fail("connected")
    assert caught.value.reason == "CloudRefused"
    with pytest.raises(TransferError) as failed:
        Glance(Cloud(config=cloud.options("loop")), tmp_path, policy).show("x")
    assert failed.value.reason is Reason.CLOUD_REFUSED
    assert cloud.log == []


@pytest.mark.parametrize("mode", ["metadata", "metadata-mapped"])
def test_the_catalogue_cannot_lead_to_metadata(cloud: HostileCloud, mode: str) -> None:
    config = CloudConfig(cloud.options(mode))
    with pytest.raises(CloudRefusedError) as caught, open_cloud(config) as opened:
        opened.glance.find("a", "b")
    assert "169.254.169.254" in str(caught.value)


def test_an_override_cannot_lead_to_metadata(cloud: HostileCloud) -> None:
    options = cloud.options("loop") | {"image_endpoint_override": "http://169.254.169.254/v2"}
    with pytest.raises(CloudRefusedError), open_cloud(CloudConfig(options)) as opened:
        opened.glance.find("a", "b")


def test_a_name_is_resolved_once_and_that_address_is_judged(
    cloud: HostileCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that has another address a moment later gains nothing."""
    options = cloud.options("loop")
    url = options["auth"]["auth_url"].replace("127.0.0.1", "rebinding.example.org")
    config = CloudConfig({**options, "auth": options["auth"] | {"auth_url": url}})
    monkeypatch.setattr(socket, "getaddrinfo", resolver(["169.254.169.254"], ["127.0.0.1"]))
    with pytest.raises(CloudRefusedError) as caught, open_cloud(config):
        pytest.fail("connected")
    assert "rebinding.example.org" in str(caught.value)
    assert "169.254" not in str(caught.value), "nobody learns where a name leads from here"
    assert cloud.log == []


class _Proxy(BaseHTTPRequestHandler):
    asked: list[str] = []  # noqa: RUF012  # of the one test

    def do_POST(self) -> None:  # http.server's
        self.asked.append(self.path)
        body = json.dumps({"error": {"message": "no", "code": 401, "title": "x"}}).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_behind_a_proxy_a_refused_name_is_refused_too(
    cloud: HostileCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Proxy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.delenv("no_proxy", raising=False)
    options = cloud.options("loop")

    def tried(host: str, policy: CloudPolicy) -> str:
        auth = options["auth"] | {"auth_url": f"http://{host}/v3"}
        with (
            pytest.raises(Exception, match="logging in") as caught,
            open_cloud(CloudConfig({**options, "auth": auth}), policy),
        ):
            pytest.fail("logged in")
        return str(caught.value)

    assert tried("unresolvable.invalid", CloudPolicy()) == "logging in: no (HTTP 401)"
    assert "cloudPolicy" in tried("169.254.169.254", CloudPolicy())
    assert "cloudPolicy" in tried("unresolvable.invalid", CloudPolicy(hosts=("a.example.org",)))
    assert _Proxy.asked == ["http://unresolvable.invalid/v3/auth/tokens"]
    server.shutdown()


def test_the_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDIMAGE_CLOUD_HOSTS", "a.example.org, *.example.net")
    monkeypatch.setenv("CLOUDIMAGE_CLOUD_DENY_NETWORKS", "10.0.0.0/8")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1")
    first = Settings().cloud_policy
    monkeypatch.setenv("CLOUDIMAGE_CLOUD_ALLOW_NETWORKS", "192.0.2.0/24")
    second = Settings().cloud_policy
    assert first.hosts == ("a.example.org", "*.example.net")
    assert first.deny_networks == ("10.0.0.0/8", "10.96.0.1/32")
    assert first.allow_networks == OPEN.allow_networks
    assert second.allow_networks == ("192.0.2.0/24",)
