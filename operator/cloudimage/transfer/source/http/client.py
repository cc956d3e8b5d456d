"""Requests to the servers of a source: redirects, credentials, TLS, proxies, and the URL policy."""

import re
import ssl
from contextlib import AbstractContextManager, suppress
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from cloudimage.transfer.contract import Limits, Reason, TransferError, UrlPolicy
from cloudimage.transfer.source.http import rules
from cloudimage.transfer.source.http.connections import Adapter, Gate
from cloudimage.transfer.source.http.credentials import Credentials
from cloudimage.transfer.source.http.model import HttpAuth, HttpSource
from cloudimage.transfer.source.http.places import Places, UrlPlaces

MAX_REDIRECTS: Final = 10
CONNECTION_ERRORS: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)

_CONNECT_SECONDS: Final = 30.0
_MAX_EXPLANATION: Final = 64 * 2**10
"""Bytes of the body of a failure that are read for what it says."""

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OUR_HEADERS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "range",
        "transfer-encoding",
    }
)


class UnansweredError(Exception):
    """No answer came, but another attempt may get one.

    Attributes:
        error: What to tell the user if that is given up.
    """

    def __init__(self, error: TransferError) -> None:
        super().__init__(error.message)
        self.error = error


class _Session(requests.Session):
    """Leaves redirects alone.

    requests looks where they lead even if it is not to follow them, and for that it reads their
    bodies, whole and decompressed.
    """

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - as inherited
        """Say that no answer is a redirect."""
        return None


