"""Connections to allowed addresses only, beneath requests.

A name is resolved once, and it is the resolved address that is judged and connected to: a name
that has another address a moment later gains nothing. TLS and the Host header keep the name.

Behind a proxy (``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY`` are honoured) it is the proxy that
resolves and connects, and it may come to other addresses than we do. A name is still resolved here
and refused if any of its addresses is; a name that cannot be resolved here is left to the proxy,
whose own rules are then the ones that count.
"""

import math
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from cloudimage.access.gated import GatedAdapter, resolve
from cloudimage.transfer.contract import UrlPolicy
from cloudimage.transfer.source.http import framing
from cloudimage.transfer.source.http.places import Places, UrlPlaces

_MAX_ADDRESSES: Final = 8
"""How many addresses of a name are tried: each may cost the time of a connection."""


class Gate:
    """Opens sockets as a policy allows, and can cut the one that is in use.

    Attributes:
        late: Whether a connection was cut since it took too long.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._last: socket.socket | None = None
        self._deadline = math.inf
        self._alarm = _Alarm(self.cut)
        self.late = False

    def connect(self, connection: HTTPConnection, *, checked: bool) -> socket.socket:
        """Connect to the host of a connection, trying its addresses in order.

        Raises:
            TransferError: ``SourceRefused``, or ``CloudRefused`` for a cloud's.
            OSError: No address could be connected to.
        """
        host, port = connection.host.strip("[]"), connection.port or connection.default_port
        found = resolve(host)
        candidates = self._places.allowed(host, found) if checked else found
        if not candidates:
            raise self._places.refusal(host, found[0])
        problem: OSError | None = None
        for address in candidates[:_MAX_ADDRESSES]:
            if self.late:
                break
            try:
                opened = create_connection(
                    (address, port),
                    connection.timeout,
                    source_address=connection.source_address,
                    socket_options=connection.socket_options,
                )
            except OSError as error:
                problem = error
            else:
                self.use(opened)
                return opened
        raise problem or OSError("no address")

    def check_behind_proxy(self, host: str) -> None:
        """Check a host that the proxy will resolve, if it also resolves here.

        Raises:
            TransferError: ``SourceRefused``.
        """
        with suppress(OSError):
            _check_host(host, self._places)

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Cut the connection if the block takes longer; one inside of another has no more than it.

        A socket's own timeout begins again with each byte, which a hostile server knows.
        """
        outer = self._deadline
        if outer == math.inf:
            self.late = False
        self._deadline = min(outer, time.monotonic() + seconds)
        self._alarm.set(self._deadline)
        try:
            yield
        finally:
            self._deadline = outer
            self._alarm.set(outer)

    def use(self, connected: socket.socket) -> None:
        """Have a connection, perhaps one kept from an earlier request, be the one to cut."""
        self._forget()
        # By number: TLS takes the descriptor out of the object it wraps, and has no dup().
        self._last = socket.socket(fileno=os.dup(connected.fileno()))

    def close(self) -> None:
        """Forget the connection, and watch it no longer."""
        self._alarm.close()
        self._forget()

    def _forget(self) -> None:
        if self._last is not None:
            self._last.close()
            self._last = None

    def cut(self) -> None:
        """Cut the connection that is in use, and make no other; from any thread."""
        self.late = True
        if self._last is not None:
            with suppress(OSError):
                self._last.shutdown(socket.SHUT_RDWR)


class _Alarm:
    """Calls a function when a moment has come; one thread is enough for a moment at each read."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._moment = math.inf
        self._wakes = math.inf
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def set(self, moment: float) -> None:
        """Ring at a moment of ``time.monotonic()`` and not at the one before; infinity: never."""
        with self._changed:
            self._moment = moment
            if self._thread is None and moment < math.inf:
                self._thread = threading.Thread(target=self._watch, name="deadline", daemon=True)
                self._thread.start()
            elif moment < self._wakes:
                self._changed.notify()

    def close(self) -> None:
        """End."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                if time.monotonic() >= self._moment:
                    self._moment = math.inf
                    self._ring()
                self._wakes = self._moment
                never = self._moment == math.inf
                self._changed.wait(None if never else max(0.0, self._moment - time.monotonic()))


class Adapter(GatedAdapter):
    """requests' transport over a gate."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        super().__init__(gate)

    def pools(self, *, checked: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
        """Return pools of this gate's connections."""
        return _pools(self._gate, checked=checked)


def check_host(host: str, policy: UrlPolicy) -> None:
    """Check a name that someone else will resolve and connect to.

    Raises:
        TransferError: ``SourceRefused`` if the policy refuses any of its addresses.
        OSError: It cannot be resolved here.
    """
    _check_host(host, UrlPlaces(policy))


def _check_host(host: str, places: Places) -> None:
    found = resolve(host)
    allowed = places.allowed(host, found)
    for each in found:
        if each not in allowed:
            raise places.refusal(host, each)


def _pools(gate: Gate, *, checked: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        response_class = framing.Response

        def _new_conn(self) -> socket.socket:
            return gate.connect(self, checked=checked)

        def putrequest(self, *words: Any, **options: Any) -> None:  # noqa: ANN401 - as inherited
            if self.sock is not None:
                gate.use(self.sock)
            super().putrequest(*words, **options)

    class Secure(HTTPSConnection):
        response_class = framing.Response

        def _new_conn(self) -> socket.socket:
            return gate.connect(self, checked=checked)

        def connect(self) -> None:
            # Else OpenSSL 3 takes a connection that was cut for one that has ended, where Python
            # was built so (Debian's), and the ssl module does in any case.
            if self.ssl_context is None:
                wanted = resolve_cert_reqs(self.cert_reqs)
                self.ssl_context = create_urllib3_context(cert_reqs=wanted)
            self.ssl_context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
            super().connect()
            setattr(self.sock, "suppress_ragged_eofs", False)  # noqa: B010 - unknown to its type

        def putrequest(self, *words: Any, **options: Any) -> None:  # noqa: ANN401 - as inherited
            if self.sock is not None:
                gate.use(self.sock)
            super().putrequest(*words, **options)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
