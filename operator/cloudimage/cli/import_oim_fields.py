"""The values of openstack-image-manager's lists, as they are written; pure."""

from collections.abc import Mapping
from typing import Any

from cloudimage.access.yamltext import Unquoted


class UnfitError(ValueError):
    """An entry cannot be a CloudImage; the message is the end of a sentence."""


def number_of(given: Mapping[str, Any], name: str) -> int | None:
    """Return a whole number; None: it is not there.

    Raises:
        UnfitError: It is something else.
    """
    value = given.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise UnfitError(f"its {name} is not a whole number")


def text_of(given: Mapping[str, Any], name: str) -> str | None:
    """Return a text; None: it is not there.

    Raises:
        UnfitError: It is a list or a mapping.
    """
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, dict | list):
        raise UnfitError(f"its {name} is not a text")
    return as_written(value)


def meta_of(given: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the properties of an entry, or of a version.

    Raises:
        UnfitError: They are not texts by name.
    """
    meta = given.get("meta") or {}
    if not isinstance(meta, dict):
        raise UnfitError("its meta is not a mapping")
    return {name: text_of(meta, name) for name in meta}


def tags_of(given: Mapping[str, Any]) -> set[str]:
    """Return the tags of an entry.

    Raises:
        UnfitError: They are not a list of texts.
    """
    tags = given.get("tags") or []
    if not isinstance(tags, list):
        raise UnfitError("its tags are not a list")
    if any(isinstance(each, dict | list) or each is None for each in tags):
        raise UnfitError("one of its tags is not a text")
    return set(map(as_written, tags))


def as_written(value: object) -> str:
    """Return a scalar as it is written."""
    if isinstance(value, bool):
        return str(value).lower()
    return value.text if isinstance(value, Unquoted) else str(value)
