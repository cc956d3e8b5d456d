"""What Cinder says of a volume, and whether an image can be made of it; pure."""

from typing import Final

from cloudimage.transfer.contract import NewImage, Reason, TransferError
from cloudimage.transfer.source.snapshot.rules import shown
from cloudimage.transfer.source.snapshot.services import Volume, VolumeSnapshot

_OF_CINDERS_MAKING: Final = frozenset({"raw", "qcow2"})
"""Formats that Cinder is asked to convert to; to any other the operator does."""


def check(volume: Volume, *, force: bool) -> None:
    """See that Cinder would make an image of a volume.

    Raises:
        TransferError: ``SourceBusy`` or ``SourceRefused``.
    """
    _check_readable(volume)
    if volume.status == "available" or (force and volume.status == "in-use"):
        return
    if volume.status == "in-use":
        raise TransferError(
            Reason.SOURCE_BUSY,
            f"volume {volume.id} is attached to a server, and Cinder makes an image only of one "
            "that is not. Make a snapshot of it (openstack volume snapshot create --force --volume "
            f"{volume.id} NAME) and give its id as snapshotID; or detach the volume; or set force: "
            "true, where the cloud allows it: what the server has not yet written is then missing",
        )
    if volume.status.startswith("error"):
        raise TransferError(
            Reason.SOURCE_REFUSED, f"volume {volume.id} has the status {shown(volume.status)}"
        )
    raise TransferError(
        Reason.SOURCE_BUSY,
        f"volume {volume.id} has the status {shown(volume.status)}: wait until it is available",
    )


def _check_readable(volume: Volume) -> None:
    if volume.encrypted:
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"volume {volume.id} is encrypted: an image of it could be read only with its key. "
            "Copy it to a volume of a type without encryption, and name that",
        )


def check_snapshot(snapshot: VolumeSnapshot) -> None:
    """See that Cinder would make a volume of a snapshot.

    Raises:
        TransferError: ``SourceBusy`` or ``SourceRefused``.
    """
    if snapshot.status == "available":
        return
    broken = snapshot.status.startswith("error")
    raise TransferError(
        Reason.SOURCE_REFUSED if broken else Reason.SOURCE_BUSY,
        f"volume snapshot {snapshot.id} has the status {shown(snapshot.status)}, not available",
    )


def uploaded_format(image: NewImage, *, stays: bool) -> str:
    """Return the format that Cinder is asked for.

    Args:
        image: What is wanted.
        stays: Whether what Cinder makes may become the image; else it is converted here anyway.
    """
    wanted = image.disk_format or "raw"
    plain = stays and not image.compress and image.container_format == "bare"
    return wanted if plain and wanted in _OF_CINDERS_MAKING else "raw"
