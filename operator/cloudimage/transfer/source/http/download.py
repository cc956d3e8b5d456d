"""The bytes of one URL, in order, resumed where connections break."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import requests
import urllib3

from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.source.hashes import CHUNK
from cloudimage.transfer.source.http import framing, rules
from cloudimage.transfer.source.http.client import CONNECTION_ERRORS, Client, UnansweredError

MAX_RESUMES: Final = 5
"""How often a broken connection is taken up again without much progress in between."""

RESUME_PROGRESS: Final = 64 * 2**20
"""Bytes after which a resumed connection has proved useful and the count starts again."""

MAX_PATIENCE: Final = 5.0
"""Seconds that a busy server is waited for; one that asks for more is left for another attempt."""


_GRACE: Final = 10
"""Times ``stall_seconds`` that a download may take, however slow it is."""


@dataclass(frozen=True)
class Piece:
    """A piece of the file.

    Attributes:
        offset: Where in the file it belongs, in bytes.
        content: Its bytes; never empty.
    """

    offset: int
    content: bytes


class Beginning:
    """The file's first byte comes next. What came before, if anything, is discarded."""


class _BusyError(UnansweredError):
    """The server says that it can answer later."""


class Download:
    """Reads one URL.

    Attributes:
        url: Where from.
        total: Bytes of the whole file, if the server says; known from the beginning on.
        validator: What If-Range may hold; None: what breaks cannot be resumed.
        proven: The server proved that it gave the whole file, by a length or a clean end.
    """

    def __init__(self, client: Client, url: str, *, verified: bool, signed: bool = False) -> None:
        """Prepare.

        Args:
            client: To ask the server.
            url: Where from.
            verified: Whether a checksum proves the bytes afterwards.
            signed: Whether a signature does.
        """
        self.url = url
        self.proven = True
        self.total: int | None = None
        self.validator: str | None = None
        self._client = client
        self._limits = client.limits
        self._verified = verified
        self._needs_end = not (verified or signed)
        self._position = 0

    def pieces(
        self, position: int = 0, total: int | None = None, validator: str | None = None
    ) -> Iterator[Beginning | Piece]:
        """Yield the pieces of the file, and its beginning each time that it begins again.

        Args:
            position: Where to begin, for who has the bytes before that.
            total: Size of the file that these bytes are of.
            validator: Of that file.

        Raises:
            TransferError: ``InvalidRequest``, ``SourceUnreachable``, ``SourceNotFound``,
                ``SourceRefused``, ``SourceNotAnImage``, ``SourceTruncated`` or ``ImageTooLarge``.
        """
        self._position, self.total, self.validator = position, total, validator
        resumes, pace = 0, _Pace(self._limits)
        while True:
            before = self._position
            try:
                yield from self._connection(pace)
            except UnansweredError as broken:
                resumes = 0 if self._position - before >= RESUME_PROGRESS else resumes
                asked = broken.error.retry_after or 0.0
                worth = self.validator or isinstance(broken, _BusyError)
                if not worth or resumes == MAX_RESUMES or asked > MAX_PATIENCE:
                    raise broken.error from broken
                time.sleep(max(asked, min(0.2 * 2**resumes, self._limits.stall_seconds)))
                resumes += 1
            else:
                return

    def _connection(self, pace: "_Pace") -> Iterator[Beginning | Piece]:
        """Yield what one connection gives."""
        headers = {}
        if self._position and self.validator:
            headers = {"Range": f"bytes={self._position}-", "If-Range": self.validator}
        with pace.waiting():
            answer = self._client.get(self.url, headers, verified=self._verified)
        with closing(answer) as response:
            if self._accept(response):
                yield Beginning()
            pace.begin()
            while chunk := self._read(response, pace):
                if self._position == 0 and rules.looks_like_page(chunk[:1024]):
                    raise self._page()
                self._check_length(self._position + len(chunk))
                yield Piece(self._position, chunk)
                self._position += len(chunk)
        if self.total is not None and self._position != self.total:
            raise UnansweredError(self._truncated("ends"))
        if self._position == 0 and self.total is None:
            # The same is seen when the connection ended among the headers.
            raise UnansweredError(self._truncated("ends"))
        if self._position == 0:
            raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, f"{rules.redacted(self.url)} is empty")
        self.proven = self.proven and (self.total is not None or framing.is_proven(response))
        if self._needs_end and not self.proven:
            raise self.unproven()

    def _accept(self, response: requests.Response) -> bool:
        """Decide by status and headers whether the body is the whole file again, not the rest."""
        status, headers = response.status_code, response.headers
        if self._position and status == HTTPStatus.PARTIAL_CONTENT:
            if rules.resumes_at(headers) != (self._position, self.total or -1):
                raise self._truncated("resumes at the wrong offset")
            if not rules.is_same(headers, self.validator or ""):
                # The server ignores If-Range: the rest of another file, so begin again.
                self._position = 0
                raise UnansweredError(self._changed())
            return False
        if self._position and status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise self._truncated("has no further data")
        if status in rules.BUSY:
            raise _BusyError(rules.status_error(status, response.url, headers))
        if status != HTTPStatus.OK:
            raise rules.status_error(status, response.url, headers)
        if rules.is_page(headers):
            raise self._page()
        self.total = rules.content_length(headers)
        self.validator = rules.validator(headers) if self.total is not None else None
        self._position = 0
        self._check_length(self.total or 0)
        return True

    def _read(self, response: requests.Response, pace: "_Pace") -> bytes:
        try:
            with pace.waiting():
                chunk = self._client.read(response, CHUNK)
            pace.came(len(chunk))
        except urllib3.exceptions.ProtocolError as error:
            raise UnansweredError(self._truncated("was interrupted")) from error
        except CONNECTION_ERRORS as error:
            if framing.is_cut(error):
                return self._cut(error)
            raise UnansweredError(
                rules.connection_error(error, response.url, self._limits.stall_seconds)
            ) from error
        if pace.too_slow:
            raise UnansweredError(self._slow(self._limits.min_rate, ""))
        if pace.too_slow_on_average:
            # Another connection would not mend that; another attempt goes on from here.
            raise self._slow(self._limits.min_average_rate, " on average")
        return chunk

    def _cut(self, error: BaseException) -> bytes:
        """Return the end of a body that TLS says was cut, if something else proves the file."""
        if self.total is not None or self._needs_end:
            raise UnansweredError(self._truncated("was interrupted")) from error
        self.proven = False
        return b""

    def unproven(self) -> TransferError:
        """Return the failure for a file that may be a part of one."""
        return TransferError(
            Reason.SOURCE_TRUNCATED,
            f"{rules.redacted(self.url)} sent {self._position} bytes, but nothing proves that "
            "they are complete. Give a checksum, or make the server send a Content-Length",
        )

    def _slow(self, rate: int, how: str) -> TransferError:
        return TransferError(
            Reason.SOURCE_UNREACHABLE,
            f"{rules.redacted(self.url)} sends less than {rate} bytes per second{how}",
        )

    def _check_length(self, size: int) -> None:
        if size > self._limits.max_download:
            raise TransferError(
                Reason.IMAGE_TOO_LARGE,
                f"the source has more than the download limit of {self._limits.max_download} bytes",
            )

    def _page(self) -> TransferError:
        return TransferError(
            Reason.SOURCE_NOT_AN_IMAGE,
            f"{rules.redacted(self.url)} is a web page, not an image",
        )

    def _changed(self) -> TransferError:
        return TransferError(
            Reason.SOURCE_UNREACHABLE,
            f"{rules.redacted(self.url)} changed while it was being fetched",
        )

    def _truncated(self, how: str) -> TransferError:
        total = "" if self.total is None else f" of {self.total}"
        return TransferError(
            Reason.SOURCE_TRUNCATED,
            f"{rules.redacted(self.url)} {how} after {self._position}{total} bytes",
        )


