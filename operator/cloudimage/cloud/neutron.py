"""Neutron: which network has a name, since Nova takes ids alone."""

from dataclasses import dataclass
from typing import Any, Final

from openstack.connection import Connection

from cloudimage.cloud.answers import name, typed
from cloudimage.cloud.calls import Calls
from cloudimage.cloud.catalogue import offers
from cloudimage.cloud.errors import (
    NetworkAmbiguousError,
    NetworkNotFoundError,
    translated,
)

SERVICE_TYPE: Final = "network"
_MOST_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class NetworkRef:
    """A network by its id or by its name; exactly one is given."""

    id: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class _Network:
    id: str
    name: str
    project_id: str
    shared: bool = False


class Neutron:
    """The network service, as far as the credentials can see it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._calls = Calls(connection, SERVICE_TYPE)

    def network_id(self, wanted: str) -> str:
        """Return the id of the network of that name.

        Administrators see the networks of every project: of several those count that are shared,
        or of the credentials' own project.

        Raises:
            NetworkNotFoundError: The credentials can see none, or the cloud has no Neutron.
            NetworkAmbiguousError: There are several.
            CloudError: Neutron could not be asked, or refuses to say.
        """
        if not offers(self._connection, SERVICE_TYPE):
            raise NetworkNotFoundError(
                f"the cloud's catalogue has no network service to look up the network {wanted!r} "
                "by its name; give the network's id"
            )
        found = self._named(wanted)
        if len(found) > 1:
            own = self._calls.project_id()
            usable = [each for each in found if each.shared or each.project_id == own]
            found = usable or found
        if not found:
            raise NetworkNotFoundError(
                f"no network that the credentials can see has the name {wanted!r}; correct the "
                "name, or have the network shared with the project"
            )
        if len(found) > 1:
            ids = sorted(each.id for each in found)
            more = f" and {len(ids) - _MOST_NAMED} more" if ids[_MOST_NAMED:] else ""
            raise NetworkAmbiguousError(
                f"{len(ids)} networks have the name {wanted!r}: {', '.join(ids[:_MOST_NAMED])}"
                f"{more}; give the id of one"
            )
        return found[0].id

    def _named(self, wanted: str) -> list[_Network]:
        doing = f"looking up the network {wanted!r}"
        listed = self._calls.listed("/networks", "networks", doing, {"name": wanted})
        with translated(doing):
            found = [_network(each) for each in listed]
        return [each for each in found if each.name == wanted]


def _network(body: dict[str, Any]) -> _Network:
    return typed(
        _Network,
        id=body["id"],
        name=name(body.get("name")),
        project_id=name(body.get("project_id") or body.get("tenant_id")),
        shared=body.get("shared") or False,
    )
