"""Has Cinder make an image of a volume, or of a volume that is made of a snapshot for it."""

from typing import Final

from cloudimage.transfer.contract import Limits, NewImage, Reason, TransferError
from cloudimage.transfer.source.snapshot.labels import marks
from cloudimage.transfer.source.snapshot.patience import Patience
from cloudimage.transfer.source.snapshot.rules import only, shown, there
from cloudimage.transfer.source.snapshot.services import Image, Services, Volume, VolumeSnapshot
from cloudimage.transfer.source.volume import rules
from cloudimage.transfer.source.volume.model import VolumeSource

_COMING: Final = frozenset({"creating", "downloading", "available"})


class VolumeMaker:
    """A :class:`cloudimage.transfer.source.snapshot.reader.Maker` of a volume."""

    def __init__(self, source: VolumeSource, services: Services, limits: Limits) -> None:
        self._source = source
        self._services = services
        self._limits = limits
        self._volume: Volume | None = None
        self._snapshot: VolumeSnapshot | None = None
        self.repeats = source.snapshot_id is not None

    def look(self) -> str:
        """Return the id of the volume or of the snapshot, which can be read just now."""
        if not self._services.volumes.are_offered():
            raise TransferError(Reason.SOURCE_NOT_FOUND, "the source's cloud has no volumes")
        if self._source.snapshot_id is not None:
            snapshot = self._services.volumes.snapshot(self._source.snapshot_id)
            self._snapshot = there(snapshot, "volume snapshot", self._source.snapshot_id)
            rules.check_snapshot(self._snapshot)
            return self._snapshot.id
        self._volume = self._found()
        rules.check(self._volume, force=self._source.force)
        return self._volume.id

    def _found(self) -> Volume:
        volumes = self._services.volumes
        if self._source.name is not None:
            return only(volumes.named(self._source.name), "volume", self._source.name)
        identifier = self._source.id or ""
        return there(volumes.show(identifier), "volume", identifier)

    def stopped(self) -> None:
        """Return that no server is stopped for it."""

    def is_at_work(self) -> bool:
        """Return whether Cinder says that it is uploading the volume."""
        return self._volume is not None and is_uploading(self._services, self._volume.id)

    def make(self, name: str, image: NewImage) -> str:
        """Have the image made."""
        if self._snapshot is not None:
            self._volume = volume = volume_of(self._services, self._snapshot, name, self._limits)
            return upload(self._services, volume.id, name, image, stays=self._stays)
        if self._volume is None:
            raise ValueError("unreachable: look() comes first")
        force = self._source.force and self._volume.status == "in-use"
        stays = self._stays
        return upload(self._services, self._volume.id, name, image, stays=stays, force=force)

    def follow(self, record: Image, name: str, image: NewImage) -> str:  # noqa: ARG002 - as Maker has it
        """Refuse an image without bytes: Cinder makes none."""
        raise TransferError(
            Reason.SNAPSHOT_FAILED, f"the source's Cinder made image {record.id} without any bytes"
        )

    @property
    def _stays(self) -> bool:
        return self._source.cloud_name is None


def volume_of(services: Services, snapshot: VolumeSnapshot, name: str, limits: Limits) -> Volume:
    """Have a volume made of a snapshot, and return it once it can be read.

    Raises:
        TransferError: ``SnapshotFailed``, ``QuotaExceeded`` and Cinder's.
    """
    identifier = services.volumes.create(name, snapshot)

    def look() -> tuple[Volume | None, object]:
        volume = services.volumes.show(identifier)
        if volume is None or volume.status not in _COMING:
            state = shown(volume.status) if volume else "deleted"
            raise TransferError(
                Reason.SNAPSHOT_FAILED,
                f"the source's Cinder could not make a volume of snapshot {snapshot.id}: it is "
                f"{state}. Its messages (openstack volume message list) may say why",
            )
        return (volume if volume.status == "available" else None), volume.status

    return Patience(limits.silence_seconds, f"volume {identifier} is available").until(look)


def is_uploading(services: Services, volume_id: str) -> bool:
    """Return whether Cinder says that it is uploading a volume.

    Raises:
        TransferError: Cinder's.
    """
    volume = services.volumes.show(volume_id)
    return volume is not None and volume.status == "uploading"


def upload(  # noqa: PLR0913 - what a volume's image takes
    services: Services,
    volume_id: str,
    name: str,
    image: NewImage,
    *,
    stays: bool,
    force: bool = False,
) -> str:
    """Have an image made of a volume, and return its id; it bears the marks from then on.

    Raises:
        TransferError: Cinder's.
    """
    shape = rules.uploaded_format(image, stays=stays)
    identifier = services.volumes.upload(volume_id, name, shape, force=force)
    if given := marks(image):
        services.images.mark(identifier, given)
    return identifier
