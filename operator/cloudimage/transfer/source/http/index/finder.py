"""Finds a publisher's newest build by the lists that it keeps."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
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

_MOST_LEVELS: Final = 3
"""Levels of folders that have to be listed; each multiplies the requests."""

_LITERAL: Final = re.compile(r"[-A-Za-z0-9_]+")
"""A level of folders that stands for itself: there is nothing to list."""

_MOST_DOCUMENTS: Final = 8
"""Product lists of one index of Simple Streams."""


def find(index: Index, lists: Lists, tools: Toolbox, *, signed: bool = False) -> Build:
    """Return the newest build.

    Args:
        index: Where builds are listed.
        lists: Reads the lists.
        tools: To run gpgv.
        signed: Whether the checksum file that lists them is proved by a signature afterwards.

    Raises:
        TransferError: Those of reading a list, ``SignatureInvalid``, ``SumsFileInvalid``,
            ``SourceNotFound`` or ``SourceAmbiguous``.
    """
    if index.stream is not None:
        return newest(_of_stream(index.stream, lists, tools), index.order)
    if index.checksums is not None:
        file = lists.read(index.checksums, checksum_files.MAX_BYTES, signed=signed)
        found = checksum_files.names(text_of(file), file.url)
        beside = (Listed(name, urljoin(file.url, quote(name))) for name in found if _is_below(name))
        return newest(_files(tuple(beside), index, {}), index.order)
    if index.releases is not None:
        return _of_releases(index.releases, index, lists)
    if index.listing is not None:
        return _of_listing(index.listing, index, lists)
    raise TransferError(
        Reason.INVALID_REQUEST,
        "an index needs one of checksums, listing, releases and simplestreams",
    )


def _is_below(name: str) -> bool:
    """Return whether a name is one of a file in the list's own folder, or below it."""
    parts = name.split("/")
    return "" not in parts and ".." not in parts


def _is_as_safe(url: str, listed_at: str) -> bool:
    """Return whether a list names no less safe a way than the one that it came by."""
    return url.startswith("https://") or not listed_at.startswith("https://")


def _pattern(index: Index) -> Pattern:
    return Pattern(index.pattern or ".*")


@dataclass(frozen=True)
class _Folder:
    """A folder below a listing.

    Attributes:
        url: Of it.
        path: From the listing to it.
        values: What the patterns of the levels above have matched.
    """

    url: str
    path: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)


def _of_listing(url: str, index: Index, lists: Lists) -> Build:
    """Return the newest build of a folder, or of the newest folders in it."""
    if index.folder is None:
        return newest(_files(_listed(url, lists), index, {}), index.order)
    levels = index.folder.split("/")
    if sum(1 for each in levels if not _LITERAL.fullmatch(each)) > _MOST_LEVELS:
        raise TransferError(
            Reason.INVALID_REQUEST,
            f"spec.source.http.index.folder has more than {_MOST_LEVELS} patterns of folders",
        )
    for folder in islice(_folders(_Folder(url), levels, index, lists), _MOST_FOLDERS):
        known = {**folder.values, FOLDER: "/".join(folder.path)}
        builds = list(_files(_listed_if_there(folder.url, lists), index, known))
        if builds:
            return newest(builds, index.order)
    raise TransferError(
        Reason.SOURCE_NOT_FOUND,
        f"none of the newest folders of {redacted(url)} has a file that the pattern matches",
    )


def _folders(
    above: _Folder, levels: Sequence[str], index: Index, lists: Lists
) -> Iterator[_Folder]:
    """Yield the folders that are some levels below one, the newest first."""
    if not levels:
        yield above
        return
    for folder in _next_level(above, levels[0], index, lists):
        yield from _folders(folder, levels[1:], index, lists)


def _next_level(above: _Folder, level: str, index: Index, lists: Lists) -> Iterator[_Folder]:
    if _LITERAL.fullmatch(level):
        yield _Folder(urljoin(above.url, f"{level}/"), (*above.path, level), above.values)
        return
    listed = _listed_if_there(above.url, lists) if above.path else _listed(above.url, lists)
    where = {each.name: each.url for each in listed if each.folder}
    pattern = Pattern(level)
    for found in ranked(matching(where, pattern), index.order)[:_MOST_FOLDERS]:
        name = found.values[NAME]
        # A level that says no version has that of the level above it.
        own = {key: found.values[key] for key in pattern.groups & found.values.keys()}
        values = {**found.values, **above.values, **own}
        yield _Folder(where[name], (*above.path, name), values)


def _listed(url: str, lists: Lists) -> tuple[Listed, ...]:
    file = lists.read(url, listings.MAX_BYTES)
    return listings.index_of(file.content, file.url)


def _listed_if_there(url: str, lists: Lists) -> tuple[Listed, ...]:
    """Return what a folder lists: nothing, if it is not there yet."""
    try:
        return _listed(url, lists)
    except TransferError as error:
        if error.reason is Reason.SOURCE_NOT_FOUND:
            return ()
        raise


def _files(listed: tuple[Listed, ...], index: Index, known: dict[str, str]) -> Iterator[Build]:
    files = {each.name: each for each in listed if not each.folder}
    for build in matching(files, _pattern(index), known):
        file = files[build.values[NAME]]
        yield Build(build.version, build.values, file.url, file.checksum)


def _of_releases(url: str, index: Index, lists: Lists) -> Build:
    """Return the newest build among releases: a file of one, or the release itself."""
    releases = {
        each.tag: each for each in listings.releases_of(lists.read(url, listings.MAX_BYTES).content)
    }
    assets = {
        tag: tuple(each for each in release.assets if _is_as_safe(each.url, url))
        for tag, release in releases.items()
    }
    tags = Pattern(index.folder or ".*")
    for found in ranked(matching(releases, tags), index.order)[:_MOST_FOLDERS]:
        tag = found.values[NAME]
        known = {**found.values, TAG: tag}
        if index.pattern is None:
            return Build(found.version, known)
        builds = list(_files(assets[tag], index, known))
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
