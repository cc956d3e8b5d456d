"""What qemu with a network of its own reaches if it is taken over: little, and no other."""

import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudimage.transfer.tools import landlock
from cloudimage.transfer.tools.machine import Machine

TCP_PORTS = 4  # the version of Landlock that knows them

TRY = """
import socket, sys
try:
    {attack}
except OSError as error:
    print("refused", error)
else:
    print("DONE")
"""


@pytest.fixture
def served() -> Iterator[int]:
    """A server of this machine at a port that nobody is given."""
    given = landlock.given_ports()
    for port in (*range(20_000, given.start), *range(given.stop, 65_536)):
        try:
            server = socket.create_server(("127.0.0.1", port))
        except OSError:
            continue
        with server:
            yield port
        return


def said(folder: Path, attack: str, *, loops: bool = True) -> str:
    script = TRY.format(attack="\n    ".join(attack.splitlines()))
    lines: list[str] = []
    machine = Machine(
        folder=folder,
        readable=(),
        environment={},
        memory=2**30,
        cpu_seconds=30,
        most_output=2**20,
        seconds=30,
        loops=loops,
    )
    ended = machine.run((sys.executable, "-B", "-c", script), lines.append)
    assert ended.status == 0, ended.stderr
    return "\n".join(lines)


# As libslirp does: its slirp_socketpair_with_oob().
LOOP = """
server = socket.socket()
server.bind(("0.0.0.0", 0))
server.listen(1)
client = socket.socket()
client.connect(server.getsockname())
there = server.accept()[0]
client.sendall(b"through")
assert there.recv(100) == b"through"
"""


def test_it_connects_to_itself(tmp_path: Path) -> None:
    assert said(tmp_path, LOOP) == "DONE"


def test_without_a_network_it_does_not(tmp_path: Path) -> None:
    assert said(tmp_path, LOOP, loops=False).startswith("refused")


@pytest.mark.parametrize(
    "attack",
    [
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)",
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)",  # MPTCP
        "socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)",
        "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket().sendto(b'x', socket.MSG_FASTOPEN, ('127.0.0.1', {port}))",
        "socket.socket().sendmsg([b'x'], [], socket.MSG_FASTOPEN, ('127.0.0.1', {port}))",
    ],
)
def test_other_ways_out_are_not_there(tmp_path: Path, served: int, attack: str) -> None:
    assert said(tmp_path, attack.format(port=served)).startswith("refused")


@pytest.mark.skipif(landlock.version() < TCP_PORTS, reason="the kernel's Landlock knows no ports")
@pytest.mark.parametrize(
    "attack",
    [
        "socket.socket().connect(('127.0.0.1', {port}))",
        "socket.socket().bind(('127.0.0.1', {free}))",
    ],
    ids=["connect", "listen"],
)
def test_ports_of_servers_are_not_reached(tmp_path: Path, served: int, attack: str) -> None:
    told = said(tmp_path, attack.format(port=served, free=served - 1))
    assert "Permission denied" in told
