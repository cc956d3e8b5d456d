"""All commands together: their help in sections, and an answer to words that are kubectl's."""

import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

import click

from cloudimage.api.kinds import CLOUD_IMAGE
from cloudimage.cli.arguments import kind_named

_KUBECTLS: Final = (
    "annotate",
    "apply",
    "create",
    "delete",
    "diff",
    "edit",
    "explain",
    "label",
    "patch",
    "replace",
    "wait",
)
"""Verbs of kubectl that people look for here: https://kubernetes.io/docs/reference/kubectl/"""
_WHOLE_SENTENCE: Final = 500
"""Characters: longer than any; the formatter breaks lines."""


class Group(click.Group):
    """The program itself, whose commands are listed in sections, in the order of their adding."""

    def __init__(self, **attributes: Any) -> None:  # noqa: ANN401  # click's
        super().__init__(**attributes)
        self._sections: dict[str, list[click.Command]] = {}

    def add(self, section: str, *commands: click.Command) -> None:
        """Add commands below a heading."""
        for each in commands:
            self.add_command(each)
            self._sections.setdefault(section, []).append(each)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's
        """Return the names, for TAB, in the same order."""
        return [each.name or "" for section in self._sections.values() for each in section]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002  # click's
        """Write the sections of the help."""
        for heading, commands in self._sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (each.name or "", each.get_short_help_str(_WHOLE_SENTENCE))
                        for each in commands
                    ]
                )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the words name.

        Raises:
            click.UsageError: No command has that name; with what may have been meant.
        """
        word = args[0]
        if word not in self.commands and not word.startswith("-") and not ctx.resilient_parsing:
            ctx.fail(f"No such command {word!r}.{_meant(word, args[1:], list(self.commands))}")
        return super().resolve_command(ctx, args)


def _meant(word: str, rest: Sequence[str], ours: Sequence[str]) -> str:
    closest = get_close_matches(word, [*_KUBECTLS, *ours], n=1)
    if not closest:
        return ""
    if closest[0] in _KUBECTLS:
        return f" That is kubectl's: {of_kubectl(closest[0], rest)}"
    return f" Did you mean {closest[0]!r}?"


def of_kubectl(verb: str, words: Sequence[str]) -> str:
    """Return kubectl's command for words that were meant for it; it always wants a kind."""
    if any(each.startswith(("-f", "--filename", "-k", "--kustomize")) for each in words):
        return shlex.join(["kubectl", verb, *words])
    before, slash, name = (words[0] if words else "").partition("/")
    kind = kind_named(before)
    what = (kind or CLOUD_IMAGE).singular + (f"/{name}" if kind and slash else "")
    return shlex.join(["kubectl", verb, what, *(words[1:] if kind else words)])
