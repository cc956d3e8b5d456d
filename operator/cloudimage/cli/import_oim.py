"""CloudImages of openstack-image-manager's lists of images; pure.

Source: ``etc/schema.yaml`` and ``openstack_image_manager/main.py`` of osism/openstack-image-manager
say what the fields mean.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from cloudimage.cli import import_oim_source
from cloudimage.cli.import_made import LeftOut, Made, Notes, Result, Wanted, present, properties
from cloudimage.cli.import_oim_fields import UnfitError, meta_of, number_of, tags_of, text_of
from cloudimage.cli.import_urls import is_private, shown
from cloudimage.templates import escaped
from cloudimage.transfer.source.http.index.versions import key as version_key

_MOST_KEPT: Final = 100
"""What revisionHistoryLimit may be."""
_ALL_KEPT: Final = {"deleteUnusedAfter": "99999d"}
"""spec.retention that deletes no earlier image within the longest time that it takes."""
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
        except UnfitError as error:
            yield LeftOut(label, str(error))


def _name(entry: object) -> str:
    name = text_of(entry, "name") if isinstance(entry, dict) else None
    if not name:
        raise UnfitError("it has no name")
    return name


def _of_entry(label: str, name: str, entry: Mapping[str, Any], wanted: Wanted) -> Iterator[Result]:
    if entry.get("enable") is False and not wanted.disabled:
        yield LeftOut(
            label, "it is disabled there (enable: false); --disabled takes it", meant=True
        )
        return
    if text_of(entry, "status") == "deactivated":
        raise UnfitError(
            "its status is deactivated, which a CloudImage cannot set: make it with status: active "
            "and deactivate its image in Glance"
        )
    versions = _versions(entry)
    if entry.get("latest_url") and entry.get("latest_checksum_url") and wanted.every:
        yield _followed(label, name, entry, versions, wanted)
        return
    if not versions:
        raise UnfitError("it has no versions, and no latest_url with a latest_checksum_url")
    if entry.get("multi") is True:
        yield _pinned(label, name, entry, versions, wanted)
        return
    separator = text_of(entry, "separator") or " "
    for version in versions:
        number = text_of(version, "version") or ""
        try:
            yield _pinned(
                f"{label} {number}", f"{name}{separator}{number}", entry, [version], wanted
            )
        except UnfitError as error:
            yield LeftOut(f"{label} {number}", str(error))


def _versions(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the versions, the newest last."""
    given = entry.get("versions") or []
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        raise UnfitError("its versions are not a list of mappings")
    if not all(text_of(each, "version") for each in given):
        raise UnfitError("one of its versions has no version")
    # "latest" is text, and comes after all numbers, as in the order that they are read in there.
    return sorted(given, key=lambda each: _order(text_of(each, "version") or ""))


def _order(version: str) -> tuple[bool, Any]:
    return version == import_oim_source.LATEST, version_key("Version", version)


def _followed(
    label: str,
    name: str,
    entry: Mapping[str, Any],
    versions: Sequence[Mapping[str, Any]],
    wanted: Wanted,
) -> Made:
    notes = Notes()
    if listed := ", ".join(text_of(each, "version") or "" for each in versions):
        notes.add(
            f"Follows latest_url; the versions of the list ({listed}) are left out: --pin takes "
            "the newest of them instead."
        )
    http = import_oim_source.latest(entry)
    meta = {} if "index" in http else {"image_source": http["url"]}
    newest = versions[-1] if versions else {}
    image = _image(name, entry, {**newest, "version": None, "build_date": None}, meta, notes)
    return _made(label, name, entry, {"http": http}, image, notes, wanted, every=wanted.every)


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
        [text_of(each, "version") or "" for each in older],
        "these versions are not the newest, which is the source; images of them that are in Glance "
        "stay as they are",
    )
    source, every = import_oim_source.pinned(newest, notes, wanted)
    meta = {"image_source": text_of(newest, "url")} if "http" in source else {}
    if entry.get("multi") is not True:
        meta["os_version"] = text_of(newest, "version")
    image = _image(name, entry, newest, meta, notes)
    return _made(label, name, entry, source, image, notes, wanted, every=every)


