"""What a cloud refuses or fails at: one exception each, with a reason for conditions."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import ClassVar

import keystoneauth1.exceptions
import openstack.exceptions
import requests

from cloudimage.access.answers import plain_text, sentence
from cloudimage.access.errors import AddressRefusedError, AnswerRefusedError
from cloudimage.http_dates import retry_after

__all__ = [
    "CloudError",
    "CloudNotFoundError",
    "CloudRefusedError",
    "CloudUnreachableError",
    "ConflictError",
    "ForbiddenError",
    "InvalidCloudsYamlError",
    "InvalidCredentialsError",
    "InvalidImageError",
    "NotFoundError",
    "QuotaExceededError",
    "plain_text",
    "translated",
]

logger = logging.getLogger(__name__)


class CloudError(Exception):
    """The cloud did not do what was asked; the message is a sentence for the user.

    Attributes:
        retry_after: Seconds that the cloud asked us to wait, if it did.
    """

    reason: ClassVar[str] = "CloudError"

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class InvalidCloudsYamlError(CloudError):
    """clouds.yaml cannot be read, or asks for what an operator must not do."""

    reason = "InvalidCloudsYaml"


class CloudNotFoundError(CloudError):
    """clouds.yaml has no such cloud."""

    reason = "CloudNotFound"


class InvalidCredentialsError(CloudError):
    """Keystone refuses the credentials."""

    reason = "InvalidCredentials"


class ForbiddenError(CloudError):
    """The cloud's policy does not allow it (HTTP 403)."""

    reason = "Forbidden"


class InvalidImageError(CloudError):
    """Glance refuses a value (HTTP 400)."""

    reason = "InvalidImage"


class ConflictError(CloudError):
    """The state of the thing forbids it (HTTP 409)."""

    reason = "Conflict"


class QuotaExceededError(CloudError):
    """A quota is used up (HTTP 413)."""

    reason = "QuotaExceeded"


class NotFoundError(CloudError):
    """There is no such thing (HTTP 404)."""

    reason = "NotFound"


class CloudRefusedError(CloudError):
    """The operator's cloudPolicy does not allow the cloud's host or address."""

    reason = "CloudRefused"


class CloudUnreachableError(CloudError):
    """No answer, or one that says the fault is the server's (HTTP 5xx)."""

    reason = "CloudUnreachable"


_BY_STATUS: dict[int, type[CloudError]] = {
    400: InvalidImageError,
    401: InvalidCredentialsError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    413: QuotaExceededError,
    429: CloudUnreachableError,
}

_REQUEST_ID = re.compile(r" ?\(?(Request-ID: )?req-[0-9a-f-]+\)?")


def _of_status(status: int | None) -> type[CloudError]:
    if status is not None and status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return CloudUnreachableError
    return _BY_STATUS.get(status or 0, CloudError)


def _sentence(what: str, error: Exception) -> str:
    # The id is another at each try, which would make each try a write of the status.
    return f"{what}: {_REQUEST_ID.sub('', sentence(error))}"


def _of_answer(status: int | None, what: str, error: Exception) -> CloudError:
    response: requests.Response | None = getattr(error, "response", None)
    asked = None if response is None else retry_after(response.headers.get("Retry-After"))
    return _of_status(status)(_sentence(what, error), retry_after=asked)


_NOT_UNDERSTOOD = (
    requests.exceptions.InvalidJSONError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    ArithmeticError,
    RecursionError,
)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the SDK's exceptions into ours; ``what`` begins the message, as in "listing images".

    Raises:
        CloudError: The subclass that fits.
    """
    try:
        yield
    except AddressRefusedError as error:
        raise CloudRefusedError(f"{what}: {error}") from error
    except AnswerRefusedError as error:
        raise CloudError(f"{what}: {error}") from error
    except _NOT_UNDERSTOOD as error:
        # What the libraries, or we, make of an answer that is none of the API's.
        logger.warning("an answer is not understood", exc_info=error)
        raise CloudError(
            f"{what}: the answer is not one that the API describes ({type(error).__name__})"
        ) from error
    except openstack.exceptions.HttpException as error:
        raise _of_answer(error.status_code, what, error) from error
    except keystoneauth1.exceptions.HttpError as error:
        raise _of_answer(error.http_status, what, error) from error
    except (
        keystoneauth1.exceptions.ConnectionError,
        keystoneauth1.exceptions.DiscoveryFailure,
        requests.RequestException,
        # No answer to the question for the versions of a service; the SDK does not say why.
        openstack.exceptions.ServiceDiscoveryException,
        openstack.exceptions.NotSupported,
    ) as error:
        raise CloudUnreachableError(_sentence(what, error)) from error
    except (
        keystoneauth1.exceptions.AuthPluginException,
        keystoneauth1.exceptions.AuthorizationFailure,
        openstack.exceptions.ConfigException,
    ) as error:
        raise InvalidCredentialsError(_sentence(what, error)) from error
    except (
        keystoneauth1.exceptions.ClientException,
        openstack.exceptions.SDKException,
    ) as error:
        raise CloudError(_sentence(what, error)) from error
