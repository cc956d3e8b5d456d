"""Servers and guests that are broken, slow or greedy."""

import socket
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from cloudimage.transfer.customize.network import exchange, proxy, servers
from support.fetching import CONTENT, LOOPBACK
from support.guest_network import GuestNetwork, raw
from support.hostile_server import Hostile, answer


def test_who_cannot_be_reached_is_told_and_noted(
    guest: GuestNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setattr(servers, "_TLS_PORT", port)
    for way in (f"GET http://127.0.0.1:{port}/", f"CONNECT 127.0.0.1:{port}"):
        said = guest.say(f"{way} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        assert said.startswith(b"HTTP/1.1 502 ")
    said = guest.say(b"GET http://no-such-host.invalid/ HTTP/1.1\r\nHost: a\r\n\r\n")
    assert b"no-such-host.invalid: the host name cannot be resolved" in said
    assert guest.proxy.traffic.unreached == (
        "127.0.0.1: the connection was refused",
        "no-such-host.invalid: the host name cannot be resolved",
    )


def test_an_answer_that_breaks_off_is_not_made_whole(guest: GuestNetwork) -> None:
    for text in (
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ):
        with Hostile(raw(text)) as server:
            done = guest.curl(server.url(), check=False)
        assert done.returncode in {18, 56}


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nX: a\0b\r\nContent-Length: 2\r\n\r\nok",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
    ],
)
def test_an_answer_that_is_no_http(guest: GuestNetwork, text: bytes) -> None:
    with Hostile(raw(text)) as server:
        said = guest.say(f"GET {server.url()} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert said.startswith(b"HTTP/1.1 502 ")


def test_a_slow_guest_is_answered_in_time(
    guest: GuestNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "HEAD_SECONDS", 0.5)
    got = b""
    with socket.create_connection(("127.0.0.1", guest.port), 10) as client:
        client.settimeout(0.1)
        for _ in range(50):
            client.sendall(b"G")
            with suppress(TimeoutError):
                got = client.recv(100)
                break
    assert got.startswith(b"HTTP/1.1 408 ")
    assert guest.proxy.traffic.asked == 0


def test_more_connections_than_there_may_be_are_closed(
    guest: GuestNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "MOST_CONNECTIONS", 3)
    with Hostile(answer(b"ok")) as server:
        url = server.url()
        held = [socket.create_connection(("127.0.0.1", guest.port), 10) for _ in range(3)]
        while len(guest.proxy._open) < 3:
            threading.Event().wait(0.01)
        assert guest.say(f"GET {url} HTTP/1.1\r\nHost: a\r\n\r\n".encode())[:12] == b"HTTP/1.1 503"
        for each in held:
            each.close()
        while guest.proxy._open:
            threading.Event().wait(0.01)
        assert guest.curl(url).stdout == b"ok"


def test_bytes_are_bounded(tmp_path: Path) -> None:
    with (
        GuestNetwork(tmp_path, LOOPBACK, most_bytes=200_000) as network,
        Hostile(answer(CONTENT)) as server,
    ):
        assert network.curl(server.url(), check=False).returncode == 18
        assert network.proxy.traffic.refused == ("a run may move 0 GiB by the network",)


def test_what_is_open_ends_with_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(servers, "_TLS_PORT", port)
        with GuestNetwork(tmp_path, LOOPBACK) as network:
            client = socket.create_connection(("127.0.0.1", network.port), 10)
            client.sendall(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert client.recv(100).startswith(b"HTTP/1.1 200 ")
        connection, _ = server.accept()
        with connection, client:
            connection.settimeout(10)
            assert connection.recv(1) == b""
            assert client.recv(1) == b""
    assert not [each for each in threading.enumerate() if each.name in {"proxy", "proxied"}]
