"""The one session through which every request to a cloud goes."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import urlsplit

import requests
from keystoneauth1.exceptions import DiscoveryFailure
from keystoneauth1.session import Session

from cloudimage.access.policy import OPEN, CloudPolicy
from cloudimage.access.transport import CALL_SECONDS, MAX_ANSWER, Adapter, Download, Gate

MAX_REDIRECTS: Final = 5
"""Within a server, as from one path to another; to another one none is followed."""

MAX_LOGIN_ANSWER: Final = 512 * 2**10
"""Bytes of a token with its catalogue, which is kept with the connection, and of versions."""

_PLACEHOLDER: Final = re.compile(r"%\((project|user)_id\)s")


class BoundedSession(Session):
    """keystoneauth's session, bounded in time, bytes and servers; it belongs to one thread.

    Nothing but HTTP and HTTPS is spoken, nothing compressed is asked for, no cookies are kept,
    and ``~/.netrc``, which is the operator's own, is never used.
    """

    def __init__(self, *args: Any, policy: CloudPolicy = OPEN, **kwargs: Any) -> None:  # noqa: ANN401  # keystoneauth's own
        super().__init__(*args, **{**kwargs, "redirect": MAX_REDIRECTS})
        self.timeout = CALL_SECONDS
        self._gate = Gate(policy)
        self.session.adapters.clear()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, Adapter(self._gate))
        self.session.auth = _no_auth
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))

    def request(self, url: str, method: str, *args: Any, **kwargs: Any) -> requests.Response:  # noqa: ANN401  # keystoneauth's own
        """Send a request, as keystoneauth's session does.

        Raises:
            AddressRefusedError: The policy refuses the server.
            AnswerRefusedError: The answer is over the bounds.
        """
        headers = requests.structures.CaseInsensitiveDict(kwargs.get("headers") or {})
        # Glance tells what is wrong as a page of HTML, unless it is asked for JSON.
        headers.setdefault("Accept", "*/*" if kwargs.get("stream") else "application/json")
        headers["Accept-Encoding"] = "identity"
        override = kwargs.pop("endpoint_override", None)
        if override and not urlsplit(url).netloc:
            # keystoneauth would format it with whatever width is asked for.
            base = self.replaced(str(override), kwargs.get("auth"))
            url = f"{base.rstrip('/')}/{url.lstrip('/')}"
        before = self._gate.max_answer
        # A login may come within another request, and its bound is for its own answer alone.
        self._gate.max_answer = MAX_ANSWER if kwargs.get("endpoint_filter") else MAX_LOGIN_ANSWER
        try:
            return super().request(url, method, *args, **{**kwargs, "headers": headers})
        finally:
            self._gate.max_answer = before

    @contextmanager
    def downloading(self, download: Download) -> Iterator[None]:
        """Let the answer to a request of the block, if it is streamed, be as large as that."""
        self._gate.download = download
        try:
            yield
        finally:
            self._gate.download = None

    def get_auth_headers(self, auth: Any = None, **kwargs: Any) -> Any:  # noqa: ANN401  # keystoneauth's own
        """Return the headers with the token, which is fetched first if needed.

        Raises:
            keystoneauth1.exceptions.DiscoveryFailure: The question for Keystone's own versions was
                refused without a token. keystoneauth would get one for it, in the midst of
                getting one, and wait for ever for the lock that it has itself.
        """
        lock = getattr(auth or self.auth, "_lock", None)
        if lock is not None and lock.locked():
            raise DiscoveryFailure("a token is needed to learn how to get one")
        return super().get_auth_headers(auth, **kwargs)

    def replaced(self, url: str, auth: Any = None) -> str:  # noqa: ANN401  # keystoneauth's own
        """Return an endpoint with the ids of the project and the user where it names them.

        Raises:
            keystoneauth1.exceptions.ClientException: The login that tells them failed.
        """
        found = {"project": self.get_project_id, "user": self.get_user_id}
        return _PLACEHOLDER.sub(lambda match: found[match[1]](auth) or "", url)


def _no_auth(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
