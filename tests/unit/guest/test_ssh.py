"""A login by SSH: to OpenSSH's server, and to servers that do harm."""

import asyncio
import getpass
import shlex
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from cloudimage.access.policy import OPEN, CloudPolicy
from cloudimage.guest.keys import KeyPair, throw_away_key
from cloudimage.guest.ssh import BarredError, LoginError, UnreachedError, log_in
from testbed.commands import missing_rights, run
from testbed.process import Service, free_ports

V4, V6 = ip_address("127.0.0.1"), ip_address("::1")
CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
ListenAddress ::1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
LogLevel DEBUG1
"""


@dataclass(frozen=True)
class Sshd:
    """OpenSSH's server, of the user who runs the tests.

    Attributes:
        fingerprint: Of its host key.
        key: Lets the user in.
    """

    folder: Path
    port: int
    fingerprint: str
    key: KeyPair

    def let_in(self, line: str) -> None:
        """Have this line alone in ``authorized_keys``."""
        (self.folder / "authorized_keys").write_text(f"{line}\n")

    def log_in(self, *addresses: Any, seconds: float = 30, **changes: Any) -> None:
        """Log in as is right, but for the changes."""
        values = {
            "user": getpass.getuser(),
            "key": self.key,
            "host_keys": [self.fingerprint],
            "policy": OPEN,
            "port": self.port,
        } | changes
        log_in(addresses or (V4,), seconds=seconds, **values)

    def log(self) -> str:
        """Return what the server has said."""
        return Service("sshd", self.folder).log.read_text()


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[Sshd]:
    [port] = free_ports(1)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "host")
    fingerprint = run("ssh-keygen", "-lf", tmp_path / "host.pub").split()[1]
    (tmp_path / "config").write_text(CONFIG.format(port=port, folder=tmp_path))
    command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(tmp_path / "config")]
    if not missing_rights():  # as root it wants a folder that Debian makes at boot
        there = "mount -t tmpfs none /run && mkdir -p /run/sshd && exec "
        command = ["unshare", "--mount", "sh", "-c", there + shlex.join(command)]
    service = Service("sshd", tmp_path)
    service.start(command)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    service.wait(answers)
    key = throw_away_key("test")
    server = Sshd(tmp_path, port, fingerprint, key)
    server.let_in(key.public)
    yield server
    service.stop()


@contextmanager
def listening(serve: Callable[[socket.socket], object]) -> Iterator[int]:
    """Have a thread that does something to each connection; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def loop() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("address", [V4, V6], ids=str)
def test_the_key_lets_in_over_either_family(sshd: Sshd, address: Any) -> None:
    sshd.log_in(address)


def test_another_key_does_not(sshd: Sshd) -> None:
    with pytest.raises(LoginError, match=r"^127.0.0.1: \w+ is not let in by the key \(") as raised:
        sshd.log_in(key=throw_away_key("other"))
    assert not isinstance(raised.value, UnreachedError), "the server has shown its host key"


def test_another_host_key_than_reported_gets_no_signature(sshd: Sshd) -> None:
    with pytest.raises(UnreachedError, match="another host key than the server reported"):
        sshd.log_in(host_keys=[throw_away_key("x").fingerprint])
    assert "publickey" not in sshd.log()
    with pytest.raises(LoginError, match="reported no SSH host key"):
        sshd.log_in(host_keys=[])


def test_a_key_for_a_forced_command_is_no_login(sshd: Sshd) -> None:
    sshd.let_in(f'command="echo Please login as the user debian" {sshd.key.public}')
    told = "gets no shell; what was said: Please login as the user"
    with pytest.raises(LoginError, match=told) as raised:
        sshd.log_in()
    assert not isinstance(raised.value, UnreachedError)


def test_nothing_of_this_machine_is_used(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No agent, no other key, no known host, no configuration."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / ".ssh/id_ed25519")
    (home / ".ssh/config").write_text(f'Match exec "touch {tmp_path}/ran"\n')
    host = (tmp_path / "host.pub").read_text()
    (home / ".ssh/known_hosts").write_text(f"[127.0.0.1]:{sshd.port} {host}")
    asked: list[bytes] = []
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(tmp_path / "agent"))
        agent.listen()
        agent.settimeout(0)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
        with pytest.raises(LoginError, match="another host key"):
            sshd.log_in(host_keys=[throw_away_key("x").fingerprint])
        sshd.let_in((home / ".ssh/id_ed25519.pub").read_text())
        with pytest.raises(LoginError, match="not let in"):
            sshd.log_in()
        with pytest.raises(BlockingIOError):
            asked.append(agent.accept()[0].recv(1))
    assert not (tmp_path / "ran").exists()


