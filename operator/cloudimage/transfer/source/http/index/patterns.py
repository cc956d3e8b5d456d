"""Patterns of names, in RE2's syntax (:mod:`cloudimage.patterns`); pure."""

from typing import Final

from cloudimage.patterns import Expression, PatternError
from cloudimage.transfer.contract import Reason, TransferError

MOST_NAME: Final = 1024
"""Characters; a longer name is no file's."""

_MOST_GROUPS: Final = 8


class Pattern:
    """A pattern that a whole name must match."""

    def __init__(self, text: str) -> None:
        """Compile it.

        Raises:
            TransferError: ``InvalidRequest``: RE2 does not take it.
        """
        try:
            self._expression = Expression(text)
        except PatternError as error:
            raise TransferError(Reason.INVALID_REQUEST, str(error)) from error
        if len(self.groups) > _MOST_GROUPS:
            raise TransferError(
                Reason.INVALID_REQUEST, f"{text!r} has over {_MOST_GROUPS} named groups"
            )

    @property
    def groups(self) -> frozenset[str]:
        """The names of its groups."""
        return self._expression.groups

    def match(self, name: str) -> dict[str, str] | None:
        """Return what its named groups match in a name; None: it does not match all of it."""
        if len(name) > MOST_NAME or not name.isprintable():
            return None
        return self._expression.match(name)
