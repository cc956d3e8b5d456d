"""Fetches the source over HTTP into a file, hashing the bytes as they arrive."""

import errno
import hashlib
import shutil
import time
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from cloudimage.transfer import httprules
from cloudimage.transfer.progress import Meter
from cloudimage.transfer.types import HttpSource, Limits, Reason, Stage, TransferError

CHUNK = 256 * 2**10
MAX_REDIRECTS = 10

MAX_RESUMES = 5
"""How often a broken connection is taken up again without much progress in between."""

RESUME_PROGRESS = 64 * 2**20
"""Bytes after which a resumed connection has proved useful and the count starts anew."""

_CONNECT_SECONDS = 30.0
_CONNECTION_ERRORS = (requests.RequestException, urllib3.exceptions.HTTPError, OSError)


@dataclass(frozen=True)
class Fetched:
    """What arrived.

    Attributes:
        size: Bytes.
        checksums: Hexadecimal hashes by algorithm: sha256 and the one of the request's checksum.
    """

    size: int
    checksums: dict[str, str]


def fetch(source: HttpSource, target: Path, limits: Limits, meter: Meter) -> Fetched:
    """Fetch the source into the file ``target``.

    A connection that breaks is resumed where it broke, if the server can prove by a validator
    that it is the same file.

    Raises:
        TransferError: ``InvalidRequest``, ``SourceUnreachable``, ``SourceNotFound``,
            ``SourceRefused``, ``SourceNotAnImage``, ``SourceTruncated``, ``ImageTooLarge`` or
            ``InsufficientScratch``.
    """
    with requests.Session() as session, target.open("wb", buffering=0) as file:
        download = _Download(source, file, target.parent, limits, meter)
        return download.run(session)


class _BrokenError(Exception):
    """The connection broke; ``error`` is what to tell if it cannot be resumed."""

    def __init__(self, error: TransferError) -> None:
        super().__init__(error.message)
        self.error = error


