"""requests' transport to a cloud: allowed addresses only, and a bound around every read.

A server that does harm can send for ever, by a byte every few seconds, or more than fits into
memory, in the body as in the headers, in the lines of a chunked body or in answers of 1xx. So
time and bytes are counted where they leave the socket, below all that parses them: each read may
last as long as the whole call has left.
"""

import http.client
import io
import math
import socket
import time
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from keystoneauth1.session import TCPKeepAliveAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.util.connection import create_connection

from cloudimage.access import answers
from cloudimage.access.entry import shown
from cloudimage.access.errors import (
    AddressRefusedError,
    AnswerRefusedError,
    RedirectRefusedError,
)
from cloudimage.access.gated import GatedAdapter, resolve
from cloudimage.access.policy import CloudPolicy

CONNECT_SECONDS: Final = 20.0
CALL_SECONDS: Final = 60.0
"""A call ends after so long: connecting, sending, waiting and reading together."""

SEND_SECONDS: Final = 60.0
"""How long one piece of a body may wait to be taken, for instance by a store that is busy."""

UPLOAD_SECONDS: Final = 3600.0
UPLOAD_RATE: Final = 64 * 2**10
"""Bytes a second. A body of an image may take an hour, and its size by this rate."""

MAX_ANSWER: Final = 8 * 2**20
"""Bytes: some thousand servers or ten thousand projects."""

MAX_HEADERS: Final = 64 * 2**10

_PIECE: Final = 64 * 2**10
_MAX_ADDRESSES: Final = 8
_REDIRECTS: Final = frozenset({301, 302, 303, 305, 307, 308})
_PLAIN: Final = frozenset({"", "identity"})


@dataclass(frozen=True)
class Download:
    """An answer that is larger than any other: the bytes of an image.

    Attributes:
        size: Bytes of its body.
        read_seconds: That each read may take.
    """

    size: int
    read_seconds: float

    @property
    def seconds(self) -> float:
        """That all of it may take, with what is done with the bytes between the reads."""
        return UPLOAD_SECONDS + self.size / UPLOAD_RATE

    @property
    def most(self) -> int:
        """Bytes that may be received for it: a chunked body has some more."""
        return self.size + self.size // 8 + 2 * MAX_HEADERS


