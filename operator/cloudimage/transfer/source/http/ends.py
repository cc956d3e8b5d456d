"""What a file behind a URL is, by its beginning and its end, without fetching it."""

from functools import partial
from pathlib import Path
from typing import Final

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.image import magic
from cloudimage.transfer.image.inspection import look as look_at
from cloudimage.transfer.source.base import Ends
from cloudimage.transfer.source.http import rules
from cloudimage.transfer.source.http.client import CONNECTION_ERRORS, Client, UnansweredError
from cloudimage.transfer.source.http.download import check_length
from cloudimage.transfer.source.http.fetch import first_of
from cloudimage.transfer.source.http.model import HttpSource
from cloudimage.transfer.source.http.parts import Parts, WholeOnlyError
from cloudimage.vocabulary.image import NOT_DISKS

HEAD_LENGTH: Final = 4 * 2**20
"""Where the metadata of every format is that begins with its own."""

TAIL_LENGTH: Final = 64 * 2**10
"""The footers of VHD and VMDK, and the second table of a GPT."""

MOST_LOOKS: Final = 64
"""Pieces that are asked for besides: some for each partition of a disk."""


class _EnoughError(Exception):
    """More pieces would have to be asked for than is worth it."""


def look(source: HttpSource, min_disk: int | None, client: Client, folder: Path) -> Ends:
    """Return what the ends of the file tell; of mirrors, the first that gives them is asked.

    Args:
        source: The file, with its checksum if one is known.
        min_disk: GiB that its disk must fit in, if any.
        client: To ask the servers.
        folder: For the bytes that are looked at.

    Raises:
        TransferError: As for fetching and inspecting the file.
    """
    urls = (source.url, *source.mirrors)
    return first_of(urls, partial(_look, source, min_disk, client, folder))


def _look(source: HttpSource, min_disk: int | None, client: Client, folder: Path, url: str) -> Ends:
    parts = Parts(client, url, verified=source.checksum is not None, pinned=False)
    try:
        head = parts.read(0, HEAD_LENGTH)
        if rules.looks_like_page(head):
            where = rules.redacted(url)
            raise TransferError(Reason.SOURCE_NOT_AN_IMAGE, f"{where} is a web page, not an image")
        check_length(parts.total, client.limits)
        wrapping = source.format not in NOT_DISKS and magic.wrapping(head)
        if wrapping:
            why = f"it is packed ({wrapping}), and known only once it is unpacked"
            return Ends(parts.total, why_unknown=why)
        return _inspected(source, min_disk, parts, client, folder / "ends", head)
    except WholeOnlyError as error:
        check_length(error.total or 0, client.limits)
        why = "its server gives no parts of it, so it is known only once it is fetched"
        return Ends(error.total, why_unknown=why)
    except UnansweredError as error:
        raise error.error from error
    except CONNECTION_ERRORS as error:
        raise rules.connection_error(error, url, client.limits.stall_seconds) from error


def _inspected(  # noqa: PLR0913, PLR0917 - what a look has, each from elsewhere
    source: HttpSource,
    min_disk: int | None,
    parts: Parts,
    client: Client,
    path: Path,
    head: bytes,
) -> Ends:
    looks = 0

    def read(offset: int, length: int) -> bytes:
        nonlocal looks
        if offset + length <= len(head):
            return head[offset : offset + length]
        looks += 1
        if looks > MOST_LOOKS:
            raise _EnoughError
        return parts.read(offset, length)

    begin = max(0, parts.total - TAIL_LENGTH)
    try:
        with path.open("wb") as file:
            file.truncate(parts.total)
            file.write(head)
            if begin + TAIL_LENGTH > len(head):
                file.seek(begin)
                file.write(parts.read(begin, TAIL_LENGTH))
        found = look_at(path, source.format, min_disk, client.limits, read)
    except _EnoughError:
        return Ends(parts.total, why_unknown="it has more partitions than are looked at beforehand")
    finally:
        path.unlink(missing_ok=True)
    return Ends(parts.total, found)
