"""What the commands print: text made plain; objects as kubectl prints them.

Whoever may write an object, or runs a server that an older operator quoted, chooses its words: none
of them may move the cursor of the user's terminal, hide or reorder what it shows.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from cloudimage.api.kinds import KINDS
from cloudimage.api.names import GROUP
from cloudimage.plaintext import escaped, is_shown, plain, plain_lines

_GAP = "   "


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    """Print a text; it may have several lines, and what cannot be printed is replaced.

    Args:
        text: The text.
        err: Whether it goes to standard error.
        nl: Whether a line feed comes after it.
    """
    click.echo(plain_lines(text), err=err, nl=nl)


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
            cells.insert(0, _cell(row["object"]["metadata"]["namespace"]))
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
    return "" if value is None else plain(str(value))


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
        return escaped(json.dumps(shown, indent=4, ensure_ascii=False), wide=False) + "\n"
    return yaml_of([shown])


def _without_managed_fields(thing: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what only server-side apply reads, as kubectl does."""
    kept = {key: value for key, value in thing["metadata"].items() if key != "managedFields"}
    return {**thing, "metadata": kept}


def yaml_of(documents: Iterable[object], **options: Any) -> str:  # noqa: ANN401  # PyYAML's
    """Return documents as YAML; what cannot be printed is escaped, and so not lost."""
    import yaml  # the other commands start without it

    class Dumper(yaml.SafeDumper):
        """Puts quotes where :func:`escaped` needs them."""

        def represent_text(self, text: str) -> yaml.ScalarNode:
            lines = "|" if "\n" in text else None
            style = lines if is_shown(text.replace("\n", "")) else '"'
            return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(str, Dumper.represent_text)
    settings = {"sort_keys": False, "allow_unicode": True, **options}
    return escaped(yaml.dump_all(documents, Dumper=Dumper, **settings), wide=True)
