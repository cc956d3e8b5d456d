"""Parts of a file behind a URL, all of the same version of it."""

from contextlib import closing
from http import HTTPStatus

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http import rules
from cloudimage.transfer.source.http.client import Client


class WholeOnlyError(TransferError):
    """The server gives the file as a whole only.

    Attributes:
        total: Its bytes; None: the server does not say.
    """

    def __init__(self, url: str, total: int | None) -> None:
        message = f"{rules.redacted(url)} gives no parts of the file"
        super().__init__(Reason.SOURCE_UNREACHABLE, message)
        self.total = total


class Parts:
    """Reads parts of the file behind one URL, where its redirects led at first.

    Attributes:
        url: Where from.
        total: Bytes of the whole file, once a part has come.
    """

    def __init__(self, client: Client, url: str, *, verified: bool, pinned: bool) -> None:
        """Prepare.

        Args:
            client: To ask the server.
            url: Where from.
            verified: Whether a checksum proves the file in the end.
            pinned: Whether a server is refused that has nothing by which to ask for one version.
        """
        self.url = url
        self.total = 0
        self._client = client
        self._verified = verified
        self._pinned = pinned
        self._validator = ""
        self._place: str | None = None

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes at an offset; fewer only where the file ends.

        Raises:
            WholeOnlyError: The server gives no parts.
            TransferError: It has no such file, or another one by now.
            UnansweredError, requests.RequestException, urllib3.exceptions.HTTPError, OSError: The
                connection broke.
        """
        if self._place is not None:
            length = min(length, self.total - offset)
        headers = {"Range": f"bytes={offset}-{offset + length - 1}"}
        if self._validator:
            headers["If-Range"] = self._validator
        with (
            self._client.within(2 * self._client.limits.stall_seconds),
            closing(
                self._client.get(self.url, headers, verified=self._verified, at=self._place)
            ) as response,
        ):
            status, answered = response.status_code, response.headers
            if status == HTTPStatus.OK and self._place is None:
                raise WholeOnlyError(self.url, rules.content_length(answered))
            if status not in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                raise self._client.status_error(response)
            place = rules.resumes_at(answered)
            if place is None or place[0] != offset or self.total not in {0, place[1]}:
                raise self.changed()
            length = min(length, place[1] - offset)
            validator = rules.validator(answered) or ""
            if rules.content_length(answered) != length or (self._pinned and not validator):
                raise self.changed()
            self.total, self._validator, self._place = place[1], validator, response.url
            content = b""
            while len(content) <= length and (piece := self._client.read(response, length + 1)):
                content += piece
        if len(content) != length:
            raise self.changed()
        return content

    def changed(self) -> TransferError:
        """Return the failure for a file that is another one by now."""
        return TransferError(
            Reason.SOURCE_UNREACHABLE,
            f"{rules.redacted(self.url)} changed while it was being read",
        )
