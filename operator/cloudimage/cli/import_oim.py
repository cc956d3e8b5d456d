"""CloudImages of openstack-image-manager's lists of images; pure.

Source: ``etc/schema.yaml`` and ``openstack_image_manager/main.py`` of osism/openstack-image-manager
say what the fields mean; ``contrib/update.py`` what ``latest_url`` does.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from cloudimage.access.yamltext import Unquoted
from cloudimage.cli.import_made import LeftOut, Made, Notes, Result, Wanted, present, properties
from cloudimage.transfer.source.http.index.versions import key as version_key

_LATEST: Final = "latest"
_PACKED: Final = frozenset({".gz", ".xz", ".bz2", ".zst", ".zip", ".tgz", ".tar"})
_MARKED: Final = re.compile("HEREBE(.*?)DRAGONS")
"""What ``latest_url`` has of a pattern: between the two words."""
_EXTENSIONS: Final = re.compile(r"(.*?)((?:\\\.[a-z0-9]+)*)\$?")
_ALIKE: Final = ("ami", "aki", "ari")

_USED: Final = frozenset(
    {
        *("enable", "format", "latest_checksum_url", "latest_url", "login", "meta", "min_disk"),
        *("min_ram", "multi", "name", "password", "separator", "shortname", "status", "tags"),
        *("versions", "visibility"),
    }
)
_USED_OF_VERSIONS: Final = frozenset(
    {
        *(
            "build_date",
            "checksum",
            "checksum_url",
            "checksums_url",
            "hidden",
            "meta",
            "mirror_url",
        ),
        *("os_version", "source", "url", "version", "visibility"),
    }
)


class _UnfitError(ValueError):
    """An entry cannot be a CloudImage; the message is the end of a sentence."""


def is_catalogue(document: Mapping[str, Any]) -> bool:
    """Return whether a document is a list of images."""
    return isinstance(document.get("images"), list)


def results(place: str, document: Mapping[str, Any], wanted: Wanted) -> Iterator[Result]:
    """Yield what becomes of each image, of each version where these are images of their own."""
    for number, entry in enumerate(document["images"], 1):
        label = f"image {number} of {place}"
        try:
            name = _name(entry)
            label = f"{name} ({PurePosixPath(place).name})"
            yield from _of_entry(label, name, entry, wanted)
        except _UnfitError as error:
            yield LeftOut(label, str(error))


def _name(entry: object) -> str:
    name = _text(entry, "name") if isinstance(entry, dict) else None
    if not name:
        raise _UnfitError("it has no name")
    return name


def _of_entry(label: str, name: str, entry: Mapping[str, Any], wanted: Wanted) -> Iterator[Result]:
    if entry.get("enable") is False and not wanted.disabled:
        yield LeftOut(
            label, "it is disabled there (enable: false); --disabled takes it", meant=True
        )
        return
    if _text(entry, "status") == "deactivated":
        raise _UnfitError(
            "its status is deactivated, which a CloudImage cannot set: make it with status: active "
            "and deactivate its image in Glance"
        )
    versions = _versions(entry)
    if entry.get("latest_url") and entry.get("latest_checksum_url") and wanted.every:
        yield _followed(label, name, entry, versions, wanted)
        return
    if not versions:
        raise _UnfitError("it has no versions, and no latest_url with a latest_checksum_url")
    if entry.get("multi") is True:
        yield _pinned(label, name, entry, versions, wanted)
        return
    separator = _text(entry, "separator") or " "
    for version in versions:
        number = _text(version, "version") or ""
        try:
            yield _pinned(
                f"{label} {number}", f"{name}{separator}{number}", entry, [version], wanted
            )
        except _UnfitError as error:
            yield LeftOut(f"{label} {number}", str(error))


def _versions(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the versions, the newest last."""
    given = entry.get("versions") or []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise _UnfitError("its versions are no list of mappings")
    if not all(_text(each, "version") for each in given):
        raise _UnfitError("one of its versions has no version")
    # "latest" is text, and comes after all numbers, as in the order that they are read in there.
    return sorted(given, key=lambda each: _order(_text(each, "version") or ""))


def _order(version: str) -> tuple[bool, Any]:
    return version == _LATEST, version_key("Version", version)


