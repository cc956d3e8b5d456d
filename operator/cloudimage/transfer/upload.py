"""The method ``Upload``: the bytes go through us, by one PUT."""

from functools import partial

from cloudimage.transfer.content import HashedBody, compare
from cloudimage.transfer.convert import Payload
from cloudimage.transfer.creation import Stored, Target, created, settle
from cloudimage.transfer.imports import copy_to_stores
from cloudimage.transfer.quota import Quota, check_quota
from cloudimage.transfer.sending import BrokenError, repeated, send
from cloudimage.transfer.types import Reason, Stage, TransferError
from cloudimage.transfer.waiting import wait_until_stored


def upload(target: Target, payload: Payload) -> Stored:
    """Upload the payload as a new image, into the first store, then copy it to the others.

    Raises:
        TransferError: ``QuotaExceeded``, ``UploadFailed``, ``UploadMismatch`` and those of
            :class:`Glance`.
    """
    needed = {Quota.STORED: payload.size * max(1, len(target.stores))}
    if target.stores[1:]:
        needed[Quota.STAGED] = payload.size  # copy-image goes through the staging area
    check_quota(target.glance.usage(), needed)
    return repeated(target, partial(_upload, target, payload))


def _upload(target: Target, payload: Payload) -> Stored:
    first, others = target.stores[:1], target.stores[1:]
    target.meter.start(Stage.UPLOADING, payload.size)
    with created(target, payload.format) as identifier:
        body = HashedBody(payload, target.meter, target.image.name)
        answered = send(
            lambda body: target.glance.send(identifier, body, first), body, answer=False
        )
        silence = target.limits.silence_seconds
        try:
            image = wait_until_stored(target.glance, identifier, silence, first)
        except TransferError as error:
            if answered or error.reason is not Reason.UPLOAD_FAILED:
                raise
            raise BrokenError(error) from error
        compare(image, payload, body.sha512)
        copy_to_stores(target, identifier, others)
        return settle(target, identifier, image)