def test_only_what_the_policy_allows_is_connected_to(sshd: Sshd) -> None:
    with pytest.raises(BarredError, match="cloudPolicy allows connections to none of"):
        sshd.log_in(V4, V6, policy=CloudPolicy())
    sshd.log_in(V4, V6, policy=CloudPolicy(allow_networks=("::1/128",)))
    assert "from ::1" in sshd.log()
    # The fixture's own look at the port was by IPv4.
    assert sshd.log().count("Connection from 127.0.0.1") <= 1
    with pytest.raises(UnreachedError, match="no address"):
        log_in((), "x", sshd.key, [sshd.fingerprint], OPEN, 5)


def test_an_address_that_does_not_answer_leaves_time_for_the_next(sshd: Sshd) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.2", sshd.port))
        silent.listen(0)
        start = time.monotonic()
        sshd.log_in(ip_address("127.0.0.2"), V4, seconds=4)
    assert time.monotonic() - start < 4


def test_every_failure_is_told(sshd: Sshd) -> None:
    sshd.let_in("")
    with pytest.raises(LoginError, match=r"127\.0\.0\.1: .* not let in .*; ::1: .* not let in"):
        sshd.log_in(V4, V6)


def silence(connection: socket.socket) -> None:
    connection.recv(2**16)
    time.sleep(30)


def drip(connection: socket.socket) -> None:
    try:
        while True:
            connection.sendall(b"a line before the version\r\n")
            time.sleep(0.05)
    except OSError:
        pass


def flood(connection: socket.socket) -> None:
    try:
        while True:
            connection.sendall(b"\x00" * 2**20)
    except OSError:
        pass


def web(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 400 Bad Request\x1b[2J\r\n\r\n")


@pytest.mark.parametrize("serve", [silence, drip, flood, web, socket.socket.close])
def test_a_server_that_is_none_costs_a_bounded_time(serve: Any) -> None:
    with listening(serve) as port:
        start = time.monotonic()
        with pytest.raises(UnreachedError) as raised:
            log_in((V4,), "debian", throw_away_key("x"), ["SHA256:x"], OPEN, 2, port)
    assert time.monotonic() - start < 5
    assert str(raised.value).isprintable()


def test_nobody_listens() -> None:
    [port] = free_ports(1)
    with pytest.raises(UnreachedError, match="refused"):
        log_in((V4,), "debian", throw_away_key("x"), ["SHA256:x"], OPEN, 5, port)


@contextmanager
def hostile(server: Any, process: Any) -> Iterator[tuple[int, str]]:
    """Run a server of asyncssh's with a process for each session; yield port and fingerprint."""
    host = asyncssh.generate_private_key("ssh-ed25519")
    started: Future[tuple[int, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def serve() -> None:
        end = asyncio.Event()
        options = {"server_host_keys": [host], "process_factory": process, "encoding": None}
        async with asyncssh.listen("127.0.0.1", 0, server_factory=server, **options) as listener:
            started.set_result((listener.get_port(), asyncio.get_running_loop(), end))
            await end.wait()

    thread = threading.Thread(target=asyncio.run, args=[serve()])
    thread.start()
    port, loop, end = started.result(10)
    yield port, host.get_fingerprint("sha256")
    loop.call_soon_threadsafe(end.set)
    thread.join()


class AnyKey(asyncssh.SSHServer):
    """Takes any key."""

    def public_key_auth_supported(self) -> bool:
        """Want one."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:  # noqa: ARG002 - asyncssh's own
        """Take it."""
        return True


class Anybody(asyncssh.SSHServer):
    """Lets everybody in."""

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - asyncssh's own
        """Want nothing."""
        return False


async def endless(process: Any) -> None:
    try:
        while True:
            process.stdout.write(b"\x1b]0;x\x07" * 2**12)
            await process.stdout.drain()
    except (OSError, asyncssh.Error):
        pass


async def mute(process: Any) -> None:
    await asyncio.sleep(60)


def test_a_server_that_lets_anybody_in_proves_nothing() -> None:
    with hostile(Anybody, endless) as (port, known), pytest.raises(LoginError, match="rivial"):
        log_in((V4,), "debian", throw_away_key("x"), [known], OPEN, 20, port)


@pytest.mark.parametrize(
    ("process", "told"), [(endless, "gets no shell"), (mute, "no login within")]
)
def test_what_a_hostile_shell_says_is_bounded(process: Any, told: str) -> None:
    with hostile(AnyKey, process) as (port, known):
        start = time.monotonic()
        with pytest.raises(LoginError, match=told) as raised:
            log_in((V4,), "debian", throw_away_key("x"), [known], OPEN, 3, port)
    assert time.monotonic() - start < 8
    assert len(str(raised.value)) < 500
    assert str(raised.value).isprintable()
