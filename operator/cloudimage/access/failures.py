"""What a failure of a cloud means, be it an answer or an exception of a library; pure.

The one vocabulary of all that ask clouds: the operator's adapters and the transfer's client of
Glance each make exceptions of their own of it, by a table of the kinds.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from http import HTTPStatus
from typing import Final

import requests
import urllib3
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk

from cloudimage.access.answers import causes, proxys, said, sentence
from cloudimage.access.errors import (
    AddressRefusedError,
    AnswerRefusedError,
    RedirectRefusedError,
)
from cloudimage.http_dates import retry_after


class Kind(Enum):
    """What went wrong, as far as whoever asked can act on it."""

    UNREACHABLE = "no whole answer, or none to the question for the versions of a service"
    UNAVAILABLE = "an answer that asks to come again later (429, 502, 503, 504)"
    FAULT = "another fault of the server (5xx)"
    REFUSED = "the operator's cloudPolicy does not allow the host or the address"
    MISCONFIGURED = "the options of the cloud lead to no such service, or its TLS is not trusted"
    INVALID_CREDENTIALS = "the credentials are refused (401), or are no whole ones"
    FORBIDDEN = "the cloud's policy does not allow it (403)"
    INVALID = "a value is refused (400)"
    UNSUPPORTED = "the type of what was sent is refused (415)"
    NOT_FOUND = "there is no such thing (404)"
    CONFLICT = "the state of the thing forbids it (409)"
    QUOTA_EXCEEDED = "a quota is used up (413)"
    TOO_LARGE = "the image is larger than Glance takes at all (413)"
    BODY_LIMIT = "a proxy limits how large a request may be (413)"
    NOT_UNDERSTOOD = "the answer is over the bounds, or none that the API describes"
    OTHER = "anything else"


@dataclass(frozen=True)
class Failure:
    """What went wrong with one request.

    Attributes:
        kind: What to do about it.
        sentence: Words that may be shown, the same each time that the same goes wrong.
        status: The answer's HTTP status, or None without an answer.
        retry_after: Seconds that the cloud asked us to wait, if it did.
    """

    kind: Kind
    sentence: str
    status: int | None = None
    retry_after: float | None = None


_BY_STATUS: Final = {
    400: Kind.INVALID,
    401: Kind.INVALID_CREDENTIALS,
    403: Kind.FORBIDDEN,
    404: Kind.NOT_FOUND,
    409: Kind.CONFLICT,
    413: Kind.QUOTA_EXCEEDED,
    415: Kind.UNSUPPORTED,
    429: Kind.UNAVAILABLE,
    502: Kind.UNAVAILABLE,
    503: Kind.UNAVAILABLE,
    504: Kind.UNAVAILABLE,
}

# What a service says with 413 when it is no quota, which time or other images may free.
_TOO_LARGE: Final = "image is too large"
_TOO_MANY: Final = re.compile(r"number of allowed image (properties|tags|locations)")

# The first that fits counts.
_BY_CLASS: Final[Mapping[type[Exception], Kind]] = {
    AddressRefusedError: Kind.REFUSED,
    RedirectRefusedError: Kind.MISCONFIGURED,
    AnswerRefusedError: Kind.NOT_UNDERSTOOD,
    # Only of what lasts: see cloudimage.access.tls.
    keystone.SSLError: Kind.MISCONFIGURED,
    keystone.ConnectionError: Kind.UNREACHABLE,
    keystone.EndpointNotFound: Kind.MISCONFIGURED,
    # The SDK does not always say why it got no versions: mostly, nobody is there.
    keystone.DiscoveryFailure: Kind.UNREACHABLE,
    sdk.ServiceDiscoveryException: Kind.UNREACHABLE,
    sdk.NotSupported: Kind.UNREACHABLE,
    keystone.AuthPluginException: Kind.INVALID_CREDENTIALS,
    keystone.AuthorizationFailure: Kind.INVALID_CREDENTIALS,
    sdk.ConfigException: Kind.MISCONFIGURED,
    keystone.ClientException: Kind.OTHER,
    sdk.SDKException: Kind.OTHER,
    # One of requests', whose other exceptions are an OSError.
    requests.exceptions.InvalidJSONError: Kind.NOT_UNDERSTOOD,
    OSError: Kind.UNREACHABLE,
    urllib3.exceptions.HTTPError: Kind.OTHER,
    # Raised by the libraries, or by us, for an answer that does not conform to the API.
    LookupError: Kind.NOT_UNDERSTOOD,
    TypeError: Kind.NOT_UNDERSTOOD,
    ValueError: Kind.NOT_UNDERSTOOD,
    AttributeError: Kind.NOT_UNDERSTOOD,
    ArithmeticError: Kind.NOT_UNDERSTOOD,
    RecursionError: Kind.NOT_UNDERSTOOD,
}

EXCEPTIONS: Final = tuple(_BY_CLASS)
"""What a request to a cloud may end with, and :func:`of_exception` knows."""

# Each try would be a write of the status.
_REQUEST_ID: Final = re.compile(r" ?\(?(Request-ID: )?req-[0-9a-f-]+\)?")


def of_response(response: requests.Response) -> Failure:
    """Return what an answer other than the wanted one means."""
    api = said(response)
    text = api or proxys(response) or "it gives no reason that can be shown"
    return _failure(_of_answer(response, api), text, response.status_code, response)


def of_exception(error: Exception) -> Failure:
    """Return what one of :data:`EXCEPTIONS` means."""
    status = getattr(error, "status_code", None) or getattr(error, "http_status", None)
    response = getattr(error, "response", None)
    if isinstance(response, requests.Response):
        kind = _of_answer(response, said(response))
    else:
        kind = _of_status(status) if status else _of_discovery(error) or _of_class(error)
    if isinstance(error, AddressRefusedError | AnswerRefusedError):
        text = str(error)
    elif kind is Kind.NOT_UNDERSTOOD:
        text = f"the answer does not conform to the API ({type(error).__name__})"
    else:
        text = sentence(error)
    return _failure(kind, text, status, response)


def _of_answer(response: requests.Response, api: str | None) -> Kind:
    """Return what a status means, which of several if what the service says tells."""
    kind = _of_status(response.status_code)
    if kind is not Kind.QUOTA_EXCEEDED:
        return kind
    if api is None:
        return Kind.BODY_LIMIT
    if _TOO_LARGE in api:
        return Kind.TOO_LARGE
    return Kind.INVALID if _TOO_MANY.search(api) else kind


def is_of_service(error: Exception) -> bool:
    """Return whether a service's answer is at fault, not the login that a request may begin with.

    The SDK raises for the one, keystoneauth for the other.
    """
    return isinstance(error, sdk.HttpException)


def of_login(error: Exception) -> Failure:
    """Return what one of :data:`EXCEPTIONS` means that a login ended with.

    Keystone has a sentence for all that it refuses. Another 4xx, or another success, is the
    answer of another server than Keystone, or of another path of it.
    """
    failure = of_exception(error)
    answer = _answer_behind(error)
    if isinstance(error, keystone.InvalidResponse):
        strange = True
    elif answer is not None:
        discovery = isinstance(error, keystone.DiscoveryFailure)
        strange = (
            HTTPStatus.BAD_REQUEST <= answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR
            and answer.status_code not in (_PASSING if discovery else _PASSING | _REFUSING)
            and said(answer) is None
        )
    else:
        strange = isinstance(error, keystone.DiscoveryFailure) and not _unreached(error)
    return replace(failure, kind=Kind.MISCONFIGURED) if strange else failure


_PASSING: Final = frozenset({408, 429})
_REFUSING: Final = frozenset({401, 403})
"""Whoever gives these to a login, even without a sentence, may be Keystone."""


def _of_discovery(error: Exception) -> Kind | None:
    """Return why the versions of a service are not known, where a cause of it is."""
    if not isinstance(error, keystone.DiscoveryFailure | sdk.ServiceDiscoveryException):
        return None
    if (unreached := _unreached(error)) is not None:
        return _of_class(unreached)
    answer = _answer_behind(error)
    missing = answer is not None and answer.status_code == HTTPStatus.NOT_FOUND
    return Kind.MISCONFIGURED if missing else None


def _unreached(error: Exception) -> Exception | None:
    return next((each for each in causes(error) if isinstance(each, _NO_ANSWER)), None)


_NO_ANSWER: Final = (keystone.ConnectionError, AddressRefusedError, AnswerRefusedError)


def _answer_behind(error: Exception) -> requests.Response | None:
    """Return the answer of HTTP that an exception was made of, if one is."""
    found = (getattr(each, "response", None) for each in causes(error))
    return next((each for each in found if isinstance(each, requests.Response)), None)


def _failure(
    kind: Kind, text: str, status: int | None, response: requests.Response | None
) -> Failure:
    asked = None if response is None else retry_after(response.headers.get("Retry-After"))
    return Failure(kind, without_request_id(text), status, asked)


def without_request_id(text: str) -> str:
    """Return a service's words without the id of the request, which is another at each try."""
    return _REQUEST_ID.sub("", text)


def _of_status(status: int) -> Kind:
    fault = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return _BY_STATUS.get(status, Kind.FAULT if fault else Kind.OTHER)


def _of_class(error: Exception) -> Kind:
    return next(kind for known, kind in _BY_CLASS.items() if isinstance(error, known))
