"""The exceptions that a transfer makes of what a cloud refuses or fails at."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import requests

from cloudimage.access.failures import EXCEPTIONS, Failure, Kind, of_exception, of_response
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.verify.image_signature import lacks_certificate

_REASONS: Final[Mapping[Kind, Reason]] = {
    Kind.UNREACHABLE: Reason.CLOUD_UNREACHABLE,
    Kind.UNAVAILABLE: Reason.CLOUD_UNREACHABLE,
    Kind.REFUSED: Reason.CLOUD_REFUSED,
    Kind.MISCONFIGURED: Reason.CLOUD_MISCONFIGURED,
    Kind.INVALID_CREDENTIALS: Reason.INVALID_CREDENTIALS,
    Kind.FORBIDDEN: Reason.FORBIDDEN,
    Kind.INVALID: Reason.INVALID_IMAGE,
    Kind.UNSUPPORTED: Reason.INVALID_IMAGE,
    Kind.QUOTA_EXCEEDED: Reason.QUOTA_EXCEEDED,
    Kind.TOO_LARGE: Reason.IMAGE_TOO_LARGE,
    Kind.BODY_LIMIT: Reason.FORBIDDEN,
}
_BEGINNINGS: Final[Mapping[Kind, str]] = {
    Kind.UNREACHABLE: "the cloud cannot be reached: ",
    Kind.REFUSED: "",
    Kind.MISCONFIGURED: "",
    Kind.INVALID_CREDENTIALS: "the cloud refuses to log in: ",
}
_OF_LOGIN: Final = frozenset({Kind.INVALID, Kind.FORBIDDEN, Kind.NOT_FOUND})

_log = logging.getLogger(__name__)


class AwayError(TransferError):
    """The cloud was not reached, or the connection broke before its answer."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.CLOUD_UNREACHABLE, message)


class FaultError(TransferError):
    """The cloud answered with a server error that does not ask to come again later."""


@contextmanager
def translated() -> Iterator[None]:
    """Turn the libraries' exceptions into ours.

    Raises:
        TransferError: The reason is ``CloudError`` where no other fits.
    """
    try:
        yield
    except EXCEPTIONS as error:
        raise exception_error(error) from error


def exception_error(error: Exception) -> TransferError:
    """Return what an exception of the libraries or of the connection means."""
    failure = of_exception(error)
    if failure.kind is Kind.NOT_UNDERSTOOD:
        _log.warning("an answer is not understood", exc_info=error)
    if failure.kind in _OF_LOGIN:
        # Glance's own statuses are not raised: Keystone's blame the credentials, as everywhere.
        failure = replace(failure, kind=Kind.INVALID_CREDENTIALS)
    otherwise = "the cloud fails: " if failure.status is None else "the cloud says: "
    begins = _BEGINNINGS.get(failure.kind, otherwise)
    return _error(failure, f"{begins}{failure.sentence}", Reason.CLOUD_ERROR)


def answer_error(response: requests.Response, doing: str, otherwise: Reason) -> TransferError:
    """Return what a status other than success means.

    Args:
        response: Glance's answer.
        doing: What was tried, for the message: "create the image".
        otherwise: The reason for a status that says nothing of its own.
    """
    failure = of_response(response)
    message = f"Glance refuses to {doing} ({failure.status}): {failure.sentence}"
    if failure.kind is Kind.INVALID and lacks_certificate(failure.sentence):
        advice = (
            "Glance could not get the certificate of img_signature_certificate_uuid: its key "
            "manager, Barbican, may be away, or does not show the certificate to these credentials"
        )
        return TransferError(Reason.UPLOAD_FAILED, f"{message.rstrip('.')}. {advice}")
    if failure.kind is Kind.TOO_LARGE:
        message += (
            " The limit is Glance's image_size_cap: ask the cloud's administrators to raise it"
        )
    if failure.kind is Kind.BODY_LIMIT:
        message = (
            f"what stands before Glance refuses to {doing} ({failure.status}): {failure.sentence}. "
            "Ask the cloud's administrators to raise its limit for the size of a request (nginx: "
            "client_max_body_size)"
        )
    return _error(failure, message, otherwise)


def _error(failure: Failure, message: str, otherwise: Reason) -> TransferError:
    if failure.kind is Kind.UNREACHABLE:
        return AwayError(message)
    made = FaultError if failure.kind is Kind.FAULT else TransferError
    return made(_REASONS.get(failure.kind, otherwise), message, retry_after=failure.retry_after)
