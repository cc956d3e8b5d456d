"""Sends bytes to Glance, a second time when they did not get through.

What was fetched is still there: to begin again from the source would cost more.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from cloudimage.sizes import exact_text
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.glance.errors import AwayError
from cloudimage.transfer.glance.hashed_body import HashedBody
from cloudimage.transfer.glance.image_lifecycle import Stored, UploadContext, discard_leftovers

RETRY_PAUSES: Final = (1.0, 5.0)
"""Seconds before the bytes are sent again, as a new image."""

_log = logging.getLogger(__name__)


class BrokenError(Exception):
    """The bytes did not get through; ``error`` is what to report if that is not retried."""

    def __init__(self, error: TransferError) -> None:
        super().__init__(error.message)
        self.error = error


def repeated(target: UploadContext, work: Callable[[], Stored]) -> Stored:
    """Do the work that makes one image, again with another one when its sending broke.

    Raises:
        TransferError: What the last attempt ended with.
    """
    pauses = iter(RETRY_PAUSES)
    try:
        while True:
            try:
                return work()
            except BrokenError as broken:
                pause = next(pauses, None)
                if pause is None:
                    raise broken.error from broken
                if broken.error.reason is Reason.INVALID_CREDENTIALS:
                    pauses = iter(())  # where a new token is also refused, a third would be
                _log.warning("sending again: %s", broken.error.message)
                time.sleep(pause)
    finally:
        discard_leftovers(target)


def send(work: Callable[[HashedBody], None], body: HashedBody, *, answer: bool) -> bool:
    """Send a body by ``work``.

    Args:
        work: The request.
        body: What to send.
        answer: Whether an answer is needed. If not, a bad one after the last byte is passed over:
            a proxy may have lost patience with a store that is only slow, and the image will tell.

    Returns:
        Whether a good answer came. If not, the last bytes may still have been in this machine's
        buffers when the connection broke.

    Raises:
        BrokenError: It is worth another try.
        TransferError: It is not.
    """
    try:
        work(body)
    except TransferError as error:
        if error.reason is Reason.CLOUD_UNREACHABLE and body.complete and not answer:
            _log.warning("no good answer after the last byte: %s", error.message)
            return False
        if error.reason in {Reason.CLOUD_UNREACHABLE, Reason.INVALID_CREDENTIALS}:
            raise BrokenError(_broken(error, body)) from error
        raise
    return True


def _broken(error: TransferError, body: HashedBody) -> TransferError:
    if not isinstance(error, AwayError) or body.sent == 0:
        return error
    return TransferError(
        Reason.UPLOAD_FAILED,
        f"the connection to Glance broke without an answer after "
        f"{exact_text(body.sent)} of {exact_text(len(body))}",
    )
