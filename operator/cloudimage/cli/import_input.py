"""The files that ``cloudimage import`` reads, within bounds."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

from cloudimage.access.yamltext import Bounds, YamlRefusedError, load
from cloudimage.cli.errors import CommandError

MAX_BYTES: Final = 64 * 2**20
"""Of one file: a state of Terraform has all resources of a site."""

_YAML: Final = Bounds(size=4 * 2**20, values=50_000)
"""The real list of openstack-image-manager has 40 KiB and 2000 values."""
_MOST_FILES: Final = 1000


def documents(places: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what files, folders and standard input (``-``) have, each with its name.

    Raises:
        CommandError: One cannot be read, or is neither YAML nor JSON.
    """
    for place in places:
        for path in _files(place):
            yield path, _document(path, _text(path))


def _files(place: str) -> list[str]:
    path = Path(place)
    if place == "-" or not path.is_dir():
        return [place]
    found = sorted(str(each) for each in path.iterdir() if each.suffix in {".yml", ".yaml"})
    if not found:
        raise CommandError(f"Folder {place} has no file whose name ends with .yml or .yaml.")
    if len(found) > _MOST_FILES:
        raise CommandError(f"Folder {place} has more than {_MOST_FILES} files: name some of them.")
    return found


def _text(place: str) -> str:
    try:
        if place == "-":
            return _bounded(place, sys.stdin.buffer)
        with Path(place).open("rb") as file:
            return _bounded(place, file)
    except OSError as error:
        raise CommandError(f"{place} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{place} is not text in UTF-8.") from error


def _bounded(place: str, file: IO[bytes]) -> str:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise CommandError(f"{place} is larger than {MAX_BYTES // 2**20} MiB.")
    return content.decode("utf-8-sig")


def _document(place: str, text: str) -> dict[str, Any]:
    document = _json(place, text) if text.lstrip()[:1] == "{" else _yaml(place, text)
    if not isinstance(document, dict):
        raise CommandError(
            f"{place} is neither a list of images of openstack-image-manager nor what terraform "
            "show -json prints."
        )
    return document


def _json(place: str, text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        # Its own words would quote nothing, but of a state even the place is enough.
        line = f" near line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise CommandError(f"{place} is not valid JSON{line}.") from error


def _yaml(place: str, text: str) -> object:
    try:
        return load(text, _YAML)
    except YamlRefusedError as error:
        raise CommandError(f"{place} {error}.") from error
