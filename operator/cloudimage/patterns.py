"""Regular expressions of users, in RE2's syntax; pure.

RE2 is the syntax of patterns everywhere in Kubernetes, and needs a time that grows with the length
of the text times that of the compiled pattern: both come from others, so both are bounded.
"""

from typing import Final

import re2

_MEMORY: Final = 2**20
_LONGEST: Final = 4000
"""Instructions of a compiled pattern. The worst of this length take a second for 64 KiB of text."""


class PatternError(ValueError):
    """RE2 does not take a pattern; the message is a sentence without its full stop."""


class Expression:
    """A compiled pattern."""

    def __init__(self, text: str) -> None:
        """Compile it.

        Raises:
            PatternError: RE2 does not take it.
        """
        options = re2.Options()
        options.max_mem = _MEMORY
        options.log_errors = False
        try:
            self._compiled = re2.compile(text, options)
        except re2.error as error:
            raise PatternError(
                f"{text!r} is no pattern in RE2's syntax; see github.com/google/re2/wiki/Syntax"
            ) from error
        size = self._compiled.programsize
        if size > _LONGEST:
            raise PatternError(
                f"{text!r} repeats too much: it is compiled to {size} instructions, and {_LONGEST} "
                "is the most"
            )

    @property
    def groups(self) -> frozenset[str]:
        """The names of its groups."""
        return frozenset(self._compiled.groupindex)

    def match(self, text: str) -> dict[str, str] | None:
        """Return what its named groups match; None: it does not match the text as a whole."""
        found = self._compiled.fullmatch(_clean(text))
        if found is None:
            return None
        return {key: value for key, value in found.groupdict().items() if value is not None}

    def is_in(self, text: str) -> bool:
        """Return whether a part of the text matches it."""
        return self._compiled.search(_clean(text)) is not None


def _clean(text: str) -> str:
    """Return a text without lone surrogates, which RE2 cannot take."""
    return text.encode(errors="replace").decode()
