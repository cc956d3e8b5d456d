"""A virtual machine of libguestfs whose network leads to the proxy alone."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from cloudimage.transfer.customize.network import connector, restricted_qemu
from cloudimage.transfer.tools.launcher import CODE
from cloudimage.transfer.tools.machine import Machine
from cloudimage.transfer.tools.toolbox import environment

_QEMU: Final = Path(restricted_qemu.__file__)
_CONNECTOR: Final = Path(connector.__file__)
_URL: Final = f"http://{restricted_qemu.ADDRESS}:{restricted_qemu.PORT}"


def with_network(machine: Machine, proxy: Path) -> Machine:
    """Return the machine with a network.

    Args:
        machine: One without.
        proxy: The socket of its proxy.
    """
    made = {
        **machine.environment,
        "PATH": _of_the_system(environment()["PATH"]),
        "LIBGUESTFS_HV": str(_QEMU),
        restricted_qemu.SOCKET: str(proxy.absolute()),
        # virt-customize and virt-sysprep set these for what they run in the image.
        "http_proxy": _URL,
        "https_proxy": _URL,
    }
    readable = (*machine.readable, _CONNECTOR)
    return replace(machine, environment=made, readable=readable, programs=(_QEMU,), loops=True)


def _of_the_system(path: str) -> str:
    """Return the folders of PATH in which programs may be run.

    A virtual environment's Python is a link to the system's, and so may be started, but then ends,
    since it may not read what is beside it.
    """
    folders = map(Path, path.split(os.pathsep))
    return os.pathsep.join(str(each) for each in folders if any(map(each.is_relative_to, CODE)))
