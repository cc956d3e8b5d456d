"""A compute service and an API server in memory, which fail on demand."""

from dataclasses import dataclass, field, replace
from typing import Any

from cloudimage.api.meta import Event
from cloudimage.cloud import models
from cloudimage.cloud.boot_servers import WantedServer
from cloudimage.cloud.errors import CloudError
from cloudimage.kube import Kube
from support.boot_states import server, untested, with_test


@dataclass
class Nova:
    """A compute service that fails on demand.

    Attributes:
        servers: The servers that it has.
        stuck: Whether it fails to delete any of them.
        refusals: Why it refuses a request, by the name of the method.
    """

    servers: list[models.TestServer] = field(default_factory=list)
    stuck: bool = False
    refusals: dict[str, CloudError] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)

    def _asked(self, what: str) -> None:
        if what in self.refusals:
            raise self.refusals[what]

    def find(self, _uid: str) -> tuple[models.TestServer, ...]:
        """Return all of them."""
        self._asked("find")
        return tuple(self.servers)

    def read(self, server_id: str) -> models.TestServer | None:
        """Return one."""
        self._asked("read")
        return next((each for each in self.servers if each.id == server_id), None)

    def create(self, wanted: WantedServer, _public_key: str) -> str:
        """Make one that is being built."""
        self.keys.append(wanted.key_name)
        self._asked("create")
        server_id = f"server-{len(self.keys)}"
        base = server(with_test(), untested(with_test()))
        token = wanted.name[-8:] * 4
        made = replace(base, id=server_id, status="BUILD", launched_at=None, token=token)
        self.servers.append(replace(made, metadata=wanted.metadata))
        return server_id

    def console(self, _server_id: str, _lines: int) -> str:
        """Return nothing."""
        self._asked("console")
        return ""

    def delete(self, server_id: str) -> None:
        """Delete one, unless it is stuck."""
        self._asked("delete")
        if not self.stuck:
            self.servers = [each for each in self.servers if each.id != server_id]

    def delete_keys(self, _uid: str) -> None:
        """Delete all."""
        self._asked("delete_keys")
        self.keys = []


class Written(Kube):
    """An API server that takes each status and Event."""

    def __init__(self) -> None:
        object.__setattr__(self, "events", [])

    def write_status(self, resource: Any, status: Any) -> Any:
        """Return the object with it."""
        return resource.model_copy(update={"status": status})

    def post_event(self, _resource: Any, event: Event) -> None:
        """Keep it."""
        events: list[Event] = self.events  # type: ignore[attr-defined]  # set past the frozen class
        events.append(event)

    def said(self, reason: str) -> list[str]:
        """Return what was said for a reason."""
        events: list[Event] = self.events  # type: ignore[attr-defined]  # set past the frozen class
        return [each.message for each in events if each.reason == reason]
