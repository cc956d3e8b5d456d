"""What a cloud answers, taken with care: nothing deep, and no text but out of the API's own shape.

An answer may come from another server than a cloud: whoever writes a Secret chooses the address.
What such a server says must not be read in a status, so of an error only the sentence is taken
that OpenStack's own services put at a certain place in JSON, and of a broken connection none of
the text that a library made of the bytes.
"""

import html
import json
import re
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from itertools import accumulate
from typing import Any, Final

import requests
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk

from cloudimage.access import tls
from cloudimage.access.errors import AnswerRefusedError

MAX_DEPTH: Final = 32
MAX_CONTAINERS: Final = 200_000
"""Lists and objects of one answer: each takes some hundred bytes of memory once it is parsed."""

MAX_QUOTES: Final = 1_000_000
"""Half as many texts."""

MAX_SENTENCE: Final = 1000

_STRINGS: Final = re.compile(rb'"[^"]*"?')
_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEP: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_FAULT_KEYS: Final = frozenset(
    {"message", "code", "title", "identity", "created", "details", "retryAfter"}
)
_TAGS: Final = re.compile(r"<title>[^<]*</title>|<h1>[^<]*</h1>|<[^<>]{0,100}>")
_BOILERPLATE: Final = re.compile(
    r"The request returned a 413 Request Entity Too Large\. This generally means that rate "
    r"limiting or a quota threshold was breached\.|The response body:|"
    r"The request media type \S+ is not supported by this server\.|"
    r"Failed validating .*"
)
_HEADINGS: Final = re.compile(r"<(?:title|h1)>([^<>]{1,100})</(?:title|h1)>", re.IGNORECASE)
_PAGE_LENGTH: Final = 4096
_PROXIES: Final = frozenset(
    {"apache", "awselb", "cloudflare", "envoy", "haproxy", "nginx", "openresty", "varnish"}
)


def check_depth(body: bytes) -> None:
    """Refuse JSON that is nested deeply, or in very many parts, before it is parsed.

    Raises:
        AnswerRefusedError: It is.
    """
    openers = body.count(b"[") + body.count(b"{")
    if openers <= MAX_DEPTH:
        return
    if openers > MAX_CONTAINERS or body.count(b'"') > MAX_QUOTES:
        raise AnswerRefusedError("the answer has too many lists, objects or texts")
    # Escapes first, so that each quote begins or ends a string. All of it in linear time.
    bare = _STRINGS.sub(b"", body.replace(b"\\\\", b"").replace(b'\\"', b""))
    brackets = bare.translate(None, _NOT_BRACKETS)
    if max(accumulate(map(_STEP.__getitem__, brackets)), default=0) > MAX_DEPTH:
        raise AnswerRefusedError(f"the answer is nested deeper than {MAX_DEPTH} levels")


def said(response: requests.Response) -> str | None:
    """Return the sentence of an error; None where it is not of the shape of OpenStack's.

    Keystone has ``{"error": {"code": 403, "message": ...}}``, Nova and Cinder another name for
    ``error`` ("Faults" of their API guides), Glance ``{"code": "403 Forbidden", "message": ...}``
    as webob makes it; the code is always that of the answer.
    """
    kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind != "application/json":
        return None
    try:
        body = json.loads(response.content)
    except (ValueError, RecursionError):
        return None
    fault = body
    if isinstance(body, dict) and len(body) == 1:
        [fault] = body.values()
    if not isinstance(fault, dict) or not fault.keys() <= _FAULT_KEYS:
        return None
    message, code = fault.get("message"), str(fault.get("code", ""))
    if not isinstance(message, str) or code.partition(" ")[0] != str(response.status_code):
        return None
    text = plain_text(message)
    # A set phrase may be all there is.
    return _BOILERPLATE.sub("", text).strip() or text or None


def proxys(response: requests.Response) -> str | None:
    """Return what an error page says that is probably a proxy's, since services answer in JSON.

    Of the page only the heading is taken, and only if it begins with the answer's status: nginx,
    Apache and HAProxy write "413 Request Entity Too Large". Nothing else of a page is shown, since
    it may be one of any server.
    """
    kind = (response.headers.get("Content-Type") or "").partition(";")[0].strip().lower()
    if kind != "text/html":
        return None
    page = response.content[:_PAGE_LENGTH].decode(errors="replace")
    headings = (plain_text(each) for each in _HEADINGS.findall(page))
    found = next((each for each in headings if each.startswith(f"{response.status_code} ")), None)
    if found is None:
        return None
    server = (response.headers.get("Server") or "").partition("/")[0].strip()
    by = f" by {server}" if server.lower() in _PROXIES else ""
    return f'the answer is a page{by}, "{found}", probably of a proxy before the service'


