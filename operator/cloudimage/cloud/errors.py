"""What a cloud refuses or fails at: one exception each, with a reason for conditions."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import ClassVar, Final

from cloudimage.access.failures import (
    EXCEPTIONS,
    Failure,
    Kind,
    is_of_service,
    of_exception,
)

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


class CloudMisconfiguredError(CloudError):
    """What clouds.yaml names is not there, is no such service, or its TLS is not trusted."""

    reason = "CloudMisconfigured"


class InvalidCredentialsError(CloudError):
    """Keystone refuses the credentials."""

    reason = "InvalidCredentials"


class NotAcceptedError(InvalidCredentialsError):
    """A service refuses (HTTP 401) a token that Keystone has just given.

    keystoneauth logs in again after the first 401, so the credentials are good, but not for this
    request: an application credential with access rules, for instance, lacks one for it.
    """


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


class FlavorNotFoundError(CloudError):
    """Nova has no such flavor, or none for these credentials."""

    reason = "FlavorNotFound"


class FlavorTooSmallError(CloudError):
    """The flavor's memory or disk, or the volume, is too small for the image."""

    reason = "FlavorTooSmall"


class NetworkNotFoundError(CloudError):
    """There is no such network, or none for these credentials."""

    reason = "NetworkNotFound"


class NetworkAmbiguousError(CloudError):
    """Several networks could be meant."""

    reason = "NetworkAmbiguous"


class ServerRefusedError(CloudError):
    """Nova makes no such server; the message quotes it."""

    reason = "ServerRefused"


class NoConsoleError(CloudError):
    """Nova has no console of a server, or not yet; the message quotes it."""

    reason = "BuildFailed"


class CloudRefusedError(CloudError):
    """The operator's cloudPolicy does not allow the cloud's host or address."""

    reason = "CloudRefused"


class CloudUnreachableError(CloudError):
    """No answer, or one that says the fault is the server's (HTTP 5xx)."""

    reason = "CloudUnreachable"


_BY_KIND: Final[Mapping[Kind, type[CloudError]]] = {
    Kind.UNREACHABLE: CloudUnreachableError,
    Kind.UNAVAILABLE: CloudUnreachableError,
    Kind.FAULT: CloudUnreachableError,
    Kind.REFUSED: CloudRefusedError,
    Kind.MISCONFIGURED: CloudMisconfiguredError,
    Kind.INVALID_CREDENTIALS: InvalidCredentialsError,
    Kind.FORBIDDEN: ForbiddenError,
    Kind.INVALID: InvalidImageError,
    Kind.NOT_FOUND: NotFoundError,
    Kind.CONFLICT: ConflictError,
    Kind.QUOTA_EXCEEDED: QuotaExceededError,
    Kind.BODY_LIMIT: ForbiddenError,
}


_ACCESS: Final = (
    "Keystone accepts the credentials, but the service does not: if they are an application "
    "credential, it needs an access rule for this request"
)


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn the libraries' exceptions into ours; ``what`` begins the message: "listing images".

    Raises:
        CloudError: The subclass that fits.
    """
    try:
        yield
    except EXCEPTIONS as error:
        failure = of_exception(error)
        if failure.kind is Kind.NOT_UNDERSTOOD:
            logger.warning("an answer is not understood", exc_info=error)
        if failure.kind is Kind.INVALID_CREDENTIALS and is_of_service(error):
            raise NotAcceptedError(f"{what}: {failure.sentence.rstrip('.')}. {_ACCESS}") from error
        raise error_of(failure, what) from error


def error_of(failure: Failure, what: str) -> CloudError:
    """Return the exception for a failure; ``what`` begins its message."""
    made = _BY_KIND.get(failure.kind, CloudError)
    return made(f"{what}: {failure.sentence}", retry_after=failure.retry_after)
