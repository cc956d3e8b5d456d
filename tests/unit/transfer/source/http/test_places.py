"""The places where a cloud's services may be, for what is fetched from them."""

import socket
from pathlib import Path

import pytest

from cloudimage.access.policy import CloudPolicy
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.client import Client
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.places import CloudPlaces
from support.fetching import CONTENT, LIMITS, resolver
from support.hostile_server import Hostile, answer, redirect
from testbed.kubernetes.certificates import Authority

LOOPBACK = CloudPolicy(allow_networks=("127.0.0.1/32",))


def status(url: str, folder: Path, policy: CloudPolicy = LOOPBACK, *, verified: bool = True) -> int:
    places = CloudPlaces(policy, verified=verified)
    with (
        Client(HttpSource(url=url), places, LIMITS, folder) as client,
        client.get(url, verified=True) as response,
    ):
        return response.status_code


def refusal(url: str, folder: Path, policy: CloudPolicy = LOOPBACK) -> TransferError:
    with pytest.raises(TransferError) as caught:
        status(url, folder, policy)
    return caught.value


def test_the_cloud_policy_decides_by_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hostile(answer(CONTENT)) as server:
        assert status(server.url(), tmp_path) == 200
        error = refusal(server.url(), tmp_path, CloudPolicy())
        assert error.reason is Reason.CLOUD_REFUSED
        assert "cloudPolicy" in error.message
        monkeypatch.setattr(socket, "getaddrinfo", resolver(["169.254.169.254"]))
        inner = refusal(server.url(host="inner"), tmp_path)
    assert inner.reason is Reason.CLOUD_REFUSED
    assert "169.254" not in inner.message, "who wrote the name need not learn where it leads"


def test_the_cloud_policy_decides_by_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver(["127.0.0.1"]))
    policy = CloudPolicy(hosts=("*.example.org",), allow_networks=("127.0.0.1/32",))
    with Hostile(answer(CONTENT)) as server:
        assert status(server.url(host="swift.example.org"), tmp_path, policy) == 200
        assert refusal(server.url(), tmp_path, policy).reason is Reason.CLOUD_REFUSED
        assert len(server.requests) == 1


def test_where_a_redirect_leads_is_judged_too(tmp_path: Path) -> None:
    with Hostile(redirect("http://169.254.169.254/latest")) as server:
        assert refusal(server.url(), tmp_path).reason is Reason.CLOUD_REFUSED


def test_what_a_proxy_would_resolve_is_judged_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hostile(answer(CONTENT)) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(""))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert refusal("http://169.254.169.254/x", tmp_path).reason is Reason.CLOUD_REFUSED
        assert proxy.requests == []


def test_certificates_are_verified_unless_the_cloud_says_otherwise(tmp_path: Path) -> None:
    Authority.new().issue_server(tmp_path / "server")
    with Hostile(answer(CONTENT), tmp_path / "server") as server:
        with pytest.raises(Exception, match="TLS certificate is not trusted"):
            status(server.url(), tmp_path)
        assert status(server.url(), tmp_path, verified=False) == 200
