"""Objects as kubectl prints them: tables that the API server renders, JSON, YAML and names."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from cloudimage.api.kinds import KINDS
from cloudimage.api.meta import GROUP

_GAP = "   "


def rows_of(
    tables: Sequence[Mapping[str, Any]], *, wide: bool, namespaces: bool
) -> list[list[str]]:
    """Return the heading and the rows of ``Table`` objects of one kind; empty when all are.

    Args:
        tables: ``meta.k8s.io/v1`` Tables.
        wide: Whether columns are shown that kubectl shows with ``-o wide`` only.
        namespaces: Whether the namespace comes first.
    """
    rows = [row for table in tables for row in table["rows"]]
    if not rows:
        return []
    columns = tables[0]["columnDefinitions"]
    shown = [number for number, each in enumerate(columns) if wide or each["priority"] == 0]
    heading = [columns[number]["name"].upper() for number in shown]
    body = [[_cell(row["cells"][number]) for number in shown] for row in rows]
    if namespaces:
        heading.insert(0, "NAMESPACE")
        for cells, row in zip(body, rows, strict=True):
            cells.insert(0, row["object"]["metadata"]["namespace"])
    return [heading, *body]


def aligned(rows: Iterable[Sequence[str]]) -> str:
    """Return rows as text, each column as wide as its widest cell."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cell(value: object) -> str:
    return "" if value is None else str(value)


def names_of(things: Iterable[Mapping[str, Any]]) -> str:
    """Return a line for each object, as ``kubectl get -o name`` prints it."""
    singular = {kind.name: kind.singular for kind in KINDS}
    return "".join(
        f"{singular[each['kind']]}.{GROUP}/{each['metadata']['name']}\n" for each in things
    )


def document(things: Sequence[Mapping[str, Any]], syntax: str, *, single: bool) -> str:
    """Return objects as JSON or YAML: one that was named alone as it is, others as a List.

    Args:
        things: The objects.
        syntax: ``json`` or ``yaml``.
        single: Whether one was asked for by its name.
    """
    items = [_without_managed_fields(each) for each in things]
    whole = {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": items}
    shown = items[0] if single else whole
    if syntax == "json":
        return json.dumps(shown, indent=4, ensure_ascii=False) + "\n"
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True)


def _without_managed_fields(thing: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only server-side apply reads, as kubectl does."""
    kept = {key: value for key, value in thing["metadata"].items() if key != "managedFields"}
    return {**thing, "metadata": kept}
