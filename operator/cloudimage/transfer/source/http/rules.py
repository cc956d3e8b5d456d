"""The rules of HTTP (RFC 9110) that decide what an answer of the source means; pure."""

import codecs
import re
import socket
import ssl
from collections.abc import Collection, Iterator, Mapping
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

from cloudimage.http_dates import moment, retry_after
from cloudimage.transfer.contract import Reason, TransferError

REDIRECTS = frozenset({301, 302, 303, 307, 308})
BUSY = frozenset({429, 502, 503, 504})
"""Statuses that may be another one in a moment."""

SCHEMES = ("http", "https")

_PORTS = {"http": 80, "https": 443}
_AMBIGUOUS = re.compile(r"[\\\x00-\x1f\x7f]")

_REASON_BY_STATUS = {
    HTTPStatus.NOT_FOUND: Reason.SOURCE_NOT_FOUND,
    HTTPStatus.GONE: Reason.SOURCE_NOT_FOUND,
    HTTPStatus.REQUEST_TIMEOUT: Reason.SOURCE_UNREACHABLE,
    HTTPStatus.TOO_EARLY: Reason.SOURCE_UNREACHABLE,
    HTTPStatus.TOO_MANY_REQUESTS: Reason.SOURCE_UNREACHABLE,
}
_HTML = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(<!doctype html|<html|<head|<body|<\?xml|<!--)", re.IGNORECASE
)
_SIZE = re.compile(r"[0-9]{1,18}")
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})")


def redacted(url: str) -> str:
    """Return the URL without what may be secret: user information, query and fragment."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def without_userinfo(url: str) -> str:
    """Return the URL without user information."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def checked_url(url: str, schemes: Collection[str] = SCHEMES) -> str:
    """Return the URL if its scheme is one we fetch, and an allowed one.

    Raises:
        TransferError: ``InvalidRequest``; ``SourceRefused`` for a scheme that the policy refuses.
    """
    if not _is_valid(url):
        raise TransferError(Reason.INVALID_REQUEST, "the source must be an http or https URL")
    scheme = urlsplit(url).scheme
    if scheme not in schemes:
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"{redacted(url)}: the operator's urlPolicy.schemes does not allow {scheme}",
        )
    return url


def _is_valid(url: str) -> bool:
    """Return whether a URL is one of HTTP, of which no two parsers see different hosts."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    clear = not _AMBIGUOUS.search(url) and not any(map(str.isspace, parts.netloc))
    return clear and parts.scheme in SCHEMES and bool(parts.hostname)


def redirect_target(
    url: str, location: str, schemes: Collection[str] = SCHEMES, *, verified: bool
) -> str:
    """Return where a redirect leads.

    Args:
        url: The URL that answered with the redirect.
        location: Its Location header.
        schemes: Those that the policy allows.
        verified: Whether a checksum protects the bytes; if not, HTTPS never leads to HTTP.

    Raises:
        TransferError: ``SourceRefused``.
    """
    try:
        target = checked_url(urljoin(url, location), schemes)
    except (TransferError, ValueError) as error:
        if isinstance(error, TransferError) and error.reason is Reason.SOURCE_REFUSED:
            raise
        raise bad_redirect(url) from None
    downgrade = urlsplit(url).scheme == "https" and urlsplit(target).scheme == "http"
    if downgrade and not verified:
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"{redacted(url)} redirects from https to http; give a checksum to allow that",
        )
    return target


def bad_redirect(url: str) -> TransferError:
    """Return the failure for a URL whose server sends us where nobody can go.

    It is the fault of the server, and not of whoever wrote the URL.
    """
    return TransferError(
        Reason.SOURCE_REFUSED,
        f"{redacted(url)} redirects to an invalid URL, or to one that is neither http nor https",
    )


def same_origin(one: str, other: str) -> bool:
    """Return whether two URLs have the same scheme, host and port, so may share credentials."""
    return _origin(one) == _origin(other)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def status_error(status: int, url: str, headers: Mapping[str, str]) -> TransferError:
    """Return what a status other than success means."""
    if status in _REASON_BY_STATUS:
        reason = _REASON_BY_STATUS[HTTPStatus(status)]
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        reason = Reason.SOURCE_UNREACHABLE
    else:
        reason = Reason.SOURCE_REFUSED
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return TransferError(
        reason,
        f"{redacted(url)} answered {status} {phrase}".rstrip(),
        retry_after=retry_after(headers.get("Retry-After")),
    )


def content_length(headers: Mapping[str, str]) -> int | None:
    """Return the length of the body if the header tells it (RFC 9112, 6.3)."""
    value = headers.get("Content-Length", "")
    return None if "Transfer-Encoding" in headers or not _SIZE.fullmatch(value) else int(value)


def validator(headers: Mapping[str, str]) -> str | None:
    """Return what If-Range may hold to resume this very representation.

    An entity tag without its quotes, as Swift has them, is taken as it is.

    That is a strong entity tag, else a Last-Modified that is strong because it is older than the
    answer's Date (RFC 9110, 8.8.2.2 and 13.1.5).
    """
    tag = headers.get("ETag")
    if tag is not None:
        return None if tag.startswith("W/") else tag
    modified, date = moment(headers.get("Last-Modified")), moment(headers.get("Date"))
    if modified and date and modified < date:
        return headers["Last-Modified"]
    return None


def is_same(headers: Mapping[str, str], known: str) -> bool:
    """Return whether a 206 is a part of the representation with the validator ``known``.

    It must repeat an entity tag, but may leave a Last-Modified out (RFC 9110, 15.3.7).
    """
    if is_tag(known):
        return headers.get("ETag") == known
    return headers.get("Last-Modified", known) == known


def is_tag(known: str) -> bool:
    """Return whether a validator is an entity tag, and not a moment."""
    return known.startswith('"') or moment(known) is None


def resumes_at(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Return the first byte and the whole size of a 206's Content-Range; None: unusable."""
    match = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
    return (int(match[1]), int(match[3])) if match else None


