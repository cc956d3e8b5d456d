"""What an answer of Glance or an exception of the SDK means to a user; pure."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import requests
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk

from cloudimage.access.answers import causes, said, sentence
from cloudimage.access.errors import AddressRefusedError, AnswerRefusedError
from cloudimage.http_dates import retry_after
from cloudimage.transfer.contract import Reason, TransferError

_REASON_BY_STATUS: Final[dict[int, Reason]] = {
    HTTPStatus.BAD_REQUEST: Reason.INVALID_IMAGE,
    HTTPStatus.UNAUTHORIZED: Reason.INVALID_CREDENTIALS,
    HTTPStatus.FORBIDDEN: Reason.FORBIDDEN,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Reason.QUOTA_EXCEEDED,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: Reason.INVALID_IMAGE,
    HTTPStatus.TOO_MANY_REQUESTS: Reason.CLOUD_UNREACHABLE,
    HTTPStatus.BAD_GATEWAY: Reason.CLOUD_UNREACHABLE,
    HTTPStatus.SERVICE_UNAVAILABLE: Reason.CLOUD_UNREACHABLE,
    HTTPStatus.GATEWAY_TIMEOUT: Reason.CLOUD_UNREACHABLE,
}

_UNREACHABLE: Final = (
    keystone.ConnectionError,
    requests.RequestException,
    OSError,
)
_WRONG_CREDENTIALS: Final = (
    keystone.Unauthorized,
    keystone.AuthPluginException,
    keystone.AuthorizationFailure,
)


class AwayError(TransferError):
    """The cloud was not reached, or the connection broke before its answer."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.CLOUD_UNREACHABLE, message)


class FaultError(TransferError):
    """The cloud, or a proxy before it, answered that it failed by itself: a status of 5xx."""


def answer_error(response: requests.Response, doing: str, otherwise: Reason) -> TransferError:
    """Return what a status other than success means.

    Args:
        response: Glance's answer.
        doing: What was tried, for the message: "create the image".
        otherwise: The reason for a status that says nothing of its own.
    """
    status = response.status_code
    text = said(response) or "it gives no reason that can be shown"
    message = f"Glance refuses to {doing} ({status}): {text}"
    return _status_error(status, message, otherwise, response)


def _status_error(
    status: int, message: str, otherwise: Reason, response: requests.Response | None
) -> TransferError:
    kind = FaultError if status >= HTTPStatus.INTERNAL_SERVER_ERROR else TransferError
    asked = None if response is None else retry_after(response.headers.get("Retry-After"))
    return kind(_REASON_BY_STATUS.get(status, otherwise), message, retry_after=asked)


def exception_error(error: Exception, otherwise: Reason = Reason.CLOUD_ERROR) -> TransferError:
    """Return what an exception of the SDK, of Keystone's library or of the connection means."""
    if isinstance(error, AddressRefusedError):
        return TransferError(Reason.CLOUD_REFUSED, str(error))
    if isinstance(error, AnswerRefusedError):
        return TransferError(Reason.CLOUD_ERROR, f"the cloud fails: {error}")
    text = sentence(error)
    away = any(isinstance(each, _UNREACHABLE) for each in (error, *_why(error)))
    if away or "Unable to establish connection" in str(error):
        return AwayError(f"the cloud cannot be reached: {text}")
    if isinstance(error, _WRONG_CREDENTIALS):
        return TransferError(Reason.INVALID_CREDENTIALS, f"the cloud refuses to log in: {text}")
    if isinstance(error, sdk.HttpException | keystone.HttpError):
        status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
        response = getattr(error, "response", None)
        return _status_error(status or 0, f"the cloud says: {text}", otherwise, response)
    return TransferError(otherwise, f"the cloud fails: {text}")


def _why(error: Exception) -> Iterator[BaseException]:
    """Yield what a failed question for versions came from: mostly, that nothing was reached."""
    if isinstance(error, keystone.DiscoveryFailure | sdk.ServiceDiscoveryException):
        yield from causes(error)