class _Pace:
    """Notices a server that gives just enough not to stall.

    Only the time of waiting for it counts, not what is done with the bytes meanwhile.

    Attributes:
        too_slow: The connection gave less than the limit in the last while.
        too_slow_on_average: So did all connections together, since the first.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recent, self._whole = _Rate(), _Rate()
        self.too_slow = False
        self.too_slow_on_average = False

    def begin(self) -> None:
        """Begin to judge a connection."""
        self._recent = _Rate()
        self.too_slow = False

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time of the block."""
        begun = time.monotonic()
        try:
            yield
        finally:
            waited = time.monotonic() - begun
            self._recent.seconds += waited
            self._whole.seconds += waited

    def came(self, size: int) -> None:
        """Count bytes; judge unless there are 0, which is the end."""
        self._recent.size += size
        self._whole.size += size
        stall = self._limits.stall_seconds
        if size and self._recent.seconds >= stall:
            self.too_slow = self._recent.is_below(self._limits.min_rate)
            self._recent = _Rate()
        if size and self._whole.seconds >= _GRACE * stall:
            self.too_slow_on_average = self._whole.is_below(self._limits.min_average_rate)


@dataclass
class _Rate:
    """Bytes that came in seconds of waiting."""

    size: int = 0
    seconds: float = 0.0

    def is_below(self, limit: int) -> bool:
        return self.size < limit * self.seconds