def _image(
    name: str,
    entry: Mapping[str, Any],
    version: Mapping[str, Any],
    meta: Mapping[str, str | None],
    notes: Notes,
) -> dict[str, Any]:
    """Return spec.image, with the properties that are set there too."""
    own = meta_of(entry)
    title = text_of(entry, "name")
    found = {
        "image_description": title,
        "image_name": title,
        **own,
        "image_original_user": text_of(entry, "login"),
        "image_build_date": text_of(version, "build_date"),
        "os_version": text_of(version, "os_version") or own.get("os_version"),
        **meta,
        **meta_of(version),
    }
    if is_private(found.get("image_source") or ""):
        found["image_source"] = shown(found["image_source"] or "")
        notes.add("The property image_source is without the user and the query of the URL.")
    disk_format = text_of(entry, "format")
    tags, distribution = tags_of(entry), own.get("os_distro")
    if distribution:
        tags.add(f"os:{distribution}")
    if entry.get("password"):
        notes.add("The password is left out, as Glance has none: it belongs in your documentation.")
    given = {
        "name": escaped(name),
        "diskFormat": disk_format,
        "containerFormat": disk_format if disk_format in _ALIKE else None,
        "visibility": text_of(version, "visibility") or text_of(entry, "visibility"),
        "minDiskGiB": number_of(entry, "min_disk"),
        "minRamMiB": number_of(entry, "min_ram"),
        "hidden": True if version.get("hidden") is True else None,
        "tags": sorted(map(escaped, tags)),
        "properties": properties(
            {each: value for each, value in found.items() if value is not None}, notes
        ),
    }
    return {each: value for each, value in given.items() if value not in (None, [], {})}


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
    title, short = text_of(entry, "name") or "", text_of(entry, "shortname")
    called = short + name.removeprefix(title) if short else name
    unknown = {*entry} - _USED
    for each in entry.get("versions") or []:
        unknown |= {*each} - _USED_OF_VERSIONS
    if "id" in unknown:
        notes.add(
            "Left out: id: Glance gives an image its id; spec.adopt takes over one that is there."
        )
    notes.left_out(unknown - {"id", "keep"}, "these fields are unknown")
    spec = {
        "cloudCredentialsRef": wanted.credentials,
        "source": source,
        "follow": {"every": every} if every else None,
        "image": image,
        **_kept(entry, image, notes, in_one=entry.get("multi") is True or every is not None),
    }
    return Made(label, called, f"{name} {source}", present(spec), tuple(notes.found))


def _kept(
    entry: Mapping[str, Any], image: Mapping[str, Any], notes: Notes, *, in_one: bool
) -> dict[str, Any]:
    """Return the fields of a spec by which earlier images stay as long as the entry promises.

    Source: SCS-0102, ``uuid_validity``; ``last-3`` counts the current image there.

    Args:
        entry: The entry.
        image: spec.image.
        notes: Of the entry.
        in_one: Whether all versions are in one CloudImage, which then counts them.
    """
    promise = image.get("properties", {}).get("uuid_validity")
    counted = re.fullmatch("none|last-([0-9]{1,9})", promise or "none")
    limit = max(int(counted[1] or 1) - 1, 0) if counted else 0
    if entry.get("keep") is True:
        notes.add(
            "All earlier images stay, as keep: true says; without spec.retention, "
            "spec.revisionHistoryLimit says how many."
        )
    elif counted and (promise is None or not in_one):
        return {}
    elif counted and limit <= _MOST_KEPT:
        return {"revisionHistoryLimit": limit}
    elif counted:
        notes.add(f"All earlier images stay: no revisionHistoryLimit is as large as {limit}.")
    elif promise == "notice":
        notes.add(
            "All earlier images stay, as uuid_validity promises: once you have given notice, lower "
            "spec.retention.deleteUnusedAfter."
        )
    elif re.match(r"\d{4}-\d\d-\d\d", promise or ""):
        notes.add(
            f"All earlier images stay: no field keeps them until {promise}, as uuid_validity "
            "promises. Lower spec.retention.deleteUnusedAfter after that day."
        )
    elif promise != "forever":
        notes.add(
            "This uuid_validity is unknown: spec.revisionHistoryLimit says how many earlier images "
            "stay."
        )
        return {}
    return {"retention": dict(_ALL_KEPT)}
