"""spec.source.server: a snapshot of a server."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from cloudimage.api.meta import ApiModel, Like, rules
from cloudimage.api.references import CloudCredentialsRef

ServerId = Annotated[
    str,
    StringConstraints(max_length=36),
    Like(
        "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
        "must be an id, for example 0b1c2d3e-4f5a-4697-8879-6a5b4c3d2e1f",
    ),
]
"""An id of Nova's or Cinder's."""

ThingName = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Trigger = Annotated[str, StringConstraints(min_length=1, max_length=253)]

TRIGGER = (
    "Any text, for example a date: another one has a new snapshot taken, which becomes a new "
    "revision. Without a change of it, and without spec.follow, no other snapshot is taken, "
    "however long the object lives."
)
CLOUD = "If omitted, spec.cloudCredentialsRef. The Secret is needed only while an image is made."


class Quiesce(StrEnum):
    """Whether the file systems of a running server are frozen for its snapshot."""

    IF_POSSIBLE = "IfPossible"
    REQUIRED = "Required"
    NEVER = "Never"


class ServerSource(
    ApiModel,
    json_schema_extra=rules(
        ("[has(self.id), has(self.name)].exists_one(x, x)", "give exactly one of id and name")
    ),
):
    """A snapshot of a server, as Nova makes it."""

    cloud_credentials_ref: CloudCredentialsRef | None = Field(
        default=None, description=f"The cloud that has the server. {CLOUD}"
    )
    id: ServerId | None = Field(default=None, description="The server's id.")
    name: ThingName | None = Field(
        default=None,
        description="The server's name: exactly one server of the project must have it when the "
        "snapshot is taken.",
    )
    trigger: Trigger | None = Field(default=None, description=TRIGGER)
    quiesce: Quiesce = Field(
        default=Quiesce.IF_POSSIBLE,
        description="Whether the file systems of a running server are frozen meanwhile. No request "
        "can ask Nova for it: it goes by hw_qemu_guest_agent and os_require_quiesce of the image "
        "that the server was made of. IfPossible: whatever Nova does. Required, Never: refused "
        "unless these properties say so, or the server is off.",
    )
    stop_first: bool = Field(
        default=False,
        description="Stop a server that runs before its snapshot is taken, and start it again as "
        "soon as Glance has it.",
    )
