"""A server, as a transfer's request has it."""

from typing import Literal

from cloudimage.transfer.source.glance.model import CloudSource

Quiesce = Literal["IfPossible", "Required", "Never"]


class ServerSource(CloudSource):
    """A server: exactly one of its id and its name is given.

    Attributes:
        quiesce: Whether its file systems must be frozen meanwhile, or must not.
        stop_first: Whether a server that runs is stopped for the snapshot, and started again.
    """

    type: Literal["server"] = "server"
    id: str | None = None
    name: str | None = None
    quiesce: Quiesce = "IfPossible"
    stop_first: bool = False
