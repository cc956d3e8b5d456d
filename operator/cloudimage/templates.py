"""Texts with variables, as Kubernetes has them in a container's arguments; pure.

``$(name)`` stands for a value and ``$$`` for one dollar, so that ``$$(name)`` is the text itself
(Kubernetes' ``third_party/forked/golang/expansion``). What is different: Kubernetes leaves a name
that it does not know as it is; here that is an error.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

_TOKEN: Final = re.compile(r"\$(?:(\$)|\(([A-Za-z_][A-Za-z0-9_.]*)\))")
_READ: Final = re.compile(r"\$(?=[$(])")
"""A dollar that stands for something else than itself."""


class TemplateError(ValueError):
    """A template that cannot be filled; the message says why."""


def pattern(names: Iterable[str]) -> str:
    """Return the pattern of the texts that use no other variables than these, for RE2 and Python.

    Args:
        names: Of letters, digits, underscores and dots.
    """
    known = "|".join(each.replace(".", "[.]") for each in names)
    return f"(?:[^$]|[$][$]|[$][(](?:{known})[)]|[$][^$(])*[$]?"


def variables(template: str) -> frozenset[str]:
    """Return the names that a template uses."""
    return frozenset(name for escaped, name in _TOKEN.findall(template) if not escaped)


def escaped(text: str) -> str:
    """Return the template of a text that may have dollars: filled, it is that text again."""
    return _READ.sub("$$", text)


def fill(
    template: str, values: Mapping[str, str], quoted: Callable[[str], str] = lambda value: value
) -> str:
    """Return a template with its variables replaced.

    Args:
        template: The text.
        values: By name.
        quoted: Returns a value as it is put into the text.

    Raises:
        TemplateError: A variable has no value.
    """

    def value(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped:
            return "$"
        if name not in values:
            known = ", ".join(f"$({each})" for each in sorted(values)) or "none"
            raise TemplateError(f"$({name}) has no value; known: {known}")
        return quoted(values[name])

    return _TOKEN.sub(value, template)
