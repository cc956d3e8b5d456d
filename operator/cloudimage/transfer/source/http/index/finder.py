"""Finds a publisher's newest build by the lists that it keeps."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import quote, urljoin

from cloudimage.transfer.contract import Reason, TransferError
from cloudimage.transfer.source.http.index import listings, simplestreams
from cloudimage.transfer.source.http.index.listings import Listed
from cloudimage.transfer.source.http.index.lists import Lists
from cloudimage.transfer.source.http.index.model import Index, Stream
from cloudimage.transfer.source.http.index.patterns import Pattern
from cloudimage.transfer.source.http.index.selection import (
    FOLDER,
    NAME,
    TAG,
    VERSION,
    Build,
    matching,
    newest,
    ranked,
)
from cloudimage.transfer.source.http.rules import redacted
from cloudimage.transfer.source.http.side_files import text_of
from cloudimage.transfer.tools.toolbox import Toolbox
from cloudimage.transfer.verify import checksum_files, openpgp

_MOST_FOLDERS: Final = 5
"""Folders that are looked into, the newest first: that of a build in the making lacks its files."""

_MOST_DOCUMENTS: Final = 8
"""Product lists of one index of Simple Streams."""


def find(index: Index, lists: Lists, tools: Toolbox) -> Build:
    """Return the newest build.

    Args:
        index: Where builds are listed.
        lists: Reads the lists.
        tools: To run gpgv.

    Raises:
        TransferError: Those of reading a list, ``SignatureInvalid``, ``SumsFileInvalid``,
            ``SourceNotFound`` or ``SourceAmbiguous``.
    """
    if index.stream is not None:
        return newest(_of_stream(index.stream, lists, tools), index.order)
    if index.checksums is not None:
        file = lists.read(index.checksums, checksum_files.MAX_BYTES)
        found = checksum_files.names(text_of(file), file.url)
        beside = (Listed(name, urljoin(file.url, quote(name))) for name in found)
        return newest(_files(tuple(beside), index, {}), index.order)
    if index.releases is not None:
        return _of_releases(index.releases, index, lists)
    if index.listing is not None:
        return _of_listing(index.listing, index, lists)
    raise TransferError(
        Reason.INVALID_REQUEST,
        "an index needs one of checksums, listing, releases and simplestreams",
    )


def _pattern(index: Index) -> Pattern:
    return Pattern(index.pattern or ".*")


def _of_listing(url: str, index: Index, lists: Lists) -> Build:
    """Return the newest build of a folder, or of the newest folders in it."""
    listed = _listed(url, lists)
    if index.folder is None:
        return newest(_files(listed, index, {}), index.order)
    where = {each.name: each.url for each in listed if each.folder}
    for folder in ranked(matching(where, Pattern(index.folder)), index.order)[:_MOST_FOLDERS]:
        name = folder.values[NAME]
        known = {**folder.values, FOLDER: name}
        builds = list(_files(_listed(where[name], lists), index, known))
        if builds:
            return newest(builds, index.order)
    raise TransferError(
        Reason.SOURCE_NOT_FOUND,
        f"none of the newest folders of {redacted(url)} has a file that the pattern matches",
    )


def _listed(url: str, lists: Lists) -> tuple[Listed, ...]:
    file = lists.read(url, listings.MAX_BYTES)
    return listings.index_of(file.content, file.url)


def _files(listed: tuple[Listed, ...], index: Index, known: dict[str, str]) -> Iterator[Build]:
    urls = {each.name: each.url for each in listed if not each.folder}
    for build in matching(urls, _pattern(index), known):
        yield Build(build.version, build.values, urls[build.values[NAME]])


def _of_releases(url: str, index: Index, lists: Lists) -> Build:
    """Return the newest build among releases: a file of one, or the release itself."""
    releases = {
        each.tag: each for each in listings.releases_of(lists.read(url, listings.MAX_BYTES).content)
    }
    tags = Pattern(index.folder or ".*")
    for found in ranked(matching(releases, tags), index.order)[:_MOST_FOLDERS]:
        tag = found.values[NAME]
        known = {**found.values, TAG: tag}
        if index.pattern is None:
            return Build(found.version, known)
        builds = list(_files(releases[tag].assets, index, known))
        if builds:
            return newest(builds, index.order)
    raise TransferError(
        Reason.SOURCE_NOT_FOUND,
        f"none of the newest releases of {redacted(url)} has a file that the pattern matches",
    )


def _of_stream(stream: Stream, lists: Lists, tools: Toolbox) -> Iterator[Build]:
    wanted = simplestreams.Wanted(stream.item, stream.product, stream.alias, stream.arch)
    content, url = _document(stream.url, stream, lists, tools)
    others = simplestreams.documents(content, url, wanted)
    lists_of_products = (
        [_document(each, stream, lists, tools) for each in others[:_MOST_DOCUMENTS]]
        if others
        else [(content, url)]
    )
    for document, place in lists_of_products:
        for item in simplestreams.items(document, place, wanted):
            values = {VERSION: item.version, NAME: item.url.rpartition("/")[2]}
            yield Build(item.version, values, item.url, item.checksum)


def _document(url: str, stream: Stream, lists: Lists, tools: Toolbox) -> tuple[bytes, str]:
    file = lists.read(url, simplestreams.MAX_BYTES, signed=stream.signed)
    if not stream.signed:
        return file.content, file.url
    return openpgp.signed_text(file.content, stream.keyring, tools), file.url
