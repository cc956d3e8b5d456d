"""Finds out what a file behind a URL must be, by the files that its publisher keeps beside it."""

import re
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

from cloudimage.transfer.contract import Checksum, Reason, TransferError
from cloudimage.transfer.source.http.model import HttpSource, Signature, SumsFile
from cloudimage.transfer.source.http.rules import same_origin
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify import checksum_files, openpgp
from cloudimage.transfer.verify.verification import Expected, weakness

_SUFFIX: Final = re.compile(
    r"[._-](sha-?(1|2|256|512)?|md5|b2|blake2b?|checksum|digest|hash)(sums?|s)?(\.txt)?",
    re.IGNORECASE,
)
"""What the checksum file of one file has behind its name: ``.sha256``, ``.SHA512SUM``."""


class ReadText(Protocol):
    """Reads a small file that a publisher keeps beside an image."""

    def __call__(self, url: str, *, signed: bool) -> bytes:
        """Return its content; see :func:`cloudimage.transfer.source.http.side_files.fetch_text`."""


def expect(source: HttpSource, read: ReadText, tools: Toolbox) -> Expected:
    """Find out what the source must be, fetching the files beside it that say so.

    Args:
        source: Where the file is.
        read: Reads those files.
        tools: To run gpgv.

    Raises:
        TransferError: ``InvalidRequest``, ``SumsFileInvalid``, ``SignatureInvalid``,
            ``SourceUnreachable``, ``SourceNotFound``, ``SourceRefused`` or ``SourceTruncated``.
    """
    if source.checksum and source.sums:
        raise TransferError(
            Reason.INVALID_REQUEST, "give the checksum or the checksum file, not both"
        )
    checksum = source.checksum
    if source.sums:
        checksum = _from_sums(source.sums, source, read, tools)
    signature, keyring = None, ""
    if source.signature:
        signature = _of_image(source.signature, read)
        keyring = source.signature.keyring
    warnings = () if signature else weakness(checksum)
    return Expected(checksum, signature, keyring, warnings)


def _from_sums(wanted: SumsFile, source: HttpSource, read: ReadText, tools: Toolbox) -> Checksum:
    """Return the checksum that the publisher's file has for the source."""
    filename = wanted.filename or _last_part(source.url)
    if not filename:
        raise TransferError(
            Reason.INVALID_REQUEST,
            "the source's URL does not end with a file name; give the name that the checksum file "
            "has as checksum.from.filename",
        )
    signed = wanted.signature is not None
    content = read(wanted.url, signed=signed)
    if wanted.signature and wanted.signature.url:
        keyring = wanted.signature.keyring
        detached = _signature(wanted.signature.url, read)
        openpgp.check_text(content, detached, keyring, tools)
    elif wanted.signature:
        content = openpgp.signed_text(content, wanted.signature.keyring, tools)
    # A signature over another file's checksum would be as good: there the name has to tell.
    beside = not (wanted.filename or signed) and _is_beside(wanted.url, source.url)
    sums_name = _last_part(wanted.url) or "the checksum file"
    return checksum_files.choose(content, filename, sums_name, beside=beside)


def _is_beside(sums_url: str, url: str) -> bool:
    """Return whether a checksum file's URL is that of the file, with a suffix."""
    if not same_origin(sums_url, url):
        return False
    sums, file = (
        unquote(urlsplit(each).path, errors="surrogateescape") for each in (sums_url, url)
    )
    return sums.startswith(file) and _SUFFIX.fullmatch(sums.removeprefix(file)) is not None


def _of_image(signature: Signature, read: ReadText) -> bytes:
    if signature.url is None:
        raise TransferError(
            Reason.INVALID_REQUEST,
            "an image cannot be clearsigned; give the URL of its detached signature",
        )
    return _signature(signature.url, read)


def _signature(url: str, read: ReadText) -> bytes:
    try:
        return read(url, signed=True)
    except TransferError as error:
        if error.reason is Reason.SUMS_FILE_INVALID:
            raise TransferError(Reason.SIGNATURE_INVALID, error.message) from error
        raise


def _last_part(url: str) -> str:
    return unquote(urlsplit(url).path.rpartition("/")[2], errors="surrogateescape")
