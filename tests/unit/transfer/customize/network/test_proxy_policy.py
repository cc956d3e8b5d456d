"""What guests cannot reach by the proxy: what the URL policy refuses, whatever it is called."""

import socket
from pathlib import Path

import pytest

from cloudimage.addresses import ANYWHERE
from cloudimage.transfer.contract import UrlPolicy
from support.guest_network import GuestNetwork, named, raw
from support.hostile_server import Hostile, answer

REFUSED = {
    "metadata": "169.254.169.254",
    "another spelling": "0xa9.0xfe.0xa9.0xfe",
    "a number": "2852039166",
    "loopback": "127.0.0.1",
    "localhost": "localhost",
    "this host": "0.0.0.0",
    "loopback of IPv6": "[::1]",
    "mapped": "[::ffff:169.254.169.254]",
    "private": "10.96.0.1",
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", ["CONNECT", "GET"])
def test_inner_addresses_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, way: str
) -> None:
    host = REFUSED[name]
    connect = socket.socket.connect

    def refusing(self: socket.socket, address: object) -> None:
        if self.family != socket.AF_UNIX and address != ("127.0.0.1", network.port):
            pytest.fail(f"connected to {address}")
        connect(self, address)  # type: ignore[arg-type]  # of any family

    with GuestNetwork(tmp_path, UrlPolicy()) as network:
        monkeypatch.setattr(socket.socket, "connect", refusing)
        target = f"{host}:443" if way == "CONNECT" else f"http://{host}/latest/meta-data"
        said = network.say(f"{way} {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert said.startswith(b"HTTP/1.1 403 Forbidden\r\n")
        assert b"refused by the URL policy: " in said
        assert b"urlPolicy.allowNetworks" in said
        (why,) = network.proxy.traffic.refused
    assert why.startswith(f"{host.strip('[]')} has the address ")


def test_a_name_is_resolved_once_for_a_request(
    guest: GuestNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hostile(answer(b"ok")) as server:
        named(monkeypatch, "rebinding.test", ["127.0.0.1"], ["127.0.0.2"])
        assert guest.curl(server.url(host="rebinding.test")).stdout == b"ok"
        said = guest.say(
            f"GET {server.url(host='rebinding.test')} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        )
        assert said.startswith(b"HTTP/1.1 403 ")
        assert len(server.requests) == 1
    assert "rebinding.test has the address 127.0.0.2" in guest.proxy.traffic.refused[0]


def test_a_redirect_is_the_guests_to_follow_and_judged_again(guest: GuestNetwork) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    with Hostile(raw(moved)) as server:
        done = guest.curl("--location", server.url())
    assert b"refused by the URL policy" in done.stdout


def test_schemes_are_the_policys(tmp_path: Path) -> None:
    """Twice at one place, as for two runs."""
    only = UrlPolicy(schemes=("https",), allow_networks=ANYWHERE)
    with GuestNetwork(tmp_path, only) as network:
        said = network.say(b"GET http://127.0.0.1/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"urlPolicy.schemes does not allow http" in said
    only = UrlPolicy(schemes=("http",), allow_networks=ANYWHERE)
    with GuestNetwork(tmp_path, only) as network:
        said = network.say(b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"urlPolicy.schemes does not allow https" in said


@pytest.mark.parametrize("port", [22, 25, 6443, 8443])
def test_tunnels_lead_to_https_only(guest: GuestNetwork, port: int) -> None:
    said = guest.say(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 403 ")
    assert f"127.0.0.1:{port} is not at port 443".encode() in said


@pytest.mark.parametrize(
    ("user", "shown"),
    [("", None), ("me:p%40ss@", b"proxy-authorization: basic bwu6cebzcw==")],
    ids=["alone", "with a user"],
)
def test_by_the_proxy_of_the_environment(
    guest: GuestNetwork, monkeypatch: pytest.MonkeyPatch, user: str, shown: bytes | None
) -> None:
    """Which resolves and connects; a name that the policy refuses is not even told to it."""

    def outer(connection: socket.socket, head: bytes) -> None:
        if head.startswith(b"CONNECT "):
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            connection.recv(100)
            connection.sendall(b"beyond")
        else:
            answer(b"ok")(connection, head)

    with Hostile(outer) as server:
        for name in ("http_proxy", "https_proxy"):
            monkeypatch.setenv(name, f"http://{user}127.0.0.1:{server.port}")
        assert guest.curl("http://unknown.invalid/a").stdout == b"ok"
        said = guest.say(b"CONNECT unknown.invalid:443 HTTP/1.1\r\nHost: a\r\n\r\nhello")
        assert said == b"HTTP/1.1 200 Connection established\r\n\r\nbeyond"
        lines = [each.split(b"\r\n")[0] for each in server.requests]
        assert lines[0] == b"GET http://unknown.invalid/a HTTP/1.1"
        assert lines[1].startswith(b"CONNECT unknown.invalid:443 ")
        sent = [b"proxy-authorization" in each.lower() for each in server.requests]
        assert sent == [shown is not None] * 2
        assert not shown or all(shown in each.lower() for each in server.requests)
        named(monkeypatch, "inner.test", ["10.0.0.1"])
        for way in ("GET http://inner.test/", "CONNECT inner.test:443"):
            said = guest.say(f"{way} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert said.startswith(b"HTTP/1.1 403 ")
        assert len(server.requests) == 2
