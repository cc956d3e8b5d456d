"""What a publisher's pages list: web servers' indexes of folders, and releases on a Git host; pure.

Servers write an index in as many forms as there are servers, but each entry is a link to it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any, Final
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from cloudimage.transfer.contract import Checksum, Reason, TransferError

MAX_BYTES: Final = 8 * 2**20
"""Bytes of a page: some publishers keep thousands of builds in one folder."""

_MOST: Final = 50_000
_DIGEST: Final = re.compile("sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Listed:
    """A file, or a folder, that is listed.

    Attributes:
        name: Its own, not quoted.
        url: Where it is.
        folder: Whether it is a folder.
        checksum: Of the file, if the list has it.
    """

    name: str
    url: str
    folder: bool = False
    checksum: Checksum | None = None


def index_of(content: bytes, url: str) -> tuple[Listed, ...]:
    """Return what an index page of a folder lists: what is directly in the folder.

    Args:
        content: Of the page.
        url: Of the folder, where redirects have led.
    """
    parser = _Links()
    parser.feed(content.decode("utf-8", errors="replace"))
    parser.close()
    base = urljoin(url, ".")
    found: dict[str, Listed] = {}
    for href in parser.hrefs:
        if (listed := _child(href, base)) is not None:
            found.setdefault(listed.name, listed)
    return tuple(found.values())


class _Links(HTMLParser):
    """Collects where the links of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.hrefs: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take the target of a link."""
        if tag == "a" and len(self.hrefs) < _MOST:
            self.hrefs.extend(value for name, value in attrs if name == "href" and value)


def _child(href: str, base: str) -> Listed | None:
    """Return what a link of an index leads to, if that is directly in the folder."""
    folder = urlsplit(base)
    try:
        target = urldefrag(urljoin(base, href)).url
        parts = urlsplit(target)
    except ValueError:  # such as a bracket in a host
        return None
    rest = parts.path.removeprefix(folder.path)
    elsewhere = (parts.scheme, parts.netloc) != (folder.scheme, folder.netloc)
    name = rest.removesuffix("/")
    # A query sorts the page; a link to the folder above, or to another server, is navigation.
    if elsewhere or parts.query or rest == parts.path or not name or "/" in name:
        return None
    shown = unquote(name)
    if shown in {".", ".."} or "/" in shown:
        return None
    return Listed(shown, target, folder=rest.endswith("/"))


@dataclass(frozen=True)
class Release:
    """A release on a Git host.

    Attributes:
        tag: Of the release.
        assets: Its files.
    """

    tag: str
    assets: tuple[Listed, ...]


def releases_of(content: bytes) -> tuple[Release, ...]:
    """Return the releases that GitHub's ``GET /repos/{owner}/{repo}/releases`` lists.

    Forgejo and Gitea answer alike. Drafts and what is marked as a prerelease are left out.

    Raises:
        TransferError: ``SumsFileInvalid``: it is something else.
    """
    try:
        listed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _no_releases() from error
    if not isinstance(listed, list):
        raise _no_releases()
    return tuple(_releases(listed[:_MOST]))


def _releases(listed: list[Any]) -> Iterator[Release]:
    for each in listed:
        if not isinstance(each, dict) or not isinstance(each.get("tag_name"), str):
            raise _no_releases()
        if each.get("draft") or each.get("prerelease"):
            continue
        assets = each.get("assets")
        found = assets if isinstance(assets, list) else []
        yield Release(each["tag_name"], tuple(filter(None, map(_asset, found))))


def _asset(asset: object) -> Listed | None:
    if not isinstance(asset, dict):
        return None
    name, url = asset.get("name"), asset.get("browser_download_url")
    if not isinstance(name, str) or not isinstance(url, str) or not name or "/" in name:
        return None
    return Listed(name, url, checksum=_digest(asset.get("digest")))


def _digest(digest: object) -> Checksum | None:
    """Return the checksum that GitHub has of an asset, ``sha256:...``; others tell none."""
    found = _DIGEST.fullmatch(digest) if isinstance(digest, str) else None
    return Checksum(algorithm="sha256", value=found[1]) if found else None


def _no_releases() -> TransferError:
    return TransferError(
        Reason.SUMS_FILE_INVALID,
        "this is not a list of releases in the format of GitHub's API "
        "(https://api.github.com/repos/OWNER/NAME/releases)",
    )
