"""The bytes of one URL, in order, resumed where connections break.

A resume asks where the bytes came from: a redirector sends the next request to another mirror,
whose validator is another. Only if that server refuses is the URL asked again. Where a checksum
proves the whole file, the rest may then come from any server that has a file of the same size.
"""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Final

import requests
import urllib3

from cloudimage.http_dates import moment
from cloudimage.sizes import exact_text, size_text
from cloudimage.transfer.contract import Limits, Reason, TransferError
from cloudimage.transfer.source.hashes import CHUNK
from cloudimage.transfer.source.http import framing, rules
from cloudimage.transfer.source.http.client import CONNECTION_ERRORS, Client, UnansweredError
from cloudimage.transfer.source.pace import Pace


@dataclass(frozen=True)
class Patience:
    """How long to try again while nothing comes.

    Attributes:
        resumes: How often a connection is taken up again without a new byte in between.
        seconds: That a busy server is waited for. If it asks for more, another attempt has to do.
    """

    resumes: int
    seconds: float


BRIEF: Final = Patience(5, 5.0)
"""Where nothing is lost: no byte has come, or what has come is there for the next attempt."""

LONG: Final = Patience(14, 120.0)
"""Where all that has come would be lost; some 8 minutes."""

MAX_BEGINNINGS: Final = 5
"""How often a file is begun: each time again, what had come of it is given up."""

_LOYALTY: Final = 2
"""How often the server of the bytes may fail to give more before the URL is asked again."""

_HEAD: Final = 512
"""Bytes by which a web page is known."""


@dataclass(frozen=True)
class Part:
    """What is there of a file.

    Attributes:
        size: Bytes, from its beginning on.
        total: Bytes of the whole file.
        place: Where they came from, all redirects followed; None: not known.
        validator: What If-Range may hold to ask that server for the rest; None: nothing may.
        modified: When the server says the file was last changed (Last-Modified), if it does.
    """

    size: int = 0
    total: int | None = None
    place: str | None = None
    validator: str | None = None
    modified: datetime | None = None


@dataclass(frozen=True)
class Piece:
    """A piece of the file.

    Attributes:
        offset: Where in the file it belongs, in bytes.
        content: Its bytes; never empty.
    """

    offset: int
    content: bytes


def check_length(size: int, limits: Limits) -> None:
    """Compare the bytes of a source file with what is allowed.

    Raises:
        TransferError: ``ImageTooLarge``.
    """
    if size > limits.max_download:
        raise TransferError(
            Reason.IMAGE_TOO_LARGE,
            f"the source has more than the download limit of {size_text(limits.max_download)}",
        )


class Beginning:
    """The file's first byte comes next. What came before, if anything, is discarded."""


class _BusyError(UnansweredError):
    """The server says that it can answer later."""


class _NoRestError(UnansweredError):
    """That server does not give the rest; another may, or the whole file may come again."""


