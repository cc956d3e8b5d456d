"""The script of the user-data itself, run by real shells on this machine, on a real terminal."""

import base64
import contextlib
import hashlib
import os
import platform
import pty
import re
import socket
import subprocess
import time
import tty
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from cloudimage.guest.keys import throw_away_key
from cloudimage.guest.report import GuestReport, newest_report
from cloudimage.guest.user_data import user_data
from testbed.commands import run

TOKEN = "0123456789abcdef0123456789abcdef"
SHELLS = (["dash"], ["busybox", "ash"], ["bash", "--posix"])
ED25519 = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
"""GitHub's host key."""

ED25519_FINGERPRINT = "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
"""As GitHub publishes it."""

# What cloud-init writes for root where another user is let in (DISABLE_USER_OPTS of its cc_ssh).
NOT_ROOT = (
    "no-port-forwarding,no-agent-forwarding,no-X11-forwarding,command=\"echo 'Please login as the "
    'user \\"debian\\" rather than the user \\"root\\".\';echo;sleep 10;exit 142" '
)
# FreeBSD 14's own words, of a server with a virtio interface.
FREEBSD_IFCONFIG = """\
vtnet0: flags=1008843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST,LOWER_UP> metric 0 mtu 1500
\toptions=4c07bb<RXCSUM,TXCSUM,VLAN_MTU,VLAN_HWTAGGING,JUMBO_MTU,VLAN_HWCSUM,TSO4,TSO6,LRO>
\tether fa:16:3e:95:cf:1c
\tinet 198.18.7.83 netmask 0xffffff00 broadcast 198.18.7.255
\tinet6 fe80::f816:3eff:fe95:cf1c%vtnet0 prefixlen 64 scopeid 0x1
\tinet6 fd7a:7::f816:3eff:fe95:cf1c prefixlen 64 autoconf pltime 604800 vltime 2592000
\tinet6 fd7a:8::1 prefixlen 64 tentative
\tmedia: Ethernet autoselect (10Gbase-T <full-duplex>)
\tstatus: active
\tnd6 options=23<PERFORMNUD,ACCEPT_RTADV,AUTO_LINKLOCAL>
lo0: flags=1008049<UP,LOOPBACK,RUNNING,MULTICAST,LOWER_UP> metric 0 mtu 16384
\toptions=680003<RXCSUM,TXCSUM,LINKSTATE,RXCSUM_IPV6,TXCSUM_IPV6>
\tinet 127.0.0.1 netmask 0xff000000
\tinet6 ::1 prefixlen 128
\tinet6 fe80::1%lo0 prefixlen 64 scopeid 0x2
\tgroups: lo
\tnd6 options=21<PERFORMNUD,AUTO_LINKLOCAL>
"""
FREEBSD_NETSTAT = """\
Routing tables

Internet:
Destination        Gateway            Flags         Netif Expire
default            198.18.7.1         UGS          vtnet0
127.0.0.1          link#2             UH              lo0
198.18.7.0/24      link#1             U            vtnet0

Internet6:
Destination                       Gateway                       Flags         Netif Expire
default                           fe80::f816:3eff:fe00:1%vtnet0 UG           vtnet0
::1                               link#2                        UHS             lo0
"""


@dataclass
class Guest:
    """A folder that stands for a server's files.

    Attributes:
        accounts: Lines of ``/etc/passwd``.
    """

    folder: Path
    accounts: list[str] = field(default_factory=list)

    def user(self, name: str, *keys: str, login: str = "/bin/sh") -> None:
        """Make a user with lines of ``authorized_keys``."""
        home = self.folder / "home of" / name
        (home / ".ssh").mkdir(parents=True)
        (home / ".ssh/authorized_keys").write_text("\n".join(keys))
        self.accounts.append(f"{name}:x:1000:1000:{name.title()},,,:{home}:{login}\n")

    def program(self, name: str, text: str) -> None:
        """Have a program of that name, before those of the machine."""
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def without(self, *names: str) -> None:
        """Have no such programs."""
        for name in names:
            self.program(name, "exit 127")

    def console(
        self, shell: list[str] = SHELLS[0], user: str | None = None, **variables: str
    ) -> str:
        """Return what the script prints on the console, a terminal, until it ends."""
        ours, theirs = pty.openpty()
        terminal = os.ttyname(theirs).removeprefix("/dev/")
        (self.folder / "passwd").write_text("".join(self.accounts))
        set_here = {
            "consoles": terminal,
            "accounts": str(self.folder / "passwd"),
            "host_keys": str(self.folder),
            "rounds": "1",
            "pause": "0",
        } | variables
        script = self.folder / "user-data"
        head, body = user_data(TOKEN, None, user).decode().split("\nuser=")
        lines = [f"{name}='{value}'" for name, value in set_here.items()]
        script.write_text("\n".join([head, *lines, f"user={body}"]) + "wait\n")
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        environment = os.environ | {"PATH": path}
        subprocess.run([*shell, str(script)], env=environment, check=True, timeout=60)
        os.close(theirs)
        return _drained(ours)

    def report(self, *arguments: list[str], **variables: str) -> GuestReport:
        """Return the report, which must be there."""
        console = self.console(*arguments, **variables)
        report = newest_report(console, TOKEN)
        assert report is not None, console
        return report