@dataclass
class Call:
    """What one request may still take; times are by the monotonic clock.

    Attributes:
        deadline: When it ends.
        answer_seconds: How long the answer may take after the last byte of a body that is
            streamed; None: ``deadline`` is for all of the call.
        read_seconds: How long each read of the answer may take.
        left: Bytes that may still be received.
    """

    deadline: float
    answer_seconds: float | None = None
    read_seconds: float = math.inf
    left: int = MAX_ANSWER + 2 * MAX_HEADERS

    def remaining(self) -> float:
        """Return the seconds that are left.

        Raises:
            TimeoutError: The time is up.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        return left

    def sent(self) -> None:
        """Give the answer its time: the last byte of the request has been sent."""
        if self.answer_seconds is not None:
            self.deadline = time.monotonic() + self.answer_seconds

    def count(self, received: int) -> None:
        """Count bytes.

        Raises:
            AnswerRefusedError: They are too many.
        """
        self.left -= received
        if self.left < 0:
            raise AnswerRefusedError("the answer is larger than the limit")


@dataclass
class Gate:
    """Opens the sockets of one session, which belongs to one thread.

    Attributes:
        max_answer: Bytes that the body of the next answer may have.
        download: Most bytes of the next answer that is streamed, or None for the usual bound.
        call: The request that is under way.
    """

    policy: CloudPolicy
    max_answer: int = MAX_ANSWER
    download: Download | None = None
    call: Call = field(default_factory=lambda: Call(time.monotonic() + CALL_SECONDS))

    def connect(self, connection: HTTPConnection, *, checked: bool) -> socket.socket:
        """Connect to the host of a connection, trying its addresses in order.

        The name is resolved once, and the resolved address is judged and connected to.

        Raises:
            AddressRefusedError: The policy refuses the host, or all of its addresses.
            OSError: No address could be connected to.
        """
        host, port = connection.host.strip("[]"), connection.port or connection.default_port
        found = resolve(host)
        allowed = self._allowed(host, found) if checked else found
        problem: OSError | None = None
        for address in allowed[:_MAX_ADDRESSES]:
            try:
                return create_connection(
                    (address, port),
                    min(CONNECT_SECONDS, self.call.remaining()),
                    source_address=connection.source_address,
                    socket_options=connection.socket_options,
                )
            except OSError as error:
                problem = error
        raise problem or OSError("no address")

    def check_behind_proxy(self, host: str) -> None:
        """Check a host that the proxy will resolve, as far as it resolves here.

        Raises:
            AddressRefusedError: The policy refuses the host, or one of its addresses.
        """
        self._check_host(host)
        try:
            found = resolve(host)
        except OSError:
            return
        if len(self._allowed(host, found)) < len(found):
            raise _refusal(host)

    def _allowed(self, host: str, found: list[str]) -> list[str]:
        self._check_host(host)
        allowed = [each for each in found if self.policy.allows_address(each)]
        if not allowed:
            raise _refusal(host)
        return allowed

    def _check_host(self, host: str) -> None:
        if not self.policy.allows_host(host):
            raise _refusal(host)


def _refusal(host: str) -> AddressRefusedError:
    # Without the address: whoever wrote the name need not learn where it leads from here.
    return AddressRefusedError(
        f"the operator's cloudPolicy does not allow connections to {shown(host)}"
    )


class Adapter(GatedAdapter, TCPKeepAliveAdapter):
    """Sends a request through a gate and reads its answer, whole unless it is to be streamed."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        super().__init__(gate)

    def pools(self, *, checked: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
        """Return pools of this gate's connections."""
        return _pools(self._gate, checked=checked)

    def send(  # noqa: PLR0913, PLR0917 - as inherited
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - as inherited
        timeout: Any = None,  # noqa: ANN401 - as inherited
        verify: Any = True,  # noqa: ANN401, FBT002 - as inherited
        cert: Any = None,  # noqa: ANN401 - as inherited
        proxies: Any = None,  # noqa: ANN401 - as inherited
    ) -> requests.Response:
        """Send a request.

        Args:
            request: What to send. A body that is no text is streamed, however long it is.
            stream: The body is left to be read, within the same bounds.
            timeout: Seconds that the call may take, the last number of a pair; for a streamed
                body, that the answer may take after it.
            verify: As requests has it.
            cert: As requests has it.
            proxies: As requests has it.

        Raises:
            AddressRefusedError: By the policy.
            AnswerRefusedError: The answer is over the bounds, compressed or a redirect elsewhere.
            requests.RequestException: No answer; the text has nothing that a server said.
        """
        seconds = _seconds(timeout)
        self._gate.call = _call(request, seconds, self._gate.download if stream else None)
        try:
            response = super().send(
                request,
                stream=True,
                timeout=(min(CONNECT_SECONDS, seconds), seconds),
                verify=verify,
                cert=cert,
                proxies=proxies,
            )
            try:
                _check(response, request.url or "")
                # What is refused is said in a few words, whatever was to be streamed.
                if not stream or not response.ok:
                    _read(response, self._gate.max_answer)
            except BaseException:
                response.close()
                raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise answers.plain(error, seconds, request) from error
        return response


def _seconds(timeout: Any) -> float:  # noqa: ANN401 - as requests takes it
    last: object = timeout[-1] if isinstance(timeout, tuple) else timeout
    return float(last) if isinstance(last, int | float) else CALL_SECONDS


def _call(request: requests.PreparedRequest, seconds: float, download: Download | None) -> Call:
    if download is not None:
        end = time.monotonic() + download.seconds
        return Call(end, read_seconds=download.read_seconds, left=download.most)
    body: object = request.body  # whatever requests was given, its types notwithstanding
    if body is None or isinstance(body, str | bytes):
        return Call(time.monotonic() + seconds)
    size = int(request.headers.get("Content-Length") or 0)
    return Call(time.monotonic() + UPLOAD_SECONDS + size / UPLOAD_RATE, answer_seconds=seconds)


def _check(response: requests.Response, url: str) -> None:
    """Refuse an answer by its headers, and make a redirect's target a whole URL."""
    if sum(len(name) + len(value) for name, value in response.headers.items()) > MAX_HEADERS:
        raise AnswerRefusedError(f"the answer has headers of more than {MAX_HEADERS // 2**10} KiB")
    if response.headers.get("Content-Encoding", "").strip().lower() not in _PLAIN:
        raise AnswerRefusedError("the answer is compressed, which was not asked for")
    location = response.headers.get("Location")
    if response.status_code in _REDIRECTS and location is not None:
        response.headers["Location"] = _same_server(url, location)


def _same_server(url: str, location: str) -> str:
    try:
        target = urljoin(url, location)
        if _origin(target) == _origin(url):
            return target
    except ValueError:
        pass
    raise RedirectRefusedError(
        "the answer redirects to another server, to which no credentials are sent; give that "
        "server's URL"
    )


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)


def _read(response: requests.Response, limit: int) -> None:
    """Read the body whole, and refuse what would take too much memory once it is parsed."""
    content = bytearray()
    raw = cast("urllib3.HTTPResponse", response.raw)
    # Not by urllib3's own reader of chunks, which takes lines of any length.
    while piece := raw.read(_PIECE, decode_content=False):
        content += piece
        if len(content) > limit:
            raise AnswerRefusedError(f"the answer is larger than {limit // 2**10} KiB")
    answers.check_depth(bytes(content))
    response._content = bytes(content)  # noqa: SLF001  # as requests does itself
    response._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001 - likewise


class _Reader(io.RawIOBase):
    """A socket's bytes, each read within what the call has left."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket, call: Call) -> None:
        self._raw = raw
        self._sock = sock
        self._call = call

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - as inherited
        self._sock.settimeout(min(self._call.read_seconds, self._call.remaining()))
        received = cast("int | None", self._raw.readinto(buffer))
        self._call.count(received or 0)
        return received

    def close(self) -> None:
        self._raw.close()
        super().close()


def _pools(gate: Gate, *, checked: bool) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    class Answer(http.client.HTTPResponse):
        def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - as inherited
            super().__init__(sock, *arguments, **options)
            self.fp = io.BufferedReader(_Reader(self.fp.detach(), sock, gate.call))

    class Timed(HTTPConnection):
        response_class = Answer

        def send(self, data: Any) -> None:  # noqa: ANN401 - as inherited
            if self.sock is not None:
                self.sock.settimeout(min(SEND_SECONDS, gate.call.remaining()))
            super().send(data)

        def getresponse(self) -> Any:  # noqa: ANN401 - as inherited
            gate.call.sent()
            return super().getresponse()

        def _new_conn(self) -> socket.socket:
            return gate.connect(self, checked=checked)

    class TimedSecure(Timed, HTTPSConnection):
        pass

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Timed

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = TimedSecure

    return {"http": PlainPool, "https": SecurePool}