class Download:
    """Reads one URL.

    Attributes:
        url: Where from.
        part: What has come of the file; its total is known from the beginning on, if at all.
        joined: The part may be of several versions of the file: only its checksum can tell.
        proven: The server proved that it gave the whole file, by a length or a clean end.
        encoding: The Content-Encoding of the answer, which nobody asked for; "" without one.
    """

    def __init__(
        self,
        client: Client,
        url: str,
        *,
        verified: bool,
        signed: bool = False,
        patience: Patience = BRIEF,
    ) -> None:
        """Prepare.

        Args:
            client: To ask the server.
            url: Where from.
            verified: Whether a checksum proves the bytes afterwards.
            signed: Whether a signature does.
            patience: With a server that is interrupted.
        """
        self.url = url
        self.part = Part()
        self.joined = False
        self.proven = True
        self.encoding = ""
        self._at: str | None = None  # None: the URL itself
        self._client = client
        self._limits = client.limits
        self._verified = verified
        self._needs_end = not (verified or signed)
        self._patience = patience

    @property
    def can_go_on(self) -> bool:
        """Whether what has come is of use to another connection, or another attempt."""
        part = self.part
        return part.total is not None and (self._verified or part.validator is not None)

    def pieces(self, part: Part | None = None) -> Iterator[Beginning | Piece]:
        """Yield the pieces of the file, and its beginning each time that it begins again.

        Args:
            part: What is there already.

        Raises:
            TransferError: ``InvalidRequest``, ``SourceUnreachable``, ``SourceNotFound``,
                ``SourceRefused``, ``SourceNotAnImage``, ``SourceTruncated`` or ``ImageTooLarge``.
        """
        self.part = part or Part()
        self._at = self.part.place
        self.joined = self.part.size > 0
        farthest, fruitless, beginnings = self.part.size, 0, 0
        pace = Pace(self._limits)
        while True:
            try:
                for piece in self._connection(pace):
                    if isinstance(piece, Beginning):
                        beginnings, farthest = beginnings + 1, 0
                    yield piece
            except UnansweredError as broken:
                if self.part.size > farthest:
                    farthest, fruitless = self.part.size, 0
                again = beginnings + (self.part.size == 0) > MAX_BEGINNINGS
                if again or not self._is_worth_it(broken, fruitless):
                    raise broken.error from broken
                if isinstance(broken, _NoRestError) or fruitless >= _LOYALTY:
                    self._at = None
                asked = broken.error.retry_after or 0.0
                with pace.waiting():
                    time.sleep(max(asked, min(0.2 * 2**fruitless, self._limits.stall_seconds)))
                fruitless += 1
            else:
                return

    def _is_worth_it(self, broken: UnansweredError, fruitless: int) -> bool:
        patience = self._patience if self.part.size else BRIEF
        asked = broken.error.retry_after or 0.0
        can = self.can_go_on or isinstance(broken, _BusyError | _NoRestError)
        return can and fruitless < patience.resumes and asked <= patience.seconds

    def _is_first(self, place: str | None) -> bool:
        return place in {None, rules.without_userinfo(self.url)}

    def _connection(self, pace: Pace) -> Iterator[Beginning | Piece]:
        """Yield what one connection gives."""
        wanted = self._range()
        try:
            with pace.waiting():
                answer = self._client.get(self.url, wanted, verified=self._verified, at=self._at)
        except TransferError as error:
            raise self._or_elsewhere(error, self._at) from error
        with closing(answer) as response:
            whole = self._accept(response, wanted)
            pace.begin()
            if whole:
                yield from self._begin(response, whole, pace)
            while chunk := self._read(response, pace):
                yield self._next(chunk)
        size, total = self.part.size, self.part.total
        # Nothing of no known length: the same is seen when it ended among the headers.
        if (size == 0 and total is None) or (total is not None and size != total):
            raise UnansweredError(self._truncated("ends"))
        if size == 0:
            raise self._empty()
        self.proven = self.proven and (total is not None or framing.is_proven(response))
        if self._needs_end and not self.proven:
            raise self.unproven()

    def _range(self) -> dict[str, str]:
        """Return the headers that ask for what is missing."""
        part = self.part
        if part.size == 0 or not self.can_go_on:
            return {}
        wanted = {"Range": f"bytes={part.size}-"}
        # Elsewhere the same file may have another tag; the checksum will tell.
        if part.validator and not (self._verified and self._at is None):
            wanted["If-Range"] = part.validator
        return wanted

    def _accept(self, response: requests.Response, wanted: dict[str, str]) -> Part | None:
        """Return the whole file that an answer begins again; None: the answer has the rest."""
        status, headers, part = response.status_code, response.headers, self.part
        if wanted and status == HTTPStatus.PARTIAL_CONTENT:
            self._accept_rest(response, conditional="If-Range" in wanted)
            return None
        if wanted and status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise self._of_another(self._truncated("has no further data"))
        if status in rules.BUSY:
            raise _BusyError(self._client.status_error(response))
        if status != HTTPStatus.OK:
            raise self._or_elsewhere(self._client.status_error(response), response.url)
        total = rules.content_length(headers)
        check_length(total or 0, self._limits)
        if self._verified and "If-Range" in wanted and total == part.total:
            # Of the servers behind one name each may have its own tag.
            self.part = replace(part, validator=None)
            raise UnansweredError(self._changed())
        validator = rules.validator(headers) if total is not None else None
        modified = moment(headers.get("Last-Modified"))
        whole = Part(0, total, response.url, validator, modified)
        if part.size == 0:
            self.part = whole
        return whole

    def _accept_rest(self, response: requests.Response, *, conditional: bool) -> None:
        headers, part = response.headers, self.part
        if rules.resumes_at(headers) != (part.size, part.total or -1):
            raise self._of_another(self._truncated("resumes at the wrong offset"))
        if conditional and not rules.is_same(headers, part.validator or ""):
            raise self._of_another(self._changed())  # the server ignores If-Range
        validator = part.validator
        if not conditional:
            self.joined = True
            # At the same place it was of no use.
            validator = None if response.url == part.place else rules.validator(headers)
        self._at = response.url
        self.part = replace(part, place=response.url, validator=validator)

    def _begin(
        self, response: requests.Response, whole: Part, pace: Pace
    ) -> Iterator[Beginning | Piece]:
        """Yield the beginning of a whole file, once enough has come to know that it is one."""
        self.encoding = response.headers.get("Content-Encoding", "")
        head = b""
        while len(head) < _HEAD and (chunk := self._read(response, pace)):
            head += chunk
        if rules.cannot_be_a_file(self.encoding) and not self._verified:
            raise self._or_elsewhere(self._encoded(), response.url)
        labelled = rules.is_page(response.headers) and not self._verified
        if rules.looks_like_page(head) or (labelled and rules.is_text(head)):
            raise self._or_elsewhere(self._page(), response.url)
        if self.part.size and not head:
            raise self._or_elsewhere(self._empty(), response.url)
        self.part, self._at, self.joined = whole, whole.place, False
        yield Beginning()
        if head:
            yield self._next(head)

    def _next(self, content: bytes) -> Piece:
        offset = self.part.size
        check_length(offset + len(content), self._limits)
        self.part = replace(self.part, size=offset + len(content))
        return Piece(offset, content)

    def _or_elsewhere(self, error: TransferError, place: str | None) -> Exception:
        """Return the failure to raise where a server does not give the rest.

        Where the URL redirects, it may lead to another one the next time.
        """
        return error if self.part.size == 0 or self._is_first(place) else _NoRestError(error)

    def _of_another(self, error: TransferError) -> UnansweredError:
        """Return the failure to raise where a server has another file than the part is of."""
        if self._is_first(self._at):
            self.part = Part()
        return _NoRestError(error)

    def _read(self, response: requests.Response, pace: Pace) -> bytes:
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
            # Another connection would not help; another attempt goes on from here.
            raise self._slow(self._limits.min_average_rate, " on average")
        return chunk

    def _cut(self, error: BaseException) -> bytes:
        """Return the end of a body that TLS says was cut, if something else proves the file."""
        if self.part.total is not None or self._needs_end:
            raise UnansweredError(self._truncated("was interrupted")) from error
        self.proven = False
        return b""

    def unproven(self) -> TransferError:
        """Return the failure for a file that may be a part of one."""
        return TransferError(
            Reason.SOURCE_TRUNCATED,
            f"{rules.redacted(self.url)} sent {exact_text(self.part.size)}, but nothing proves "
            "that they are complete. Give a checksum, or make the server send a Content-Length",
        )

    def _slow(self, rate: int, how: str) -> TransferError:
        return TransferError(
            Reason.SOURCE_UNREACHABLE,
            f"{rules.redacted(self.url)} sends less than {size_text(rate)} per second{how}",
        )

    def _page(self) -> TransferError:
        return TransferError(
            Reason.SOURCE_NOT_AN_IMAGE,
            f"{rules.redacted(self.url)} is a web page, not an image",
        )

    def _encoded(self) -> TransferError:
        where = rules.redacted(self.url)
        error = TransferError(Reason.SOURCE_REFUSED, f"{where} gives no bytes of the file itself")
        return rules.encoded(error, self.encoding)

    def _empty(self) -> TransferError:
        return TransferError(Reason.SOURCE_NOT_AN_IMAGE, f"{rules.redacted(self.url)} is empty")

    def _changed(self) -> TransferError:
        return TransferError(
            Reason.SOURCE_UNREACHABLE,
            f"{rules.redacted(self.url)} changed while it was being fetched",
        )

    def _truncated(self, how: str) -> TransferError:
        total = "" if self.part.total is None else f" of {exact_text(self.part.total)}"
        return TransferError(
            Reason.SOURCE_TRUNCATED,
            f"{rules.redacted(self.url)} {how} after {exact_text(self.part.size)}{total}",
        )