def _followed(
    label: str,
    name: str,
    entry: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    wanted: Wanted,
) -> Made:
    notes = Notes()
    url, sums = _text(entry, "latest_url") or "", _text(entry, "latest_checksum_url") or ""
    if listed := ", ".join(_text(each, "version") or "" for each in versions):
        notes.add(
            f"Follows latest_url; the versions of the list ({listed}) are left out: --pin takes "
            "the newest of them instead."
        )
    http = _latest(url, sums)
    meta = {} if "index" in http else {"image_source": url}
    newest = versions[-1] if versions else {}
    image = _image(name, entry, {**newest, "version": None, "build_date": None}, meta, notes)
    return _made(label, name, entry, {"http": http}, image, notes, wanted, every=wanted.every)


def _latest(url: str, sums: str) -> dict[str, Any]:
    """Return the source that finds what ``contrib/update.py`` finds there by the same fields."""
    folder, _, file = url.rpartition("/")
    marked, above = _MARKED.search(file), folder.removesuffix("/latest")
    if marked:
        return _by_pattern(folder, file, marked, sums)
    if above != folder and sums.startswith(f"{folder}/"):
        return _by_dated_folders(above, file, sums)
    return {"url": url, "checksum": {"from": {"url": sums}}}


def _by_pattern(folder: str, file: str, marked: re.Match[str], sums: str) -> dict[str, Any]:
    """Return the source of a file of which a part is a pattern, looked up in the checksum file."""
    parts = _EXTENSIONS.fullmatch(marked[1])
    version, extension = (parts[1], parts[2]) if parts else (marked[1], "")
    before, after = _literal(file[: marked.start()]), _literal(file[marked.end() :])
    return {
        "url": f"{folder}/$(name)",
        "index": {
            "checksums": sums,
            "pattern": f"{before}(?P<version>{version}){extension}{after}",
        },
        "checksum": {"from": {"url": sums, "filename": "$(name)"}},
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
                "url": f"{above}/$(folder)/{sums.rpartition('/')[2]}",
                "filename": "$(name)",
            }
        },
    }


def _literal(text: str) -> str:
    """Return a pattern of this very text, as people write it: a hyphen needs no backslash."""
    return re.escape(text).replace(r"\-", "-")


def _pinned(
    label: str,
    name: str,
    entry: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    wanted: Wanted,
) -> Made:
    notes = Notes()
    *older, newest = versions
    notes.left_out(
        [_text(each, "version") or "" for each in older],
        "these versions are not the newest, which is the source; images of them that are in Glance "
        "stay as they are",
    )
    source, every = _source(newest, notes, wanted)
    meta = {"image_source": _text(newest, "url")} if "http" in source else {}
    if entry.get("multi") is not True:
        meta["os_version"] = _text(newest, "version")
    image = _image(name, entry, newest, meta, notes)
    return _made(label, name, entry, source, image, notes, wanted, every=every)


def _source(
    version: Mapping[str, Any], notes: Notes, wanted: Wanted
) -> tuple[dict[str, Any], str | None]:
    """Return the source of a version, and how often it is asked for a newer one."""
    url, mirror = _text(version, "url"), _text(version, "mirror_url")
    if not url:
        raise _UnfitError("its newest version has no url")
    checksum = _checksum(version)
    if url.startswith("file:"):
        notes.add(
            "The file is on the machine of openstack-image-manager: upload it with kubectl "
            "cloudimage upload FILE --name NAME."
        )
        return {"upload": present({"sha256": checksum.get("sha256")})}, None
    listed = _text(version, "checksums_url") or _text(version, "checksum_url")
    if _text(version, "version") == _LATEST:
        if not listed:
            raise _UnfitError("its version is latest, without checksums_url or checksum_url")
        return {"http": {"url": url, "checksum": {"from": {"url": listed}}}}, wanted.every
    places = _places(url, mirror, notes)
    if not checksum and listed:
        checksum = {"from": {"url": listed}}
    if not checksum:
        notes.add("It has no checksum: nothing proves its bytes. Add spec.source.http.checksum.")
    http = {
        "url": places[0],
        "mirrors": places[1:] or None,
        "checksum": checksum or None,
    }
    return {"http": present(http)}, None


def _places(url: str, mirror: str | None, notes: Notes) -> list[str]:
    """Return the URLs of a version's file: there the mirror is downloaded and verified, if any."""
    if mirror is None or not mirror.startswith(("http://", "https://")):
        if not url.startswith(("http://", "https://")):
            raise _UnfitError(
                f"{urlsplit(url).scheme or 'its URL'} is no kind of address that can be fetched: "
                "give an http or https URL as mirror_url"
            )
        return [url]
    if not url.startswith(("http://", "https://")):
        return [mirror]
    if _is_packed(url) == _is_packed(mirror):
        return [url, mirror]
    notes.add(f"The checksum is of mirror_url's file, not of the packed one at {url}.")
    return [mirror]


