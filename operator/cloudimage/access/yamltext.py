"""YAML that a stranger wrote, read under bounds.

PyYAML's events are read one by one, so that nothing is built before it was counted: no aliases, no
tags, few levels, few values. Numbers and dates stay as they are written, since a text was meant
most often, and since making a number of a thousand digits takes its time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

MAX_BYTES: Final = 64 * 2**10
"""A clouds.yaml with fifty clouds has some 20 KiB."""

MAX_DEPTH: Final = 8
"""clouds, a cloud, auth: three are used."""

MAX_VALUES: Final = 4096
MAX_SCALAR: Final = 16 * 2**10
"""Characters; the longest text is a token, which has to fit into a header."""

_TEXT: Final = "tag:yaml.org,2002:str"
_INTEGER: Final = re.compile(r"[0-9]{1,9}")
_WORDS: Final = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_RESOLVER: Final = yaml.SafeLoader


class YamlRefusedError(ValueError):
    """The text is no YAML, or more than is read; the message is a sentence without its content."""


@dataclass(frozen=True, slots=True)
class Unquoted:
    """A value that YAML takes for something else than text: a fraction, a date, a long number.

    Attributes:
        kind: What YAML takes it for, in a word.
        text: As it is written; it may be secret.
    """

    kind: str
    text: str = field(default="", repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is read.

    Attributes:
        size: Bytes of UTF-8.
        values: Keys, texts and collections.
    """

    size: int = MAX_BYTES
    values: int = MAX_VALUES


def load(text: str, bounds: Bounds = Bounds()) -> object:
    """Return the document: mappings, sequences, texts, booleans, small numbers, ``Unquoted``.

    Args:
        text: The document.
        bounds: How much of it is read; the default is that of a clouds.yaml.

    Raises:
        YamlRefusedError: It is larger or deeper than the bounds, no YAML, or uses aliases, tags,
            several documents, or the same key twice.
    """
    if len(text.encode(errors="replace")) > bounds.size:
        raise YamlRefusedError(f"is larger than {bounds.size // 2**10} KiB")
    try:
        return _built(_events(text, bounds.values))
    except yaml.YAMLError as error:
        # The parser's own message would quote the line, and with it perhaps a password.
        mark = getattr(error, "problem_mark", None)
        where = f" near line {mark.line + 1}" if mark else ""
        raise YamlRefusedError(f"is not valid YAML{where}") from None


def _events(text: str, most: int) -> Iterator[yaml.Event]:
    """Yield the events of the one document, each checked before the next is parsed."""
    documents = values = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
        elif isinstance(event, yaml.NodeEvent):
            values += 1
            _check_node(event)
            yield event
        elif isinstance(event, yaml.CollectionEndEvent):
            yield event
        if documents > 1 or values > most:
            what = "several documents" if documents > 1 else f"more than {most} values"
            raise YamlRefusedError(f"has {what}")


def _check_node(event: yaml.NodeEvent) -> None:
    where = _place(event)
    if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
        raise YamlRefusedError(f"has an anchor or an alias in {where}; write the values out")
    tag = getattr(event, "tag", None)
    if tag not in {None, "!", _TEXT}:
        raise YamlRefusedError(f"has a tag in {where}; only plain values are allowed")
    if isinstance(event, yaml.ScalarEvent) and len(event.value) > MAX_SCALAR:
        raise YamlRefusedError(f"has a text of more than {MAX_SCALAR // 2**10} KiB in {where}")


def _place(event: yaml.Event) -> str:
    return f"line {event.start_mark.line + 1}" if event.start_mark else "a line"


def _built(events: Iterator[yaml.Event]) -> object:
    """Build the document with a stack of our own: depth is counted, never recursed into."""
    stack: list[_Open] = []
    document: object = None
    for event in events:
        if isinstance(event, yaml.CollectionEndEvent):
            document = stack.pop().value
            continue
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = _scalar(event)
        else:
            value = {} if isinstance(event, yaml.MappingStartEvent) else []
        if stack and isinstance(event, yaml.NodeEvent):
            stack[-1].take(event, value)
        else:
            document = value
        if not isinstance(event, yaml.ScalarEvent):
            if len(stack) == MAX_DEPTH:
                raise YamlRefusedError(f"is nested deeper than {MAX_DEPTH} levels")
            stack.append(_Open(value))
    return document


class _Open:
    """A collection that is being filled."""

    def __init__(self, value: dict[str, object] | list[object]) -> None:
        self.value = value
        self._key: str | None = None

    def take(self, event: yaml.NodeEvent, value: object) -> None:
        """Take the next key or value."""
        if isinstance(self.value, list):
            self.value.append(value)
        elif self._key is not None:
            self.value[self._key] = value
            self._key = None
        elif not isinstance(event, yaml.ScalarEvent):
            raise YamlRefusedError(f"has a key that is not a text in {_place(event)}")
        elif event.value in self.value:
            raise YamlRefusedError(f"has a key twice in {_place(event)}")
        else:
            self._key = event.value


def _scalar(event: yaml.ScalarEvent) -> str | bool | int | Unquoted | None:
    if event.tag is not None or not event.implicit[0]:
        return event.value
    kind = _kind(event.value)
    if kind == "str":
        return event.value
    if kind == "null":
        return None
    if kind == "bool":
        return _WORDS[event.value.lower()]
    if kind == "int" and _INTEGER.fullmatch(event.value):
        return int(event.value)
    kinds = {"int": "number", "float": "number", "timestamp": "date"}
    return Unquoted(kinds.get(kind, kind), event.value)


def _kind(text: str) -> str:
    """Return what YAML 1.1 takes a plain text for, by PyYAML's own table."""
    table = _RESOLVER.yaml_implicit_resolvers
    for tag, pattern in table.get(text[:1], []) + table.get(None, []):
        if pattern.match(text):
            return str(tag).rpartition(":")[2]
    return "str"
