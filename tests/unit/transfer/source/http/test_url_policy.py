"""What the URL policy refuses, judged by the address that is connected to."""

import socket
from pathlib import Path

import pytest

from cloudimage.addresses import ANYWHERE
from cloudimage.transfer.contract import Reason, TransferError, UrlPolicy
from cloudimage.transfer.source.http.model import HttpSource
from support.fetching import CONTENT, resolver, transfer
from support.hostile_server import Hostile, answer


def test_name_of_a_forbidden_address_is_never_connected_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolver(["169.254.169.254"]))
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("connected"))
    with pytest.raises(TransferError) as caught:
        transfer(HttpSource(url="http://images.test/x"), tmp_path)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "images.test has the address 169.254.169.254" in caught.value.message
    assert "urlPolicy.allowNetworks" in caught.value.message


def test_name_is_resolved_once_and_forbidden_addresses_of_it_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hostile(answer(CONTENT)) as server:
        real = socket.getaddrinfo

        def getaddrinfo(host: str, *rest: object, **options: object) -> object:
            if host == "images.test":
                return names(host, *rest)
            return real(host, *rest, **options)  # type: ignore[arg-type]  # as it was called

        names = resolver(["127.0.0.2", "127.0.0.1"], ["127.0.0.2"])
        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        transfer(HttpSource(url=server.url(host="images.test")), tmp_path)
    assert f"Host: images.test:{server.port}".encode() in server.requests[0]


def test_denied_network_wins_over_an_allowed_one(tmp_path: Path) -> None:
    policy = UrlPolicy(allow_networks=ANYWHERE, deny_networks=("127.0.0.0/8",))
    with Hostile(answer(CONTENT)) as server, pytest.raises(TransferError) as caught:
        transfer(HttpSource(url=server.url()), tmp_path, policy)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "urlPolicy.denyNetworks" in caught.value.message
    assert server.requests == []


def test_scheme_that_the_policy_refuses(tmp_path: Path) -> None:
    policy = UrlPolicy(schemes=("https",))
    with pytest.raises(TransferError, match="does not allow http") as caught:
        transfer(HttpSource(url="http://127.0.0.1/x"), tmp_path, policy)
    assert caught.value.reason is Reason.SOURCE_REFUSED