def is_page(headers: Mapping[str, str]) -> bool:
    """Return whether the Content-Type is a web page's."""
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind in {"text/html", "application/xhtml+xml"}


def looks_like_page(beginning: bytes) -> bool:
    """Return whether a body begins as HTML or XML, whatever its Content-Type says."""
    return _HTML.match(beginning) is not None


def is_text(beginning: bytes) -> bool:
    """Return whether a body begins with text: neither an image nor what is compressed does."""
    if b"\0" in beginning:
        return False
    try:
        # Incremental: the last character may be cut.
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return True


def encoded(error: TransferError, encoding: str) -> TransferError:
    """Return a failure of bytes that also says that the server encoded them, if it did.

    Every request asks for the identity (RFC 9110, 12.5.3), which a server may ignore.
    """
    if not encoding:
        return error
    told = "".join(each if each.isprintable() else "?" for each in encoding[:40])
    return TransferError(
        error.reason,
        f"{error.message}. The server sent them with Content-Encoding: {told}, although they were "
        "asked for as they are: it may have compressed them on the way. Turn that off for this "
        "file, or use another URL",
        retry_after=error.retry_after,
    )


def cannot_be_a_file(encoding: str) -> bool:
    """Return whether a Content-Encoding is one that files are not kept in, unlike gzip."""
    return encoding.strip().lower() in {"br", "compress", "deflate", "x-compress"}


def connection_error(error: BaseException, url: str, stall_seconds: float) -> TransferError:
    """Return what an exception of requests or urllib3 means, without its text: it may hold secrets.

    Returns:
        ``SourceUnreachable``, naming the host.
    """
    host = urlsplit(url).hostname
    return TransferError(
        Reason.SOURCE_UNREACHABLE, f"{host}: {_connection_problem(error, stall_seconds)}"
    )


def _connection_problem(error: BaseException, stall_seconds: float) -> str:
    for cause in causes(error):
        if isinstance(cause, socket.gaierror):
            return "the host name cannot be resolved"
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its TLS certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return f"TLS failed: {cause.reason}"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        if isinstance(cause, TimeoutError) or "Timeout" in type(cause).__name__:
            return f"no data for {stall_seconds:g} s"
    return "the connection broke"


def causes(error: BaseException) -> Iterator[BaseException]:
    """Walk an exception's causes: chained, or kept as an argument as urllib3 does."""
    todo, seen = [error], set[int]()
    while todo:
        cause = todo.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        kept = [*cause.args, getattr(cause, "reason", None), cause.__cause__, cause.__context__]
        todo += [each for each in kept if isinstance(each, BaseException)]
