"""Servers that steps ask for, reached as a source's are: by the URL policy, each by its address."""

import socket
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast
from urllib.parse import urlsplit

import requests
from requests.utils import get_auth_from_url, get_environ_proxies, select_proxy
from urllib3.util import make_headers

from cloudimage.transfer.contract import Reason, TransferError, UrlPolicy
from cloudimage.transfer.source.http import rules
from cloudimage.transfer.source.http.connections import Adapter, Gate
from cloudimage.transfer.source.http.places import UrlPlaces

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

CONNECT_SECONDS: Final = 20.0
"""For a connection, of all addresses of a name together: clients give up after some 30 s."""
IDLE_SECONDS: Final = 120.0
"""Without a byte: apt's and dnf's own patience is 30 s to 2 minutes."""

_TLS_PORT: Final = 443
"""Of CONNECT: behind it there may be any protocol, so it is not for other services' ports."""


class Servers:
    """The servers of one connection of a guest; to be closed after use."""

    def __init__(self, policy: UrlPolicy) -> None:
        """Prepare.

        Args:
            policy: Which of them may be asked.
        """
        places = UrlPlaces(policy)
        self._schemes = places.schemes
        self._gate = Gate(places)
        self._adapter = Adapter(self._gate)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._adapter.close()
        self._gate.close()

    def cut(self) -> None:
        """End the connection to the server, if there is one, and make no other."""
        self._gate.cut()

    def ask(self, method: str, url: str, headers: dict[str, str], body: bytes) -> requests.Response:
        """Ask for a URL; redirects are for the guest to follow, and the body is left to be read.

        Raises:
            TransferError: ``SourceRefused``: the policy speaks against it; ``InvalidRequest``.
            requests.RequestException, urllib3.exceptions.HTTPError, OSError: There is no answer.
        """
        url = rules.without_userinfo(rules.checked_url(url, self._schemes))
        # Not by a session: that adds headers, and what is in the operator's own ~/.netrc.
        request = requests.Request(method, url, headers=headers, data=body or None).prepare()
        with self._gate.within(CONNECT_SECONDS + IDLE_SECONDS):
            response = self._adapter.send(
                request,
                stream=True,
                timeout=(CONNECT_SECONDS, IDLE_SECONDS),
                proxies=get_environ_proxies(url),
            )
        if self._gate.late:  # headers that were cut short look whole to the library
            raise TimeoutError
        return response

    def tunnel(self, host: str, port: int) -> socket.socket:
        """Connect to a server of TLS, or to it by the proxy of the environment.

        Raises:
            TransferError: ``SourceRefused``: the policy, or the port, speaks against it.
            urllib3.exceptions.HTTPError, OSError: It cannot be reached.
        """
        named = f"[{host}]" if ":" in host else host
        url = rules.checked_url(f"https://{named}:{port}/", self._schemes)
        if port != _TLS_PORT:
            raise TransferError(
                Reason.SOURCE_REFUSED,
                f"{named}:{port} is not at port {_TLS_PORT}, the only one for https in steps",
            )
        proxy = select_proxy(url, get_environ_proxies(url))
        if proxy is not None and urlsplit(proxy).scheme != "http":
            raise OSError("a proxy that is asked by TLS cannot be used here")
        with self._gate.within(CONNECT_SECONDS):
            if proxy is None:
                return self._connected(host, port)
            self._gate.check_behind_proxy(host)
            return self._connected(host, port, proxy)

    def _connected(self, host: str, port: int, proxy: str | None = None) -> socket.socket:
        pool = self._adapter.pools(checked=proxy is None)["http"]
        make = cast("type[HTTPConnection]", pool.ConnectionCls)
        if proxy is None:
            connection = make(host, port, timeout=CONNECT_SECONDS)
        else:
            parts, user = urlsplit(proxy), ":".join(get_auth_from_url(proxy))
            connection = make(parts.hostname or "", parts.port or 80, timeout=CONNECT_SECONDS)
            headers = make_headers(proxy_basic_auth=user) if user.strip(":") else {}
            connection.set_tunnel(host, port, headers)
        connection.connect()
        opened: socket.socket = connection.sock
        connection.sock = None  # else it closes what is ours now
        opened.settimeout(IDLE_SECONDS)
        return opened
