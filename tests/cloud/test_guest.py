"""What servers of a boot test say of themselves, on a cloud where they really boot.

Each image of :data:`testbed.images.guests.GUESTS` leaves one thing undone: the console shows it.
"""

import base64
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from openstack.connection import Connection

from cloudimage.guest.keys import KeyPair, throw_away_key
from cloudimage.guest.report import GuestReport, console_tail, newest_report
from cloudimage.guest.user_data import user_data
from support.networks import inside, network_of_both, open_port
from support.openstack_actions import make_image, wait_until
from testbed.images.cloud_debian import cloud_debian_qcow2
from testbed.images.guests import GUESTS, guest_qcow2
from testbed.openstack import OpenStack

pytestmark = [
    pytest.mark.cloud,
    pytest.mark.slow,
    pytest.mark.timeout(1200),  # the first one starts the bed
    pytest.mark.xdist_group("testbed-boot"),
]
BOOT_SECONDS = 300.0
DEBIAN_SECONDS = 600.0
SETTLED_SECONDS = 20.0
"""The guest has its addresses after so long, if ever."""

QUIET_SECONDS = 60.0
# As the operator's login, in the namespace from which there is a path to the server.
LOGIN = """\
import json, sys
from ipaddress import ip_address
from cloudimage.access.policy import CloudPolicy
from cloudimage.guest.keys import KeyPair
from cloudimage.guest.ssh import log_in
(address, user, *pair), host_keys = json.load(sys.stdin)
log_in([ip_address(address)], user, KeyPair(*pair), host_keys, CloudPolicy(), 90)
"""


@dataclass(frozen=True)
class Booted:
    """A server with the user-data and the key pair of a boot test."""

    cloud: Connection
    server: Any
    key: KeyPair
    token: str

    def console(self) -> str:
        """Return what Nova has of its console."""
        said = self.cloud.compute.get_server_console_output(self.server) or {}
        return str(said.get("output") or "")

    def report(self) -> GuestReport | None:
        """Return the newest report."""
        return newest_report(self.console(), self.token)

    def settled(self, seconds: float = BOOT_SECONDS) -> GuestReport:
        """Wait until the guest has had the time to get what it gets, and return its report."""

        def is_settled() -> bool:
            report = self.report()
            return report is not None and report.seconds >= SETTLED_SECONDS

        wait_until(is_settled, seconds)
        report = self.report()
        assert report is not None
        return report

    def complete(self, seconds: float = BOOT_SECONDS) -> GuestReport:
        """Wait until the guest has all addresses that Nova gave it, and return its report."""
        given = self.addresses()

        def is_complete() -> bool:
            report = self.report()
            return report is not None and given <= {str(each.ip) for each in report.addresses}

        wait_until(is_complete, seconds)
        report = self.report()
        assert report is not None
        return report

    def addresses(self) -> set[str]:
        """Return the addresses that Nova gave it."""
        server = self.cloud.compute.get_server(self.server.id)
        return {each["addr"] for network in server.addresses.values() for each in network}


Boot = Callable[..., Booted]


@pytest.fixture
def cloud(boot_bed: OpenStack) -> Connection:
    return boot_bed.connect("images")


@pytest.fixture(scope="module")
def network(boot_bed: OpenStack) -> Iterator[str]:
    with network_of_both(boot_bed.connect("images"), f"guest-{secrets.token_hex(3)}") as network:
        yield network


@pytest.fixture
def second_network(cloud: Connection, unique: str) -> Iterator[str]:
    """Another one; ask for it before ``booted``, whose servers go first."""
    with network_of_both(cloud, unique, 8) as network:
        yield network


@pytest.fixture
def port(cloud: Connection, network: str) -> Iterator[str]:
    """A port that lets SSH in; likewise."""
    with open_port(cloud, network) as port:
        yield port


@pytest.fixture
def booted(cloud: Connection, network: str, unique: str) -> Iterator[Boot]:
    """Boot a server of an image file; it and all that was made for it goes at the end."""
    with ExitStack() as stack:

        def boot(
            qcow2: Path,
            nics: list[dict[str, str]] | None = None,
            flavor: str = "m1.tiny",
            user: str | None = None,
        ) -> Booted:
            nova, key, token = cloud.compute, throw_away_key(unique), secrets.token_hex(16)
            image = make_image(cloud, qcow2.read_bytes(), disk_format="qcow2")
            stack.callback(cloud.image.delete_image, image)
            pair = nova.create_keypair(name=unique, public_key=key.public)
            stack.callback(nova.delete_keypair, pair)
            server = nova.create_server(
                name=unique,
                image_id=image.id,
                flavor_id=nova.find_flavor(flavor, ignore_missing=False).id,
                networks=nics or [{"uuid": network}],
                key_name=unique,
                has_config_drive=True,
                user_data=base64.b64encode(user_data(token, None, user)).decode(),
            )
            stack.callback(nova.wait_for_delete, server, interval=0.5, wait=120)
            stack.callback(nova.delete_server, server)
            return Booted(cloud, nova.wait_for_server(server, interval=0.5, wait=180), key, token)

        yield boot


