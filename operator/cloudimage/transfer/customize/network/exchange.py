"""One connection of a guest to the proxy: one request, and its answer or a tunnel.

Each request is parsed as strictly as h11 does, and made again from its parts, with the host of its
target; so no two readers of it see different requests. It is the only one of its connection.
"""

import re
import selectors
import socket
import time
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

import h11
import requests
import urllib3

from cloudimage.plaintext import plain
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.customize.network.servers import IDLE_SECONDS, Servers
from cloudimage.transfer.customize.network.traffic import Tally, TooMuchError
from cloudimage.transfer.source.http import rules

HEAD_SECONDS: Final = 30.0
"""For a request, all of it: the guest is on this machine."""
MOST_HEAD: Final = 32 * 2**10
MOST_BODY: Final = 2**20
"""Bytes of a request's body: package managers send none, and what is large goes by https."""

_PIECE: Final = 64 * 2**10
_AUTHORITY: Final = re.compile(
    r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):([0-9]{1,5})"
)
_OF_A_CONNECTION: Final = frozenset(
    {
        "connection",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that are not for the other side (RFC 9110, 7.6.1)."""
_TUNNELLED: Final = b"HTTP/1.1 200 Connection established\r\n\r\n"
_NO_ANSWER: Final = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


class _RefusedError(Exception):
    """The guest gets a status and a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why


class Exchange:
    """A request that is being answered."""

    def __init__(self, client: socket.socket, servers: Servers, tally: Tally) -> None:
        """Prepare.

        Args:
            client: The guest's connection.
            servers: Whom it may ask.
            tally: Counts it.
        """
        self._client = client
        self._servers = servers
        self._tally = tally
        self._parser = h11.Connection(h11.SERVER, max_incomplete_event_size=MOST_HEAD)

    def run(self) -> None:
        """Answer, and return when that is done, or cannot be."""
        with suppress(OSError, TooMuchError, h11.LocalProtocolError, *_NO_ANSWER):
            try:
                request, body = self._request()
                self._tally.ask()
                if request.method == b"CONNECT":
                    self._tunnel(request)
                else:
                    self._answer(request, body)
            except _RefusedError as error:
                self._refuse(error.status, error.why)
            except h11.RemoteProtocolError as error:
                self._refuse(error.error_status_hint, str(error))

    def _request(self) -> tuple[h11.Request, bytes]:
        deadline = time.monotonic() + HEAD_SECONDS
        request: h11.Request | None = None
        body = b""
        while True:
            event = self._parser.next_event()
            if event is h11.NEED_DATA:
                if self._parser.they_are_waiting_for_100_continue:
                    self._send(h11.InformationalResponse(status_code=100, headers=[]))
                self._parser.receive_data(self._received(deadline))
            elif isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > MOST_BODY:
                    raise _RefusedError(413, f"a request's body may have {MOST_BODY} bytes")
            elif isinstance(event, h11.EndOfMessage) and request is not None:
                self._client.settimeout(IDLE_SECONDS)
                return request, body
            else:  # the guest has closed the connection
                raise ConnectionResetError

    def _received(self, deadline: float) -> bytes:
        self._client.settimeout(max(deadline - time.monotonic(), 0.001))
        try:
            return self._client.recv(_PIECE)
        except TimeoutError as error:
            why = f"no whole request came within {HEAD_SECONDS:.0f} s"
            raise _RefusedError(408, why) from error

    def _tunnel(self, request: h11.Request) -> None:
        target = request.target.decode("latin-1")
        found = _AUTHORITY.fullmatch(target)
        if not found:
            raise _RefusedError(400, "the target of CONNECT must be a host and a port")
        host, port = found[1] or found[2], int(found[3])
        try:
            server = self._servers.tunnel(host, port)
        except TransferError as error:
            raise self._against(error) from error
        except _NO_ANSWER as error:
            raise self._missed(error, f"https://{target}/") from error
        with server:
            self._client.sendall(_TUNNELLED)
            early, _ = self._parser.trailing_data
            self._tally.move(len(early))
            server.sendall(early)
            self._relay(server)

    def _relay(self, server: socket.socket) -> None:
        """Pass on what either side says, until both have said all or neither says anything."""
        others = {self._client: server, server: self._client}
        with selectors.DefaultSelector() as selector:
            for each in others:
                selector.register(each, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(IDLE_SECONDS)
                if not ready:
                    return
                for key, _ in ready:
                    side = next(each for each in others if each is key.fileobj)
                    piece = side.recv(_PIECE)
                    if piece:
                        self._tally.move(len(piece))
                        others[side].sendall(piece)
                    else:
                        selector.unregister(side)
                        others[side].shutdown(socket.SHUT_WR)

    def _answer(self, request: h11.Request, body: bytes) -> None:
        url = request.target.decode("latin-1")
        if not url.startswith("http://"):
            raise _RefusedError(
                400, "this is a proxy: ask it for http:// URLs, and by CONNECT for https"
            )
        headers = _joined(request.headers)
        try:
            response = self._servers.ask(request.method.decode(), url, headers, body)
        except TransferError as error:
            raise self._against(error) from error
        except UnicodeError as error:
            raise _RefusedError(400, "the URL is not valid") from error
        except _NO_ANSWER as error:
            raise self._missed(error, url) from error
        with response:
            self._pass_on(response)

    def _pass_on(self, response: requests.Response) -> None:
        told = [(name.lower(), value) for name, value in response.raw.headers.items()]
        dropped = {*_OF_A_CONNECTION, *_named(told)}
        if any(name == "transfer-encoding" for name, _ in told):
            dropped.add("content-length")  # RFC 9112, 6.3
        headers = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in told
            if name not in dropped
        ]
        try:
            head = h11.Response(
                status_code=response.status_code, headers=[*headers, (b"connection", b"close")]
            )
        except h11.LocalProtocolError as error:
            raise _RefusedError(502, "the server's answer is not valid HTTP") from error
        self._send(head)
        while piece := response.raw.read1(_PIECE, decode_content=False):
            self._tally.move(len(piece))
            self._send(h11.Data(data=piece))
        self._send(h11.EndOfMessage())

    def _against(self, error: TransferError) -> _RefusedError:
        """Return the answer to a guest for a failure that the policy, or its own words, made."""
        if error.reason is not Reason.SOURCE_REFUSED:
            return _RefusedError(400, "the URL is not valid")
        self._tally.refuse(error.message)
        return _RefusedError(403, f"refused by the URL policy: {error.message}")

    def _missed(self, error: BaseException, url: str) -> _RefusedError:
        for cause in rules.causes(error):
            if isinstance(cause, TransferError):
                return self._against(cause)
        why = rules.connection_error(error, url, IDLE_SECONDS).message
        self._tally.miss(why)
        return _RefusedError(502, why)

    def _refuse(self, status: int, why: str) -> None:
        if self._parser.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            return  # an answer was begun, and ends here
        body = f"{plain(why, 1000)}\n".encode()
        headers = [
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        reason = HTTPStatus(status).phrase.encode()
        self._client.settimeout(IDLE_SECONDS)
        self._send(h11.Response(status_code=status, headers=headers, reason=reason))
        # A HEAD has none.
        with suppress(h11.LocalProtocolError):
            self._send(h11.Data(data=body))
            self._send(h11.EndOfMessage())

    def _send(self, event: h11.Event) -> None:
        self._client.sendall(self._parser.send(event) or b"")


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return a request's headers that are for the server, each name once."""
    texts = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    # The body was read, and has its length by that.
    dropped = {*_OF_A_CONNECTION, "content-length", *_named(texts)}
    made: dict[str, str] = {}
    for name, value in texts:
        if name not in dropped:
            glue = "; " if name == "cookie" else ", "
            made[name] = f"{made[name]}{glue}{value}" if name in made else value
    return made


def _named(headers: Iterable[tuple[str, str]]) -> set[str]:
    """Return the headers that are for one connection by the words of Connection."""
    words = ",".join(value for name, value in headers if name == "connection")
    return {each.strip().lower() for each in words.split(",")}
