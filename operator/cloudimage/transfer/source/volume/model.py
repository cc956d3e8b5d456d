"""A volume, as a transfer's request has it."""

from typing import Literal

from cloudimage.transfer.source.glance.model import CloudSource


class VolumeSource(CloudSource):
    """A volume, or a snapshot of one: exactly one of the three is given.

    Attributes:
        id: Of the volume.
        name: Of the volume.
        snapshot_id: Of the snapshot.
        force: Whether a volume that a server has attached is read as it is.
    """

    type: Literal["volume"] = "volume"
    id: str | None = None
    name: str | None = None
    snapshot_id: str | None = None
    force: bool = False
