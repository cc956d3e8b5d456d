"""Patterns of names in RE2's syntax, and templates over what they match; pure.

RE2 is the syntax of patterns everywhere in Kubernetes, and needs a time that grows with the name
alone: both the pattern and the names come from others.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import re2

from cloudimage.transfer.contract import Reason, TransferError

MOST_NAME: Final = 1024
"""Characters; a longer name is no file's."""

_MEMORY: Final = 2**20
_VARIABLE: Final = re.compile(r"\$(\$)?\(([A-Za-z_][A-Za-z0-9_.]*)\)")


class Pattern:
    """A pattern that a whole name must match."""

    def __init__(self, text: str) -> None:
        """Compile it.

        Raises:
            TransferError: ``InvalidRequest``: RE2 does not take it.
        """
        options = re2.Options()
        options.max_mem = _MEMORY
        options.log_errors = False
        try:
            self._compiled = re2.compile(text, options)
        except re2.error as error:
            raise TransferError(
                Reason.INVALID_REQUEST,
                f"{text!r} is no pattern in RE2's syntax; see github.com/google/re2/wiki/Syntax",
            ) from error

    @property
    def groups(self) -> frozenset[str]:
        """The names of its groups."""
        return frozenset(self._compiled.groupindex)

    def match(self, name: str) -> dict[str, str] | None:
        """Return what its named groups match in a name; None: it does not match all of it."""
        if len(name) > MOST_NAME or not name.isprintable():
            return None  # also keeps surrogates out, which RE2 cannot take
        found = self._compiled.fullmatch(name)
        if found is None:
            return None
        return {key: value for key, value in found.groupdict().items() if value is not None}


def variables(template: str) -> frozenset[str]:
    """Return the names that a template uses, as ``$(name)``; ``$$(name)`` is the text itself."""
    return frozenset(name for escaped, name in _VARIABLE.findall(template) if not escaped)


def fill(template: str, values: Mapping[str, str], *, url: bool = False) -> str:
    """Return a template with its variables replaced.

    Args:
        template: With variables as Kubernetes has them in a container's arguments.
        values: By name.
        url: The template is a URL: what is put into it is quoted, and stays within its path.

    Raises:
        TransferError: ``InvalidRequest``: a variable has no value, or one that leads elsewhere.
    """

    def value(match: re.Match[str]) -> str:
        escaped, name = match.groups()
        if escaped:
            return match[0][1:]
        if name not in values:
            known = ", ".join(f"$({each})" for each in sorted(values))
            raise TransferError(Reason.INVALID_REQUEST, f"$({name}) has no value; known: {known}")
        return _in_path(values[name]) if url else values[name]

    return _VARIABLE.sub(value, template)


def _in_path(value: str) -> str:
    if ".." in value.split("/"):
        raise TransferError(
            Reason.INVALID_REQUEST, f"{value!r} leads out of its folder, so no URL is made of it"
        )
    return quote(value, safe="/")
