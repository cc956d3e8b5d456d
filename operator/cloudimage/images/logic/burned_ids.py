"""Ids of images whose creation may still be under way when nobody waits for its answer any longer.

A request that a slow proxy holds back may reach Glance after the transfer has ended, and after the
CloudImage has gone: the image would be nobody's. Glance never gives an id a second time, so whoever
uses the id first has that request refused.

A transfer tries ids in the order of :func:`cloudimage.transfer.glance.image_lifecycle.attempts`
and goes on to the next only when Glance refuses one. So a request under way is for an id up to the
first unused one, and once that one is used, none can succeed.
"""

from typing import NamedTuple

from cloudimage.api.cloudimage import CloudImage
from cloudimage.transfer.contract import Stage

STARTS_OF_A_LOT = 16
"""Transfers that try the same ids in the same order; the next ones have others."""


class Lot(NamedTuple):
    """The ids that some transfers of a CloudImage try.

    Attributes:
        seed: Of the ids: see :class:`cloudimage.transfer.contract.NewImage`.
        number: Of the lot.
    """

    seed: str
    number: int


def lot_of(uid: str, digest: str, started: int | None) -> Lot:
    """Return the lot of a transfer.

    Args:
        uid: The CloudImage's.
        digest: Of what the transfer makes.
        started: How many transfers were started, itself included.
    """
    return Lot(f"{uid}/{digest}", (started or 0) // STARTS_OF_A_LOT)


def unsettled(resource: CloudImage) -> Lot | None:
    """Return the lot whose transfers may have left a request under way; None: they have not.

    After a transfer that succeeded no other can succeed: see above.
    """
    digest, progress = resource.status.digest, resource.status.progress
    if digest is None or resource.spec.source is None:
        return None
    if progress is not None and progress.stage == Stage.COMPLETE:
        return None
    return lot_of(resource.metadata.uid, digest, resource.status.transfers_started)


def to_settle_first(resource: CloudImage, digest: str, *, starts: bool) -> Lot | None:
    """Return the lot to settle before the status tells of other ids; None: it will not.

    Args:
        resource: The CloudImage.
        digest: Of what its spec wants.
        starts: Whether a transfer is to be started, instead of an image kept that is there.
    """
    before = unsettled(resource)
    if before is None or not starts:
        return before if resource.status.digest != digest else None
    started = (resource.status.transfers_started or 0) + 1
    return before if before != lot_of(resource.metadata.uid, digest, started) else None