def _is_packed(url: str) -> bool:
    return PurePosixPath(urlsplit(url).path).suffix in _PACKED


def _checksum(version: Mapping[str, Any]) -> dict[str, Any]:
    given = _text(version, "checksum")
    if not given:
        return {}
    algorithm, colon, digits = given.partition(":")
    if not colon or algorithm not in {"md5", "sha1", "sha256", "sha512"}:
        raise _UnfitError("its checksum is not one of md5:, sha1:, sha256: and sha512:")
    return {algorithm: digits}


def _image(
    name: str,
    entry: Mapping[str, Any],
    version: Mapping[str, Any],
    meta: Mapping[str, str | None],
    notes: Notes,
) -> dict[str, Any]:
    """Return spec.image, with the properties that are set there too."""
    own = _meta(entry)
    title = _text(entry, "name")
    found = {
        "image_description": title,
        "image_name": title,
        **own,
        "image_original_user": _text(entry, "login"),
        "image_build_date": _text(version, "build_date"),
        "os_version": _text(version, "os_version") or own.get("os_version"),
        **meta,
        **_meta(version),
    }
    disk_format = _text(entry, "format")
    tags = entry.get("tags") or []
    if not isinstance(tags, list):
        raise _UnfitError("its tags are no list")
    distribution = own.get("os_distro")
    if entry.get("password"):
        notes.add("The password is left out, as Glance has none: it belongs into documentation.")
    given = {
        "name": name,
        "diskFormat": disk_format,
        "containerFormat": disk_format if disk_format in _ALIKE else None,
        "visibility": _text(version, "visibility") or _text(entry, "visibility"),
        "minDiskGiB": _number(entry, "min_disk"),
        "minRamMiB": _number(entry, "min_ram"),
        "hidden": True if version.get("hidden") is True else None,
        "tags": sorted({*map(_plain, tags), *([f"os:{distribution}"] if distribution else [])}),
        "properties": properties(
            {each: value for each, value in found.items() if value is not None}, notes
        ),
    }
    return {each: value for each, value in given.items() if value not in (None, [], {})}


def _meta(given: Mapping[str, Any]) -> dict[str, str | None]:
    meta = given.get("meta") or {}
    if not isinstance(meta, dict):
        raise _UnfitError("its meta is no mapping")
    return {name: _text(meta, name) for name in meta}


def _made(  # noqa: PLR0913, PLR0917  # the parts of one object
    label: str,
    name: str,
    entry: Mapping[str, Any],
    source: Mapping[str, Any],
    image: Mapping[str, Any],
    notes: Notes,
    wanted: Wanted,
    *,
    every: str | None,
) -> Made:
    title, short = _text(entry, "name") or "", _text(entry, "shortname")
    called = short + name.removeprefix(title) if short else name
    unknown = {*entry} - _USED
    for each in entry.get("versions") or []:
        unknown |= {*each} - _USED_OF_VERSIONS
    if "id" in unknown:
        notes.add(
            "Left out: id: Glance gives an image its id; spec.adopt takes over one that is there."
        )
    if entry.get("keep") is True:
        notes.add("Left out: keep: spec.revisionHistoryLimit says how many earlier images stay.")
    notes.left_out(unknown - {"id", "keep"}, "nothing is known of these fields")
    spec = {
        "cloudCredentialsRef": wanted.credentials,
        "source": source,
        "follow": {"every": every} if every else None,
        "image": image,
        "revisionHistoryLimit": _kept(entry),
    }
    return Made(label, called, f"{name} {source}", present(spec), tuple(notes.found))


def _kept(entry: Mapping[str, Any]) -> int | None:
    """Return how many earlier images stay: ``last-3`` counts the present one."""
    kept = re.fullmatch("last-([1-9][0-9]?)", _meta(entry).get("uuid_validity") or "")
    return int(kept[1]) - 1 if kept and entry.get("multi") is True else None


def _number(given: Mapping[str, Any], name: str) -> int | None:
    value = given.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise _UnfitError(f"its {name} is no whole number")


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, dict | list):
        raise _UnfitError(f"its {name} is no text")
    return _plain(value)


def _plain(value: object) -> str:
    """Return a value as it is written."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list) or value is None:
        raise _UnfitError("one of its tags is no text")
    return value.text if isinstance(value, Unquoted) else str(value)
