"""Fetches the small files beside an image: checksum files and signatures."""

import time
import zlib
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
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
_CONDITIONS: Final = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
_GZIP: Final = frozenset({"gzip", "x-gzip"})


@dataclass(frozen=True)
class SideFile:
    """A small file as it came.

    Attributes:
        content: Of the file.
        url: Where redirects have led to it.
        validators: Header fields by which its server knows this version of it (RFC 9110, 8.8).
    """

    content: bytes
    url: str
    validators: Mapping[str, str] = field(default_factory=dict)


def fetch_text(url: str, client: Client, *, signed: bool) -> bytes:
    """Fetch a small file whole into memory: a checksum file or a signature.

    Args:
        url: Where it is.
        client: Of the source whose side file it is.
        signed: Whether its content is proved by a signature, so that HTTPS may lead to HTTP.

    Raises:
        TransferError: As :func:`fetch_side_file`, or ``SumsFileInvalid`` for a web page.
    """
    file = fetch_side_file(url, client, signed=signed)
    if file is None:
        raise ValueError("unreachable: without validators it is sent")
    return text_of(file)


def text_of(file: SideFile) -> bytes:
    """Return the content of a checksum file or a signature.

    Raises:
        TransferError: ``SumsFileInvalid`` for a web page.
    """
    if rules.looks_like_page(file.content[:1024]):
        raise TransferError(Reason.SUMS_FILE_INVALID, f"{rules.redacted(file.url)} is a web page")
    return file.content


def fetch_side_file(
    url: str,
    client: Client,
    *,
    signed: bool,
    most: int = MAX_BYTES,
    validators: Mapping[str, str] | None = None,
) -> SideFile | None:
    """Fetch a small file whole into memory, whatever it is.

    Args:
        url: Where it is.
        client: Of the source whose side file it is.
        signed: Whether its content is proved by a signature, so that HTTPS may lead to HTTP.
        most: Bytes that it may have.
        validators: Of a version that is here already.

    Returns:
        None: The server still has the version that is here.

    Raises:
        TransferError: ``InvalidRequest``, ``SourceUnreachable``, ``SourceNotFound``,
            ``SourceRefused``, ``SourceTruncated``, or ``SumsFileInvalid`` for what is too long.
    """
    begun = time.monotonic()
    conditions = {_CONDITIONS[name]: value for name, value in (validators or {}).items() if value}
    try:
        with (
            client.within(MAX_SECONDS),
            closing(client.get(url, conditions, verified=signed)) as response,
        ):
            if conditions and response.status_code == HTTPStatus.NOT_MODIFIED:
                return None
            if response.status_code != HTTPStatus.OK:
                raise client.status_error(response)
            content = _receive(response, client, most, signed=signed)
    except UnansweredError as unanswered:
        if time.monotonic() - begun >= MAX_SECONDS:
            raise TransferError(
                Reason.SOURCE_UNREACHABLE,
                f"{rules.redacted(url)} was not complete within {MAX_SECONDS:g} s",
            ) from unanswered
        raise unanswered.error from unanswered
    known = {name: value for name in _CONDITIONS if (value := response.headers.get(name))}
    return SideFile(_decoded(content, response, most), response.url, known)


def _receive(response: requests.Response, client: Client, most: int, *, signed: bool) -> bytes:
    where = rules.redacted(response.url)
    content = bytearray()
    try:
        while chunk := client.read(response, _CHUNK):
            content += chunk
            if len(content) > most:
                raise TransferError(
                    Reason.SUMS_FILE_INVALID,
                    f"{where} has over {size_text(most)}, more than is read of such a file",
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


def _decoded(content: bytes, response: requests.Response, most: int) -> bytes:
    """Return what the server encoded although nobody asked for that (RFC 9110, 8.4)."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _GZIP or not content.startswith(b"\x1f\x8b"):
        return content  # its label, or the file itself, is all that is wrong
    expander = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        expanded = expander.decompress(content, most + 1)
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