class Client:
    """Asks the servers of one source; to be closed after use.

    The source's credentials go to the origins of its URLs and nowhere else, not even where these
    redirect to, nor to a server that has only the checksums. ``~/.netrc`` is the operator's and
    never used.

    Attributes:
        limits: Of the request.
    """

    def __init__(
        self,
        source: HttpSource,
        policy: UrlPolicy | Places,
        limits: Limits,
        folder: Path,
        credentials: Credentials | None = None,
    ) -> None:
        """Prepare; the CA certificate, if any, is put into ``folder``.

        Args:
            source: Where the bytes are.
            policy: Which addresses may be asked.
            limits: Of the request.
            folder: The transfer's own.
            credentials: What another kind of source shows, in place of ``source.auth``.

        Raises:
            TransferError: ``InvalidRequest`` for credentials or a certificate that cannot be used.
        """
        places = UrlPlaces(policy) if isinstance(policy, UrlPolicy) else policy
        self._schemes = places.schemes
        self._auth = _checked(source.auth)
        self._shown = credentials
        self._urls = source.servers
        self.limits = limits
        self._verify = _ca_file(source.ca_certificate, folder) if places.verified else False
        self._gate = Gate(places)
        self._session = _Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, Adapter(self._gate))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._session.close()
        self._gate.close()

    @property
    def identity(self) -> str:
        """Who asks, where ``source.auth`` does not say it; "" where it does."""
        return self._shown.identity if self._shown else ""

    def get(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        *,
        verified: bool,
        at: str | None = None,
    ) -> requests.Response:
        """Ask for a URL and follow its redirects; the body is left to be read by :meth:`read`.

        Of a redirect, and of what the caller closes, the body is not read: the connection ends.

        Args:
            url: Where to begin.
            headers: Besides what each request has.
            verified: Whether something else than TLS proves what comes, so that HTTPS may redirect
                to HTTP.
            at: Where its redirects have led before, to begin there.

        Raises:
            UnansweredError: With ``SourceUnreachable``.
            TransferError: ``InvalidRequest`` or ``SourceRefused``, or what the credentials raise.
        """
        target = rules.checked_url(at or url, self._schemes)
        for _ in range(MAX_REDIRECTS + 1):
            response = self._answer(target, headers or {}, url)
            location = response.headers.get("Location")
            if response.status_code not in rules.REDIRECTS or location is None:
                return response
            response.close()
            target = rules.redirect_target(target, location, self._schemes, verified=verified)
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"{rules.redacted(url)} redirects more than {MAX_REDIRECTS} times",
        )

    def post(self, url: str, form: dict[str, str]) -> requests.Response:
        """Send a form, whose values may be secret, to a URL; where it redirects is not followed.

        Raises:
            UnansweredError: With ``SourceUnreachable``.
            TransferError: ``InvalidRequest`` or ``SourceRefused``.
        """
        target = rules.checked_url(url, self._schemes)
        return self._send(target, {}, self._credentials(target, url), url, form)

    def read(self, response: requests.Response, most: int) -> bytes:
        """Return the next bytes of a body, not decompressed, as they come; none at its end.

        Args:
            response: What :meth:`get` returned.
            most: Bytes.

        Raises:
            UnansweredError: With ``SourceUnreachable``: none came in ``stall_seconds``, whatever
                else did, such as the extensions of chunks, or trailers.
            requests.RequestException, urllib3.exceptions.HTTPError, OSError: The connection broke.
        """
        late = UnansweredError(
            rules.connection_error(TimeoutError(), response.url, self.limits.stall_seconds)
        )
        try:
            with self.within(self.limits.stall_seconds):
                # read1: with what has come, and not when all has.
                chunk: bytes = response.raw.read1(most, decode_content=False)
        except CONNECTION_ERRORS as error:
            if self._gate.late:
                raise late from error
            raise
        if self._gate.late:  # a connection that was cut looks like a body's end
            raise late
        return chunk

    def status_error(self, response: requests.Response) -> TransferError:
        """Return what a status other than success means, by its body too if that is understood."""
        told = None
        if self._shown and self._is_source(response.url):
            told = self._shown.explain(response, self._beginning(response))
        return told or rules.status_error(response.status_code, response.url, response.headers)

    def _beginning(self, response: requests.Response) -> bytes:
        content = b""
        with suppress(UnansweredError, *CONNECTION_ERRORS), self.within(self.limits.stall_seconds):
            while len(content) < _MAX_EXPLANATION and (
                piece := self.read(response, _MAX_EXPLANATION - len(content))
            ):
                content += piece
        return content

    def within(self, seconds: float) -> AbstractContextManager[None]:
        """Cut the connection if the block takes longer; :meth:`get` or :meth:`read` tells of it."""
        return self._gate.within(seconds)

    def _answer(self, target: str, headers: dict[str, str], url: str) -> requests.Response:
        """Return what a server answers, once what it is shown was renewed if that is of use."""
        response = self._send(target, headers, self._credentials(target, url), url)
        failed = response.status_code >= HTTPStatus.BAD_REQUEST
        if failed and self._shown and self._is_source(target) and self._shown.renew(response):
            response.close()
            response = self._send(target, headers, self._credentials(target, url), url)
        return response

    def _credentials(self, target: str, url: str) -> "_Auth":
        """Return what to show at ``target``, to which the URL that was asked for has led."""
        if not rules.same_origin(target, url):
            return _Auth()
        at_source = self._is_source(target)
        return _Auth(url, *((self._auth, self._shown) if at_source else ()))

    def _is_source(self, url: str) -> bool:
        return any(rules.same_origin(url, each) for each in self._urls)

    def _send(
        self,
        url: str,
        headers: dict[str, str],
        auth: "_Auth",
        asked: str,
        form: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send a request, with a form if there is one, to where the URL asked for has led."""
        stall = self.limits.stall_seconds
        timeout = (min(_CONNECT_SECONDS, stall), stall)
        try:
            with self._gate.within(sum(timeout)):
                response = self._session.request(
                    "POST" if form else "GET",
                    rules.without_userinfo(url),
                    data=form,
                    headers={"Accept": "*/*", "Accept-Encoding": "identity", **headers},
                    auth=auth,
                    timeout=timeout,
                    # With each request: the environment would win over the session's.
                    verify=self._verify,
                    allow_redirects=False,
                    stream=True,
                )
        except (requests.exceptions.InvalidURL, UnicodeError) as error:
            if url != asked:
                raise rules.bad_redirect(asked) from error
            raise TransferError(Reason.INVALID_REQUEST, "the source's URL is not valid") from error
        except CONNECTION_ERRORS as error:
            cause = TimeoutError() if self._gate.late else error
            raise UnansweredError(rules.connection_error(cause, url, stall)) from error
        if self._gate.late:  # headers that were cut short look whole to the library
            response.close()
            raise UnansweredError(rules.connection_error(TimeoutError(), url, stall))
        return response


class _Auth(requests.auth.AuthBase):
    """The credentials of a URL itself, else those of the source; none means none."""

    def __init__(
        self, url: str = "", auth: HttpAuth | None = None, shown: Credentials | None = None
    ) -> None:
        self._parts = urlsplit(url)
        self._auth = auth or HttpAuth()
        self._shown = shown

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._shown is not None:
            self._shown.show(request)
            return request
        request.headers.update(self._auth.headers)
        if self._parts.username is not None:
            user, password = unquote(self._parts.username), unquote(self._parts.password or "")
            _basic(request, user, password)
        elif self._auth.bearer is not None:
            request.headers["Authorization"] = f"Bearer {self._auth.bearer}"
        elif self._auth.username is not None:
            _basic(request, self._auth.username, self._auth.password or "")
        return request


def _basic(request: requests.PreparedRequest, user: str, password: str) -> None:
    # As bytes: requests encodes text as Latin-1, which not every name has.
    requests.auth.HTTPBasicAuth(user.encode(), password.encode())(request)


def _checked(auth: HttpAuth | None) -> HttpAuth | None:
    """Refuse what would break, or take over, a request; the messages hold no secret."""
    if auth is None:
        return None
    for name, value in {**auth.headers, "Authorization": auth.bearer or ""}.items():
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
            raise TransferError(
                Reason.INVALID_REQUEST, f"{name[:80]!r} cannot be an extra header of the source"
            )
        if not _HEADER_VALUE.fullmatch(value):
            raise TransferError(
                Reason.INVALID_REQUEST,
                f"the source's header {name} has a character that is not allowed in headers",
            )
    return auth


def _ca_file(certificate: str | None, folder: Path) -> str | None:
    """Return what TLS is verified with; None: what the environment says, or the system."""
    if certificate is None:
        return None
    try:
        ssl.create_default_context(cadata=certificate)
    except (ssl.SSLError, ValueError) as error:
        raise TransferError(
            Reason.INVALID_REQUEST, "the source's CA certificate is not valid PEM"
        ) from error
    path = folder / "source-ca.pem"
    path.write_text(certificate)
    return str(path)
