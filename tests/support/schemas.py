"""Walks through structural schemas."""

from collections.abc import Iterator
from typing import Any

Walk = Iterator[tuple[str, dict[str, Any]]]


def walk(node: dict[str, Any], path: str = "") -> Walk:
    """Yield every schema below the node with its path."""
    yield path, node
    for name, part in node.get("properties", {}).items():
        yield from walk(part, f"{path}.{name}")
    for key, suffix in (("items", "[]"), ("additionalProperties", "{}")):
        if key in node:
            yield from walk(node[key], path + suffix)
