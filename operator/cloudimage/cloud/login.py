"""Logging in at Keystone, and what in clouds.yaml has to change if it is not at auth_url."""

import logging
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from keystoneauth1 import exceptions as keystone
from openstack.connection import Connection

from cloudimage.access.answers import causes
from cloudimage.access.failures import EXCEPTIONS, Failure, Kind, of_login
from cloudimage.cloud.errors import (
    CloudError,
    CloudMisconfiguredError,
    ForbiddenError,
    InvalidCredentialsError,
    InvalidImageError,
    NotFoundError,
    error_of,
)

logger = logging.getLogger(__name__)

_DOING: Final = "logging in"
_VERSION: Final = "/v3"
_REMOVED: Final = "/v2.0"


def log_in(connection: Connection) -> None:
    """Log in.

    Raises:
        CloudMisconfiguredError: No Keystone is at auth_url, or its TLS is not trusted.
        InvalidCredentialsError: It refuses the credentials, be it their form or their path.
        CloudError: It does not answer.
    """
    try:
        connection.session.get_token()
    except EXCEPTIONS as error:
        raise _failed(connection, error) from error


def _failed(connection: Connection, error: Exception) -> CloudError:
    failure = of_login(error)
    url = str(getattr(connection.session.auth, "auth_url", ""))
    wrong = failure.kind is Kind.MISCONFIGURED
    if (wrong or _broke(error)) and _speaks_tls(connection, url):
        text = f"the port of {_shown(url)} speaks only TLS; write https:// in auth.auth_url"
        return CloudMisconfiguredError(f"{_DOING}: {text}")
    if wrong:
        return CloudMisconfiguredError(f"{_DOING}: {_advice(error, failure, url)}")
    made = error_of(failure, _DOING)
    if isinstance(made, InvalidImageError | ForbiddenError | NotFoundError):
        return InvalidCredentialsError(str(made), retry_after=made.retry_after)
    if failure.kind is Kind.NOT_UNDERSTOOD:
        logger.warning("an answer is not understood", exc_info=error)
    return made


def _advice(error: Exception, failure: Failure, url: str) -> str:
    """Return what is wrong and what to change; failures of TLS and redirects say it themselves."""
    said = failure.sentence.rstrip(".")
    if not isinstance(error, keystone.InvalidResponse | keystone.HttpError) and any(
        isinstance(each, keystone.ConnectionError) for each in causes(error)
    ):
        return said
    shown = _shown(url)
    path = urlsplit(url).path.rstrip("/")
    if path.endswith(_REMOVED):
        better = _shown(url.rstrip("/").removesuffix(_REMOVED) + _VERSION)
        return (
            f"version 2.0 of Keystone's API is no longer there: write {better} instead of {shown} "
            f"in auth.auth_url ({said})"
        )
    return (
        f"no Keystone answers at {shown}: {said}. Write Keystone's own URL in auth.auth_url; it "
        f"most often ends with {_VERSION}"
    )


def _shown(url: str) -> str:
    """Return a URL as a message may have it: no query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def _broke(error: Exception) -> bool:
    """Return whether the server took the connection, and then ended it."""
    for each in causes(error):
        if isinstance(each, ConnectionRefusedError | TimeoutError):
            return False
        if isinstance(each, ConnectionError):
            return True
    return False


def _speaks_tls(connection: Connection, url: str) -> bool:
    """Ask the server of an ``http://`` URL in TLS: nothing else shows it.

    Some servers reset a connection that is not TLS, others answer 400 with a page.
    """
    if urlsplit(url).scheme != "http":
        return False
    try:
        connection.session.get(
            f"https{_shown(url).removeprefix('http')}", authenticated=False, raise_exc=False
        )
    except keystone.SSLError as error:
        return "certificate" in str(error)
    except EXCEPTIONS:
        return False
    return True
