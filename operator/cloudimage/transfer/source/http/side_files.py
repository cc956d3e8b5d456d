"""Fetches the small files beside an image: checksum files and signatures."""

import time
import zlib
from contextlib import closing
from http import HTTPStatus
from typing import Final

import requests
import urllib3

from cloudimage.sizes import exact_text, size_text
from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http import framing, rules
from cloudimage.transfer.source.http.client import CONNECTION_ERRORS, Client, UnansweredError
from cloudimage.transfer.verify.checksum_files import MAX_BYTES

MAX_SECONDS: Final = 120.0
"""A megabyte that takes longer, with all redirects to it, will not come."""

_CHUNK = 64 * 2**10
_GZIP: Final = frozenset({"gzip", "x-gzip"})


def fetch_text(url: str, client: Client, *, signed: bool) -> bytes:
    """Fetch a small file whole into memory.

    Args:
        url: Where it is.
        client: Of the source whose side file it is.
        signed: Whether its content is proved by a signature, so that HTTPS may lead to HTTP.

    Raises:
        TransferError: ``InvalidRequest``, ``SourceUnreachable``, ``SourceNotFound``,
            ``SourceRefused``, ``SourceTruncated``, or ``SumsFileInvalid`` for what is too long or
            a web page.
    """
    begun = time.monotonic()
    try:
        with client.within(MAX_SECONDS), closing(client.get(url, verified=signed)) as response:
            if response.status_code != HTTPStatus.OK:
                raise client.status_error(response)
            content = _receive(response, client, signed=signed)
    except UnansweredError as unanswered:
        if time.monotonic() - begun >= MAX_SECONDS:
            raise TransferError(
                Reason.SOURCE_UNREACHABLE,
                f"{rules.redacted(url)} was not complete within {MAX_SECONDS:g} s",
            ) from unanswered
        raise unanswered.error from unanswered
    content = _decoded(content, response)
    if rules.looks_like_page(content[:1024]):
        raise TransferError(
            Reason.SUMS_FILE_INVALID, f"{rules.redacted(response.url)} is a web page"
        )
    return content


def _receive(response: requests.Response, client: Client, *, signed: bool) -> bytes:
    where = rules.redacted(response.url)
    content = bytearray()
    try:
        while chunk := client.read(response, _CHUNK):
            content += chunk
            if len(content) > MAX_BYTES:
                raise TransferError(
                    Reason.SUMS_FILE_INVALID,
                    f"{where} has over {size_text(MAX_BYTES)}; it is neither a checksum file nor a "
                    "signature",
                )
    except urllib3.exceptions.ProtocolError as error:
        raise _truncated(where, len(content)) from error
    except CONNECTION_ERRORS as error:
        if framing.is_cut(error):
            return _cut(response, bytes(content), signed=signed)
        stall = client.limits.stall_seconds
        raise rules.connection_error(error, response.url, stall) from error
    total = rules.content_length(response.headers)
    if total is not None and len(content) != total:
        raise _truncated(where, len(content))
    # A name whose end is missing would be another file's name.
    if not signed and not framing.is_proven(response):
        raise _truncated(where, len(content))
    return bytes(content)


def _decoded(content: bytes, response: requests.Response) -> bytes:
    """Return what the server encoded although nobody asked for that (RFC 9110, 8.4)."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _GZIP or not content.startswith(b"\x1f\x8b"):
        return content  # its label, or the file itself, is all that is wrong
    expander = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        expanded = expander.decompress(content, MAX_BYTES + 1)
    except zlib.error:
        return content
    return expanded if expander.eof and not expander.unused_data else content


def _cut(response: requests.Response, content: bytes, *, signed: bool) -> bytes:
    """Return what came over a connection that was cut, if its signature can tell."""
    if not signed or rules.content_length(response.headers) is not None:
        raise _truncated(rules.redacted(response.url), len(content))
    return content


def _truncated(where: str, size: int) -> TransferError:
    return TransferError(
        Reason.SOURCE_TRUNCATED,
        f"{where} ends after {exact_text(size)}, before its announced length",
    )
