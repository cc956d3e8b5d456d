"""Words from outside (servers, files, objects) made fit for conditions, Events, logs, terminals.

Allowed is what Unicode calls printable (``str.isprintable``: letters, marks, numbers, punctuation,
symbols and the space), less the few printable characters that show nothing. So nothing else needs
to be listed: no ESC or other control character, no bidi control, no zero-width character, no lone
surrogate, no separator of lines, and none that a later Unicode adds.
"""

import json
import logging
import re
from collections.abc import Mapping
from typing import Any, Final

REPLACEMENT: Final = "\ufffd"
"""Stands for one or more characters that were taken out."""

_ELLIPSIS: Final = "\u2026"
_INVISIBLE: Final = frozenset(
    [
        # Default_Ignorable_Code_Point of Unicode's DerivedCoreProperties, without the categories
        # that are not printable anyway; and the braille pattern without dots.
        *map(chr, (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x180B, 0x180C, 0x180D, 0x180F)),
        *map(chr, (0x2800, 0x3164, 0xFFA0)),
        *map(chr, range(0xFE00, 0xFE10)),
        *map(chr, range(0xE0100, 0xE01F0)),
    ]
)
_SPACES: Final = re.compile(r"\s+")
_ENDS: Final = re.compile(r"\r*\n|\r+")
# ECMA-48: control sequences, strings up to their end (a title of a window), two-byte escapes.
_ESCAPES: Final = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[PX\]^_][^\x1b\x07\r\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])"
)
_UNSEEN: Final = re.compile(f"{REPLACEMENT}+")


def plain(text: str, max_bytes: int | None = None) -> str:
    """Return a text as one line of printable characters.

    White space of any kind becomes single spaces; whatever else cannot be printed becomes
    :data:`REPLACEMENT`.

    Args:
        text: The text.
        max_bytes: Bytes of UTF-8 that the result may have; a longer one is cut, with an ellipsis.
    """
    if max_bytes is not None:
        text = text[: 4 * max_bytes]  # a bound on the work, too
    line = _printable(_SPACES.sub(" ", text)).strip()
    return line if max_bytes is None else _cut(line, max_bytes)


def plain_lines(text: str) -> str:
    """Return a text of several lines, each as printable characters; its layout stays."""
    return "\n".join(_printable(line.replace("\t", "    ")) for line in text.split("\n"))


def plain_terminal(text: str) -> str:
    """Return what a terminal would show of a text: lines without escapes and control characters.

    A carriage return ends a line also: what it would write over is seen as well.
    """
    lines = _ENDS.split(_ESCAPES.sub("", text))
    return "\n".join(_printable(line.replace("\t", "    ")) for line in lines)


def plain_tree(value: Any) -> Any:  # noqa: ANN401  # JSON has any type
    """Return a JSON value in which each text, also each key, is a plain line."""
    match value:
        case str():
            return plain(value)
        case Mapping():
            return {plain_tree(key): plain_tree(item) for key, item in value.items()}
        case list() | tuple():
            return [plain_tree(item) for item in value]
        case _:
            return value


def escaped(document: str, *, wide: bool) -> str:
    r"""Return JSON or YAML with escapes for what cannot be printed; it means the same.

    Args:
        document: All such characters in it, but for line feeds, must be within double quotes.
        wide: Whether the syntax has ``\U`` with eight digits (YAML), or pairs of ``\u`` (JSON).
    """
    return "".join(
        char if char == "\n" or _is_shown(char) else _escape(char, wide=wide) for char in document
    )


def is_shown(text: str) -> bool:
    """Return whether a text has printable characters only."""
    return all(map(_is_shown, text))


class PlainFormatter(logging.Formatter):
    """Formats records for logs without structure: a message cannot look like another record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text; lines after its first are indented."""
        return plain_lines(super().format(record)).replace("\n", "\n    ")


def _is_shown(char: str) -> bool:
    return char.isprintable() and char not in _INVISIBLE


def _printable(line: str) -> str:
    if line.isascii() and line.isprintable():
        return line
    return _UNSEEN.sub(
        REPLACEMENT, "".join(char if _is_shown(char) else REPLACEMENT for char in line)
    )


def _cut(line: str, max_bytes: int) -> str:
    encoded = line.encode()
    if len(encoded) <= max_bytes:
        return line
    kept = encoded[: max_bytes - len(_ELLIPSIS.encode())]
    return kept.decode(errors="ignore") + _ELLIPSIS


def _escape(char: str, *, wide: bool) -> str:
    if wide and ord(char) > 0xFFFF:  # noqa: PLR2004  # the end of the basic plane
        return f"\\U{ord(char):08x}"
    return json.dumps(char).strip('"') if ord(char) != 0x7F else "\\u007f"  # noqa: PLR2004  # DEL
