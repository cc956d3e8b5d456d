"""The method ``Upload``: the bytes go through us, by one PUT."""

from functools import partial

from cloudimage.transfer.contract import Reason, Stage, TransferError
from cloudimage.transfer.glance.hashed_body import HashedBody, compare
from cloudimage.transfer.glance.image_lifecycle import Stored, UploadContext, created, settle
from cloudimage.transfer.glance.import_methods import copy_to_stores
from cloudimage.transfer.glance.quota import Quota, check_quota
from cloudimage.transfer.glance.resend import BrokenError, repeated, send
from cloudimage.transfer.glance.wait import wait_until_stored
from cloudimage.transfer.image.conversion import Payload


def upload(target: UploadContext, payload: Payload) -> Stored:
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


def _upload(target: UploadContext, payload: Payload) -> Stored:
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
