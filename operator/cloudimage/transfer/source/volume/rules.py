"""What Cinder says of a volume, and whether an image can be made of it; pure."""

import re
from collections.abc import Sequence
from typing import Final, TypeVar

from cloudimage.transfer.contract import NewImage, Reason, TransferError
from cloudimage.transfer.source.snapshot.calls import Row
from cloudimage.transfer.source.snapshot.services import Volume, VolumeSnapshot

R = TypeVar("R", bound=Row)

_MOST_NAMED: Final = 3
_OF_CINDERS_MAKING: Final = frozenset({"raw", "qcow2"})
"""Formats that Cinder is asked to convert to; to any other the operator does."""


def only(found: Sequence[R], kind: str, name: str) -> R:
    """Return the one thing of a name.

    Raises:
        TransferError: ``SourceNotFound`` or ``SourceAmbiguous``.
    """
    if not found:
        raise TransferError(
            Reason.SOURCE_NOT_FOUND,
            f"no {kind} that the credentials of the source cloud can see is called {name!r}",
        )
    if len(found) > 1:
        ids = ", ".join(each.id for each in found[:_MOST_NAMED])
        more = ", ..." if len(found) > _MOST_NAMED else ""
        raise TransferError(
            Reason.SOURCE_AMBIGUOUS,
            f"{len(found)} {kind}s are called {name!r}: {ids}{more}. Give the id",
        )
    return found[0]


def there(found: R | None, kind: str, identifier: str) -> R:
    """Return a thing that was asked for by its id.

    Raises:
        TransferError: ``SourceNotFound``: it is not there.
    """
    if found is None:
        raise TransferError(
            Reason.SOURCE_NOT_FOUND,
            f"the credentials of the source cloud can see no {kind} {identifier}",
        )
    return found


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


def shown(status: str) -> str:
    """Return a word of the source's cloud for a message; it may be anything."""
    return status if re.fullmatch(r"[\w.-]{1,32}", status) else "unknown"


def uploaded_format(image: NewImage, *, stays: bool) -> str:
    """Return the format that Cinder is asked for.

    Args:
        image: What is wanted.
        stays: Whether what Cinder makes may become the image; else it is converted here anyway.
    """
    wanted = image.disk_format or "raw"
    plain = stays and not image.compress and image.container_format == "bare"
    return wanted if plain and wanted in _OF_CINDERS_MAKING else "raw"
