"""spec.source.volume: a volume, or a snapshot of one."""

from pydantic import Field

from cloudimage.api.meta import ApiModel, rules
from cloudimage.api.references import CloudCredentialsRef
from cloudimage.api.sources.server import CLOUD, TRIGGER, ServerId, ThingName, Trigger


class VolumeSource(
    ApiModel,
    json_schema_extra=rules(
        (
            "[has(self.id), has(self.name), has(self.snapshotID)].exists_one(x, x)",
            "give exactly one of id, name and snapshotID",
        )
    ),
):
    """A volume, or a snapshot of one, which Cinder uploads to Glance."""

    cloud_credentials_ref: CloudCredentialsRef | None = Field(
        default=None, description=f"The cloud that has the volume. {CLOUD}"
    )
    id: ServerId | None = Field(default=None, description="The volume's id.")
    name: ThingName | None = Field(
        default=None,
        description="The volume's name: exactly one volume of the project must have it when the "
        "image is made.",
    )
    snapshot_id: ServerId | None = Field(
        default=None,
        alias="snapshotID",
        description="Id of a snapshot of a volume. A volume is made of it meanwhile, and deleted "
        "afterwards.",
    )
    force: bool = Field(
        default=False,
        description="Also read a volume that a server has attached, as it is at that moment. Only "
        "where Cinder's enable_force_upload allows it.",
    )
    trigger: Trigger | None = Field(default=None, description=TRIGGER)
