#!/usr/bin/env -S python3 -I
"""Starts qemu for libguestfs (LIBGUESTFS_HV), with a network that leads to our proxy alone.

libguestfs gives its virtual machine qemu's user network, which reaches whatever this machine
reaches. Here that becomes one that is restricted: the guest has one address to connect to, and for
each connection qemu starts a :mod:`.connector`, which connects that with the proxy's socket. All
other arguments are passed on. It is a program of its own that imports nothing of ours.
"""

import os
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

SOCKET: Final = "CLOUDIMAGE_PROXY_SOCKET"
"""The variable with the path of the proxy's socket."""

ADDRESS: Final = "169.254.2.100"
PORT: Final = 3128
"""Where the guest finds the proxy: an address in libguestfs' network that is nothing else's."""

_LIBGUESTFS: Final = "user,id=usernet,net=169.254.0.0/16"
"""What libguestfs asks for with a network; lib/launch-direct.c there."""

_OF_NETWORKS: Final = ("-net", "-nic", "-redir", "-tftp", "-smb", "-hostfwd")
_ARCHITECTURES: Final = {"amd64": "x86_64", "arm64": "aarch64", "ppc64le": "ppc64"}
"""By the machine's name, the name that qemu gives it, where that is another one."""


class UnknownNetworkError(Exception):
    """The arguments ask for a network that is not known here, so nothing is started."""


def restricted(words: Sequence[str], proxy: str, python: str) -> list[str]:
    """Return qemu's arguments with the network that leads to the proxy alone, or with none.

    Args:
        words: As libguestfs has them, without the program.
        proxy: The path of the proxy's socket.
        python: The file of an interpreter.

    Raises:
        UnknownNetworkError: They ask for another network than the one that is known.
    """
    made = list(words)
    places = [number for number, each in enumerate(made) if each.lstrip("-") == "netdev"]
    for place in places:
        if made[place + 1 : place + 2] != [_LIBGUESTFS]:
            raise UnknownNetworkError(f"not a known network: {made[place + 1 : place + 2]}")
        made[place : place + 2] = ["-netdev", _network(proxy, python)]
    if len(places) > 1:
        raise UnknownNetworkError("more than one network")
    rest = [each for number, each in enumerate(made) if number not in places]
    if unknown := [each for each in rest if f"-{each.lstrip('-')}".startswith(_OF_NETWORKS)]:
        raise UnknownNetworkError(f"not a known argument: {unknown[0]}")
    # Without any, qemu has one of its own accord.
    return made if places else [*made, "-nic", "none"]


def _network(proxy: str, python: str) -> str:
    connector = Path(__file__).resolve().with_name("connector.py")
    # -I, -S: it starts for each connection, and needs no package.
    command = shlex.join([python, "-I", "-S", str(connector), proxy])
    forward = f"tcp:{ADDRESS}:{PORT}-cmd:{command}".replace(",", ",,")
    return f"{_LIBGUESTFS},ipv6=off,restrict=on,guestfwd={forward}"


def main() -> None:
    """Become qemu."""
    # The file that could be run here; sys.executable may be another on the way to it.
    python = str(Path("/proc/self/exe").readlink())
    machine = platform.machine()
    program = f"qemu-system-{_ARCHITECTURES.get(machine, machine)}"
    try:
        words = restricted(sys.argv[1:], os.environ[SOCKET], python)
    except (UnknownNetworkError, KeyError) as error:
        sys.exit(f"{program} is not started, for its network cannot be restricted: {error}")
    os.execvp(program, [program, *words])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
