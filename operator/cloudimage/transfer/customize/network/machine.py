"""A virtual machine of libguestfs whose network leads to the proxy alone."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from cloudimage.transfer.customize.network import connector, restricted_qemu
from cloudimage.transfer.tools.machine import Machine

_QEMU: Final = Path(restricted_qemu.__file__)
_CONNECTOR: Final = Path(connector.__file__)
_URL: Final = f"http://{restricted_qemu.ADDRESS}:{restricted_qemu.PORT}"


def with_network(machine: Machine, proxy: Path) -> Machine:
    """Return the machine with a network.

    Args:
        machine: One without.
        proxy: The socket of its proxy.
    """
    environment = {
        **machine.environment,
        "LIBGUESTFS_HV": str(_QEMU),
        restricted_qemu.SOCKET: str(proxy.absolute()),
        # virt-customize and virt-sysprep set these for what they run in the image.
        "http_proxy": _URL,
        "https_proxy": _URL,
    }
    readable = (*machine.readable, _CONNECTOR)
    return replace(
        machine, environment=environment, readable=readable, programs=(_QEMU,), loops=True
    )
