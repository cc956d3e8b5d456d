"""Where the images of openstack-image-manager's lists come from; pure.

Source: ``contrib/update.py`` of osism/openstack-image-manager says what ``latest_url`` does, and
``openstack_image_manager/main.py`` what the other fields do.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from cloudimage.cli.import_made import Notes, Wanted, present
from cloudimage.cli.import_oim_fields import UnfitError, text_of
from cloudimage.cli.import_urls import is_private, shown
from cloudimage.templates import escaped

LATEST: Final = "latest"
"""The version whose URL has other bytes now and then."""

_PACKED: Final = frozenset({".gz", ".xz", ".bz2", ".zst", ".zip", ".tgz", ".tar"})
_MARKED: Final = re.compile("HEREBE(.*?)DRAGONS")
"""What ``latest_url`` has of a pattern: between the two words."""
_EXTENSIONS: Final = re.compile(r"(.*?)((?:\\\.[a-z0-9]+)*)\$?")
_ALGORITHMS: Final = {32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"}
"""Those of checksums by the number of their digits."""


def latest(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return spec.source.http that finds what ``contrib/update.py`` finds by the same fields.

    Raises:
        UnfitError: A URL may have a secret in it.
    """
    url, sums = text_of(entry, "latest_url") or "", text_of(entry, "latest_checksum_url") or ""
    _check("latest_url", _MARKED.sub("", url))
    _check("latest_checksum_url", sums)
    folder, _, file = url.rpartition("/")
    marked, above = _MARKED.search(file), folder.removesuffix("/latest")
    if marked:
        return _by_pattern(folder, file, marked, sums)
    if above != folder and sums.startswith(f"{folder}/"):
        return _by_dated_folders(above, file, sums)
    return {"url": url, "checksum": {"from": {"url": sums}}}


def _check(field: str, url: str) -> None:
    if is_private(url):
        raise UnfitError(
            f"its {field} has a user, a query or a fragment, which may be secret, or is not a "
            "valid URL: give one without, or write spec.source.http yourself"
        )


def _by_pattern(folder: str, file: str, marked: re.Match[str], sums: str) -> dict[str, Any]:
    """Return the source of a file of which a part is a pattern, looked up in the checksum file."""
    parts = _EXTENSIONS.fullmatch(marked[1])
    version, extension = (parts[1], parts[2]) if parts else (marked[1], "")
    before, after = _literal(file[: marked.start()]), _literal(file[marked.end() :])
    return {
        "url": f"{escaped(folder)}/$(name)",
        "index": {
            "checksums": sums,
            "pattern": f"{before}(?P<version>{version}){extension}{after}",
        },
        "checksum": {"from": {"url": escaped(sums), "filename": "$(name)"}},
    }


def _by_dated_folders(above: str, file: str, sums: str) -> dict[str, Any]:
    """Return the source of Debian's layout: beside ``latest`` are folders of builds.

    The names there have the date, and so have those of the checksum files.
    """
    stem, dot, extension = file.rpartition(".")
    pattern = rf"{_literal(stem)}-(?P<version>\d{{8}}-\d+){_literal(dot + extension)}"
    return {
        "index": {"listing": f"{above}/", "folder": r"\d{8}-\d+", "pattern": pattern},
        "checksum": {
            "from": {
                "url": f"{escaped(above)}/$(folder)/{escaped(sums.rpartition('/')[2])}",
                "filename": "$(name)",
            }
        },
    }


def _literal(text: str) -> str:
    """Return a pattern of this very text, as people write it: a hyphen needs no backslash."""
    return re.escape(text).replace(r"\-", "-")


def pinned(
    version: Mapping[str, Any], notes: Notes, wanted: Wanted
) -> tuple[dict[str, Any], str | None]:
    """Return spec.source of a version, and how often it is asked for a newer one.

    Raises:
        UnfitError: It has no file that can be fetched, or a URL that may have a secret in it.
    """
    url, mirror = text_of(version, "url"), text_of(version, "mirror_url")
    if not url:
        raise UnfitError("its newest version has no url")
    checksum = _checksum(version)
    if url.startswith("file:"):
        notes.add(
            "The file is on the machine of openstack-image-manager: upload it with kubectl "
            "cloudimage upload FILE --name NAME."
        )
        return {"upload": present({"sha256": checksum.get("sha256")})}, None
    is_latest = text_of(version, "version") == LATEST
    if is_latest or not checksum:
        checksum = _listed(version)
    if is_latest:
        if not checksum:
            raise UnfitError("its version is latest, without checksums_url or checksum_url")
        _check("url", url)
        return {"http": {"url": url, "checksum": checksum}}, wanted.every
    places = _places(url, mirror, notes)
    if not checksum:
        notes.add("It has no checksum: nothing proves its bytes. Add spec.source.http.checksum.")
    http = {
        "url": places[0],
        "mirrors": places[1:] or None,
        "checksum": checksum or None,
    }
    return {"http": present(http)}, None


def _listed(version: Mapping[str, Any]) -> dict[str, Any]:
    for field in ("checksums_url", "checksum_url"):
        if url := text_of(version, field):
            _check(field, url)
            return {"from": {"url": url}}
    return {}


def _places(url: str, mirror: str | None, notes: Notes) -> list[str]:
    """Return the URLs of a version's file: there the mirror is downloaded and verified, if any."""
    if mirror is None or not _is_web(mirror):
        if not _is_web(url):
            scheme = url.partition(":")[0] if ":" in url else "relative"
            raise UnfitError(
                f"its {scheme} URL cannot be fetched: give an http or https URL as mirror_url"
            )
        _check("url", url)
        return [url]
    _check("mirror_url", mirror)
    if not _is_web(url):
        return [mirror]
    if _is_packed(url) == _is_packed(mirror):
        _check("url", url)
        return [url, mirror]
    notes.add(f"The checksum is of mirror_url's file, not of the packed one at {shown(url)}.")
    return [mirror]


def _is_web(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _is_packed(url: str) -> bool:
    return PurePosixPath(urlsplit(shown(url) or "").path).suffix in _PACKED


def _checksum(version: Mapping[str, Any]) -> dict[str, Any]:
    """Return a checksum, which may be a bare one (``checksum_to_aria2``, ``is_checksum``)."""
    given = text_of(version, "checksum")
    if not given:
        return {}
    algorithm, colon, digits = given.rpartition(":")
    if not colon and re.fullmatch("[0-9a-fA-F]+", digits):
        algorithm = _ALGORITHMS.get(len(digits), "")
    if algorithm.lower() not in _ALGORITHMS.values():
        raise UnfitError(
            "its checksum is not one of md5:, sha1:, sha256: and sha512:, and not 32, 40, 64 or "
            "128 hexadecimal digits alone"
        )
    return {algorithm.lower(): digits}