class _Download:
    def __init__(
        self, source: HttpSource, file: IO[bytes], folder: Path, limits: Limits, meter: Meter
    ) -> None:
        self._url = httprules.checked_url(source.url)
        self._verified = source.checksum is not None
        self._algorithms = {"sha256"} | ({source.checksum.algorithm} if source.checksum else set())
        self._file = file
        self._folder = folder
        self._limits = limits
        self._meter = meter
        self._validator: str | None = None
        self._begin(None)

    def _begin(self, total: int | None) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._size = 0
        self._total = total
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in self._algorithms}
        self._meter.start(Stage.FETCHING, total)

    def run(self, session: requests.Session) -> Fetched:
        resumes = 0
        while True:
            before = self._size
            try:
                with closing(self._request(session)) as response:
                    self._accept(response)
                    self._receive(response)
            except _BrokenError as broken:
                resumes = 0 if self._size - before >= RESUME_PROGRESS else resumes
                if not self._validator or resumes == MAX_RESUMES:
                    raise broken.error from broken
                time.sleep(min(0.2 * 2**resumes, self._limits.stall_seconds))
                resumes += 1
            else:
                hashes = {name: each.hexdigest() for name, each in self._hashes.items()}
                return Fetched(self._size, hashes)

    def _request(self, session: requests.Session) -> requests.Response:
        """Ask for the rest of the file, following redirects."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        if self._size and self._validator:
            headers |= {"Range": f"bytes={self._size}-", "If-Range": self._validator}
        url = self._url
        timeout = (
            min(_CONNECT_SECONDS, self._limits.stall_seconds),
            self._limits.stall_seconds,
        )
        for _ in range(MAX_REDIRECTS + 1):
            try:
                response = session.get(
                    _without_userinfo(url),
                    headers=headers,
                    auth=_Auth(url if httprules.same_origin(url, self._url) else ""),
                    timeout=timeout,
                    allow_redirects=False,
                    stream=True,
                )
            except (requests.exceptions.InvalidURL, UnicodeError) as error:
                raise TransferError(
                    Reason.INVALID_REQUEST, "the source's URL is not valid"
                ) from error
            except _CONNECTION_ERRORS as error:
                raise _BrokenError(
                    httprules.connection_error(error, url, self._limits.stall_seconds)
                ) from error
            location = response.headers.get("Location")
            if response.status_code not in httprules.REDIRECTS or location is None:
                return response
            response.close()
            url = httprules.redirect_target(url, location, verified=self._verified)
        raise TransferError(
            Reason.SOURCE_REFUSED,
            f"{httprules.redacted(self._url)} redirects more than {MAX_REDIRECTS} times",
        )

    def _accept(self, response: requests.Response) -> None:
        """Decide by status and headers whether, and where in the file, the body goes."""
        status, headers = response.status_code, response.headers
        if self._size and status == HTTPStatus.PARTIAL_CONTENT:
            if httprules.resumes_at(headers) != (self._size, self._total or -1):
                raise self._truncated("resumes at a wrong place")
            return
        if self._size and status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            raise self._truncated("has no more")
        if status != HTTPStatus.OK:
            raise httprules.status_error(status, response.url, headers)
        if httprules.is_page(headers):
            raise self._page()
        total = httprules.content_length(headers)
        self._validator = httprules.validator(headers) if total is not None else None
        self._begin(total)
        if total is not None:
            self._check_length(total)
            self._check_space(total)

    def _receive(self, response: requests.Response) -> None:
        while chunk := self._read(response):
            if self._size == 0 and httprules.looks_like_page(chunk[:1024]):
                raise self._page()
            self._check_length(self._size + len(chunk))
            for each in self._hashes.values():
                each.update(chunk)
            self._write(chunk)
            self._size += len(chunk)
            self._meter.count(self._size)
        if self._total is not None and self._size != self._total:
            raise _BrokenError(self._truncated("ends"))

    def _read(self, response: requests.Response) -> bytes:
        try:
            chunk: bytes = response.raw.read(CHUNK, decode_content=False)
        except urllib3.exceptions.ProtocolError as error:
            raise _BrokenError(self._truncated("breaks off")) from error
        except _CONNECTION_ERRORS as error:
            raise _BrokenError(
                httprules.connection_error(error, response.url, self._limits.stall_seconds)
            ) from error
        return chunk

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            self._check_space((self._total or self._size + len(rest)) - self._size, least=1)

    def _check_length(self, size: int) -> None:
        if size > self._limits.max_download:
            raise TransferError(
                Reason.IMAGE_TOO_LARGE,
                f"the source has over {self._limits.max_download} bytes, "
                "the limit of what is downloaded",
            )

    def _check_space(self, needed: int, least: int = 0) -> None:
        free = shutil.disk_usage(self._folder).free
        missing = max(needed - free, least)
        if missing > 0:
            raise TransferError(
                Reason.INSUFFICIENT_SCRATCH,
                f"the scratch has {free} bytes free, {needed} are needed: {missing} are missing",
            )

    def _page(self) -> TransferError:
        return TransferError(
            Reason.SOURCE_NOT_AN_IMAGE,
            f"{httprules.redacted(self._url)} is a web page and not an image",
        )

    def _truncated(self, how: str) -> TransferError:
        total = "" if self._total is None else f" of {self._total}"
        return TransferError(
            Reason.SOURCE_TRUNCATED,
            f"{httprules.redacted(self._url)} {how} after {self._size}{total} bytes",
        )


class _Auth(requests.auth.AuthBase):
    """Basic authentication by the URL's user information; none means none, not ~/.netrc."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._parts.username is None:
            return request
        user, password = unquote(self._parts.username), unquote(self._parts.password or "")
        requests.auth.HTTPBasicAuth(user, password)(request)
        return request


def _without_userinfo(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
