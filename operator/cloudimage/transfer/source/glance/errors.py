"""The failures of a transfer that a source's Glance, or its Keystone, is the cause of."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import requests

from cloudimage.access.failures import EXCEPTIONS, Failure, Kind, of_exception, of_response
from cloudimage.transfer.contract import Reason, TransferError

_REASONS: Final[Mapping[Kind, Reason]] = {
    Kind.REFUSED: Reason.CLOUD_REFUSED,
    Kind.MISCONFIGURED: Reason.INVALID_CREDENTIALS,
    Kind.INVALID_CREDENTIALS: Reason.INVALID_CREDENTIALS,
    Kind.FORBIDDEN: Reason.SOURCE_REFUSED,
    Kind.NOT_FOUND: Reason.SOURCE_NOT_FOUND,
}
_OF_LOGIN: Final = frozenset({Kind.INVALID, Kind.FORBIDDEN, Kind.NOT_FOUND})


class BrokenError(Exception):
    """No answer, or none to its end, but another attempt may get one.

    Attributes:
        error: What to tell the user if that is given up.
    """

    def __init__(self, error: TransferError) -> None:
        super().__init__(error.message)
        self.error = error


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn the libraries' exceptions into ours.

    Args:
        doing: What is tried, for the message: "show image 1".

    Raises:
        BrokenError: With ``SourceUnreachable``.
        TransferError: ``InvalidCredentials``, ``CloudRefused`` or ``SourceUnreachable``.
    """
    try:
        yield
    except EXCEPTIONS as error:
        failure = of_exception(error)
        # Glance's own statuses are not raised: Keystone's blame the credentials.
        reason = Reason.INVALID_CREDENTIALS if failure.kind in _OF_LOGIN else _reason(failure)
        made = TransferError(
            reason,
            f"the source cloud: cannot {doing}: {failure.sentence}",
            retry_after=failure.retry_after,
        )
        if failure.kind in {Kind.UNREACHABLE, Kind.UNAVAILABLE}:
            raise BrokenError(made) from error
        raise made from error


def answer_error(response: requests.Response, doing: str) -> TransferError | BrokenError:
    """Return what a status other than success means.

    Args:
        response: Glance's answer.
        doing: What was tried, for the message: "show image 1".
    """
    failure = of_response(response)
    if failure.kind is Kind.NOT_FOUND:
        said = "the credentials of the source cloud can see no image with this id"
    elif failure.kind is Kind.FORBIDDEN:
        said = (
            f"{failure.sentence} Ask the source cloud's administrators for the right "
            "(policies get_image and download_image), or share the image with the project"
        )
    else:
        said = failure.sentence
    made = TransferError(
        _reason(failure),
        f"the source's Glance does not {doing} ({failure.status}): {said}",
        retry_after=failure.retry_after,
    )
    return BrokenError(made) if failure.kind in {Kind.UNAVAILABLE, Kind.FAULT} else made


def _reason(failure: Failure) -> Reason:
    return _REASONS.get(failure.kind, Reason.SOURCE_UNREACHABLE)
