"""openstacksdk's region of a cloud, built from a checked entry alone.

The SDK's loader (``OpenStackConfig``) is gone around: it formats texts, loads vendor profiles,
plugins by any name, files and variables of the environment. What it would make in the end is an
object of ``CloudRegion`` with a plugin of keystoneauth, and that is made here.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from keystoneauth1 import identity
from keystoneauth1.identity.base import BaseIdentityPlugin
from keystoneauth1.session import Session
from openstack.config.cloud_region import CloudRegion
from openstack.connection import Connection

from cloudimage import __version__
from cloudimage.access import entry

PLUGINS: Final[Mapping[str, Callable[..., BaseIdentityPlugin]]] = {
    "password": identity.Password,
    "v3password": identity.V3Password,
    "token": identity.Token,
    "v3token": identity.V3Token,
    "v3applicationcredential": identity.V3ApplicationCredential,
}

_SERVICES: Final = (
    "identity",
    "image",
    "compute",
    "object_store",
    # By its official name and its aliases, of which the SDK takes the first.
    "block_storage",
    "volumev3",
    "volumev2",
    "volume",
    "block_store",
)
"""The services that are asked; what an entry says of others goes no further."""

_CONSTANTS: Final[Mapping[str, Any]] = {
    # A connection's constructor needs these; no request depends on them.
    "image_api_use_tasks": False,
    "image_format": "qcow2",
    "floating_ip_source": "neutron",
    "secgroup_source": "neutron",
    "interface": "public",
    # The SDK would sleep for as long as a 503 asks, five times for Glance, with a thread of the
    # work queue: coming back later is the queue's part.
    "status_code_retries": 0,
    "image_status_code_retries": 0,
    "connect_retries": 0,
}


def connection(
    options: Mapping[str, Any],
    session: Callable[..., Session],
    ca_file: str | None = None,
    login: str | None = None,
) -> Connection:
    """Return a connection that logs in when it is first used.

    Args:
        options: An entry of clouds.yaml, checked again here.
        session: Makes keystoneauth's session; see :mod:`cloudimage.access.session`.
        ca_file: Path of the certificates that TLS is verified with; None: the system's.
        login: The state of an earlier login by the same entry, to go on with.

    Raises:
        EntryRefusedError: The entry says what is not allowed.
    """
    return Connection(config=region(entry.check(options, ""), session, ca_file, login))


def region(
    checked: Mapping[str, Any],
    session: Callable[..., Session],
    ca_file: str | None,
    login: str | None = None,
) -> CloudRegion:
    """Return the region of an entry that :func:`cloudimage.access.entry.check` returned."""
    ours = {key: value for key, value in checked.items() if _is_ours(key)}
    auth_type = checked.get("auth_type", "password")
    config = {**_CONSTANTS, **ours, "auth_type": auth_type, "cacert": ca_file}
    plugin = PLUGINS[auth_type](**checked["auth"])
    plugin.set_auth_state(login)
    made = CloudRegion(
        name="cloud",
        region_name=checked.get("region_name"),
        config=config,
        auth_plugin=plugin,
        app_name="cloudimage-operator",
        app_version=__version__,
    )
    made.set_session_constructor(session)  # type: ignore[arg-type]  # a function does as well
    return made


def _is_ours(key: str) -> bool:
    return key in {"auth", "auth_type", "interface", "region_name", "verify"} or any(
        key.startswith(f"{service}_") for service in _SERVICES
    )