def _drained(terminal: int) -> str:
    said = b""
    try:
        while piece := os.read(terminal, 65536):
            said += piece
    except OSError:  # Linux' end of a terminal whose other side is closed
        pass
    os.close(terminal)
    return said.decode()


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request: pytest.FixtureRequest) -> list[str]:
    value: list[str] = request.param
    return value


def addresses_of_this_machine() -> set[str]:
    found = set()
    for name, addresses in psutil.net_if_addrs().items():
        for each in addresses:
            if each.family in {socket.AF_INET, socket.AF_INET6} and name != "lo":
                found.add(each.address.partition("%")[0])
    return {each for each in found if not each.startswith(("fe80:", "169.254."))}


def interfaces_of_this_machine() -> set[str]:
    return set(psutil.net_if_addrs()) - {"lo"}


def test_each_shell_reports_this_machine(guest: Guest, shell: list[str]) -> None:
    guest.user("debian", f"ssh-ed25519 {ED25519} somebody@somewhere")
    before = addresses_of_this_machine(), interfaces_of_this_machine()
    report = guest.report(shell)
    after = addresses_of_this_machine(), interfaces_of_this_machine()
    seen = {str(each.ip) for each in report.addresses}, set(report.interfaces)
    # Other tests make interfaces at the same time.
    for early, reported, late in zip(before, seen, after, strict=True):
        assert early & late <= reported <= early | late
    assert report.kernel == f"Linux {platform.release()}"
    assert report.keys == {"debian": (ED25519_FINGERPRINT,)}
    assert report.seconds == 0
    assert report.uptime > 0


def test_seconds_count_from_the_first_report(guest: Guest) -> None:
    report = guest.report(rounds="2", pause="2")
    assert 2 <= report.seconds < 30


@pytest.mark.parametrize(("began", "pause"), [("", "5"), ("-1000", "30")])
def test_it_reports_seldom_once_the_guest_has_started(guest: Guest, began: str, pause: str) -> None:
    """A console keeps only so much, and what others wrote to it is looked for as well."""
    slept = guest.folder / "slept"
    guest.program("sleep", f'echo "$1" >>{slept}')
    guest.console(rounds="2", pause="5", began=began)
    assert slept.read_text().split() == [pause, pause]


def test_the_script_ends_at_once_and_reports_later(guest: Guest, shell: list[str]) -> None:
    """cloud-init waits for it, and for its output's end, before it is done itself."""
    script = guest.folder / "user-data"
    text = user_data(TOKEN, None).decode()
    script.write_text(text.replace("token=", "consoles=none pause=20 rounds=2\ntoken=", 1))
    done = subprocess.run([*shell, str(script)], check=True, capture_output=True, timeout=15)
    assert done.stdout + done.stderr == b""


def test_keys_that_let_nobody_in_do_not_count(guest: Guest, shell: list[str]) -> None:
    key = f"ssh-ed25519 {ED25519}"
    guest.user("root", NOT_ROOT + key)
    guest.user("upper", f'no-pty,COMMAND="true" {key}')
    guest.user("authority", f"cert-authority {key}")
    guest.user("comment", f"# {key}", "", "# another")
    guest.user("service", key, login="/usr/sbin/nologin")
    guest.user("options", f'from="10.0.0.0/8, x",environment="A=command=b" {key} c d')
    guest.user("quote", f'{key} joe"s command="key"')
    guest.user("windows", f"{key}\r")
    assert set(guest.report(shell).keys) == {"options", "quote", "windows"}


def test_the_newest_of_many_keys_are_reported(guest: Guest) -> None:
    others = [throw_away_key(str(at)).public for at in range(30)]
    guest.user("debian", *others, f"ssh-ed25519 {ED25519} injected")
    found = guest.report().keys["debian"]
    assert len(found) == 8
    assert found[-1] == ED25519_FINGERPRINT


def test_names_of_an_image_cannot_make_a_line_of_their_own(guest: Guest, shell: list[str]) -> None:
    key = f"ssh-ed25519 {ED25519}"
    for name in ("a signature=0", "$(touch x)", "b,root", "c;d", "x" * 200, "debian"):
        guest.user(name, key)
    for number in range(40):
        guest.user(f"user{number}", key)
    found = guest.report(shell).keys
    assert set(found) >= {"asignature0", "touchx", "broot", "cd", "debian"}
    assert len(found) <= 24
    assert "root" not in found


def test_one_user_may_be_asked_for(guest: Guest) -> None:
    guest.user("debian", f"ssh-ed25519 {ED25519}")
    guest.user("other", throw_away_key("x").public)
    assert set(guest.report(user="debian").keys) == {"debian"}
    assert guest.report(user="nobody-here").keys == {}


