"""Fetches the small files beside an image: checksums and signatures."""

import time
from contextlib import closing
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from cloudimage.transfer import httprules
from cloudimage.transfer.types import HttpSource, Limits, Reason, TransferError

MAX_BYTES: Final = 2**20
MAX_SECONDS: Final = 120.0
"""A megabyte that takes longer will not come."""

_MAX_REDIRECTS = 10
_CHUNK = 64 * 2**10
_CONNECT_SECONDS = 30.0
_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


def fetch_text(
    url: str, source: HttpSource, folder: Path, limits: Limits, *, signed: bool
) -> bytes:
    """Fetch a small file whole into memory.

    Args:
        url: Where it is.
        source: Whose side file it is: its servers' authentication and CA count here too.
        folder: The transfer's own, for the CA's file.
        limits: Of the request.
        signed: Whether its content is proved by a signature, so that HTTPS may lead to HTTP.

    Raises:
        TransferError: ``InvalidRequest``, ``SourceUnreachable``, ``SourceNotFound``,
            ``SourceRefused``, ``SourceTruncated``, or ``SumsFileInvalid`` for what is too long or
            a web page.
    """
    begun = time.monotonic()
    first = target = httprules.checked_url(url)
    with requests.Session() as session:
        for _ in range(_MAX_REDIRECTS + 1):
            auth = _Authorization(target, first, source)
            with closing(_get(session, target, auth, _ca_file(source, folder), limits)) as response:
                location = response.headers.get("Location")
                if response.status_code not in httprules.REDIRECTS or location is None:
                    return _accepted(response, begun, limits)
            target = httprules.redirect_target(target, location, verified=signed)
    raise TransferError(
        Reason.SOURCE_REFUSED,
        f"{httprules.redacted(first)} redirects more than {_MAX_REDIRECTS} times",
    )


def _get(
    session: requests.Session,
    url: str,
    auth: requests.auth.AuthBase,
    ca_file: str | None,
    limits: Limits,
) -> requests.Response:
    try:
        return session.get(
            _without_userinfo(url),
            headers={"Accept": "*/*", "Accept-Encoding": "identity"},
            auth=auth,
            timeout=(min(_CONNECT_SECONDS, limits.stall_seconds), limits.stall_seconds),
            verify=ca_file,
            allow_redirects=False,
            stream=True,
        )
    except (requests.exceptions.InvalidURL, UnicodeError) as error:
        raise TransferError(
            Reason.INVALID_REQUEST, "the URL of the checksums or the signature is not valid"
        ) from error
    except _ERRORS as error:
        raise httprules.connection_error(error, url, limits.stall_seconds) from error


def _accepted(response: requests.Response, begun: float, limits: Limits) -> bytes:
    if response.status_code != HTTPStatus.OK:
        raise httprules.status_error(response.status_code, response.url, response.headers)
    content = _receive(response, begun, limits)
    if httprules.is_page(response.headers) or httprules.looks_like_page(content[:1024]):
        raise TransferError(
            Reason.SUMS_FILE_INVALID, f"{httprules.redacted(response.url)} is a web page"
        )
    return content


def _receive(response: requests.Response, begun: float, limits: Limits) -> bytes:
    where = httprules.redacted(response.url)
    content = bytearray()
    try:
        # read1: a server that drips must not keep us in one call.
        while chunk := response.raw.read1(_CHUNK, decode_content=False):
            content += chunk
            if len(content) > MAX_BYTES:
                raise TransferError(
                    Reason.SUMS_FILE_INVALID,
                    f"{where} has over {MAX_BYTES} bytes; it is no file of checksums or signature",
                )
            if time.monotonic() - begun > MAX_SECONDS:
                raise TransferError(
                    Reason.SOURCE_UNREACHABLE,
                    f"{where} gave {len(content)} bytes in {MAX_SECONDS:g} s",
                )
    except urllib3.exceptions.ProtocolError as error:
        raise _truncated(where, len(content)) from error
    except _ERRORS as error:
        raise httprules.connection_error(error, response.url, limits.stall_seconds) from error
    total = httprules.content_length(response.headers)
    if total is not None and len(content) != total:
        raise _truncated(where, len(content))
    return bytes(content)


def _truncated(where: str, size: int) -> TransferError:
    return TransferError(Reason.SOURCE_TRUNCATED, f"{where} breaks off after {size} bytes")


def _ca_file(source: HttpSource, folder: Path) -> str | None:
    """Return what TLS is verified with; None: what the environment says, or the system.

    It goes with each request, since the environment would win over a session's.
    """
    if source.ca_certificate is None:
        return None
    path = folder / "sidefile-ca.pem"
    path.write_text(source.ca_certificate)
    return str(path)


class _Authorization(requests.auth.AuthBase):
    """The URL's own user information or the source's; none means none, not ~/.netrc.

    The former is for the origin it was written for, the latter for those of the source's URLs.
    """

    def __init__(self, url: str, first: str, source: HttpSource) -> None:
        own = httprules.same_origin(url, first)
        self._parts = urlsplit(first if own else "")
        at_source = any(httprules.same_origin(url, each) for each in (source.url, *source.mirrors))
        self._auth = source.auth if at_source else None

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._auth is not None:
            request.headers.update(self._auth.headers)
            if self._auth.bearer is not None:
                request.headers["Authorization"] = f"Bearer {self._auth.bearer}"
            elif self._auth.username is not None:
                _basic(request, self._auth.username, self._auth.password or "")
        if self._parts.username is not None:
            _basic(request, unquote(self._parts.username), unquote(self._parts.password or ""))
        return request


def _basic(request: requests.PreparedRequest, user: str, password: str) -> None:
    # As bytes: requests encodes text as Latin-1, which not every name has.
    requests.auth.HTTPBasicAuth(user.encode(), password.encode())(request)


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