def plain_text(text: str) -> str:
    """Return what a message says without the HTML in it: Glance's are parts of a page."""
    words = " ".join(html.unescape(_TAGS.sub(" ", text)).split())
    return "".join(filter(str.isprintable, words))[:MAX_SENTENCE]


def sentence(error: Exception) -> str:
    """Return what an exception of the SDK or of keystoneauth means, in words that may be shown."""
    response = getattr(error, "response", None)
    if isinstance(error, keystone.InvalidResponse):
        return "the answer is not a valid Keystone answer"
    if isinstance(response, requests.Response):
        text = said(response) or proxys(response)
        if text is None:
            return _status(response.status_code)
        # A login's: as keystoneauth tells it.
        login = isinstance(error, keystone.HttpError)
        return f"{text} (HTTP {response.status_code})" if login else text
    if isinstance(error, keystone.DiscoveryFailure | sdk.ServiceDiscoveryException):
        return _of_discovery(error)
    if isinstance(error, _OWN_WORDS):
        return str(error)[:MAX_SENTENCE]
    return f"the OpenStack libraries raised {type(error).__name__}"


_OWN_WORDS: Final = (
    # Made of the URL and of what plain() says.
    keystone.ConnectionError,
    # Made of the catalogue's terms: service, interface, region.
    keystone.EndpointNotFound,
    keystone.AuthPluginException,
    keystone.AuthorizationFailure,
    # Without an answer, which was looked at before.
    keystone.HttpError,
    sdk.HttpException,
    sdk.ConfigException,
    sdk.NotSupported,
    requests.RequestException,
)


def _of_discovery(error: Exception) -> str:
    """Return why the versions of a service are not known: mostly, since it was not reached."""
    for cause in causes(error):
        if isinstance(cause, keystone.ConnectionError):
            return str(cause)[:MAX_SENTENCE]
        response = getattr(cause, "response", None)
        if isinstance(cause, keystone.HttpError) and isinstance(response, requests.Response):
            return f"asking for the versions of the service: {sentence(cause)}"
    return "the answer about the versions of the service is not a valid OpenStack answer"


def _status(code: int) -> str:
    try:
        phrase = f" {HTTPStatus(code).phrase}"
    except ValueError:
        phrase = ""
    return f"the answer is {code}{phrase}, without a reason that can be shown"


def plain(
    error: Exception, seconds: float, request: requests.PreparedRequest
) -> requests.RequestException:
    """Return an exception of requests in our words: a library's repeat what a server sent."""
    kind, text = next(
        (known for cause in causes(error) if (known := _known(cause, seconds))),
        (requests.ConnectionError, "the connection broke, or there was no valid HTTP answer"),
    )
    return kind(text, request=request)


def _known(
    cause: BaseException, seconds: float
) -> tuple[type[requests.RequestException], str] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return requests.exceptions.SSLError, tls.certificate_fault(cause)
    if isinstance(cause, ssl.SSLError):
        lasting = tls.lasting_fault(cause)
        if lasting:
            return requests.exceptions.SSLError, lasting
        return requests.ConnectionError, f"TLS failed: {cause.reason}"
    if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
        return requests.Timeout, f"no complete answer within {seconds:g} s"
    for kind, text in _CONNECTION.items():
        if isinstance(cause, kind):
            return requests.ConnectionError, text
    return None


_CONNECTION: Final = {
    socket.gaierror: "the host name cannot be resolved",
    ConnectionRefusedError: "the connection was refused",
    ConnectionError: "the connection was reset",
}


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk an exception's causes: chained, or kept as an argument as urllib3 does."""
    todo, seen = [error], set[int]()
    while todo:
        cause = todo.pop(0)
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        kept: list[Any] = [
            *cause.args,
            getattr(cause, "reason", None),
            cause.__cause__,
            cause.__context__,
        ]
        todo += [each for each in kept if isinstance(each, BaseException)]
