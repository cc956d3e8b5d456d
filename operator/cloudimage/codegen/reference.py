"""The reference of a kind as Markdown, written from its schema: what the API server enforces."""

import inspect
from collections.abc import Iterable, Iterator
from enum import StrEnum

from cloudimage.api.kinds import Kind
from cloudimage.api.names import API_VERSION
from cloudimage.api.reasons import member_docs
from cloudimage.codegen.crd import HEADER, LIST_TYPE, RULES, Schema, definition

COLUMNS = "| Field | Type | Default | Description |\n|---|---|---|---|"
_TITLES = {
    "ConditionType": "Conditions",
    "Reason": "Reasons",
    "ShareCondition": "Conditions",
    "ShareReason": "Reasons",
}
BOUNDS = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "items"),
    ("minProperties", "maxProperties", "entries"),
    ("minimum", "maximum", ""),
)


def render(kind: Kind, vocabularies: Iterable[type[StrEnum]] = ()) -> str:
    """Return the kind's page.

    Args:
        kind: Whose fields to list.
        vocabularies: Words that its status uses, each with a docstring below its member.
    """
    return "\n\n".join((*_head(kind), *_fields(kind), *map(_vocabulary, vocabularies))) + "\n"


def _head(kind: Kind) -> Iterator[str]:
    version = definition(kind)["spec"]["versions"][0]
    yield f"<!-- {HEADER.removeprefix('# ').strip()} -->"
    yield f"# {kind.name}"
    yield version["schema"]["openAPIV3Schema"]["description"]
    selectable = ", ".join(f"`{path.removeprefix('.')}`" for path in kind.selectable_fields)
    yield (
        f"`apiVersion: {API_VERSION}`, `kind: {kind.name}`, namespaced. kubectl also knows it as "
        f"{', '.join(f'`{name}`' for name in (kind.plural, *kind.short_names, *kind.categories))}."
        + (f" Field selectors: {selectable}." if selectable else "")
    )
    columns = "\n".join(
        f"| {column.name.upper()} | `{column.path}` | {'yes' if column.wide else ''} |"
        for column in kind.columns
    )
    yield "## Columns"
    yield f"| Column | Value | only with `-o wide` |\n|---|---|---|\n{columns}"


def _fields(kind: Kind) -> Iterator[str]:
    root = definition(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    for name in ("spec", "status"):
        yield f"## {name}"
        yield from _object(name, root[name])


def _object(path: str, node: Schema) -> Iterator[str]:
    """Yield the table of an object's fields, then a section for each object below it."""
    yield node["description"]
    required = node.get("required", ())
    fields: dict[str, Schema] = node["properties"]
    rows = [_row(name, field, required=name in required) for name, field in fields.items()]
    yield "\n".join((COLUMNS, *rows))
    if node.get(RULES):
        yield "\n".join(("Rules:\n", *(f"- {_sentence(rule)}" for rule in node[RULES])))
    for name, field in fields.items():
        below, suffix = (field["items"], "[]") if "items" in field else (field, "")
        if "properties" in below:
            yield f"### {path}.{name}{suffix}"
            yield from _object(f"{path}.{name}{suffix}", below)


def _row(name: str, field: Schema, *, required: bool) -> str:
    default = f"`{field['default']}`" if _is_scalar(field.get("default")) else ""
    rules = map(_sentence, field.get(RULES, ()))
    # An object's own rules are listed in its own section.
    words = [field["description"], *(() if "properties" in field else rules)]
    text = " ".join(words).replace("|", "\\|")
    return f"| `{name}` | {_type(field)} | {'**required**' if required else default} | {text} |"


def _type(field: Schema) -> str:
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    limits = ", ".join(_limits(field))
    return _type_name(field) + (f": {limits}" if limits else "")


def _type_name(field: Schema) -> str:
    match field:
        case {"type": "array", "items": items}:
            return f"{'set' if field[LIST_TYPE] == 'set' else 'list'} of {_type_name(items)}s"
        case {"type": "object", "additionalProperties": values}:
            return f"map of {_type_name(values)}s"
        case {"type": "string", "format": "date-time"}:
            return "time"
        case {"type": name}:
            return str(name)
    raise ValueError(f"a field without a type: {field}")


def _limits(field: Schema) -> Iterator[str]:
    """Yield the bounds in words; a pattern says the lengths too, so it stands alone."""
    if "pattern" in field:
        yield "`" + field["pattern"].replace("|", "\\|") + "`"
        return
    for least, most, unit in BOUNDS:
        low, high = field.get(least), field.get(most)
        words = {
            (True, True): f"{low} to {high}",
            (True, False): f"at least {low}",
            (False, True): f"at most {high}",
        }.get((low is not None, high is not None))
        if words:
            yield f"{words} {unit}".strip()


def _sentence(rule: Schema) -> str:
    message: str = rule["message"]
    return f"{message[0].upper()}{message[1:]}."


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int)


def _vocabulary(words: type[StrEnum]) -> str:
    """Return a section in which every word is a heading, so that other pages can link to it."""
    title = _TITLES.get(words.__name__, words.__name__)
    sections = (f"### {value}\n\n{text}" for value, text in member_docs(words).items())
    return "\n\n".join((f"## {title}", inspect.cleandoc(words.__doc__ or ""), *sections))
