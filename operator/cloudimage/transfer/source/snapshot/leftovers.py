"""Deletes all that a cloud has made under a label, so that what is left can still be found."""

import json
import time
from collections.abc import Callable
from typing import Any, Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.snapshot.labels import STOPPED, volume_snapshot
from cloudimage.transfer.source.snapshot.services import Image, Services

_PAUSE: Final = 0.5
_ANOTHERS: Final = frozenset(
    {Reason.SOURCE_REFUSED, Reason.SOURCE_NOT_FOUND, Reason.INVALID_CREDENTIALS}
)
"""Why nothing can be listed; what may not even be listed was not made by these credentials."""


def clear(
    services: Services,
    label: str,
    seconds: float,
    *,
    server_id: str | None = None,
) -> bool:
    """Delete what was made under a label, and start the server that was stopped for it.

    Volumes go before the snapshots that they were made of, and the image that names these last.

    Args:
        services: Of the cloud.
        label: See :mod:`.labels`.
        seconds: No step begins after so long.
        server_id: A server that may have been stopped.

    Returns:
        Whether nothing is left; what Cinder has begun to delete may yet be there if not.

    Raises:
        TransferError: Those of the services.
    """
    deadline = time.monotonic() + seconds
    while True:
        if not _step(services, label, server_id):
            return True
        if time.monotonic() + _PAUSE > deadline:
            return False
        time.sleep(_PAUSE)


def _step(services: Services, label: str, server_id: str | None) -> bool:
    """Delete what can go now; return whether something is left."""
    waiting = server_id is not None and restart(services, label, server_id)
    images = services.images.named(label)
    records = [each for each in images if is_record(each)]
    for each in images:
        if each not in records:
            services.images.delete(each.id)
    rest = bool(images)
    if records or services.volumes.are_offered():
        if _volumes_left(services, label, records):
            return True
        for each in records:
            services.images.delete(each.id)
    return rest or waiting


def _volumes_left(services: Services, label: str, records: list[Image]) -> bool:
    volumes = services.volumes
    found = _listed(lambda: volumes.named(label))
    for each in found:
        if each.status != "deleting":
            _tried(lambda: volumes.delete(each.id))  # noqa: B023 - used at once
    if found:
        return True
    named = (label, volume_snapshot(label))
    snapshots = [each for name in named for each in _listed(lambda: volumes.snapshots_named(name))]  # noqa: B023 - likewise
    snapshots += [
        shown
        for record in records
        for each in snapshot_ids(record)
        if (shown := volumes.snapshot(each)) is not None
    ]
    for snapshot in snapshots:
        if snapshot.status != "deleting":
            _tried(lambda: volumes.delete_snapshot(snapshot.id))  # noqa: B023 - likewise
    return bool(snapshots)


def restart(services: Services, label: str, server_id: str) -> bool:
    """Start a server that was stopped under a label; return whether it is yet to be started.

    Raises:
        TransferError: Those of the services.
    """
    server = services.servers.show(server_id)
    if server is None or server.metadata.get(STOPPED) != label:
        return False
    stopped = server.status == "SHUTOFF"
    if server.task is not None:
        return True
    if stopped and not _tried(lambda: services.servers.act(server_id, "os-start")):
        return True
    services.servers.forget(server_id, STOPPED)
    return False


def _listed(ask: Callable[[], list[Any]]) -> list[Any]:
    try:
        return ask()
    except TransferError as error:
        if error.reason in _ANOTHERS:
            return []
        raise


def _tried(ask: Callable[[], None]) -> bool:
    """Return whether something was done; what is busy just now is retried."""
    try:
        ask()
    except TransferError as error:
        # Cinder has 400, which is a refusal, for what is in the wrong state.
        if error.reason not in {Reason.SOURCE_BUSY, Reason.SOURCE_REFUSED}:
            raise
        return False
    return True


def is_record(image: Image) -> bool:
    """Return whether an image has no bytes and names the snapshots of volumes that do."""
    return image.status == "active" and not image.size and image.block_device_mapping is not None


def snapshot_ids(image: Image) -> list[str]:
    """Return the ids of the volume snapshots that an image names, that of its boot disk first.

    Source: "Block Device Mapping in Nova", ``boot_index``.
    """
    try:
        found = json.loads(image.block_device_mapping or "[]")
        rows = [each for each in found if isinstance(each.get("snapshot_id"), str)]
        rows.sort(key=lambda each: each.get("boot_index") != 0)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return []
    return [each["snapshot_id"] for each in rows if each["snapshot_id"].replace("-", "").isalnum()]
