"""Clears away what transfers that were killed have left of snapshots, in the cloud of the source.

A transfer does it itself, whatever else ends it; and the next one for the same spec begins with it.
What is left is for a spec that was changed meanwhile, and for an object that is deleted.
"""

import logging
import tempfile
from pathlib import Path
from typing import Final

from cloudimage.access.policy import CloudPolicy
from cloudimage.api.cloudimage import CloudImage
from cloudimage.api.reasons import Reason
from cloudimage.api.sources.server import ServerSource
from cloudimage.cloud.config import CloudConfig
from cloudimage.cloud.errors import CloudError
from cloudimage.controller.errors import SourceUnreachableError
from cloudimage.credentials import loader
from cloudimage.credentials.lending import lend
from cloudimage.images.logic import burned_ids
from cloudimage.kube import Kube
from cloudimage.transfer import contract
from cloudimage.transfer.interrupts import Interrupts
from cloudimage.transfer.source.glance.client import connected
from cloudimage.transfer.source.snapshot.labels import label
from cloudimage.transfer.source.snapshot.leftovers import clear
from cloudimage.transfer.source.snapshot.services import Services

logger = logging.getLogger(__name__)

_SECONDS: Final = 5.0
"""How long Cinder is waited for; it is asked again after a pause."""


class SnapshotLeftError(CloudError):
    """Something that was made for a snapshot cannot be deleted yet."""

    reason = Reason.SOURCE_BUSY


def may_be_left(resource: CloudImage) -> bool:
    """Return whether the object that is deleted may have left something of a snapshot."""
    source = resource.spec.source
    return source is not None and (source.server is not None or source.volume is not None)


def clear_left(kube: Kube, resource: CloudImage, own: CloudConfig, policy: CloudPolicy) -> None:
    """Delete what was made for a snapshot by the spec of the status, and start what was stopped.

    Args:
        kube: To read the Secret of the source's cloud.
        resource: The CloudImage.
        own: Its own cloud.
        policy: Where clouds may be.

    Raises:
        SourceUnreachableError: The source's cloud does not answer.
        SnapshotLeftError: Something is left, for now or until somebody grants the right.
    """
    digest, source = resource.status.digest, resource.spec.source
    if digest is None:
        return
    spec = (source.server or source.volume) if source else None
    config = own
    if spec is not None and spec.cloud_credentials_ref is not None:
        namespace = resource.metadata.namespace
        try:
            config = loader.load_other(kube, namespace, spec.cloud_credentials_ref)
        except loader.SecretNotFoundError as error:
            # Nothing here can ever look there again.
            logger.warning("a snapshot may be left in the source's cloud: %s", error)
            return
    name = label(burned_ids.lot_of(resource.metadata.uid, digest, None).seed)
    server = source.server if source else None
    clear_named(config, policy, name, server if server and server.stop_first else None)


def clear_named(
    config: CloudConfig, policy: CloudPolicy, name: str, server: ServerSource | None = None
) -> None:
    """Delete what was made under a name.

    Args:
        config: The cloud.
        policy: Where clouds may be.
        name: See :mod:`cloudimage.transfer.source.snapshot.labels`.
        server: What may have been stopped.

    Raises:
        SourceUnreachableError: The cloud does not answer.
        SnapshotLeftError: Something is left.
    """
    cloud = lend(config)
    with tempfile.TemporaryDirectory() as folder:
        try:
            services = Services(connected(cloud, policy, Path(folder)), Interrupts())
            server_id = _id_of(services, server) if server else None
            done = clear(services, name, _SECONDS, server_id=server_id)
        except contract.TransferError as error:
            unreachable = error.reason is contract.Reason.SOURCE_UNREACHABLE
            kind = SourceUnreachableError if unreachable else SnapshotLeftError
            raise kind(error.message, retry_after=error.retry_after) from error
    if not done:
        raise SnapshotLeftError(
            f"what was made for the snapshot is being deleted: volumes, their snapshots and images "
            f"called {name}"
        )


def _id_of(services: Services, server: ServerSource) -> str | None:
    if server.id is not None:
        return server.id.lower()
    found = services.servers.named(server.name or "")
    return found[0].id if len(found) == 1 else None
