"""What Nova says of a server, and whether it makes the snapshot that is wanted; pure."""

from collections.abc import Mapping
from typing import Any, Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.server.model import ServerSource
from cloudimage.transfer.source.snapshot.rules import shown
from cloudimage.transfer.source.snapshot.services import Server
from cloudimage.vocabulary.properties import TRUE

_TAKEN: Final = frozenset({"ACTIVE", "PAUSED", "SHUTOFF", "SUSPENDED"})
"""Statuses of which Nova makes a snapshot: ``snapshot`` of nova/compute/api.py."""

_AGENT: Final = "hw_qemu_guest_agent"
_REQUIRED: Final = "os_require_quiesce"


def check(server: Server) -> None:
    """See that Nova would make a snapshot of a server.

    Raises:
        TransferError: ``SourceBusy`` or ``SourceRefused``.
    """
    if server.task is not None:
        raise TransferError(
            Reason.SOURCE_BUSY,
            f"server {server.id} has a task in progress ({shown(server.task)}): Nova makes a "
            "snapshot once it is done",
        )
    if server.status not in _TAKEN:
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"server {server.id} has the status {shown(server.status)}: Nova makes a snapshot only "
            "of one that is ACTIVE, SHUTOFF, PAUSED or SUSPENDED",
        )


def must_know_image(source: ServerSource, server: Server) -> bool:
    """Return whether the properties of the server's image decide."""
    running = server.status == "ACTIVE" and not source.stop_first
    return running and source.quiesce != "IfPossible"


def check_quiesce(
    source: ServerSource, server: Server, properties: Mapping[str, Any] | None
) -> None:
    """See that Nova quiesces a running server, or does not, as is wanted.

    No request can ask for either: Nova goes by the properties of the image that the server was made
    of (``hw_qemu_guest_agent``, ``os_require_quiesce``), and without the latter makes the snapshot
    even if the agent does not answer.

    Args:
        source: What is wanted.
        server: The server.
        properties: Of its image, or of its boot volume; None: they are not known.

    Raises:
        TransferError: ``SourceRefused``.
    """
    known = properties or {}
    agent, required = (_is_true(known.get(name)) for name in (_AGENT, _REQUIRED))
    if source.quiesce == "Required" and not (agent and required):
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"quiesce is Required, but Nova promises it for server {server.id} only if the image "
            f"that the server was made of has the properties {_AGENT}=yes and {_REQUIRED}=yes"
            f"{', and that image is not known' if properties is None else ''}. Set stopFirst: "
            "true, stop the server, or set quiesce: IfPossible",
        )
    if source.quiesce == "Never" and (agent or properties is None):
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"quiesce is Never, but Nova freezes the file systems of server {server.id} if the "
            f"image that it was made of has the property {_AGENT}=yes"
            f"{', and that image is not known' if properties is None else ', as it has'}; no "
            "request can prevent it. Set stopFirst: true, or quiesce: IfPossible",
        )


def _is_true(value: object) -> bool:
    return str(value).strip().lower() in TRUE
