"""The order of versions, as publishers write them; pure."""

import re
from collections.abc import Callable
from typing import Final, Literal

Order = Literal["Version", "Numeric", "Lexical"]
"""``Version``: runs of digits compare as numbers, other text as text, much like
``sort --version-sort``; ``Numeric``: the whole version is one number; ``Lexical``: by characters,
like ``LANG=C sort``."""

Key = tuple[tuple[int, int, str], ...]
"""Compares as the version does."""

_PARTS: Final = re.compile(r"\d+|[A-Za-z]+|~|[^\dA-Za-z~]+")
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")

_BEFORE_END, _END, _TEXT, _SEPARATOR, _DIGITS = range(-2, 3)
_PRERELEASES: Final = frozenset({"alpha", "beta", "rc", "pre", "dev", "snapshot"})


def key(order: Order, version: str) -> Key | None:
    """Return what compares as a version does; or None where this order cannot place it.

    In the order ``Version``, what is before a release comes before it: ``1.8.0-rc1`` before
    ``1.8.0``, as in Semantic Versioning 2.0.0, 11; ``~`` sorts before everything, as in Debian's
    policy, 5.6.12.
    """
    return _KEYS[order](version)


def _by_version(version: str) -> Key:
    parts: list[tuple[int, int, str]] = []
    for text in _PARTS.findall(version.lower()):
        if text.isascii() and text.isdigit():
            parts.append((_DIGITS, int(text), ""))
        elif text == "~" or text in _PRERELEASES:
            _drop_separator(parts)
            parts.append((_BEFORE_END, 0, text))
        else:
            # Which separator it is does not matter: 9.4-1 comes after 9.4.
            kind = _TEXT if text.isalpha() else _SEPARATOR
            parts.append((kind, 0, text if kind == _TEXT else ""))
    return (*parts, (_END, 0, ""))


def _drop_separator(parts: list[tuple[int, int, str]]) -> None:
    """Let ``1.8.0-rc1`` begin like ``1.8.0``, so that the end of the shorter one is compared."""
    if parts and parts[-1][0] == _SEPARATOR:
        parts.pop()


def _by_number(version: str) -> Key | None:
    if not _NUMBER.fullmatch(version) or not version.isascii():
        return None
    whole, _, fraction = version.partition(".")
    return ((_DIGITS, int(whole), fraction.rstrip("0")),)


def _by_characters(version: str) -> Key:
    return ((_TEXT, 0, version),)


_KEYS: Final[dict[Order, Callable[[str], Key | None]]] = {
    "Version": _by_version,
    "Numeric": _by_number,
    "Lexical": _by_characters,
}
