"""A look at the beginning of a file that others fetch, to find out why they fail."""

from contextlib import closing
from http import HTTPStatus
from pathlib import Path

from cloudimage.transfer.contract import Limits, Reason, TransferError, UrlPolicy
from cloudimage.transfer.source.http import rules
from cloudimage.transfer.source.http.client import CONNECTION_ERRORS, Client, UnansweredError
from cloudimage.transfer.source.http.model import HttpSource

_GIVEN = frozenset({HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT})


def put_head(source: HttpSource, path: Path, length: int, policy: UrlPolicy, limits: Limits) -> int:
    """Put the first bytes of a file at ``path`` and return the size of the whole, if known.

    Args:
        source: Its URL; mirrors are not asked.
        path: Where to.
        length: Bytes at the most.
        policy: Which addresses may be asked.
        limits: Of the request.

    Raises:
        TransferError: ``SourceUnreachable``, ``SourceNotFound``, ``SourceRefused``, or
            ``SourceNotAnImage`` for a web page or an empty file.
    """
    headers = {"Range": f"bytes=0-{length - 1}"}
    verified = source.checksum is not None
    where, stall = rules.redacted(source.url), limits.stall_seconds
    try:
        with (
            Client(source, policy, limits, path.parent) as client,
            client.within(2 * stall),
            closing(client.get(source.url, headers, verified=verified)) as response,
        ):
            if response.status_code not in _GIVEN:
                raise client.status_error(response)
            head = b""
            while len(head) < length and (piece := client.read(response, length - len(head))):
                head += piece
    except UnansweredError as error:
        raise error.error from error
    except CONNECTION_ERRORS as error:
        raise rules.connection_error(error, source.url, stall) from error
    if not head or rules.looks_like_page(head[:1024]):
        what = "a web page, not an image" if head else "empty"
        raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, f"{where} is {what}")
    path.write_bytes(head)
    place = rules.resumes_at(response.headers)
    return place[1] if place else rules.content_length(response.headers) or len(head)
