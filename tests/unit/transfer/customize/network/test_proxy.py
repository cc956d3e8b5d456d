"""What guests get by the proxy, with clients as guests have them."""

import os
import socket
import threading
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import serialization

from cloudimage.transfer.customize.network import servers
from support.fetching import CONTENT
from support.guest_network import GuestNetwork
from support.hostile_server import Hostile, answer
from testbed.kubernetes.certificates import Authority


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A server's certificate for localhost, beside that of its authority."""
    authority = Authority.new()
    authority.issue_server(tmp_path / "server")
    pem = authority.certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "ca.pem").write_bytes(pem)
    return tmp_path / "server"


def test_a_page_as_curl_and_urllib_ask_for_it(guest: GuestNetwork) -> None:
    with Hostile(answer(CONTENT)) as server:
        assert guest.curl(server.url()).stdout == CONTENT
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": guest.url}))
        assert opener.open(server.url(), timeout=10).read() == CONTENT
    assert guest.proxy.traffic.asked == 2
    assert not guest.proxy.traffic.refused


def test_what_the_server_is_asked_is_made_again(guest: GuestNetwork) -> None:
    """With the host of the target, and without what is between guest and proxy."""
    with Hostile(answer(b"ok")) as server:
        host = f"127.0.0.1:{server.port}"
        said = guest.say(
            f"GET http://{host}/a?b HTTP/1.1\r\nHost: metadata.internal\r\nX-Own: 1\r\nX-Own: 2\r\n"
            "Connection: keep-alive, X-Hop\r\nX-Hop: 3\r\nProxy-Authorization: Basic eDp5\r\n"
            "TE: trailers\r\nUpgrade: h2c\r\n\r\n".encode()
        )
        assert said.startswith(b"HTTP/1.1 200 ")
        assert said.endswith(b"\r\n\r\nok")
        (request,) = server.requests
    head = request.decode().lower().split("\r\n")
    assert head[0] == "get /a?b http/1.1"
    assert f"host: {host}" in head
    assert "x-own: 1, 2" in head
    for word in ("metadata", "x-hop", "proxy-", "te:", "upgrade", "h2c"):
        assert not [line for line in head if word in line]


def test_only_one_request_is_answered_on_a_connection(guest: GuestNetwork) -> None:
    with Hostile(answer(b"ok")) as server:
        one = f"GET {server.url()} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        said = guest.say(one + one)
        assert said.count(b"HTTP/1.1 200") == 1
        assert b"connection: close" in said.lower()
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 3\r\nContent-Length: 30\r\n\r\nabc", b"400"),
        (b"Content-Length: 3\r\nTransfer-Encoding: xchunked\r\n\r\nabc", b"501"),
        (b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", b"501"),
        (b"Content-Length : 3\r\n\r\nabc", b"400"),
        (b" folded: 3\r\n\r\n", b"200"),
        (b"X: a\nY: b\r\n\r\n\0", b"200"),
        (b"X: a\rY: b\r\n\r\n", b"400"),
        (b"Content-Length: 2000000\r\n\r\n" + bytes(1_200_000), b"413"),
        (b"X: " + b"x" * 200_000 + b"\r\n\r\n", b"431"),
    ],
    ids=[
        *("two lengths", "an unknown coding", "two codings", "a blank", "folded", "a bare feed"),
        *("a bare return", "a long body", "a long head"),
    ],
)
def test_a_request_that_two_readers_might_take_for_two(
    guest: GuestNetwork, head: bytes, status: bytes
) -> None:
    """Is refused, or made again as one."""
    with Hostile(answer(b"ok")) as server:
        said = guest.say(f"POST {server.url()} HTTP/1.1\r\nHost: a\r\n".encode() + head)
        assert said.split(b" ")[1] == status
        requests_made = len(server.requests)
    assert requests_made == (status == b"200")


def test_a_body_is_passed_on_with_its_length(guest: GuestNetwork) -> None:
    bodies = []

    def script(connection: socket.socket, head: bytes) -> None:
        bodies.append(head.partition(b"\r\n\r\n")[2] or connection.recv(100))
        answer(b"ok")(connection, head)

    with Hostile(script) as server:
        done = guest.curl("--header", "Transfer-Encoding: chunked", "--data", "a=b", server.url())
        assert done.stdout == b"ok"
        (request,) = server.requests
    assert b"content-length: 3" in request.lower()
    assert b"chunked" not in request
    assert bodies == [b"a=b"]


@pytest.mark.parametrize(
    "target",
    ["/", "https://127.0.0.1/", "ftp://127.0.0.1/", "http://", "http://a b/", "http://[::1/", "*"],
)
def test_what_is_no_url_of_http(guest: GuestNetwork, target: str) -> None:
    said = guest.say(f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 400 ")
    assert not guest.proxy.traffic.refused


def test_tls_goes_through_a_tunnel(
    guest: GuestNetwork, certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Hostile(answer(CONTENT), certificate) as server:
        monkeypatch.setattr(servers, "_TLS_PORT", server.port)
        url = server.url(host="localhost")
        done = guest.curl("--cacert", str(tmp_path / "ca.pem"), url)
        assert done.stdout == CONTENT
        ca = str(tmp_path / "ca.pem")
        proxies = {"https": guest.url}
        assert requests.get(url, proxies=proxies, verify=ca, timeout=10).content == CONTENT


@pytest.mark.parametrize("target", ["127.0.0.1", "http://a:443", "a@b:443", "a:99999999", ":443"])
def test_the_target_of_a_tunnel(guest: GuestNetwork, target: str) -> None:
    said = guest.say(f"CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 400 ")


def test_a_tunnel_loses_nothing_and_ends_with_both_sides(
    guest: GuestNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What comes with the request, either way of hanging up, and much at once."""
    much = os.urandom(3_000_000)

    def echo(server: socket.socket) -> None:
        with suppress(OSError), server.accept()[0] as connection:
            while piece := connection.recv(65536):
                connection.sendall(piece)
            connection.sendall(b"end")

    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(servers, "_TLS_PORT", server.getsockname()[1])
        threading.Thread(target=echo, args=(server,), daemon=True).start()
        with socket.create_connection(("127.0.0.1", guest.port), 10) as client:
            head = f"CONNECT 127.0.0.1:{server.getsockname()[1]} HTTP/1.1\r\nHost: a\r\n\r\nearly"

            def send() -> None:
                client.sendall(head.encode())
                client.sendall(much)
                client.shutdown(socket.SHUT_WR)

            threading.Thread(target=send, daemon=True).start()
            got = b"".join(iter(lambda: client.recv(65536), b""))
    assert got == b"HTTP/1.1 200 Connection established\r\n\r\nearly" + much + b"end"
