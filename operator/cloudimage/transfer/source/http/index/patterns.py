"""Patterns of names in RE2's syntax; pure.

RE2 is the syntax of patterns everywhere in Kubernetes, and needs a time that grows with the name
alone: both the pattern and the names come from others.
"""

from typing import Final

import re2

from cloudimage.transfer.contract import Reason, TransferError

MOST_NAME: Final = 1024
"""Characters; a longer name is no file's."""

_MEMORY: Final = 2**20
_MOST_GROUPS: Final = 8


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
        if len(self.groups) > _MOST_GROUPS:
            raise TransferError(
                Reason.INVALID_REQUEST, f"{text!r} has over {_MOST_GROUPS} named groups"
            )

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