def test_a_good_guest_says_all_that_nova_gave_it(booted: Boot, network: str) -> None:
    server = booted(guest_qcow2("good"))
    report = server.complete()
    assert {str(each.ip) for each in report.addresses} == server.addresses()
    assert {each.version for each in report.addresses} == {4, 6}
    assert report.interfaces == ("eth0",)
    assert len(report.routes) == 2
    assert report.keys == {"root": (server.key.fingerprint,)}
    assert len(report.host_keys) == 1
    assert report.kernel.startswith("Linux ")
    assert "login:" in console_tail(server.console())


def test_a_guest_lets_its_key_in_over_either_family(
    boot_bed: OpenStack, port: str, booted: Boot, network: str
) -> None:
    server = booted(guest_qcow2("good"), nics=[{"port": port}])
    report = server.complete()
    key, other = server.key, throw_away_key("other")
    with inside(boot_bed, network) as entrance:
        for address in sorted(server.addresses()):
            right = [address, "root", key.public, key.private, key.fingerprint]
            assert logged_in(entrance, right, report.host_keys) == ""
            wrong = [address, "root", other.public, other.private, other.fingerprint]
            assert "not let in by the key" in logged_in(entrance, wrong, report.host_keys)


def logged_in(entrance: list[str], what: list[str], host_keys: Sequence[str]) -> str:
    """Return what is wrong with a login from within a namespace; empty if nothing is."""
    words = [*entrance, sys.executable, "-c", LOGIN]
    done = subprocess.run(
        words,
        input=json.dumps([what, host_keys]),
        text=True,
        capture_output=True,
        check=False,
        timeout=120,
    )
    return done.stderr


@pytest.mark.parametrize("family", [4, 6])
def test_a_guest_without_a_family_says_so(booted: Boot, family: int) -> None:
    server = booted(guest_qcow2(f"without-ipv{family}"))
    report = server.settled()
    assert {each.version for each in report.addresses} == {4, 6} - {family}
    missing = server.addresses() - {str(each.ip) for each in report.addresses}
    assert [ip_address(each).version for each in missing] == [family]


@pytest.mark.parametrize("what", ["key", "shell"])
def test_a_guest_that_does_not_let_the_key_in_says_so(booted: Boot, what: str) -> None:
    report = booted(guest_qcow2(f"without-{what}")).complete()
    assert report.keys == {}
    assert {each.version for each in report.addresses} == {4, 6}


def test_a_guest_that_leaves_its_second_interface_alone_says_so(
    second_network: str, booted: Boot, network: str
) -> None:
    server = booted(
        guest_qcow2("without-second"), nics=[{"uuid": network}, {"uuid": second_network}]
    )
    report = server.settled()
    assert set(report.interfaces) == {"eth0", "eth1"}
    assert len(report.addresses) == 2
    assert len(server.addresses()) == 4


@pytest.mark.parametrize(
    ("name", "ends_with"),
    [("panics", "Kernel panic - not syncing"), ("without-cloud-init", "login:")],
)
def test_what_never_reports_shows_why_on_its_console(
    booted: Boot, name: str, ends_with: str
) -> None:
    server = booted(guest_qcow2(name))
    wait_until(lambda: ends_with in console_tail(server.console()), BOOT_SECONDS)
    assert server.report() is None


@pytest.mark.parametrize("name", ["silent", "no-boot-code"])
def test_what_writes_nothing_shows_nothing(booted: Boot, name: str) -> None:
    server = booted(guest_qcow2(name))
    with pytest.raises(AssertionError, match="in time"):
        wait_until(lambda: console_tail(server.console()) != "", QUIET_SECONDS)
    assert server.report() is None


@pytest.mark.timeout(2400)
def test_a_debian_lets_its_default_user_in_and_root_only_to_be_told_so(
    boot_bed: OpenStack, port: str, booted: Boot, network: str
) -> None:
    """The real cloud-init: it writes root's key also, for a command that names the other user."""
    server = booted(cloud_debian_qcow2(), flavor="m1.small", nics=[{"port": port}])
    report = server.complete(DEBIAN_SECONDS)
    assert report.keys == {"debian": (server.key.fingerprint,)}
    assert {str(each.ip) for each in report.addresses} == server.addresses()
    assert report.interfaces == ("eth0",)
    assert len(report.host_keys) == 3
    assert " login:" in server.console()

    def is_done() -> bool:
        newest = server.report()
        return newest is not None and newest.cloud_init == "done"

    wait_until(is_done, DEBIAN_SECONDS)
    key = server.key
    with inside(boot_bed, network) as entrance:
        for address in sorted(server.addresses()):
            words = [address, "debian", key.public, key.private, key.fingerprint]
            assert logged_in(entrance, words, report.host_keys) == ""
            words[1] = "root"
            said = logged_in(entrance, words, report.host_keys)
            assert "root is logged in but gets no shell; what was said: Please login as" in said


def test_every_guest_of_the_bed_is_seen() -> None:
    """One that is added gets a test here."""
    tested = {"good", "panics", "silent", "no-boot-code", "without-cloud-init", "without-second"}
    assert set(GUESTS) == tested | {f"without-{what}" for what in ("key", "shell", "ipv4", "ipv6")}
