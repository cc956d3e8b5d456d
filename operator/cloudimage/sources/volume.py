"""spec.source.volume: a volume, or a snapshot of one."""

from collections.abc import Mapping

from cloudimage.api.sources.volume import VolumeSource
from cloudimage.sources.snapshot import SnapshotSpecSource, named
from cloudimage.transfer.source.volume import model


class VolumeSpecSource(SnapshotSpecSource[VolumeSource]):
    """A :class:`cloudimage.sources.base.SpecSource` of a volume."""

    def location(self) -> str:
        """Return the volume or its snapshot, and the cloud that has it."""
        if self.spec.snapshot_id is not None:
            return self.location_of(named("volume snapshot", None, self.spec.snapshot_id))
        return self.location_of(named("volume", self.spec.name, self.spec.id))

    def why_fixed(self) -> str:
        """Return that a snapshot is, if one is given."""
        if self.spec.snapshot_id is None:
            return ""
        return "A snapshot never changes: give the volume's id or name in place of snapshotID."

    def content(self) -> Mapping[str, object]:
        """Return what decides whether another image is made of it."""
        if self.spec.snapshot_id is not None:
            return self.content_of("volume-snapshot", self.spec.snapshot_id)
        return self.content_of("volume", self.spec.id)

    def request(self) -> model.VolumeSource:
        """Return it as a transfer takes it."""
        return model.VolumeSource(
            id=self.spec.id and self.spec.id.lower(),
            name=self.spec.name,
            snapshot_id=self.spec.snapshot_id and self.spec.snapshot_id.lower(),
            force=self.spec.force,
            cloud_name=self.cloud_name,
        )
