"""qemu's arguments: libguestfs' own, but for the network."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cloudimage.transfer.customize.network import restricted_qemu
from cloudimage.transfer.customize.network.restricted_qemu import UnknownNetworkError, restricted

PYTHON = sys.executable
# Of libguestfs 1.48.6 as it starts its appliance with a network, shortened.
APPLIANCE = (
    *("-global", "virtio-blk-pci.scsi=off", "-no-user-config", "-nodefaults", "-display", "none"),
    *("-machine", "accel=tcg", "-cpu", "max", "-m", "768", "-no-reboot", "-rtc", "driftfix=slew"),
    *("-object", "rng-random,filename=/dev/urandom,id=rng0", "-device", "virtio-rng-pci,rng=rng0"),
    *("-device", "scsi-hd,drive=hd0", "-chardev", "socket,path=/t/guestfsd.sock,id=channel0"),
    *("-netdev", "user,id=usernet,net=169.254.0.0/16"),
    *("-device", "virtio-net-pci,netdev=usernet,addr=1e.0"),
    *("-append", "panic=1 console=ttyS0 guestfs_network=1 TERM=linux"),
)


def test_the_network_leads_to_the_proxy_alone() -> None:
    made = restricted(APPLIANCE, "/a b/proxy,1.sock", PYTHON)
    place = made.index("-netdev")
    assert [*made[:place], *made[place + 2 :]] == [
        *APPLIANCE[: APPLIANCE.index("-netdev")],
        *APPLIANCE[APPLIANCE.index("-netdev") + 2 :],
    ]
    plain, comma, forward = made[place + 1].partition(",guestfwd=")
    assert comma
    assert plain == "user,id=usernet,net=169.254.0.0/16,ipv6=off,restrict=on"
    address, _, command = forward.replace(",,", ",").partition("-cmd:")
    assert address == "tcp:169.254.2.100:3128"
    python, *options, connector, socket = shlex.split(command)
    assert (python, options, socket) == (PYTHON, ["-I", "-S"], "/a b/proxy,1.sock")
    assert Path(connector).name == "connector.py"
    assert Path(connector).is_file()


@pytest.mark.parametrize(
    "words",
    [
        ("-display", "none", "-help"),
        ("-display", "none", "-machine", "accel=tcg", "-qmp", "stdio", "-S"),
    ],
)
def test_what_asks_for_no_network_gets_none(words: tuple[str, ...]) -> None:
    """Also where qemu would make one unasked."""
    assert restricted(words, "/proxy", PYTHON) == [*words, "-nic", "none"]


@pytest.mark.parametrize(
    "words",
    [
        ("-netdev", "user,id=usernet"),
        ("--netdev", "user,id=usernet,net=169.254.0.0/16,restrict=off"),
        ("-netdev", "tap,id=usernet"),
        ("-netdev",),
        ("-nic", "user"),
        ("-net", "user"),
        ("--net", "nic"),
        (*APPLIANCE, "-nic", "user"),
        (*APPLIANCE, *APPLIANCE),
        (*APPLIANCE, "-netdev", "user,id=other,net=169.254.0.0/16"),
    ],
)
def test_a_network_that_is_not_known_starts_nothing(words: tuple[str, ...]) -> None:
    with pytest.raises(UnknownNetworkError):
        restricted(words, "/proxy", PYTHON)


def started(tmp_path: Path, *words: str, **more: str) -> "subprocess.CompletedProcess[str]":
    """Start the file itself, beside a qemu that says what it was given."""
    qemu = tmp_path / "qemu-system-x86_64"
    qemu.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    for name in ("aarch64", "ppc64", "s390x", "riscv64"):
        (tmp_path / f"qemu-system-{name}").symlink_to(qemu)
    qemu.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", **more}
    command = [restricted_qemu.__file__, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_it_is_a_program_of_its_own(tmp_path: Path) -> None:
    done = started(tmp_path, *APPLIANCE, **{restricted_qemu.SOCKET: "/proxy.sock"})
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == len(APPLIANCE)
    assert said[-1] == APPLIANCE[-1]
    assert "restrict=on" in said[said.index("-netdev") + 1]


@pytest.mark.parametrize("words", [("-nic", "user"), APPLIANCE])
def test_what_cannot_be_restricted_is_not_started(tmp_path: Path, words: tuple[str, ...]) -> None:
    socket = {} if words is APPLIANCE else {restricted_qemu.SOCKET: "/proxy.sock"}
    done = started(tmp_path, *words, **socket)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "is not started, for its network cannot be restricted" in done.stderr
