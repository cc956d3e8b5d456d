"""What credentials may do of what a boot test needs, tried without making a server."""

import uuid
from typing import Final

from openstack.connection import Connection

from cloudimage.cloud.answers import name, typed
from cloudimage.cloud.calls import ABSENT, Calls
from cloudimage.cloud.catalogue import offers
from cloudimage.cloud.errors import FlavorNotFoundError, ServerRefusedError, translated
from cloudimage.cloud.models import Limit
from cloudimage.cloud.neutron import SERVICE_TYPE
from cloudimage.vocabulary.boot_test import ANY_PREFIX

_LIMITS: Final = {"instances": "Instances", "cores": "Cores", "ram": "RAM"}


class BootRights:
    """The requests of :class:`cloudimage.cloud.boot_servers.BootServers`, for what is not there.

    Nova looks at its policy before it looks for what a request names, so that "not found" says that
    the request is allowed; but for actions on servers, of which only access rules are seen so.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._nova = Calls(connection, "compute")
        self._neutron = Calls(connection, SERVICE_TYPE)

    def flavors(self) -> int:
        """Return how many flavors the project may use.

        Raises:
            ServerRefusedError: The cloud has no Nova.
            CloudError: Nova does not say.
        """
        if not offers(self._connection, "compute"):
            raise ServerRefusedError("the cloud's catalogue has no compute service")
        doing = "listing flavors"
        self._nova.send("GET", f"/flavors/{uuid.uuid4()}", doing, fine=ABSENT)
        return sum(1 for _ in self._nova.listed("/flavors", "flavors", doing, {}))

    def make_key(self, public_key: str) -> None:
        """Make a key pair, and delete it.

        Raises:
            CloudError: Nova refuses.
        """
        key_name = f"{ANY_PREFIX}{uuid.uuid4()}-check"
        key = {"keypair": {"name": key_name, "public_key": public_key}}
        self._nova.send("POST", "/os-keypairs", "making a key pair", json=key)
        self._nova.send("DELETE", f"/os-keypairs/{key_name}", "deleting a key pair", fine=ABSENT)
        self._nova.send("GET", "/os-keypairs", "listing key pairs")

    def make_server(self) -> None:
        """Ask for a server of a flavor that is not there.

        Raises:
            CloudError: Nova refuses it for another reason than the flavor.
        """
        server = {
            "name": f"{ANY_PREFIX}check",
            "imageRef": str(uuid.uuid4()),
            "flavorRef": str(uuid.uuid4()),
            "networks": "auto",
        }
        doing, body = "making a server", {"server": server}
        try:
            self._nova.send("POST", "/servers", doing, json=body, microversion="2.37")
        except FlavorNotFoundError:
            return

    def handle_server(self) -> None:
        """Read, look into and delete a server that is not there.

        Raises:
            CloudError: Nova refuses.
        """
        path, console = f"/servers/{uuid.uuid4()}", {"os-getConsoleOutput": {"length": 1}}
        self._nova.send("GET", "/servers/detail", "listing servers", params={"name": "^$"})
        self._nova.send("GET", path, "reading a server", fine=ABSENT)
        self._nova.send("POST", f"{path}/action", "reading a console", fine=ABSENT, json=console)
        self._nova.send("DELETE", path, "deleting a server", fine=ABSENT)

    def networks(self) -> tuple[str, ...] | None:
        """Return the names of the networks that Nova chooses among, or None without a Neutron.

        Raises:
            CloudError: Neutron does not say.
        """
        if not offers(self._connection, SERVICE_TYPE):
            return None
        doing, own = "listing networks", self._neutron.project_id()
        listed = self._neutron.listed("/networks", "networks", doing, {})
        with translated(doing):
            return tuple(
                name(each.get("name")) or name(each["id"])
                for each in listed
                if each.get("shared") or own in {each.get("project_id"), each.get("tenant_id")}
            )

    def limits(self) -> dict[str, Limit]:
        """Return what the project uses of its limits: instances, cores, ram (MiB).

        Raises:
            CloudError: Nova does not say.
        """
        doing = "reading the limits of servers"
        answer = self._nova.send("GET", "/limits", doing)
        with translated(doing):
            said = answer.json()["limits"]["absolute"]
            return {
                what: typed(
                    Limit,
                    used=said[f"total{word}Used"],
                    limit=said[_MOST.get(what, f"maxTotal{word}")],
                )
                for what, word in _LIMITS.items()
            }


_MOST: Final = {"ram": "maxTotalRAMSize"}