def test_keys_are_looked_for_where_the_ssh_server_does(guest: Guest) -> None:
    guest.user("debian", throw_away_key("not looked at").public)
    (guest.folder / "keys").mkdir()
    (guest.folder / "keys/debian").write_text(f"ssh-ed25519 {ED25519}\n")
    # As OpenSSH's `sshd -T` prints it.
    guest.program("sshd", f"echo port 22; echo authorizedkeysfile {guest.folder}/keys/%u")
    assert guest.report().keys == {"debian": (ED25519_FINGERPRINT,)}


def test_fingerprints_are_those_of_openssh(guest: Guest, shell: list[str]) -> None:
    ours = throw_away_key("cloudimage")
    guest.user("debian", ours.public)
    assert guest.report(shell).keys == {"debian": (ours.fingerprint,)}
    (guest.folder / "key.pub").write_text(ours.public)
    shown = run("ssh-keygen", "-lf", guest.folder / "key.pub")
    assert shown.split()[1] == ours.fingerprint


def test_host_keys_are_those_of_the_server(guest: Guest) -> None:
    host_key = guest.folder / "ssh_host_ed25519_key"
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key)
    shown = run("ssh-keygen", "-lf", f"{host_key}.pub")
    dropbear = guest.folder / "dropbear_ecdsa_host_key"
    made = run("dropbearkey", "-t", "ecdsa", "-f", dropbear)
    blob = base64.b64decode(re.findall(r"ecdsa-\S+ (\S+)", made)[0])
    digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
    assert guest.report().host_keys == (shown.split()[1], f"SHA256:{digest}")


@pytest.mark.parametrize(
    "programs",
    [
        {},
        {
            "sha256": "sha256sum-of-old | cut -d' ' -f1",
            "sha256sum-of-old": "exec busybox sha256sum",
        },
        {"openssl": 'exec /usr/bin/openssl "$@"'},
    ],
    ids=["coreutils", "FreeBSD", "openssl"],
)
def test_any_program_for_the_hash_will_do(guest: Guest, programs: Mapping[str, str]) -> None:
    guest.user("debian", f"ssh-ed25519 {ED25519}")
    if programs:
        guest.without("sha256sum", "base64", "shasum")
        guest.program("b64decode", "exec busybox base64 -d")
    for name, text in programs.items():
        guest.program(name, text)
    guest.without("ssh-keygen", "awk", "python3")
    assert guest.report().keys == {"debian": (ED25519_FINGERPRINT,)}


def test_without_ip_ifconfig_is_read(guest: Guest) -> None:
    guest.without("ip")
    guest.program("ifconfig", "exec busybox ifconfig -a")
    guest.program("netstat", "exec busybox netstat -rn")
    report = guest.report()
    assert {str(each.ip) for each in report.addresses} == addresses_of_this_machine()
    assert set(report.interfaces) == set(psutil.net_if_addrs()) - {"lo"}


def test_the_words_of_freebsd_are_read(guest: Guest) -> None:
    guest.without("ip")
    guest.program("ifconfig", f"cat <<'END'\n{FREEBSD_IFCONFIG}END")
    guest.program("netstat", f"cat <<'END'\n{FREEBSD_NETSTAT}END")
    report = guest.report()
    assert [str(each) for each in report.addresses] == [
        "198.18.7.83/24",
        "fd7a:7::f816:3eff:fe95:cf1c/64",
    ]
    assert report.interfaces == ("vtnet0",)
    assert report.routes == (
        "198.18.7.1 dev vtnet0",
        "fe80::f816:3eff:fe00:1 dev vtnet0 dev vtnet0",
    )


def test_the_status_of_cloud_init_is_asked_after_the_first_line(guest: Guest) -> None:
    guest.program("cloud-init", "echo; echo 'status: degraded done'; echo 'detail: x'")
    assert guest.report().cloud_init == "running"
    assert guest.report(rounds="2").cloud_init == "degraded done"


def test_a_console_that_blocks_does_not_silence_another(guest: Guest) -> None:
    """A terminal that is not read takes some KiB, and then nothing else."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    os.set_blocking(theirs, False)
    with contextlib.suppress(BlockingIOError):
        while os.write(theirs, b"x" * 1024):
            pass
    mine, other = pty.openpty()
    names = " ".join(os.ttyname(each).removeprefix("/dev/") for each in (theirs, other))
    script = guest.folder / "user-data"
    text = user_data(TOKEN, None).decode()
    script.write_text(text.replace("token=", f"consoles='{names}' pause=0 rounds=3\ntoken=", 1))
    subprocess.run([*SHELLS[0], script], check=True, timeout=10)
    os.set_blocking(mine, False)
    said = ""
    for _ in range(200):
        with contextlib.suppress(BlockingIOError):
            said += os.read(mine, 65536).decode()
        if said.count("signature=") == 3:
            break
        time.sleep(0.1)
    assert said.count("signature=") == 3
    assert newest_report(said, TOKEN) is not None
    for each in (ours, theirs, mine, other):
        os.close(each)
